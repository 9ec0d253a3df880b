"""The exact-work pass: what one operation does, counted and not timed, twice, to see that it repeats."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from harness.errors import NotMeasurableError
from harness.record import Exact
from harness.scenario import Case, Scenario

OWN = ""
"""The group of figures that belong to an arm itself and to no operation."""


async def count(scenario: Scenario[Any], arm: str, world: Any, case: Case, scale: float) -> list[Exact]:
    """Count one operation's work with all the scenario's probes at once, in two runs."""
    first, second = [await _run(scenario, world, case) for _ in range(2)]
    return [
        Exact(arm, case.group, metric, value, scale, repeats_exactly=second.get(metric) == value) for metric, value in first.items()
    ]


async def facts(scenario: Scenario[Any], arm: str, world: Any, scale: float) -> list[Exact]:
    """Return the arm's own figures, such as bytes of index; none where the engine cannot tell."""
    try:
        found = await scenario.facts(world)
    except NotMeasurableError:
        return []
    return [Exact(arm, OWN, metric, value, scale) for metric, value in found.items()]


async def _run(scenario: Scenario[Any], world: Any, case: Case) -> dict[str, float]:
    probes = scenario.probes(world)
    async with AsyncExitStack() as stack:
        for probe in probes:
            await stack.enter_async_context(probe)
        answer = await scenario.run(world, case)
    counts = {metric: value for probe in probes for metric, value in probe.counts().items()}
    await scenario.reset(world, case, answer)
    return counts
