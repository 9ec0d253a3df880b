"""In which order arms and groups of cases are shown: the scenario's own, everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from harness.results.run import AA_CONTROL, ScenarioResult


class HasArmAndGroup(Protocol):
    """A record that says which arm and which group of cases it was measured on."""

    @property
    def arm(self) -> str:
        """The arm's name."""
        ...

    @property
    def group(self) -> str:
        """The group's name."""
        ...


M = TypeVar("M", bound=HasArmAndGroup)


def timed_arms(result: ScenarioResult) -> list[str]:
    """Return the arms that have measurements, in the order of the scenario; the A/A control is none of them."""
    listed = [arm.name for arm in result.arms]
    measured = [x.arm for x in result.latencies] + [x.arm for x in result.work_counts] + [x.arm for x in result.memory]
    names = [name for name in dict.fromkeys([*listed, *measured]) if name != AA_CONTROL]
    return [name for name in names if name in set(measured)]


def groups_of(result: ScenarioResult, items: Iterable[HasArmAndGroup]) -> list[str]:
    """Return the groups of cases that `items` have, in the scenario's order."""
    present = dict.fromkeys(item.group for item in items)
    return [group for group in result.groups if group in present] + [g for g in present if g not in result.groups]


def in_order(result: ScenarioResult, items: Sequence[M]) -> list[M]:
    """Return `items` by group and arm, in the scenario's order."""
    groups = {group: place for place, group in enumerate(groups_of(result, items))}
    arms = {arm.name: place for place, arm in enumerate(result.arms)}
    return sorted(items, key=lambda item: (groups[item.group], arms.get(item.arm, len(arms))))
