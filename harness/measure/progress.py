"""The steps of a run, one after another, and how long is left: estimates that learn from the steps already done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.measure.clock import Clock, MonotonicClock


@dataclass(frozen=True)
class Step:
    """One step: what it says to a person, what kind it is (steps of a kind take alike long), the first guess, and the deed."""

    says: str
    kind: str
    expected_s: float
    act: Callable[[], None]


class Observer(Protocol):
    """Hears how a run goes on."""

    def step(self, says: str, number: int, total: int, left_s: float) -> None:
        """Step `number` of `total` begins; about `left_s` seconds are left for it and all that follow."""
        ...

    def tick(self) -> None:
        """Something was measured within the current step."""
        ...

    def note(self, says: str) -> None:
        """Something a person should read now."""
        ...


class Silent:
    """An observer that says nothing."""

    def step(self, says: str, number: int, total: int, left_s: float) -> None:
        """Say nothing."""

    def tick(self) -> None:
        """Say nothing."""

    def note(self, says: str) -> None:
        """Say nothing."""


@dataclass
class Steps:
    """Does steps in order and tells the observer what is left."""

    steps: Sequence[Step]
    observer: Observer
    clock: Clock = field(default_factory=MonotonicClock)
    _taken_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def run(self) -> None:
        """Do every step."""
        for number, step in enumerate(self.steps, start=1):
            self.observer.step(step.says, number, len(self.steps), self.left_s(number - 1))
            started = self.clock.now_ns()
            step.act()
            self._taken_s[step.kind].append((self.clock.now_ns() - started) / 1e9)

    def left_s(self, done: int) -> float:
        """Return the seconds expected for the steps after the first `done`."""
        return sum(self._expected_s(step) for step in self.steps[done:])

    def _expected_s(self, step: Step) -> float:
        taken = self._taken_s.get(step.kind)
        return sum(taken) / len(taken) if taken else step.expected_s
