"""A scenario with its switches in the place of its arms: all off, each alone, all on, all but each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from harness.discovery import LoadedScenario
from harness.errors import UsageError
from harness.results.run import BASELINE
from harness.scenario import Case, Scenario, Setting
from harness.stats.ablation import ALL, arms

FEWEST = 2
"""With a single switch there is nothing to be alone or last among; two arms of a scenario compare it."""


class Ablated(Scenario[Any]):
    """A scenario whose arms are sets of its switches; mixed into the scenario's own class by `ablated`."""

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[Any]:
        """Build the instance of an arm from the switches that are on in it."""
        return self.open_switched(arms(list(self.switches))[arm], setting)

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the cases of the groups that are tried."""
        return [case for case in super().cases(setting) if case.group in self.groups]


def ablated(loaded: LoadedScenario) -> LoadedScenario:
    """Return a scenario with sets of its switches as arms: verified, timed in pairs and controlled like any other.

    Its groups are those that many users run at once, side groups apart. Promises, findings, memory, growth and exact work are the
    arms' own, and are left out.

    Raises:
        UsageError: it has no switches, or a single one, no instance for them, or no group to try them in.
    """
    kind = type(loaded.scenario)
    if len(kind.switches) < FEWEST:
        has = "only one switch" if kind.switches else "no switches"
        raise UsageError(f"{loaded.name} has {has}, so there is nothing to ablate; try `harness run {loaded.name}`")
    if kind.open_switched is Scenario.open_switched:
        raise UsageError(f"{loaded.file}: {kind.__name__} has switches and must define open_switched(on, setting)")
    chosen = kind.groups if kind.load_groups is None else kind.load_groups
    groups = {name: kind.groups[name] for name in kind.groups if name in chosen and name not in kind.side_groups}
    if not groups:
        raise UsageError(f"{loaded.name} has only side groups to load; name another among its load_groups to ablate it")
    declared = {
        "arms": {name: _says(name, on, kind.switches) for name, on in arms(list(kind.switches)).items()},
        "groups": groups,
        "promises": (),
        "heavy_groups": tuple(group for group in kind.heavy_groups if group in groups),
        "side_groups": (),
        "inexact_groups": tuple(groups),
        "memory_groups": (),
        "sits_out": {},
        "growth_scales": (),
        "growth_groups": (),
        "facts": Scenario.facts,
        "memory_limits_bytes": Scenario.memory_limits_bytes,
    }
    return replace(loaded, scenario=type(f"Ablated{kind.__name__}", (Ablated, kind), declared)())


def _says(name: str, on: frozenset[str], switches: Mapping[str, str]) -> str:
    if name in {BASELINE, ALL}:
        return "all switches off" if name == BASELINE else "all switches on"
    (switch,) = on if len(on) == 1 else switches.keys() - on
    return f"{switches[switch]}, and nothing else" if len(on) == 1 else f"everything but: {switches[switch]}"
