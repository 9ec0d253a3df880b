"""Slices of two versions, interleaved, with a fake clock."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.against.compare import MIN_PAIRS, SLICE_NS, interleave
from harness.gate.against.protocol import EACH
from harness.runtime.clock import FakeClock


@dataclass
class FakeVersion:
    """A version whose repetitions all take the same time; it logs its calls."""

    name: str
    clock: FakeClock
    each_ns: int
    log: list[tuple[str, int, int]] = field(default_factory=list)

    def slice(self, case: int, repeats: int) -> list[int]:
        """Advance the clock."""
        self.log.append((self.name, case, repeats))
        self.clock.advance(self.each_ns * repeats)
        return [self.each_ns] * repeats if repeats <= EACH else [self.each_ns * repeats]


def fake_versions(old_ns: int, new_ns: int) -> tuple[FakeVersion, FakeVersion, list[tuple[str, int, int]], FakeClock]:
    """Return two versions with a common log and clock."""
    clock = FakeClock()
    log: list[tuple[str, int, int]] = []
    return FakeVersion("old", clock, old_ns, log), FakeVersion("new", clock, new_ns, log), log, clock


@given(st.integers(1, 10**10), st.integers(1, 10**10), st.integers(1, 5))
def test_a_pair_is_the_ratio_new_over_old(old_ns: int, new_ns: int, cases: int) -> None:
    """Each log is that of the times' ratio, whatever the times and the order are, and there is a minimum of pairs."""
    old, new, _, clock = fake_versions(old_ns, new_ns)
    logs = [pair.log for pair in interleave(old.slice, new.slice, 0, cases, random.Random(0), clock)]
    assert len(logs) == MIN_PAIRS
    assert logs == pytest.approx([math.log(new_ns / old_ns)] * MIN_PAIRS)


def test_both_versions_do_the_same_work_in_random_order() -> None:
    """Both get the same cases and repetitions in slices of the target duration, and each is first sometimes."""
    old, new, log, clock = fake_versions(100_000, 130_000)
    pairs = interleave(old.slice, new.slice, 60 * SLICE_NS, 2, random.Random(1), clock)
    calls = {name: [call[1:] for call in log if call[0] == name] for name in ("old", "new")}
    assert calls["old"] == calls["new"]
    timed = log[-2 * len(pairs) + 12 :]
    assert {repeats for _, _, repeats in timed} == {SLICE_NS // 100_000}
    assert {case for _, case, _ in timed} == {0, 1}
    assert {pair[0] for pair in timed[::2]} == {"old", "new"}


@pytest.mark.parametrize(("each_ns", "runs"), [(SLICE_NS // 10, 8), (10 * SLICE_NS, 6)])
@pytest.mark.parametrize("seed", range(4))
def test_no_version_is_warmer_than_the_other_when_a_case_is_new(seed: int, each_ns: int, runs: int) -> None:
    """The versions alternate from the first run of a case to the end of its first pair, whichever is first."""
    old, new, log, clock = fake_versions(each_ns, each_ns)
    interleave(old.slice, new.slice, 200 * SLICE_NS, MIN_PAIRS, random.Random(seed), clock)
    for case in range(MIN_PAIRS):
        order = [name for name, of, _ in log if of == case][:runs]
        assert len(order) == runs
        assert all(before != after for before, after in itertools.pairwise(order))


def test_a_version_that_is_faster_after_itself_is_not_faster_overall() -> None:
    """With one pair for each of four cases, the same code has a ratio of 1 over many process pairs."""

    def process_pair(seed: int) -> list[float]:
        clock, last = FakeClock(), list[WarmVersion]()
        versions = WarmVersion(clock, last).slice, WarmVersion(clock, last).slice
        return [pair.log for pair in interleave(*versions, 160 * SLICE_NS, 4, random.Random(seed), clock)]

    logs = [log for seed in range(300) for log in process_pair(seed)]
    assert abs(sum(logs) / len(logs)) < 0.01


@dataclass(eq=False)
class WarmVersion:
    """A version that takes eight slices, or seven when it was the last to run."""

    clock: FakeClock
    last: list[WarmVersion]

    def slice(self, _: int, repeats: int) -> list[int]:
        """Advance the clock."""
        took_ns = repeats * SLICE_NS * (7 if self.last[-1:] == [self] else 8)
        self.last.append(self)
        self.clock.advance(took_ns)
        return [took_ns]


def test_a_benchmark_slower_than_its_budget_has_one_case() -> None:
    """The minimum of pairs is of a case that has run, not of others that would have to run first."""
    old, new, log, clock = fake_versions(100 * SLICE_NS, 100 * SLICE_NS)
    assert len(interleave(old.slice, new.slice, SLICE_NS, 4, random.Random(0), clock)) == MIN_PAIRS
    assert {case for _, case, _ in log} == {0}
    assert len(log) == 4 + 2 * MIN_PAIRS


def test_the_budget_ends_a_benchmark() -> None:
    """Twice the budget gives about twice the pairs."""
    few, many = (
        len(interleave(versions[0].slice, versions[1].slice, budget_ns, 1, random.Random(2), versions[3]))
        for budget_ns, versions in (
            (SLICE_NS * 100, fake_versions(10_000, 10_000)),
            (SLICE_NS * 200, fake_versions(10_000, 10_000)),
        )
    )
    assert many == pytest.approx(2 * few, rel=0.1)
