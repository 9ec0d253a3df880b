"""The steps of a run, and the time left for them.

Timing pairs needs the machine. Preparing, comparing answers, counting work and measuring memory do not, so consecutive steps of
those kinds run in parallel, each scenario's in their order.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from statistics import fmean
from typing import Protocol

from harness.runtime.clock import Clock, MonotonicClock


@dataclass(frozen=True)
class RunStep:
    """One step of a run."""

    description: str
    """Text for the progress display."""
    kind: str
    """Steps of the same kind are expected to take the same time."""
    expected_s: float
    """First estimate of its duration, in seconds, until a step of its kind has run."""
    act: Callable[[], None]
    """The function that does it."""
    chain: str = ""
    """Steps of a chain run in their order, consecutive chains in parallel; a step without a chain runs on its own."""
    stage: str = ""
    """Steps of different stages never run in parallel."""


class Observer(Protocol):
    """Receives the progress of a run."""

    def step(self, description: str, number: int, total: int, left_s: float) -> None:
        """Report that step `number` of `total` begins, with about `left_s` seconds left for it and all that follow."""

    def tick(self) -> None:
        """Report that something was measured within the current step."""

    def waiting(self, description: str, seconds: float) -> None:
        """Report what goes on within a step, and for how many seconds nothing has moved."""


class Silent:
    """An observer that ignores the progress."""

    def step(self, description: str, number: int, total: int, left_s: float) -> None:
        """Ignore it."""

    def tick(self) -> None:
        """Ignore it."""

    def waiting(self, description: str, seconds: float) -> None:
        """Ignore it."""


@dataclass
class StepRunner:
    """Runs steps and reports the progress to an observer."""

    steps: Sequence[RunStep]
    """The steps in their order."""
    observer: Observer
    """Receives each step and the time left."""
    clock: Clock = field(default_factory=MonotonicClock)
    """Measures the steps' durations."""
    lanes: int = 1
    """Limit of chains in parallel."""
    abandon: Callable[[], None] = lambda: None
    """Called when a step fails or Ctrl-C is pressed, before waiting for the other lanes: it ends their current steps."""
    _taken_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _begun: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Run every step. An exception of a step propagates once all lanes have stopped."""
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

    def _stages(self) -> Iterator[list[list[int]]]:
        """Yield the chains that run in parallel, as numbers of steps; a step without a chain is yielded on its own."""
        for _, steps in groupby(enumerate(self.steps), lambda step: (step[1].stage, None if step[1].chain else step[0])):
            chains: dict[str, list[int]] = {}
            for number, step in steps:
                chains.setdefault(step.chain, []).append(number)
            yield list(chains.values())

    def _chain(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            step = self.steps[number]
            with self._lock:
                left = [s for other, s in enumerate(self.steps) if other not in self._begun]
                # Steps in parallel are divided by the lanes.
                left_s = sum(fmean(self._taken_s[s.kind] or [s.expected_s]) / (self.lanes if s.chain else 1) for s in left)
                self._begun.add(number)
                self.observer.step(step.description, len(self._begun), len(self.steps), left_s)
            started = self.clock.now_ns()
            step.act()
            self._taken_s[step.kind].append((self.clock.now_ns() - started) / 1e9)
