"""The steps of a run, and the time left for them.

Timing pairs needs the machine. Preparing, comparing answers, counting work and measuring memory do not, so consecutive steps of
those kinds run in parallel, each scenario's in their order.
"""

import heapq
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from statistics import fmean
from typing import Protocol

from harness.runtime.clock import Clock, MonotonicClock

PRIOR_STEPS = 2
"""The first estimate of a step counts as this number of steps of its kind that have run."""


@dataclass(frozen=True)
class RunStep:
    """One step of a run."""

    description: str
    """Text for the progress display."""
    kind: str
    """Steps of a kind are expected to be wrong by the same factor."""
    expected_s: float
    """First estimate of its duration, in seconds."""
    act: Callable[[], None]
    """The function that does it."""
    chain: str = ""
    """Steps of a chain run in their order, consecutive chains in parallel; a step without a chain runs on its own."""
    stage: str = ""
    """Steps of different stages never run in parallel."""
    like: Hashable = None
    """Steps with the same value take the same time; None: there is no other."""
    is_due: Callable[[], bool] = lambda: True
    """Whether it is still to be done; that of a scenario that has failed is not."""


class Observer(Protocol):
    """Receives the progress of a run."""

    def step(self, description: str, number: int, total: int, left_s: float) -> None:
        """Report that step `number` of `total` begins, with about `left_s` seconds left for it and all that follow."""

    def tick(self) -> None:
        """Report that something was measured within the current step."""

    def waiting(self, subject: str, message: str, seconds: float) -> None:
        """Report that nothing has moved for some seconds in what a subject, such as a scenario, does; with 0 it has moved."""


class Silent:
    """An observer that ignores the progress."""

    def step(self, description: str, number: int, total: int, left_s: float) -> None:
        """Ignore it."""

    def tick(self) -> None:
        """Ignore it."""

    def waiting(self, subject: str, message: str, seconds: float) -> None:
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
    _taken_s: dict[int, float] = field(default_factory=dict)
    _begun_ns: dict[int, int] = field(default_factory=dict)
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
            if not step.is_due():
                continue
            with self._lock:
                self._begun_ns[number] = self.clock.now_ns()
                self.observer.step(step.description, number + 1, len(self.steps), self._left_s())
            step.act()
            with self._lock:
                self._taken_s[number] = (self.clock.now_ns() - self._begun_ns[number]) / 1e9

    def _left_s(self) -> float:
        """Return the expected seconds until the end: of each stage until its last lane is done, given the steps in progress."""
        estimates, now_ns = Estimates(self.steps, self._taken_s), self.clock.now_ns()

        def left_s(number: int) -> float:
            if number in self._taken_s or not self.steps[number].is_due():
                return 0.0
            begun_ns = self._begun_ns.get(number)
            return max(0.0, estimates.seconds(number) - (0.0 if begun_ns is None else (now_ns - begun_ns) / 1e9))

        return sum(makespan((sum(map(left_s, chain)) for chain in chains), self.lanes) for chains in self._stages())


def makespan(durations: Iterable[float], lanes: int) -> float:
    """Return the time until all chains are done, each of which starts in the lane that is free first."""
    free = [0.0] * max(1, lanes)
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


class Estimates:
    """Estimates of the durations of steps, from those that have run."""

    def __init__(self, steps: Sequence[RunStep], taken_s: Mapping[int, float]) -> None:
        """`taken_s` are the durations by number of the step."""
        self._steps, self._like = steps, dict[Hashable, list[float]]()
        kinds: dict[str, list[tuple[float, float]]] = {}
        for number, seconds in taken_s.items():
            step = steps[number]
            kinds.setdefault(step.kind, []).append((seconds, step.expected_s))
            if step.like is not None:
                self._like.setdefault(step.like, []).append(seconds)
        self._factors = {kind: _factor(found) for kind, found in kinds.items()}

    def seconds(self, number: int) -> float:
        """Return the estimate of a step: the mean of those that are like it, else its first estimate times its kind's factor."""
        step = self._steps[number]
        like = self._like.get(step.like) if step.like is not None else None
        return fmean(like) if like else step.expected_s * self._factors.get(step.kind, 1.0)


def _factor(found: Sequence[tuple[float, float]]) -> float:
    """Return the sum of (measured, expected) durations as a ratio, with PRIOR_STEPS more that were as expected."""
    prior_s = PRIOR_STEPS * fmean(expected_s for _, expected_s in found)
    return (sum(seconds for seconds, _ in found) + prior_s) / (sum(expected_s for _, expected_s in found) + prior_s)
