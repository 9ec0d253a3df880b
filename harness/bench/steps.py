"""The steps of a run, how long is left, and which of them may run at the same time.

Timing pairs wants the machine to itself. Preparing, comparing answers, counting exact work and measuring memory do not mind
company, so neighbouring steps of that kind run side by side, each scenario's own in their order.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from harness.runtime.clock import Clock, MonotonicClock


@dataclass(frozen=True)
class RunStep:
    """One step: what it says to a person, what kind it is (steps of a kind take alike long), the first guess, and the deed.

    Steps of the same `chain` run in their order, neighbouring chains side by side; a step without one runs alone. Nothing runs
    beside a step of another `stage`.
    """

    description: str
    kind: str
    expected_s: float
    act: Callable[[], None]
    chain: str = ""
    stage: str = ""


class Observer(Protocol):
    """Hears how a run goes on."""

    def step(self, says: str, number: int, total: int, left_s: float) -> None:
        """Step `number` of `total` begins; about `left_s` seconds are left for it and all that follow."""
        ...

    def tick(self) -> None:
        """Something was measured within the current step."""
        ...


class Silent:
    """An observer that says nothing."""

    def step(self, says: str, number: int, total: int, left_s: float) -> None:
        """Say nothing."""

    def tick(self) -> None:
        """Say nothing."""


@dataclass
class StepRunner:
    """Does steps, as many chains at a time as there are `lanes`, and tells the observer what is left.

    `abandon` is called when a step fails or Ctrl-C is pressed, before waiting for the other lanes: it ends what they are doing.
    """

    steps: Sequence[RunStep]
    observer: Observer
    clock: Clock = field(default_factory=MonotonicClock)
    lanes: int = 1
    abandon: Callable[[], None] = lambda: None
    _taken_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _begun: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Do every step. What a step raises goes through, once all lanes have stopped."""
        for chains in self._stages():
            if len(chains) == 1:
                self._chain(chains[0])
                continue
            with ThreadPoolExecutor(self.lanes) as lanes:
                running = [lanes.submit(self._chain, chain) for chain in chains]
                try:
                    for chain in running:
                        chain.result()
                except BaseException:
                    lanes.shutdown(wait=False, cancel_futures=True)
                    self.abandon()
                    raise

    def left_s(self) -> float:
        """Return the seconds expected for the steps that have not begun; side by side they take a lane's part."""
        left = [step for number, step in enumerate(self.steps) if number not in self._begun]
        return sum(self._expected_s(step) / (self.lanes if step.chain else 1) for step in left)

    def _stages(self) -> Iterator[list[list[int]]]:
        """Yield the numbers of the steps that belong together, as chains; a step that runs alone is a stage of its own."""
        chains: dict[str, list[int]] = {}
        stage = ""
        for number, step in enumerate(self.steps):
            if chains and (step.stage != stage or not step.chain):
                yield list(chains.values())
                chains = {}
            stage = step.stage
            if step.chain:
                chains.setdefault(step.chain, []).append(number)
            else:
                yield [[number]]
        if chains:
            yield list(chains.values())

    def _chain(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            step = self.steps[number]
            with self._lock:
                left_s = self.left_s()
                self._begun.add(number)
                self.observer.step(step.description, len(self._begun), len(self.steps), left_s)
            started = self.clock.now_ns()
            step.act()
            self._taken_s[step.kind].append((self.clock.now_ns() - started) / 1e9)

    def _expected_s(self, step: RunStep) -> float:
        taken = self._taken_s.get(step.kind)
        return sum(taken) / len(taken) if taken else step.expected_s
