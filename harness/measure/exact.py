"""The exact-work pass: what one operation does, counted and not timed, twice, to see that it repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.record import Exact
from harness.scenario import Case, Scenario

OWN = ""
"""The group of figures that belong to an arm itself and to no operation."""


async def count(scenario: Scenario[Any], arm: str, world: Any, case: Case, scale: float) -> list[Exact]:
    """Count one operation's work with each of the scenario's probes, in runs of their own."""
    found: list[Exact] = []
    for probe in scenario.probes(world):
        first, second = [await _run(scenario, probe, world, case) for _ in range(2)]
        found += [
            Exact(arm, case.group, metric, value, scale, repeats_exactly=second.get(metric) == value)
            for metric, value in first.items()
        ]
    return found


async def facts(scenario: Scenario[Any], arm: str, world: Any, scale: float) -> list[Exact]:
    """Return the arm's own figures, such as bytes of index."""
    return [Exact(arm, OWN, metric, value, scale) for metric, value in (await scenario.facts(world)).items()]


async def _run(scenario: Scenario[Any], probe: Any, world: Any, case: Case) -> Mapping[str, float]:
    async with probe:
        answer = await scenario.run(world, case)
    counts = dict(probe.counts())
    await scenario.reset(world, case, answer)
    return counts
