"""Streams of pairs: how they are cut, and a short real one."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.validation.paired_time import Stream, all_of, one_after_the_other, record


def stream(times_ns: list[int], percent: int = 0) -> Stream:
    """Return a stream whose pairs took so long, each side half of it."""
    spent = [sum(times_ns[: n + 1]) for n in range(len(times_ns))]
    return Stream(percent, [t / 2 for t in times_ns], [t / 2 for t in times_ns], spent)


@given(st.lists(st.integers(1, 10**9), max_size=40), st.floats(0.001, 3))
def test_parts_are_whole_and_begin_anew(times_ns: list[int], seconds: float) -> None:
    """Each part lasts so long by its own account, no longer than its last pair needs, and none overlap."""
    parts = stream(times_ns).cut(seconds)
    cut = [t for part in parts for t in part.base_ns]
    assert cut == [t / 2 for t in times_ns][: len(cut)]
    for part in parts:
        assert part.spent_ns[-1] >= seconds * 1e9
        assert len(part.spent_ns) == 1 or part.spent_ns[-2] < seconds * 1e9
    assert sum(times_ns[len(cut) :]) < seconds * 1e9


def test_pieces_have_so_many_pairs() -> None:
    """What is left at the end is none."""
    assert [len(piece.base_ns) for piece in stream([1] * 7).pieces(3)] == [3, 3]


def test_log_ratios_are_above_nothing_where_the_twin_is_slower() -> None:
    """Twice the time is the logarithm of two."""
    assert Stream(0, [1.0], [2.0], [3]).log_ratios == [pytest.approx(math.log(2))]


def test_streams_are_found_by_their_slow_down() -> None:
    """Each slow-down has its own."""
    one, other = stream([1], 3), stream([1], 5)
    assert all_of([one, other], 5) == [other]


@pytest.mark.slow
def test_a_fresh_process_times_pairs(tmp_path: Path) -> None:
    """The pairs come from the worker, of both sides, within the time."""
    found = record(tmp_path, 10, 1, 0.05, until_found=False)
    assert len(found.base_ns) == len(found.other_ns) == len(found.spent_ns) > 0
    assert found.spent_ns == sorted(found.spent_ns)
    assert found.spent_ns[-1] >= 0.05e9 > ([0, *found.spent_ns])[-2]


def test_one_after_the_other_times_both_sides() -> None:
    """As many operations of each side as were asked for."""
    found = one_after_the_other(10, 2)
    assert (len(found.base_ns), len(found.other_ns), found.percent) == (2, 2, 10)
