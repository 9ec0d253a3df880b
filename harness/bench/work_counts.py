"""The exact-work pass: what one operation does, counted and not timed, twice, to see that it repeats."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from harness.bench.probes.allocations import Allocations
from harness.bench.probes.calls import Calls
from harness.bench.probes.round_trips import CountingRelay, RoundTrips
from harness.errors import NotMeasurableError
from harness.results.run import WorkCount
from harness.runnable import RunnableScenario
from harness.runtime.clock import MonotonicClock
from harness.scenario import Case, Probe

OWN = ""
"""The group of figures that belong to an arm itself and to no operation."""

INTERPRETER: tuple[tuple[type[Calls | Allocations], int], ...] = ((Calls, 1), (Allocations, 3))
"""What is counted in passes of their own, since it slows the operation down, and of how many runs the least is taken."""

LONG_NS = 50_000_000
"""An operation that takes longer is run once a pass: it asks for so much memory that a dictionary more or less does not show."""


async def count(scenario: RunnableScenario, arm: str, instance: Any, case: Case, scale: float) -> list[WorkCount]:
    """Count one operation's work with all the scenario's probes at once, in two runs."""
    first, second = [await _run(scenario, instance, case, scenario.probes(instance)) for _ in range(2)]
    return [
        WorkCount(arm, case.group, metric, value, scale, repeats_exactly=second.get(metric) == value)
        for metric, value in first.items()
    ]


async def interpreter(scenario: RunnableScenario, arm: str, instance: Any, case: Case) -> list[WorkCount]:
    """Count what one operation asks of the interpreter, calls and memory, each in passes of its own and twice."""
    clock = MonotonicClock()
    started_ns = clock.now_ns()
    await _run(scenario, instance, case, ())  # connections and caches that the probes before this have emptied are filled again
    is_long = clock.now_ns() - started_ns > LONG_NS
    found = []
    for kind, runs in INTERPRETER:
        twice = []
        for _ in range(2):
            counts = [await _run(scenario, instance, case, (kind(),)) for _ in range(1 if is_long else runs)]
            twice.append({metric: min(c[metric] for c in counts) for metric in counts[0]})
        first, second = twice
        found += [
            WorkCount(arm, case.group, metric, value, repeats_exactly=second[metric] == value) for metric, value in first.items()
        ]
    return found


async def round_trips(scenario: RunnableScenario, arm: str, instance: Any, case: Case, relay: CountingRelay) -> list[WorkCount]:
    """Count how often one operation waits for a server, twice, once connections and prepared statements are there."""
    await _run(scenario, instance, case, ())
    first, second = [await _run(scenario, instance, case, (RoundTrips(relay),)) for _ in range(2)]
    return [WorkCount(arm, case.group, metric, value, repeats_exactly=second[metric] == value) for metric, value in first.items()]


async def facts(scenario: RunnableScenario, arm: str, instance: Any, scale: float) -> list[WorkCount]:
    """Return the arm's own figures, such as bytes of index; none where the engine cannot tell."""
    try:
        found = await scenario.facts(instance)
    except NotMeasurableError:
        return []
    return [WorkCount(arm, OWN, metric, value, scale) for metric, value in found.items()]


async def _run(scenario: RunnableScenario, instance: Any, case: Case, probes: Sequence[Probe]) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        for probe in probes:
            await stack.enter_async_context(probe)
        answer = await scenario.run(instance, case)
    counts = {metric: value for probe in probes for metric, value in probe.counts().items()}
    await scenario.reset(instance, case, answer)
    return counts
