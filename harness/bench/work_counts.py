"""Work counts: the work of one operation, counted in two runs that are not timed, to see whether the counts repeat."""

from collections.abc import Mapping
from typing import Any

from harness.bench.operations import repeated_counts, run_counted
from harness.bench.probes.interpreter import Allocations, Calls
from harness.bench.probes.round_trips import RoundTrips
from harness.errors import NotMeasurableError
from harness.results.run import WorkCount
from harness.runnable import RunnableScenario
from harness.runtime.clock import MonotonicClock
from harness.scenario import Case

OWN = ""
"""The group of figures that belong to an arm and not to an operation."""
INTERPRETER: tuple[tuple[type[Calls | Allocations], int], ...] = ((Calls, 1), (Allocations, 3))
"""Probes that slow the operation down and so get separate passes, each with the number of runs whose minimum is taken."""
LONG_NS = 50_000_000
"""An operation that takes longer is run once per pass: it allocates so much that the growth of a dictionary does not show."""


async def count(scenario: RunnableScenario, arm: str, instance: Any, case: Case, scale: float) -> list[WorkCount]:
    """Count one operation's work with all of the scenario's probes at once, in two runs after one that fills caches."""
    await run_counted(scenario, instance, case)
    first, second = [(await run_counted(scenario, instance, case, scenario.probes(instance)))[0] for _ in range(2)]
    return _counted(arm, case, first, second, scale)


async def interpreter(scenario: RunnableScenario, arm: str, instance: Any, case: Case) -> list[WorkCount]:
    """Count one operation's function calls and allocated bytes, each in two separate passes."""
    clock = MonotonicClock()
    started_ns = clock.now_ns()
    await run_counted(scenario, instance, case)  # fills connections and caches that the probes before this have emptied
    is_long = clock.now_ns() - started_ns > LONG_NS
    found = []
    for kind, runs in INTERPRETER:
        passes = []
        for _ in range(2):
            counts = [(await run_counted(scenario, instance, case, (kind(),)))[0] for _ in range(1 if is_long else runs)]
            passes.append({metric: min(c[metric] for c in counts) for metric in counts[0]})
        found += _counted(arm, case, passes[0], passes[1])
    return found


async def round_trips(scenario: RunnableScenario, arm: str, instance: Any, case: Case, probe: RoundTrips) -> list[WorkCount]:
    """Count one operation's round trips to its servers, in two runs, once connections and prepared statements exist."""
    await run_counted(scenario, instance, case)
    first, second = [(await run_counted(scenario, instance, case, (probe,)))[0] for _ in range(2)]
    return _counted(arm, case, first, second)


async def facts(scenario: RunnableScenario, arm: str, instance: Any, scale: float) -> list[WorkCount]:
    """Return the figures of the arm itself, such as bytes of index; none if the engine does not report them."""
    try:
        found = await scenario.facts(instance)
    except NotMeasurableError:
        return []
    return [WorkCount(arm, OWN, metric, value, scale) for metric, value in found.items()]


def _counted(arm: str, case: Case, first: Mapping[str, float], second: Mapping[str, float], scale: float = 1.0) -> list[WorkCount]:
    return [
        WorkCount(arm, case.group, metric, value, scale, repeats_exactly=repeats)
        for metric, value, repeats in repeated_counts(first, second)
    ]
