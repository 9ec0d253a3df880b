"""Measures of capacity: the ratio to the baseline's with its bounds, and the knee."""

from dataclasses import replace

import pytest

from harness.errors import NotMeasurableError
from harness.results.load import Capacity, CapacityKind, CapacityStep, LoadModel, LoadResult
from harness.results.run import ArmResult, ScenarioResult, ScenarioStatus
from harness.verdicts.capacity import knee, times_the_capacity


def result(*capacities: Capacity, load: bool = True) -> ScenarioResult:
    """Return a result with these capacities."""
    found = LoadResult([LoadModel.OPEN], "50 per second", 3.0, 1.0, capacities=list(capacities)) if load else None
    arms = [
        ArmResult("baseline", "as it was"),
        ArmResult("proposed", "as advised", errors={"mix": "TypeError"}),
        ArmResult("optimised", "optimised"),
    ]
    return ScenarioResult("whole_api", "S", "S.", "s.py", "sqlite", 0.0, ScenarioStatus.OK, arms=arms, load=found)


def capacity(arm: str, sustained: float | None, failed_at: float | None, kind: CapacityKind = CapacityKind.USERS) -> Capacity:
    """Return the result of a search."""
    return Capacity(arm, kind, "p95 < 150 ms", sustained, failed_at, [], "at 20: p95 200 ms")


def step(level: float, achieved_per_s: float, mean_ms: float | None, invalid: str | None = None) -> CapacityStep:
    """Return a step with its throughput and mean response time."""
    figures = {"mean": None if mean_ms is None else mean_ms * 1e6}
    return CapacityStep(level, achieved_per_s, 100, 0, figures, sustained=True, reason="", invalid=invalid)


def test_the_ratio_is_of_sustained_levels_and_its_bounds_of_the_brackets() -> None:
    """100 sustained users against 10 are 10 times, with bounds of 100 ÷ 11 and 110 ÷ 10."""
    found = times_the_capacity(CapacityKind.USERS)(
        result(capacity("baseline", 10, 11), capacity("optimised", 100, 110)), "optimised"
    )
    assert (found.value, found.low, found.high) == (10, 100 / 11, 11)
    assert found.note == "10 concurrent users → 100 concurrent users, p95 < 150 ms"


def test_without_a_failed_level_there_is_no_bound_on_that_side() -> None:
    """An arm that sustained the highest level tried has at least that capacity, and its ratio has no upper bound."""
    found = times_the_capacity(CapacityKind.USERS)(
        result(capacity("baseline", 10, 11), capacity("optimised", 2000, None)), "optimised"
    )
    assert found.low == 2000 / 11
    assert found.high is None
    assert "at least 2000 concurrent users" in found.note
    assert found.note.endswith(", at least 182×")


@pytest.mark.parametrize("load", [True, False])
def test_the_command_is_named_if_no_capacity_was_searched(load: bool) -> None:
    """Neither a run without load nor a load test without a search has a capacity."""
    with pytest.raises(NotMeasurableError, match="needs `harness capacity whole_api --slo …`"):
        times_the_capacity(CapacityKind.USERS)(result(load=load), "optimised")


def test_kinds_of_capacity_are_separate() -> None:
    """A search for a rate does not give a number of users."""
    with pytest.raises(NotMeasurableError, match="needs"):
        times_the_capacity(CapacityKind.USERS)(result(capacity("baseline", 10, 11, CapacityKind.RATE)), "optimised")


def test_an_arm_that_was_not_searched_or_cannot_run_has_a_reason() -> None:
    """The reason names the arm, or its error if it cannot run as written."""
    found = result(capacity("baseline", 10, 11))
    with pytest.raises(NotMeasurableError, match="the capacity of optimised in concurrent users was not searched"):
        times_the_capacity(CapacityKind.USERS)(found, "optimised")
    with pytest.raises(NotMeasurableError, match="cannot run as written: mix: TypeError"):
        times_the_capacity(CapacityKind.USERS)(found, "proposed")


def test_an_arm_without_a_sustained_level_has_no_ratio() -> None:
    """The search's reason is the measure's reason, for either arm."""
    with pytest.raises(NotMeasurableError, match=r"baseline sustains no level of concurrent users: at 20: p95 200 ms"):
        times_the_capacity(CapacityKind.USERS)(result(capacity("baseline", None, 20), capacity("optimised", 100, 110)), "optimised")


def test_the_knee_has_the_highest_throughput_over_response_time() -> None:
    """If throughput grows first, and then only waiting, it is the last step of growth."""
    steps = [step(1, 100, 10), step(2, 190, 10.5), step(4, 300, 13.3), step(8, 310, 26), step(16, 310, 52)]
    bend = knee(steps)
    assert bend is not None
    assert bend.level == 4


def test_steps_without_times_or_at_the_generators_limit_are_not_a_knee() -> None:
    """A step without completed operations has no response time, and one limited by the generator is not about the arm."""
    assert knee([step(1, 0, None), step(2, 900, 1, invalid="the generator was busy")]) is None


@pytest.mark.parametrize(
    ("sustained", "failed_at", "kind", "text"),
    [
        (32, 64, CapacityKind.USERS, "32–64 concurrent users"),
        (3, 4, CapacityKind.USERS, "3 concurrent users"),
        (100, 110, CapacityKind.RATE, "100 operations per second"),
        (100, 150, CapacityKind.RATE, "100–150 operations per second"),
    ],
)
def test_a_capacity_that_was_not_narrowed_down_is_a_range(
    sustained: float, failed_at: float, kind: CapacityKind, text: str
) -> None:
    """Levels that are close, or numbers of users next to each other, are one level."""
    found = times_the_capacity(kind)(
        result(capacity("baseline", 1, 2, kind), capacity("optimised", sustained, failed_at, kind)), "optimised"
    )
    assert f"→ {text}, " in found.note


def test_a_run_without_time_for_the_search_is_the_reason() -> None:
    """The reason of the run comes before the command in general."""
    found = replace(result(), load_left_out="the run has no time")
    with pytest.raises(NotMeasurableError, match=r"^the run has no time$"):
        times_the_capacity(CapacityKind.USERS)(found, "optimised")


def test_an_arm_that_was_not_searched_has_the_reason() -> None:
    """It has neither a sustained nor a failed level, nor steps."""
    broken = replace(capacity("optimised", None, None), reason="cannot run as written: write: OSError")
    with pytest.raises(NotMeasurableError, match=r"^cannot run as written: write: OSError$"):
        times_the_capacity(CapacityKind.USERS)(result(capacity("baseline", 1, 2), broken), "optimised")
