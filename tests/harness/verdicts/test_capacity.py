"""Capacities as measures: how many times the baseline's, with bounds from both brackets, and the knee."""

from __future__ import annotations

import pytest

from harness.errors import NotMeasurableError
from harness.results.load import Capacity, CapacityKind, CapacityStep, LoadModel, LoadResult
from harness.results.run import ArmResult, ScenarioResult, ScenarioStatus
from harness.verdicts.capacity import knee, times_the_capacity


def result(*capacities: Capacity, load: bool = True) -> ScenarioResult:
    """Return a result with these capacities."""
    found = LoadResult([LoadModel.OPEN], "50 a second", 3.0, 1.0, capacities=list(capacities)) if load else None
    arms = [
        ArmResult("baseline", "as it was"),
        ArmResult("proposed", "as advised", cannot_run="mix: TypeError"),
        ArmResult("optimised", "done right"),
    ]
    return ScenarioResult("whole_api", "S", "S.", "s.py", "sqlite", 0.0, ScenarioStatus.OK, arms=arms, load=found)


def capacity(arm: str, holds: float | None, fails: float | None, kind: CapacityKind = CapacityKind.USERS) -> Capacity:
    """Return what a search found."""
    return Capacity(arm, kind, "p95 < 150 ms", holds, fails, [], "at 20: p95 200 ms")


def step(level: float, achieved_per_s: float, mean_ms: float | None, invalid: str | None = None) -> CapacityStep:
    """Return a step with its throughput and mean response time."""
    figures = {"mean": None if mean_ms is None else mean_ms * 1e6}
    return CapacityStep(level, achieved_per_s, 100, 0, figures, sustained=True, reason="", invalid=invalid)


def test_the_ratio_is_of_what_held_and_its_bounds_of_the_brackets_outer_ends() -> None:
    """100 users that held against 10 are 10 times; they may be as few as 100 ÷ 11 or as many as 110 ÷ 10."""
    found = times_the_capacity(CapacityKind.USERS)(
        result(capacity("baseline", 10, 11), capacity("optimised", 100, 110)), "optimised"
    )
    assert (found.value, found.low, found.high) == (10, 100 / 11, 11)
    assert found.note == "10 users at once → 100 users at once, p95 < 150 ms"


def test_without_a_level_that_failed_there_is_no_bound_on_that_side() -> None:
    """An arm that held the highest level there was to try holds at least that, and its ratio has no upper bound."""
    found = times_the_capacity(CapacityKind.USERS)(
        result(capacity("baseline", 10, 11), capacity("optimised", 2000, None)), "optimised"
    )
    assert found.low == 2000 / 11
    assert found.high is None
    assert "at least 2000 users" in found.note


@pytest.mark.parametrize("load", [True, False])
def test_where_no_capacity_was_searched_the_command_that_does_is_named(load: bool) -> None:
    """Neither a run without load nor one with it but without a search has an answer."""
    with pytest.raises(NotMeasurableError, match="needs `harness capacity whole_api --slo …`"):
        times_the_capacity(CapacityKind.USERS)(result(load=load), "optimised")


def test_the_kinds_are_not_mixed_up() -> None:
    """A search for a rate says nothing of users."""
    with pytest.raises(NotMeasurableError, match="needs"):
        times_the_capacity(CapacityKind.USERS)(result(capacity("baseline", 10, 11, CapacityKind.RATE)), "optimised")


def test_an_arm_that_was_not_searched_or_cannot_run_says_so() -> None:
    """The reason names the arm, or its error where it cannot run as written."""
    found = result(capacity("baseline", 10, 11))
    with pytest.raises(NotMeasurableError, match="optimised's users at once were not searched"):
        times_the_capacity(CapacityKind.USERS)(found, "optimised")
    with pytest.raises(NotMeasurableError, match="cannot run as written: mix: TypeError"):
        times_the_capacity(CapacityKind.USERS)(found, "proposed")


def test_an_arm_that_holds_nothing_has_no_ratio() -> None:
    """Where no level held, on either side, the search's reason is the measure's."""
    with pytest.raises(NotMeasurableError, match=r"baseline holds no .*: at 20: p95 200 ms"):
        times_the_capacity(CapacityKind.USERS)(result(capacity("baseline", None, 20), capacity("optimised", 100, 110)), "optimised")


def test_the_knee_is_where_throughput_over_response_time_is_greatest() -> None:
    """Of a line that first gains throughput and then only waiting it is the step before the turn."""
    steps = [step(1, 100, 10), step(2, 190, 10.5), step(4, 300, 13.3), step(8, 310, 26), step(16, 310, 52)]
    bend = knee(steps)
    assert bend is not None
    assert bend.level == 4


def test_steps_without_times_or_beyond_the_generator_are_no_knee() -> None:
    """A step with no good answer has no response time, and one that the generator limited says nothing of the arm."""
    assert knee([step(1, 0, None), step(2, 900, 1, invalid="the generator was busy")]) is None
