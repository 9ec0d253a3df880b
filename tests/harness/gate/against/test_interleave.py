"""Slices in turn, with sides that only move a fake clock."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.against.interleave import LEAST_PAIRS, SLICE_NS, in_turn
from harness.runtime.clock import FakeClock


@dataclass
class Fake:
    """A side whose every repetition takes the same time; it writes down what it was asked."""

    name: str
    clock: FakeClock
    each_ns: int
    log: list[tuple[str, int, int]] = field(default_factory=list)

    def slice(self, case: int, repeats: int) -> int:
        """Let the time pass."""
        self.log.append((self.name, case, repeats))
        self.clock.advance(self.each_ns * repeats)
        return self.each_ns * repeats


def sides(old_ns: int, new_ns: int) -> tuple[Fake, Fake, list[tuple[str, int, int]], FakeClock]:
    """Return two sides that write into one log."""
    clock = FakeClock()
    log: list[tuple[str, int, int]] = []
    return Fake("old", clock, old_ns, log), Fake("new", clock, new_ns, log), log, clock


@given(st.integers(1, 10**10), st.integers(1, 10**10), st.integers(1, 5))
def test_a_pair_tells_new_over_old(old_ns: int, new_ns: int, cases: int) -> None:
    """Whatever the two take, and whoever begins, each log is that of the times' ratio, and there are never too few."""
    old, new, _, clock = sides(old_ns, new_ns)
    logs = in_turn(old, new, 0, cases, random.Random(0), clock)
    assert len(logs) == LEAST_PAIRS
    assert logs == pytest.approx([math.log(new_ns / old_ns)] * LEAST_PAIRS)


def test_both_sides_do_the_same_in_an_order_drawn_by_a_coin() -> None:
    """The same cases and repetitions on either side, slices long enough, and each side begins now and then."""
    old, new, log, clock = sides(100_000, 130_000)
    logs = in_turn(old, new, 60 * SLICE_NS, 2, random.Random(1), clock)
    mine = {name: [asked[1:] for asked in log if asked[0] == name] for name in ("old", "new")}
    assert mine["old"] == mine["new"]
    timed = log[-2 * len(logs) + 12 :]
    assert {repeats for _, _, repeats in timed} == {SLICE_NS // 100_000}
    assert {case for _, case, _ in timed} == {0, 1}
    assert {pair[0] for pair in timed[::2]} == {"old", "new"}


@pytest.mark.parametrize(("each_ns", "runs"), [(SLICE_NS // 10, 8), (10 * SLICE_NS, 6)])
@pytest.mark.parametrize("seed", range(4))
def test_no_side_is_warmer_than_the_other_when_a_case_is_new(seed: int, each_ns: int, runs: int) -> None:
    """The sides alternate from the first run of a case to the end of its first pair, whoever begins."""
    old, new, log, clock = sides(each_ns, each_ns)
    in_turn(old, new, 200 * SLICE_NS, LEAST_PAIRS, random.Random(seed), clock)
    for case in range(LEAST_PAIRS):
        asked = [name for name, of, _ in log if of == case][:runs]
        assert len(asked) == runs
        assert all(before != after for before, after in itertools.pairwise(asked))


def test_a_side_that_is_quicker_after_itself_is_not_taken_for_faster() -> None:
    """With a pair for each of four cases, the same code reads the same over many process pairs."""

    def visit(seed: int) -> list[float]:
        clock, last = FakeClock(), list[Warm]()
        return in_turn(Warm(clock, last), Warm(clock, last), 160 * SLICE_NS, 4, random.Random(seed), clock)

    logs = [log for seed in range(300) for log in visit(seed)]
    assert abs(sum(logs) / len(logs)) < 0.01


@dataclass(eq=False)
class Warm:
    """A side that takes eight slices, or seven when it was the last to run."""

    clock: FakeClock
    last: list[Warm]

    def slice(self, _: int, repeats: int) -> int:
        """Let the time pass."""
        took_ns = repeats * SLICE_NS * (7 if self.last[-1:] == [self] else 8)
        self.last.append(self)
        self.clock.advance(took_ns)
        return took_ns


def test_what_takes_longer_than_there_is_time_has_one_case() -> None:
    """The least number of pairs is of a case that has run, not of others that would have to run first."""
    old, new, log, clock = sides(100 * SLICE_NS, 100 * SLICE_NS)
    assert len(in_turn(old, new, SLICE_NS, 4, random.Random(0), clock)) == LEAST_PAIRS
    assert {case for _, case, _ in log} == {0}
    assert len(log) == 4 + 2 * LEAST_PAIRS


def test_time_is_what_ends_a_benchmark() -> None:
    """Twice the time gives about twice the pairs."""
    few, many = (
        len(in_turn(*sides_and[:2], lasts, 1, random.Random(2), sides_and[3]))
        for lasts, sides_and in ((SLICE_NS * 100, sides(10_000, 10_000)), (SLICE_NS * 200, sides(10_000, 10_000)))
    )
    assert many == pytest.approx(2 * few, rel=0.1)
