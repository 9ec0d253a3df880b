"""Tests of work counts: counted twice, with all probes at once; counts that do not repeat are marked."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self

from harness.bench.work_counts import OWN, count, facts, interpreter
from harness.results.run import WorkCount
from harness.runnable import runnable
from harness.scenario import Case, Scenario


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


def test_calls_and_allocations_are_counted_in_separate_passes() -> None:
    """Calls repeat for the same work; the scenario's own probes are not part of these passes."""
    instance = {"runs": 0, "statements": 0, "steps": 0}
    found = {e.metric: e for e in asyncio.run(interpreter(runnable(Working()), "optimised", instance, Case("g", "first", None)))}
    assert sorted(found) == ["bytes_in_allocations", "python_calls"]
    assert found["python_calls"].repeats_exactly
    assert found["python_calls"].value >= 1
    assert {(e.arm, e.group, e.scale) for e in found.values()} == {("optimised", "g", 1.0)}
