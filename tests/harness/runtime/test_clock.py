"""Tests of the check of a clock that code under test may have replaced."""

import time
from collections.abc import Callable

import pytest

from harness.runtime.clock import WRONG_CLOCK, ClockCheck, FakeClock, MonotonicClock


def pass_time() -> None:
    """Let a millisecond pass."""
    ends_ns = time.monotonic_ns() + 1_000_000
    while time.monotonic_ns() < ends_ns:
        pass


def test_the_machines_clock_passes_however_often_it_is_checked() -> None:
    """No reading differs from the kernel's clock by more than what passes between the readings, on a busy machine as well."""
    check = ClockCheck(MonotonicClock())
    assert not any(check.problem() for _ in range(10_000))


def test_a_clock_that_stands_still_is_noticed() -> None:
    """A frozen clock makes every duration zero."""
    check = ClockCheck(FakeClock(5))
    pass_time()
    assert check.problem() == f"the clock of the worker, time.perf_counter_ns, stands still; {WRONG_CLOCK}"


@pytest.mark.parametrize("reading", [lambda ns: -ns, lambda ns: 2 * ns, lambda ns: ns // 2, lambda ns: ns // 10**9 * 10**9])
def test_a_clock_at_another_pace_is_noticed(monkeypatch: pytest.MonkeyPatch, reading: Callable[[int], int]) -> None:
    """One that runs backwards, too fast, too slowly or in coarse steps gives wrong durations as well."""
    monkeypatch.setattr(time, "perf_counter_ns", lambda: reading(time.monotonic_ns()))
    check = ClockCheck(MonotonicClock())
    pass_time()
    found = check.problem()
    assert found is not None
    assert WRONG_CLOCK in found


def test_functions_of_time_that_are_replaced_do_not_reach_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen clock is noticed also where every function of `time` is frozen."""
    check = ClockCheck(MonotonicClock())
    pass_time()
    for name in ("perf_counter_ns", "monotonic_ns", "time_ns", "clock_gettime_ns"):
        monkeypatch.setattr(time, name, lambda *_: 42)
    assert check.problem() is not None
