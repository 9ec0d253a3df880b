"""One block of load on one arm: operations start by the open or the closed model, are timed and counted.

In the open model operations start when they are due, whether earlier ones have completed or not, and response times count from the
due time. A system that stalls receives operations all the same, as from independent users, so that the stall is in the response
time of every operation that was due meanwhile, and not of one alone (coordinated omission).

In the closed model a fixed number of users each start their next operation when the last one has completed. Their number limits the
operations in flight, so a system that stalls receives fewer; response times do not include the users who would have arrived
meanwhile. A capacity in users is measured this way.
"""

from __future__ import annotations

import asyncio
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import numpy as np

from harness.load.error_messages import add_message, grouped, message_of
from harness.load.pacing import PacerProtocol
from harness.results.load import Phase
from harness.runnable import RunnableScenario
from harness.runtime.channel import end_if_forked
from harness.runtime.clock import Clock, cpu_ns
from harness.scenario import Case
from harness.stats.histogram import Histogram, HistogramWire

LEAD_NS = 1_000_000  # time between planning and the first arrival, so that the first one is not late already
STOP_CHECK_NS = 200_000_000  # the longest time until a request to stop is noticed
BURST = 64  # overdue arrivals that start in a row before the loop gets a turn for the operations themselves
GIVE_UP_S = 5.0  # the time an operation may take to end after it was cancelled
LAG_CHECK_NS = 10_000_000  # the interval at which the closed model measures the loop's lag
TIMEOUT_CHECK_NS = 1_000_000_000  # the interval at which operations in flight are checked for their timeout


class LatencyHistograms(msgspec.Struct, frozen=True):
    """One group's operations in one block that were due in measured time, and their outcomes, which add up to `planned`."""

    response: HistogramWire
    """Times from the due time; completed operations, and unfinished ones with the time they had waited (right-censored)."""
    service: HistogramWire
    """Times from the start; completed operations."""
    queue: HistogramWire
    """Times from the due time to the start; completed operations."""
    operations: int
    """Operations that completed without an error."""
    errors: dict[str, int]
    """Message → operations that raised; they are in no histogram."""
    dropped: int
    """Operations that did not start, because the limit of in-flight operations was reached."""
    unfinished: int
    """Operations that had not completed at the drain timeout."""
    planned: int
    """Operations due in measured time; in the closed model those that started in it."""
    completed: int
    """Operations that completed without an error within measured time, whenever they were due: the arm's throughput."""
    warm_up: int = 0
    """Operations that were due in the warm-up and ended, with or without an error; they are in no other figure."""
    warm_up_errors: dict[str, int] = {}
    """Message → operations of the warm-up that raised."""


class LoadBlock(msgspec.Struct, tag=True, frozen=True):
    """One arm of one scenario under load for one block; also the message with which a load worker reports it."""

    scenario: str
    """The scenario's name."""
    arm: str
    """The arm's name."""
    cycle: int
    """The index of the round over all arms, from 0."""
    position: int
    """The arm's position within its cycle, from 0."""
    users: int
    """Concurrent users; 0 in the open model."""
    measured_ns: int
    """The time that rates divide by; in the closed model the mean over users of the time their measured operations spanned."""
    groups: dict[str, LatencyHistograms]
    lateness: HistogramWire
    """The generator's own delay: how late arrivals started, or in the closed model how late a timer in its loop fired."""
    cpu_percent: float
    """CPU usage of the generator over the block, in percent of one core."""
    targets: bool = False
    """Whether the system under load is another process, or a part of it."""
    own_percent: float = 0.0
    """The part of `cpu_percent` that is the generator's own work and not the operations'; see `harness.load.own_cost`."""
    warm_up_ns: int = 0
    """The time before measured time in which operations were sent too."""
    arrivals: int = 0
    """The operations that were due on the schedule of the block, those of the warm-up included."""


@dataclass(slots=True, eq=False)
class InFlight:
    """One operation in flight."""

    case: Case
    due_ns: int
    """Its intended start."""
    start_ns: int = 0
    """Its actual start."""
    end_ns: int = 0
    """0 until it has completed."""
    given_up: bool = False
    """Whether it has been counted as unfinished."""
    timeout_ns: int = 0
    """The timeout after which it was cancelled, which counts as an error; 0 if it was not."""
    task: asyncio.Task[Any] | None = None


@dataclass(frozen=True)
class BlockTime:
    """The clock of a block and the durations of its parts, in nanoseconds; `stopped()` cuts it short."""

    clock: Clock
    pacer: PacerProtocol
    stopped: Callable[[], bool]
    warm_up_ns: int
    """Operations start and are not recorded."""
    measured_ns: int
    """Operations start and are recorded."""
    drain_ns: int
    """No operation starts; the longest wait for those in flight."""
    timeout_ns: int | None = None
    """The longest time of one operation; None: no limit."""

    async def wait_until(self, due_ns: int) -> bool:
        """Wait until a time; return False if the block is stopped before."""
        while not self.stopped():
            now_ns = self.clock.now_ns()
            if now_ns >= due_ns:
                return True
            await self.pacer.until(min(due_ns, now_ns + STOP_CHECK_NS))
        return False


async def run_open(recorder: Recorder, schedule: Iterable[tuple[int, Case]], in_flight_limit: int, time: BlockTime) -> int:
    """Run one block of the open model and return its measured time, in nanoseconds.

    `schedule` is each operation's due time in nanoseconds from the block's start, ascending, and its case. Arrivals that are due
    while `in_flight_limit` operations are in flight are dropped.
    """
    clock = time.clock
    start_ns = clock.now_ns() + LEAD_NS
    recorder.begin(start_ns, time)
    loop, in_flight, in_a_row = asyncio.get_running_loop(), recorder.in_flight, 0
    for offset_ns, case in schedule:
        due_ns = start_ns + offset_ns
        now_ns = clock.now_ns()
        if now_ns < due_ns:
            in_a_row = 0
            if not await time.wait_until(due_ns):
                break
            now_ns = clock.now_ns()
        else:
            in_a_row += 1
            if in_a_row % BURST == 0:
                await asyncio.sleep(0)
        if recorder.plan(case, due_ns):
            recorder.lateness_ns.append(now_ns - due_ns)
        if len(in_flight) >= in_flight_limit:
            recorder.drop(case, due_ns)
            continue
        operation = InFlight(case, due_ns)
        in_flight.add(operation)  # its task may run later, and a burst must not exceed the limit
        operation.task = loop.create_task(recorder.operate(operation))
    else:
        await time.wait_until(recorder.until_ns)
    recorder.end()
    await drain(recorder, time)
    return recorder.measured_ns


async def run_closed(recorder: Recorder, users: Sequence[Iterator[Case]], time: BlockTime) -> int:
    """Run one block of the closed model and return the time that its rates divide by, in nanoseconds.

    `users` holds each user's endless cases. The time is the mean over users from the start of their first measured operation to the
    end of their last: it consists of whole operations, so that neither a long last one nor an idle rest biases the rate.
    """
    clock, pacer, stopped = time.clock, time.pacer, time.stopped
    recorder.begin(clock.now_ns(), time)
    spans_ns: list[int] = []
    tasks = [asyncio.ensure_future(run_user(recorder, cases, clock, spans_ns)) for cases in users]
    due_ns = clock.now_ns()
    while not stopped() and (due_ns := due_ns + LAG_CHECK_NS) < recorder.until_ns:
        await pacer.until(due_ns)
        if recorder.is_measured(due_ns):
            recorder.lateness_ns.append(clock.now_ns() - due_ns)
    if not stopped():
        await pacer.until(recorder.until_ns)
    recorder.end()
    await drain(recorder, time)
    await asyncio.wait(tasks, timeout=GIVE_UP_S)
    return round(math.fsum(spans_ns) / len(spans_ns)) if spans_ns else recorder.measured_ns


async def drain(recorder: Recorder, time: BlockTime) -> None:
    """Wait up to the drain timeout for operations in flight, then cancel the rest, so that the loop is idle for the next block."""
    if tasks := [operation.task for operation in recorder.in_flight if operation.task is not None]:
        timeout = asyncio.ensure_future(time.pacer.until(time.clock.now_ns() + time.drain_ns))
        idle = asyncio.ensure_future(asyncio.wait(tasks))
        await asyncio.wait({timeout, idle}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (timeout, idle):
            waiting.cancel()
        await asyncio.gather(timeout, idle, return_exceptions=True)
    left = [operation.task for operation in recorder.give_up() if operation.task is not None]
    for task in left:
        task.cancel()
    if left:
        _, pending = await asyncio.wait(left, timeout=GIVE_UP_S)
        recorder.stuck = len(pending)


async def time_out(recorder: Recorder, time: BlockTime) -> None:
    """Cancel operations that have run for longer than the timeout, until this is cancelled itself."""
    while time.timeout_ns is not None:
        await time.pacer.until(time.clock.now_ns() + min(TIMEOUT_CHECK_NS, time.timeout_ns))
        for operation in recorder.time_out(time.timeout_ns):
            if operation.task is not None:
                operation.task.cancel()


async def run_user(recorder: Recorder, cases: Iterator[Case], clock: Clock, spans_ns: list[int]) -> None:
    """Run a user's cases one after another until measured time ends, and append the time that its measured operations spanned."""
    first_ns: int | None = None
    try:
        for case in cases:
            operation = InFlight(case, clock.now_ns())
            operation.task = asyncio.current_task()
            if recorder.plan(case, operation.due_ns) and first_ns is None:
                first_ns = operation.due_ns
            recorder.in_flight.add(operation)
            await recorder.operate(operation)
            if operation.given_up:
                return
            while operation.task is not None and operation.task.cancelling():  # by its timeout: the user goes on
                operation.task.uncancel()
            with suppress(asyncio.CancelledError):  # of an operation that cancels its own task and ends all the same
                await asyncio.sleep(0)  # an operation in memory never yields: one user would occupy the loop for a whole block
            if clock.now_ns() >= recorder.until_ns:
                return
    finally:
        if first_ns is not None:
            spans_ns.append(clock.now_ns() - first_ns)


_times: Callable[[], array[int]] = partial(array, "q")


@dataclass
class _GroupRecord:
    """One group's operations; times stay in arrays until the block's end, because an append costs least while measuring."""

    response_ns: array[int] = field(default_factory=_times)
    service_ns: array[int] = field(default_factory=_times)
    queue_ns: array[int] = field(default_factory=_times)
    unfinished_ns: array[int] = field(default_factory=_times)
    errors: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    planned: int = 0
    completed: int = 0
    warm_up: int = 0
    warm_up_errors: Counter[str] = field(default_factory=Counter)


class Recorder:
    """Times and counts one block's operations on one arm's instance; the open and the closed model share it.

    An operation belongs to measured time, `from_ns` to `until_ns`, if its intended start does. It is timed until it completes;
    `Scenario.reset` runs after that, and the operation stays `in_flight` until it is done. One that raises, also in `reset`, has
    `failed` and has no time. For the sampler, `finished_ns` holds the response times of all phases in the order of completion.
    `lateness_ns` is the generator's own delays, and `cpu_percent` its CPU usage until the end of measured time, by `cpu_ns`;
    `own_percent` is the part of it that is not the operations', at `own_cost_ns` per operation.
    `stuck` is the number of operations that did not end when they were cancelled.
    """

    def __init__(
        self,
        scenario: RunnableScenario,
        instance: Any,
        clock: Clock,
        cpu_ns: Callable[[], int] = cpu_ns,
        own_cost_ns: float = 0.0,
    ) -> None:
        self.in_flight: set[InFlight] = set()
        self.finished_ns, self.lateness_ns = _times(), _times()
        self.from_ns = self.until_ns = self.failed = self.stuck = 0
        self.cpu_percent, self.own_percent, self.cpu_ns, self._own_cost_ns = 0.0, 0.0, cpu_ns, own_cost_ns
        self._began_ns = self._cpu_at_begin_ns = 0
        self._groups: defaultdict[str, _GroupRecord] = defaultdict(_GroupRecord)
        self._scenario, self._instance, self._now_ns = scenario, instance, clock.now_ns

    def begin(self, start_ns: int, time: BlockTime) -> None:
        """Set the block's start, from which the limits of measured time follow."""
        self.from_ns = start_ns + time.warm_up_ns
        self.until_ns = self.from_ns + time.measured_ns
        self._began_ns, self._cpu_at_begin_ns = self._now_ns(), self.cpu_ns()

    def end(self) -> None:
        """End measured time now, unless it has ended already."""
        now_ns = self._now_ns()
        self.until_ns = min(self.until_ns, now_ns + 1)  # an operation due at this very nanosecond has started
        passed_ns = max(1, now_ns - self._began_ns)
        self.cpu_percent = (self.cpu_ns() - self._cpu_at_begin_ns) / passed_ns * 100
        self.own_percent = min(self.cpu_percent, (len(self.finished_ns) + self.failed) * self._own_cost_ns / passed_ns * 100)

    @property
    def measured_ns(self) -> int:
        """The duration of measured time, in nanoseconds."""
        return max(0, self.until_ns - self.from_ns)

    def phase(self, now_ns: int) -> Phase:
        """Return the phase at a time."""
        return Phase.WARM_UP if now_ns < self.from_ns else Phase.MEASURED if now_ns < self.until_ns else Phase.DRAIN

    def is_measured(self, due_ns: int) -> bool:
        """Return whether an operation due at that time counts."""
        return self.from_ns <= due_ns < self.until_ns

    def plan(self, case: Case, due_ns: int) -> bool:
        """Count an operation as planned, and return whether it belongs to measured time."""
        if is_measured := self.is_measured(due_ns):
            self._groups[case.group].planned += 1
        return is_measured

    def drop(self, case: Case, due_ns: int) -> None:
        """Count an operation that was due and did not start."""
        if self.is_measured(due_ns):
            self._groups[case.group].dropped += 1

    async def operate(self, operation: InFlight) -> None:
        """Run one operation that is in flight, and record its outcome."""
        scenario, instance, case, now_ns = self._scenario, self._instance, operation.case, self._now_ns
        operation.start_ns = now_ns()
        try:
            answer = await scenario.run(instance, case)
            operation.end_ns = now_ns()
            await scenario.reset(instance, case, answer)
        except BaseException as error:  # noqa: BLE001 - whatever it raises, also SystemExit, a failed operation is counted
            if not operation.given_up:
                self._count_error(operation, _timeout_error(operation) if operation.timeout_ns else error)
        else:
            if not operation.given_up:
                self._count_completed(operation)
        finally:
            end_if_forked()
            self.in_flight.discard(operation)

    def time_out(self, timeout_ns: int) -> list[InFlight]:
        """Return the operations in flight that have run for longer than a timeout and were not returned before."""
        latest_ns = self._now_ns() - timeout_ns
        found = [o for o in self.in_flight if o.start_ns and not o.timeout_ns and o.start_ns <= latest_ns]
        for operation in found:
            operation.timeout_ns = timeout_ns
        return found

    def give_up(self) -> list[InFlight]:
        """Count and return the operations in flight as unfinished, with the time they have waited (right-censored)."""
        left, now_ns = list(self.in_flight), self._now_ns()
        for operation in left:
            operation.given_up = True
            if operation.end_ns:  # completed; only its `reset` has not
                self._count_completed(operation)
            elif self.is_measured(operation.due_ns):
                self._groups[operation.case.group].unfinished_ns.append(now_ns - operation.due_ns)
        return left

    def groups(self) -> dict[str, LatencyHistograms]:
        """Return each group's histograms and counts, of measured time."""
        return {
            name: LatencyHistograms(
                response=wire(group.response_ns + group.unfinished_ns),
                service=wire(group.service_ns),
                queue=wire(group.queue_ns),
                operations=len(group.response_ns),
                errors=grouped(group.errors),
                dropped=group.dropped,
                unfinished=len(group.unfinished_ns),
                planned=group.planned,
                completed=group.completed,
                warm_up=group.warm_up,
                warm_up_errors=grouped(group.warm_up_errors),
            )
            for name, group in self._groups.items()
            if group.planned or group.warm_up_errors
        }

    def _count_completed(self, operation: InFlight) -> None:
        due_ns, start_ns, end_ns = operation.due_ns, operation.start_ns, operation.end_ns
        self.finished_ns.append(end_ns - due_ns)
        if self.is_measured(due_ns):
            group = self._groups[operation.case.group]
            group.response_ns.append(end_ns - due_ns)
            group.service_ns.append(end_ns - start_ns)
            group.queue_ns.append(start_ns - due_ns)
        elif due_ns < self.from_ns:
            self._groups[operation.case.group].warm_up += 1
        if self.is_measured(end_ns):
            self._groups[operation.case.group].completed += 1

    def _count_error(self, operation: InFlight, error: BaseException) -> None:
        self.failed += 1
        group = self._groups[operation.case.group]
        if self.is_measured(operation.due_ns):
            add_message(group.errors, message_of(error))
        elif operation.due_ns < self.from_ns:
            group.warm_up += 1
            add_message(group.warm_up_errors, message_of(error))


def _timeout_error(operation: InFlight) -> TimeoutError:
    step = "reset() did not end" if operation.end_ns else "no answer"
    return TimeoutError(f"{step} within {operation.timeout_ns / 1e9:g} s")


def wire(times_ns: Sequence[int]) -> HistogramWire:
    """Return the histogram of some times, in the form that is sent between processes."""
    histogram = Histogram()
    histogram.record_many(np.asarray(times_ns, dtype=np.int64))
    return histogram.to_wire()
