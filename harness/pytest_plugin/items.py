"""A scenario file as pytest items: one for each arm of each group of cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.discovery import LoadedScenario
    from harness.pytest_plugin.trials import Trials

TRIALS: pytest.StashKey[Trials] = pytest.StashKey()


class ScenarioFile(pytest.File):
    """A scenario file; its items are named group[arm]."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item for each arm of each group."""
        from harness.discovery import load  # noqa: PLC0415 - only where scenarios are collected

        try:
            loaded = load(self.path)
        except UsageError as error:
            raise self.CollectError(str(error)) from None
        for group in loaded.scenario.group:
            for arm in loaded.scenario.arms:
                yield ArmItem.make(self, loaded, group, arm)


class ArmItem(pytest.Function):
    """One arm in one group of cases."""

    loaded: LoadedScenario
    group: str
    arm: str

    @classmethod
    def make(cls, parent: ScenarioFile, loaded: LoadedScenario, group: str, arm: str) -> ArmItem:
        """Return the item; `benchmark` reaches its function as a fixture, like in any benchmark."""
        replay = ReplayedSamples()

        def try_arm(benchmark: Any) -> None:
            item.config.stash[TRIALS].try_arm(item, benchmark, replay)

        item: ArmItem = cls.from_parent(parent, name=f"{group}[{arm}]", callobj=try_arm)
        item.loaded, item.group, item.arm = loaded, group, arm
        item.add_marker(pytest.mark.benchmark(group=f"{loaded.name}: {group}", timer=replay))
        return item

    @property
    def key(self) -> tuple[str, str, str]:
        """What the item is known by in a saved run: scenario, group and arm."""
        return self.loaded.name, self.group, self.arm

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where a failure is to be looked for: the scenario file, not this adapter."""
        return self.path, None, self.name


class ReplayedSamples:
    """A timer that repeats recorded durations: pytest-benchmark reads it before and after each round."""

    __name__ = "paired_samples"

    def __init__(self) -> None:
        self._durations_s: list[float] = []
        self._now_s = 0.0
        self._reads = 0

    def load(self, durations_s: list[float]) -> None:
        """Take the durations to repeat, in seconds."""
        self._durations_s, self._now_s, self._reads = durations_s, 0.0, 0

    def __call__(self) -> float:
        """Return the time of the next reading, in seconds."""
        if self._reads % 2 and self._reads // 2 < len(self._durations_s):
            self._now_s += self._durations_s[self._reads // 2]
        self._reads += 1
        return self._now_s
