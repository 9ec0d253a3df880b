"""What becomes of one block's operations, as they go: what the open and the closed model have in common."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.load.protocol import LatencyHistograms
from harness.results.load import Phase
from harness.runnable import RunnableScenario
from harness.runtime.clock import Clock, cpu_ns
from harness.scenario import Case
from harness.stats.histogram import Histogram, HistogramWire

MESSAGE_CHARS = 120
"""So much of an error's first line tells operations that failed apart."""


MOST_MESSAGES = 50
OTHER_MESSAGES = "other messages"
"""What errors are counted under once a group has had so many different ones, such as messages with a number of their own."""


@dataclass(frozen=True)
class Phases:
    """How long the parts of a block last, in nanoseconds."""

    warm_up_ns: int
    measured_ns: int
    drain_ns: int


class InFlight:
    """One operation under way. `due_ns` is its intended start; `end_ns` is 0 until it is answered."""

    __slots__ = ("case", "due_ns", "end_ns", "given_up", "start_ns", "task")

    def __init__(self, case: Case, due_ns: int) -> None:
        self.case, self.due_ns = case, due_ns
        self.start_ns = self.end_ns = 0
        self.given_up = False
        self.task: asyncio.Task[Any] | None = None


def _times() -> array[int]:
    return array("q")


@dataclass
class _Group:
    """One group's operations; the times lie in arrays until the block's end, because an append costs least while it is measured."""

    response_ns: array[int] = field(default_factory=_times)
    service_ns: array[int] = field(default_factory=_times)
    queue_ns: array[int] = field(default_factory=_times)
    censored_ns: array[int] = field(default_factory=_times)
    errors: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    planned: int = 0
    answered: int = 0

    def times(self) -> LatencyHistograms:
        """Return the group's histograms and counts."""
        return LatencyHistograms(
            response=wire(self.response_ns + self.censored_ns),
            service=wire(self.service_ns),
            queue=wire(self.queue_ns),
            operations=len(self.response_ns),
            errors=dict(self.errors),
            dropped=self.dropped,
            unfinished=len(self.censored_ns),
            planned=self.planned,
            completed=self.answered,
        )


class Recorder:
    """One block's operations on one arm's instance.

    An operation belongs to the measured part if its intended start does. It is timed up to its answer; `Scenario.reset` comes
    after that, and the operation is under way until it is done. One that raises, also in `reset`, is an error and has no time.
    `finished_ns` holds the response time of every good answer in the order they came, of all phases, for whoever watches;
    `cpu_percent` is what this process used of a core until the measured part's end, by `cpu_ns`.
    """

    def __init__(self, scenario: RunnableScenario, instance: Any, clock: Clock, cpu_ns: Callable[[], int] = cpu_ns) -> None:
        self.flying: set[InFlight] = set()
        self.finished_ns = _times()
        self.failed = 0
        self.lateness_ns = _times()
        self.from_ns = self.until_ns = 0
        self.cpu_percent = 0.0
        self.cpu_ns = cpu_ns
        self._began_ns = self._cpu_at_begin_ns = 0
        self._idle = asyncio.Event()
        self._groups: dict[str, _Group] = {}
        self._scenario, self._instance, self._now_ns = scenario, instance, clock.now_ns

    def begin(self, start_ns: int, phases: Phases) -> None:
        """Say when the block starts, and with that when its measured part does and ends."""
        self.from_ns = start_ns + phases.warm_up_ns
        self.until_ns = self.from_ns + phases.measured_ns
        self._began_ns, self._cpu_at_begin_ns = self._now_ns(), self.cpu_ns()

    def end(self) -> None:
        """End the measured part now, unless it has ended already."""
        now_ns = self._now_ns()
        self.until_ns = min(self.until_ns, now_ns + 1)  # what is due this very moment has begun
        self.cpu_percent = (self.cpu_ns() - self._cpu_at_begin_ns) / max(1, now_ns - self._began_ns) * 100

    @property
    def measured_ns(self) -> int:
        """How long the measured part was."""
        return max(0, self.until_ns - self.from_ns)

    def phase(self, now_ns: int) -> Phase:
        """Return the phase that a moment lies in."""
        return Phase.WARM_UP if now_ns < self.from_ns else Phase.MEASURED if now_ns < self.until_ns else Phase.DRAIN

    def is_measured(self, due_ns: int) -> bool:
        """Whether an operation due at that moment counts."""
        return self.from_ns <= due_ns < self.until_ns

    def plan(self, case: Case, due_ns: int) -> None:
        """Count an operation as planned."""
        if self.is_measured(due_ns):
            self._group(case).planned += 1

    def dropped(self, case: Case, due_ns: int) -> None:
        """Count an operation that was due and never began."""
        if self.is_measured(due_ns):
            self._group(case).dropped += 1

    def take_off(self, flight: InFlight) -> None:
        """Count an operation as under way from now on: its task may begin only later, and a burst must not get past the cap."""
        self.flying.add(flight)
        self._idle.clear()

    async def operate(self, flight: InFlight) -> None:
        """Do one operation that has taken off, and keep what became of it."""
        scenario, instance, case, now_ns = self._scenario, self._instance, flight.case, self._now_ns
        flight.start_ns = now_ns()
        try:
            answer = await scenario.run(instance, case)
            flight.end_ns = now_ns()
            await scenario.reset(instance, case, answer)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it raises, an operation that failed is counted
            if not flight.given_up:
                self._count_error(flight, error)
        else:
            if not flight.given_up:
                self._count_answer(flight)
        finally:
            self.flying.discard(flight)
            if not self.flying:
                self._idle.set()

    async def idle(self) -> None:
        """Return when nothing is under way."""
        if self.flying:
            await self._idle.wait()

    def give_up(self) -> list[InFlight]:
        """Censor what is still under way, and return it: each has waited until now, at least which it takes."""
        left, now_ns = list(self.flying), self._now_ns()
        for flight in left:
            flight.given_up = True
            if flight.end_ns:  # answered; it is its `reset` that does not end
                self._count_answer(flight)
            elif self.is_measured(flight.due_ns):
                self._group(flight.case).censored_ns.append(now_ns - flight.due_ns)
        return left

    def groups(self) -> dict[str, LatencyHistograms]:
        """Return each group's histograms and counts, of the measured part."""
        return {name: group.times() for name, group in self._groups.items() if group.planned}

    def _count_answer(self, flight: InFlight) -> None:
        due_ns, start_ns, end_ns = flight.due_ns, flight.start_ns, flight.end_ns
        self.finished_ns.append(end_ns - due_ns)
        if self.is_measured(due_ns):
            group = self._group(flight.case)
            group.response_ns.append(end_ns - due_ns)
            group.service_ns.append(end_ns - start_ns)
            group.queue_ns.append(start_ns - due_ns)
        if self.is_measured(end_ns):
            self._group(flight.case).answered += 1

    def _count_error(self, flight: InFlight, error: BaseException) -> None:
        self.failed += 1
        if self.is_measured(flight.due_ns):
            errors, message = self._group(flight.case).errors, _first_line(error)
            errors[message if message in errors or len(errors) < MOST_MESSAGES else OTHER_MESSAGES] += 1

    def _group(self, case: Case) -> _Group:
        found = self._groups.get(case.group)
        if found is None:
            found = self._groups[case.group] = _Group()
        return found


def wire(times_ns: Sequence[int]) -> HistogramWire:
    """Return the histogram of some times, to be sent."""
    histogram = Histogram()
    found: npt.NDArray[np.int64] = np.asarray(times_ns, dtype=np.int64)
    histogram.record_many(found)
    return histogram.to_wire()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    kind = type(error).__name__
    return f"{kind}: {lines[0][:MESSAGE_CHARS]}" if lines else kind
