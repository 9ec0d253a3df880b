"""Shares: every group gets its least number of pairs, then an equal part of the time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.bench.time_budget import Shares


def run(costs: dict[str, int], budget_ns: int, minimum: int, heavy: tuple[str, ...] = ()) -> Shares:
    """Spend the budget on groups that always cost the same."""
    shares = Shares(tuple(costs), budget_ns, minimum, heavy)
    while (group := shares.next_group()) is not None:
        shares.note(group, costs[group])
    return shares


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 1000), min_size=1, max_size=5), st.integers(0, 20_000), st.integers(1, 5)
)
def test_every_group_gets_its_pairs_and_its_part_of_the_time(costs: dict[str, int], budget_ns: int, minimum: int) -> None:
    """No group falls below the minimum, and beyond it none takes more than its part by more than its last pair."""
    shares = run(costs, budget_ns, minimum)
    part = budget_ns / len(costs)
    for group, cost in costs.items():
        assert shares.pairs[group] >= minimum
        assert shares.spent_ns[group] >= min(part, minimum * cost)
        assert shares.spent_ns[group] <= max(minimum * cost, part + cost)


def test_without_time_only_the_minimum_is_run() -> None:
    """A budget of nothing still gives a median something to rest on."""
    assert run({"a": 5, "b": 500}, 0, 3).pairs == {"a": 3, "b": 3}


def test_a_heavy_group_is_timed_once_and_takes_no_time_from_the_others() -> None:
    """Its one pair comes on top of the budget that the others share."""
    assert run({"a": 5, "heavy": 10_000, "b": 10}, 100, 2, heavy=("heavy",)).pairs == {"a": 10, "heavy": 1, "b": 5}
