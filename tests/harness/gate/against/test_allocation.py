"""Which benchmarks a process pair times: a pure function of needs and time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.against.allocation import MAX_SLICES_S, MIN_SLICES_S, PredictedNeed, StartUp, chosen, predicted_s, slices_s

NEEDS = st.lists(st.integers(1, 50), min_size=1, max_size=20).map(
    lambda numbers: [PredictedNeed(f"b{place}", number) for place, number in enumerate(numbers)]
)

ONE = {"": StartUp(2.0, 2.0)}


@given(st.integers(0, 1000), st.floats(0, 60))
def test_slices_have_limits(benchmarks: int, start_up_s: float) -> None:
    """Neither a quick start nor many benchmarks make them too short, nor the opposite too long."""
    assert MIN_SLICES_S <= slices_s(benchmarks, start_up_s) <= MAX_SLICES_S


def test_slices_take_together_about_as_long_as_the_start() -> None:
    """Eight benchmarks share a start of two seconds."""
    assert slices_s(8, 2.0) == 0.25


@given(NEEDS)
def test_with_time_for_all_all_are_timed(needs: list[PredictedNeed]) -> None:
    """In their order."""
    assert chosen(needs, 1e6, ONE) == [need.name for need in needs]


@given(NEEDS, st.floats(0, 100))
def test_the_smallest_needs_come_first(needs: list[PredictedNeed], left_s: float) -> None:
    """None that is left out needs less than one that is timed, and a process pair fits into the time."""
    names = chosen(needs, left_s, ONE)
    inside = [need.process_pairs for need in needs if need.name in names]
    outside = [need.process_pairs for need in needs if need.name not in names]
    assert not inside or not outside or max(inside) <= min(outside)
    assert not names or 2.0 + len(names) * slices_s(len(names), 2.0) <= left_s


@given(NEEDS, st.floats(0, 100), st.floats(0, 100))
def test_more_time_is_for_no_fewer(needs: list[PredictedNeed], less_s: float, more_s: float) -> None:
    """A benchmark that is timed in less time is timed in more."""
    less_s, more_s = sorted((less_s, more_s))
    assert set(chosen(needs, less_s, ONE)) <= set(chosen(needs, more_s, ONE))


def test_time_goes_where_it_decides() -> None:
    """Thirty seconds decide the two that need five process pairs, and would not decide the one that needs a hundred."""
    needs = [PredictedNeed("far", 100), PredictedNeed("near", 5), PredictedNeed("other", 5)]
    assert chosen(needs, 30.0, ONE) == ["near", "other"]
    assert chosen(needs[:1], 30.0, ONE) == ["far"]
    assert chosen(needs, 1.0, ONE) == []


def test_of_equal_needs_the_first_one_is_timed() -> None:
    """Which is how those whose work grew come first."""
    assert chosen([PredictedNeed("grew", 1), PredictedNeed("equal", 1)], 2.7, ONE) == ["grew"]


def test_what_a_benchmark_takes_apart_from_its_slices_counts() -> None:
    """A fixture of 20 s does not fit into 15 s, and what does is timed all the same."""
    needs = [PredictedNeed("quick", 3), PredictedNeed("slow", 2, other_s=20.0)]
    assert chosen(needs, 15.0, ONE) == ["quick"]
    assert chosen(needs, 1e6, ONE) == ["quick", "slow"]


@pytest.mark.parametrize(("numbers", "seconds"), [([], 0.0), ([3], 3 * 2.6), ([2, 3], 2 * 3.2 + 2.6)])
def test_the_time_left_counts_those_that_leave(numbers: list[int], seconds: float) -> None:
    """Each process pair has its start, and slices for those that are still undecided."""
    needs = [PredictedNeed(str(place), number) for place, number in enumerate(numbers)]
    assert predicted_s(needs, ONE) == pytest.approx(seconds)


def test_each_part_has_a_start_of_its_own() -> None:
    """Benchmarks of one part share a start, and one of another part adds its own."""
    starts = {"a": StartUp(2.0, 2.0), "b": StartUp(6.0, 6.0)}
    together = [PredictedNeed("one", 5, part="a"), PredictedNeed("two", 5, part="a")]
    assert predicted_s(together, starts) == pytest.approx(5 * (2.0 + 2 * 0.6))
    assert predicted_s([*together, PredictedNeed("three", 2, part="b")], starts) == pytest.approx(5 * 3.2 + 2 * 6.6)
    assert chosen([*together, PredictedNeed("three", 5, part="b")], 20.0, starts) == ["one", "two"]
