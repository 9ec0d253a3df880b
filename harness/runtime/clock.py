"""The clock: the only module that reads time, and a fake clock for tests."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

CLOCK_TOLERANCE = 0.1
"""Share by which a clock may run faster or slower than the kernel's, which is adjusted to the time of day where this one is not."""

WRONG_CLOCK = "something replaced the clock (freezegun, time-machine?); do not freeze time while arms are timed"
"""The likely cause and the next step."""
STANDS_STILL_NS = 1_000_000
"""Nanoseconds for which a wrong clock is watched, to see whether it stands still."""


class Clock(Protocol):
    """A source of monotonic time in integer nanoseconds."""

    def now_ns(self) -> int:
        """Return the time since a fixed moment, in nanoseconds."""


class MonotonicClock:
    """The machine's finest monotonic clock."""

    def now_ns(self) -> int:
        """Return `time.perf_counter_ns()`."""
        return time.perf_counter_ns()


class KernelClock:
    """The same clock, which goes on if code under test replaces the functions of `time`."""

    def __init__(self) -> None:
        self.now_ns: Callable[[], int] = partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)


class ClockCheck:
    """Compares a clock with the kernel's, from its creation on: code under test may have replaced the functions of `time`.

    Libraries that freeze time replace `time.perf_counter_ns` wherever they find it. The reference is kept where they do not look,
    and each reading of the clock is bracketed by two of the reference, so that a pause between the readings does no harm.
    """

    _reference_ns: tuple[Callable[[], int]] = (partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC),)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started = self._readings()

    def _readings(self) -> tuple[int, int, int]:
        return self._reference_ns[0](), self._clock.now_ns(), self._reference_ns[0]()

    def problem(self) -> str | None:
        """Return how the clock has advanced if it is not how time has passed since the last call; None if it is right."""
        before, self._started = self._started, self._readings()
        passed_ns, least_ns, most_ns = (self._started[i] - before[j] for i, j in ((1, 1), (0, 2), (2, 0)))
        if (1 - CLOCK_TOLERANCE) * least_ns <= passed_ns <= (1 + CLOCK_TOLERANCE) * most_ns:
            return None
        now_ns, reference_ns = self._clock.now_ns(), self._reference_ns[0]()
        while self._reference_ns[0]() - reference_ns < STANDS_STILL_NS:
            pass
        what = "stands still" if self._clock.now_ns() == now_ns else f"advanced by {passed_ns / 1e6:g} ms in {most_ns / 1e6:g} ms"
        return f"the clock of the worker, time.perf_counter_ns, {what}; {WRONG_CLOCK}"


@dataclass
class FakeClock:
    """A clock for tests that only moves when it is advanced."""

    time_ns: int = 0
    """The current time."""

    def now_ns(self) -> int:
        """Return the current time, in nanoseconds."""
        return self.time_ns

    def advance(self, duration_ns: int) -> None:
        """Advance the time by `duration_ns`."""
        self.time_ns += duration_ns


def utc_now() -> datetime:
    """Return the wall-clock time in UTC, for labels; never for measuring."""
    return datetime.now(UTC)


def resolution_ns() -> float:
    """Return the clock's resolution as reported by the system, in nanoseconds."""
    return time.get_clock_info("perf_counter").resolution * 1e9


def cpu_ns() -> int:
    """Return the CPU time of this process since its start, of all threads together, in nanoseconds."""
    return time.process_time_ns()
