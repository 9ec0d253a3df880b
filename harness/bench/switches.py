"""Ablation: a scenario whose arms are sets of its switches, namely all off, each alone, all on, all but each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.discovery import LoadedScenario
from harness.errors import UsageError
from harness.results.run import BASELINE
from harness.runnable import runnable
from harness.scenario import Case, Group, Scenario, Setting
from harness.stats.ablation import ALL, arms

MIN_SWITCHES = 2
"""The fewest switches of an ablation; a single switch is compared by two arms."""


class Ablated(Scenario[Any]):
    """A scenario whose arms are sets of its switches; mixed into the scenario's class by `ablated`."""

    def open(self, arm: str, setting: Setting) -> Any:
        """Build the instance of an arm with its switches on."""
        return self.open_switched(arms(list(self.switches))[arm], setting)

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the cases of the groups under ablation."""
        return [case for case in super().cases(setting) if case.group in {group.name for group in self.groups}]


def ablated(loaded: LoadedScenario) -> LoadedScenario:
    """Return a scenario with sets of its switches as arms, verified, timed in pairs and controlled like any other.

    Its groups are those under load that are not secondary. Promises, findings, memory, growth and work counts belong to the
    original arms and are left out. Raises UsageError without two switches, `open_switched`, and a group to time.
    """
    kind = type(loaded.scenario.written)
    if len(kind.switches) < MIN_SWITCHES:
        has = "only one switch" if kind.switches else "no switches"
        raise UsageError(f"{loaded.name} has {has}, so there is nothing to ablate; try `harness run {loaded.name}`")
    if kind.open_switched is Scenario.open_switched:
        raise UsageError(f"{loaded.file}: {kind.__name__} has switches and must define open_switched(on, setting)")
    under_load = [group for group in kind.groups if group.load and not group.secondary]
    if not under_load:
        raise UsageError(f"{loaded.name} has only secondary groups under load; a group with `load` must not be `secondary` too")
    declared = {
        "arms": {name: _description(name, on, kind.switches) for name, on in arms(list(kind.switches)).items()},
        "groups": [Group(group.name, group.description, slow=group.slow, uncounted=True) for group in under_load],
        "promises": (),
        "load_test": None,
        "facts": Scenario.facts,
        "memory_limits_bytes": Scenario.memory_limits_bytes,
    }
    return replace(loaded, scenario=runnable(type(f"Ablated{kind.__name__}", (Ablated, kind), declared)()))


def _description(name: str, on: frozenset[str], switches: Mapping[str, str]) -> str:
    if name in {BASELINE, ALL}:
        return "all switches off" if name == BASELINE else "all switches on"
    (switch,) = on if len(on) == 1 else switches.keys() - on
    return f"{switches[switch]}, and nothing else" if len(on) == 1 else f"everything but: {switches[switch]}"
