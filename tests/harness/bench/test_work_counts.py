"""Tests of work counts: counted twice, with all probes at once; counts that do not repeat are marked."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import pytest

from harness.bench.verify import Verification, verify
from harness.bench.work_counts import ALLOCATION_RUNS, OWN, PLANNED_AFTER, OperationCounter, count, facts
from harness.errors import ScenarioFailedError, UsageError
from harness.results.run import WorkCount
from harness.runnable import runnable
from harness.scenario import Arm, Case, Group, Scenario


class Counter:
    """Probe of one of the instance's counters."""

    def __init__(self, instance: dict[str, int], metric: str) -> None:
        """Count one metric."""
        self._instance, self._metric, self._before = instance, metric, 0

    async def __aenter__(self) -> Self:
        """Start from zero."""
        self._before = self._instance[self._metric]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""

    def counts(self) -> Mapping[str, float]:
        """Return the difference."""
        return {self._metric: self._instance[self._metric] - self._before}


class Working(Scenario[dict[str, int]]):
    """Scenario that always sends two statements and takes one step more each time."""

    async def run(self, instance: dict[str, int], case: Case) -> int:
        """Work."""
        instance["runs"] += 1
        instance["statements"] += 2
        instance["steps"] += instance["runs"]
        return 0

    async def reset(self, instance: dict[str, int], case: Case, answer: Any) -> None:
        """Undo the work, which must not be counted."""
        instance["statements"] += 100

    def probes(self, instance: dict[str, int]) -> Sequence[Counter]:
        """Count both metrics."""
        return (Counter(instance, "statements"), Counter(instance, "steps"))

    async def facts(self, instance: dict[str, int]) -> Mapping[str, float]:
        """Return the number of runs."""
        return {"runs": instance["runs"]}


def test_counts_that_do_not_repeat_are_marked() -> None:
    """Each metric has one value and whether the second run counted the same; resets are not counted."""
    instance = {"runs": 0, "statements": 0, "steps": 0}
    found = asyncio.run(count(runnable(Working()), "optimised", instance, Case("g", "first", None), 0.25))
    assert found == [
        WorkCount("optimised", "g", "statements", 2, 0.25, repeats_exactly=True),
        WorkCount("optimised", "g", "steps", 2, 0.25, repeats_exactly=False),
    ]
    assert instance["runs"] == 3


class Caching(Working):
    """Scenario that sends statements for its first answer only."""

    async def run(self, instance: dict[str, int], case: Case) -> int:
        """Work once."""
        if not instance["runs"]:
            await super().run(instance, case)
        return 0


def test_an_arm_that_caches_is_counted_as_it_is_timed() -> None:
    """The operation that fills the cache is not counted, so that the counts repeat."""
    instance = {"runs": 0, "statements": 0, "steps": 0}
    found = asyncio.run(count(runnable(Caching()), "optimised", instance, Case("g", "first", None), 1.0))
    assert [(each.metric, each.repeats_exactly) for each in found] == [("statements", True), ("steps", True)]


def test_figures_of_an_arm_have_no_group() -> None:
    """They are recorded beside the counts of operations."""
    instance = {"runs": 7, "statements": 0, "steps": 0}
    assert asyncio.run(facts(runnable(Working()), "baseline", instance, 1.0)) == [WorkCount("baseline", OWN, "runs", 7)]


class Verified(Working):
    """Arms that work alike, in two groups, one of them slow."""

    arms: ClassVar[Mapping[str, str | Arm]] = {"baseline": "", "written": Arm("", as_written=True)}
    groups = (Group("g", "work"), Group("long", "work for long", slow=True))


def verified(
    scenario: Scenario[Any], *, interpreter: bool = False, round_trips: Any = None, **instances: dict[str, int]
) -> tuple[Verification, OperationCounter]:
    """Verify two cases of each group on these arms, and count the first."""
    made = runnable(scenario)
    counter = OperationCounter(made, ["g 0", "long 0"], round_trips, interpreter=interpreter)
    cases = [Case(group, f"{group} {n}", n) for group in ("g", "long") for n in range(2)]
    return asyncio.run(verify(made, instances, cases, counter)), counter


def new() -> dict[str, int]:
    """Return a new instance."""
    return {"runs": 0, "statements": 0, "steps": 0}


def test_verifying_counts_two_more_runs() -> None:
    """Two runs of each group's first case and one of the second, and two more of each case that is counted, after all others."""
    baseline, written = new(), new()
    found, counter = verified(Verified(), baseline=baseline, written=written)
    assert (found.cases, found.cannot_run, baseline["runs"], written["runs"]) == (4, {}, 2 * (2 + 1) + 2 * 2, 10)
    assert counter.found["written", "g"] == (
        [
            WorkCount("written", "g", "statements", 2, repeats_exactly=True),
            WorkCount("written", "g", "steps", 7, repeats_exactly=False),
        ],
        [],
    )
    assert counter.found.keys() == {(arm, group) for arm in ("baseline", "written") for group in ("g", "long")}


def test_calls_and_allocations_have_runs_of_their_own() -> None:
    """Calls repeat for the same work; a slow operation is left out. One run fills what the probes have emptied."""
    baseline = new()
    _, counter = verified(Verified(), interpreter=True, baseline=baseline)
    found = {e.metric: e for e in counter.found["baseline", "g"][0]}
    assert sorted(found) == ["bytes_in_allocations", "python_calls", "statements", "steps"]
    assert found["python_calls"].repeats_exactly
    assert found["python_calls"].value >= 1
    assert {e.metric for e in counter.found["baseline", "long"][0]} == {"statements", "steps"}
    assert 8 + 1 + 2 + 2 <= baseline["runs"] <= 8 + 1 + 2 + ALLOCATION_RUNS


def test_statements_on_a_server_have_their_final_plans_when_they_are_counted() -> None:
    """The group has had three runs, so two more are needed, the last under probes; a slow operation is not repeated for that."""
    baseline = new()
    _, counter = verified(Verified(), round_trips=Counter({"round_trips": 0}, "round_trips"), baseline=baseline)
    assert baseline["runs"] == 10 + PLANNED_AFTER - 3
    assert {e.metric: e.value for e in counter.found["baseline", "g"][0]} == {"statements": 2, "steps": 9, "round_trips": 0}
    assert {e.metric for e in counter.found["baseline", "long"][0]} == {"statements", "steps"}


class Failing(Counter):
    """Probe that cannot be entered, or exited."""

    def __init__(self, error: Exception, *, enters: bool) -> None:
        """Fail with an error."""
        self._error, self._enters = error, enters

    async def __aenter__(self) -> Self:
        """Fail, unless only the exit does."""
        if not self._enters:
            raise self._error
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Fail."""
        raise self._error


@pytest.mark.parametrize("enters", [True, False])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UsageError("close the sessions"), "close the sessions"),
        (ValueError("x"), "written raised in case 'g 0' at tests/.*: ValueError: x"),
    ],
)
def test_a_probe_that_fails_does_not_show_that_an_arm_cannot_run(error: Exception, message: str, *, enters: bool) -> None:
    """The scenario fails, also where the arm is as written."""

    class Probing(Verified):
        def probes(self, instance: dict[str, int]) -> Sequence[Counter]:
            return (Failing(error, enters=enters),) if "written" in instance else super().probes(instance)

    with pytest.raises(ScenarioFailedError, match=f"^{message}"):
        verified(Probing(), baseline=new(), written={**new(), "written": 1})


def test_an_arm_as_written_that_raises_is_not_counted() -> None:
    """It is excluded from the group, with its error."""

    class Raising(Verified):
        async def run(self, instance: dict[str, int], case: Case) -> int:
            if "written" in instance and case.group == "g":
                raise ValueError
            return await super().run(instance, case)

    found, counter = verified(Raising(), baseline=new(), written={**new(), "written": 1})
    assert found.cannot_run == {("written", "g"): "ValueError"}
    assert counter.found.keys() == {("baseline", "g"), ("baseline", "long"), ("written", "long")}
