"""Shares: every group gets its least number of pairs, then an equal part of the time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.measure.sequential import Shares


def run(costs: dict[str, int], budget_ns: int, minimum: int) -> Shares:
    """Spend the budget on groups that always cost the same."""
    shares = Shares(tuple(costs), budget_ns, minimum)
    while (group := shares.next_group()) is not None:
        shares.note(group, costs[group])
    return shares


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 1000), min_size=1, max_size=5), st.integers(0, 20_000), st.integers(1, 5)
)
def test_every_group_gets_its_pairs_and_time_is_shared_evenly(costs: dict[str, int], budget_ns: int, minimum: int) -> None:
    """No group falls below the minimum, the budget is not exceeded by more than the last pair, and no group hogs the time."""
    shares = run(costs, budget_ns, minimum)
    assert all(shares.pairs[g] >= minimum for g in costs)
    dearest = max(costs.values())
    floor = sum(c * minimum for c in costs.values())
    assert sum(shares.spent_ns.values()) <= max(floor, budget_ns + dearest)
    for group, cost in costs.items():
        if shares.pairs[group] > minimum:
            assert shares.spent_ns[group] <= min(shares.spent_ns.values()) + cost


def test_without_time_only_the_minimum_is_run() -> None:
    """A budget of nothing still gives a median something to rest on."""
    assert run({"a": 5, "b": 500}, 0, 3).pairs == {"a": 3, "b": 3}
