"""A scenario with its switches in the place of its arms: all off, each alone, all on, all but each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.discovery import LoadedScenario
from harness.errors import UsageError
from harness.results.run import BASELINE
from harness.runnable import runnable
from harness.scenario import Case, Group, Scenario, Setting
from harness.stats.ablation import ALL, arms

FEWEST = 2
"""With a single switch there is nothing to be alone or last among; two arms of a scenario compare it."""


class Ablated(Scenario[Any]):
    """A scenario whose arms are sets of its switches; mixed into the scenario's own class by `ablated`."""

    def open(self, arm: str, setting: Setting) -> Any:
        """Build the instance of an arm from the switches that are on in it."""
        return self.open_switched(arms(list(self.switches))[arm], setting)

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the cases of the groups that are tried."""
        return [case for case in super().cases(setting) if case.group in {group.name for group in self.groups}]


def ablated(loaded: LoadedScenario) -> LoadedScenario:
    """Return a scenario with sets of its switches as arms: verified, timed in pairs and controlled like any other.

    Its groups are those that many users run at once, secondary ones apart. Promises, findings, memory, growth and exact work are the
    arms' own, and are left out.

    Raises:
        UsageError: it has no switches, or a single one, no instance for them, or no group to try them in.
    """
    kind = type(loaded.scenario.written)
    if len(kind.switches) < FEWEST:
        has = "only one switch" if kind.switches else "no switches"
        raise UsageError(f"{loaded.name} has {has}, so there is nothing to ablate; try `harness run {loaded.name}`")
    if kind.open_switched is Scenario.open_switched:
        raise UsageError(f"{loaded.file}: {kind.__name__} has switches and must define open_switched(on, setting)")
    groups = [
        Group(group.name, group.description, slow=group.slow, uncounted=True)
        for group in kind.groups
        if group.load and not group.secondary
    ]
    if not groups:
        raise UsageError(f"{loaded.name} has only secondary groups under load; a group with `load` must not be `secondary` too")
    declared = {
        "arms": {name: _says(name, on, kind.switches) for name, on in arms(list(kind.switches)).items()},
        "groups": groups,
        "promises": (),
        "facts": Scenario.facts,
        "memory_limits_bytes": Scenario.memory_limits_bytes,
    }
    return replace(loaded, scenario=runnable(type(f"Ablated{kind.__name__}", (Ablated, kind), declared)()))


def _says(name: str, on: frozenset[str], switches: Mapping[str, str]) -> str:
    if name in {BASELINE, ALL}:
        return "all switches off" if name == BASELINE else "all switches on"
    (switch,) = on if len(on) == 1 else switches.keys() - on
    return f"{switches[switch]}, and nothing else" if len(on) == 1 else f"everything but: {switches[switch]}"
