"""The steps of a run, and the time left for them.

Timing pairs needs the machine. Preparing, comparing answers, counting work and measuring memory do not, so consecutive steps of
those kinds run in parallel, each scenario's in their order.
"""

from __future__ import annotations

import heapq
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from math import fsum
from typing import Protocol

from harness.runtime.clock import Clock, MonotonicClock

PRIOR_STEPS = (4.0, 2.0, 0.25, 0.0)
"""The weight of a first estimate against steps that have run, as a number of steps: all steps, those of its kind, those of its kind
and subject, and those that are alike in everything. The first says how quick the machine is, the last what such a step takes."""


@dataclass(frozen=True)
class RunStep:
    """One step of a run."""

    description: str
    """Text for the progress display."""
    kind: tuple[str, ...]
    """Its kind, its subject and all else that decides on its duration: the more steps share of it, the more alike they are."""
    expected_s: Callable[[], float]
    """Returns the first estimate of its duration, in seconds, from what is known when it is called."""
    act: Callable[[], None]
    """The function that does it."""
    chain: str = ""
    """Steps of a chain run in their order, consecutive chains in parallel; a step without a chain runs on its own."""
    stage: str = ""
    """Steps of different stages never run in parallel."""
    is_due: Callable[[], bool] = lambda: True
    """Whether it is still to be done; that of a scenario that has failed is not."""
    is_shown: bool = True
    """Whether the progress display shows it."""
    shares_rest: bool = False
    """Whether it takes a share of what is left of the budget: the time of all such steps together is known, not that of each."""
    after: frozenset[str] = frozenset()
    """The chains of its stage that must be done before its own begins."""


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


class _Stage:
    """Hands out the chains of a stage, in their order, each once those are done that it must come after."""

    def __init__(self, chains: Iterable[list[int]], after: Mapping[str, frozenset[str]]) -> None:
        """`after` has the name of each chain, in the same order, and the chains that must be done before."""
        self._left = dict(zip(after, chains, strict=True))
        self._before = {name: before & after.keys() for name, before in after.items()}
        self._done: set[str] = set()
        self._changed = threading.Condition()

    def next_chain(self) -> list[int] | None:
        """Wait for a chain that may begin, and return the numbers of its steps; None if none is left."""
        with self._changed:
            while self._left:
                for name in self._left:
                    if self._before[name] <= self._done:
                        return self._left.pop(name)
                self._changed.wait()
            return None

    def finish(self, name: str) -> None:
        """Note that a chain is done."""
        with self._changed:
            self._done.add(name)
            self._changed.notify_all()

    def abandon(self) -> None:
        """Hand out no further chain."""
        with self._changed:
            self._left.clear()
            self._changed.notify_all()


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
    after_s: float = 0.0
    """First estimate of what follows the last step, in seconds."""
    rest_s: Callable[[float], float] = lambda _: 0.0
    """Returns the seconds until all steps that share the rest are done, given those of the other steps to come."""
    _taken_s: dict[int, float] = field(default_factory=dict)
    _begun_ns: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Run every step. An exception of a step propagates once all lanes have stopped."""
        with ThreadPoolExecutor(self.lanes) as lanes:  # to the end: a child process dies with the thread that has started it
            for chains in self._stages():
                if len(chains) == 1:
                    self._chain(chains[0])
                    continue
                stage = _Stage(chains, {self.steps[numbers[0]].chain: self.steps[numbers[0]].after for numbers in chains})
                running = [lanes.submit(self._lane, stage) for _ in chains[: self.lanes]]
                try:
                    for lane in wait(running, return_when=FIRST_EXCEPTION).done:
                        lane.result()
                except BaseException:
                    stage.abandon()
                    self.abandon()
                    raise

    def _lane(self, stage: _Stage) -> None:
        """Run one chain after another until none is left."""
        while (numbers := stage.next_chain()) is not None:
            try:
                self._chain(numbers)
            except BaseException:
                stage.abandon()
                raise
            stage.finish(self.steps[numbers[0]].chain)

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
                if step.is_shown:
                    place = sum(step.is_shown for step in self.steps[: number + 1])
                    self.observer.step(step.description, place, sum(step.is_shown for step in self.steps), self._left_s())
            step.act()
            with self._lock:
                self._taken_s[number] = (self.clock.now_ns() - self._begun_ns[number]) / 1e9

    def _left_s(self) -> float:
        """Return the expected seconds until the end: of each stage until its last lane is done, given the steps in progress."""
        estimates, now_ns = Estimates(self.steps, self._taken_s), self.clock.now_ns()

        def left_s(number: int) -> float:
            if number in self._taken_s or self.steps[number].shares_rest or not self.steps[number].is_due():
                return 0.0
            begun_ns = self._begun_ns.get(number)
            return max(0.0, estimates.seconds(number) - (0.0 if begun_ns is None else (now_ns - begun_ns) / 1e9))

        steps_s = sum(makespan((sum(map(left_s, chain)) for chain in chains), self.lanes) for chains in self._stages())
        sharing = any(step.shares_rest and number not in self._taken_s for number, step in enumerate(self.steps))
        return steps_s + (self.rest_s(steps_s) if sharing else 0.0) + self.after_s * estimates.speed


class Overlap:
    """Measures what part of the time of activities that run side by side is the time that they take together."""

    def __init__(self, clock: Clock) -> None:
        """Start with none."""
        self._clock, self._lock = clock, threading.Lock()
        self._running, self._since_ns, self._together_ns, self._each_ns = 0, 0, 0, 0

    @contextmanager
    def activity(self) -> Iterator[None]:
        """Count what runs within the context as an activity."""
        with self._lock:
            started_ns = self._clock.now_ns()
            self._since_ns = self._since_ns if self._running else started_ns
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                ended_ns = self._clock.now_ns()
                self._running -= 1
                self._each_ns += ended_ns - started_ns
                self._together_ns += 0 if self._running else ended_ns - self._since_ns

    @property
    def share(self) -> float:
        """The seconds together ÷ the sum of the seconds of each; 1 without any."""
        return self._together_ns / self._each_ns if self._each_ns else 1.0


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
        self._steps = steps
        self._found: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
        for number, seconds in taken_s.items():
            step = steps[number]
            for length in range(0 if step.shares_rest else len(step.kind) + 1):
                self._found[step.kind[:length]].append((seconds, step.expected_s()))

    @property
    def speed(self) -> float:
        """The factor by which steps of all kinds take longer than their first estimates."""
        return self._factor((), 1.0, PRIOR_STEPS[0])

    def seconds(self, number: int) -> float:
        """Return the estimate of a step: its first one times the factor by which those of steps like it were wrong."""
        step, factor = self._steps[number], 1.0
        for length, prior in zip(range(len(step.kind) + 1), PRIOR_STEPS, strict=False):
            factor = self._factor(step.kind[:length], factor, prior)
        return step.expected_s() * factor

    def _factor(self, kind: tuple[str, ...], before: float, prior: float) -> float:
        """Return the factor of a kind of steps, where `before`, that of less similar ones, counts as a number of steps, `prior`."""
        found = self._found.get(kind, [])
        expected_s = fsum(expected_s for _, expected_s in found)
        if not expected_s:  # steps that are expected to take no time, such as one that leaves its work out, give no factor
            return before
        prior_s = prior * expected_s / len(found)
        return (fsum(seconds for seconds, _ in found) + prior_s * before) / (expected_s + prior_s)
