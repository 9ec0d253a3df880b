"""The load worker: a fresh, unpatched process, whatever its supervisor has patched. It gets a job and orders and sends reports.

Load is coroutines in one loop, in blocks that alternate between arms, so that drift affects all of them alike. One arm of one
scenario is under load at a time, so that arms do not disturb each other. A cycle goes over every arm; the first order is random and
every second cycle reverses it (A B C, C B A: linear drift cancels). In a cycle every arm gets the same arrivals and the same cases,
so that its block is compared with the baseline's block of the same cycle.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import importlib.metadata
import itertools
import math
import random
import sys
import threading
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from harness.bench.operations import first_of_each_group
from harness.bench.verify import verify
from harness.discovery import LoadedScenario, load, refuse_changed
from harness.errors import HarnessError, ScenarioFailedError
from harness.load import arrivals
from harness.load.block import GIVE_UP_S, BlockTime, InFlight, LoadBlock, Recorder, run_closed, run_open, time_out, wire
from harness.load.checks import have_trouble
from harness.load.deadlines import CHECK_S, POOL_NAME, OperationHangsError, OperationThreads, Watchdog, limited
from harness.load.error_messages import message_of
from harness.load.own_cost import own_cost_ns
from harness.load.pacing import KeepAwake, Pacer, PacerProtocol
from harness.load.protocol import (
    CLOSED,
    LoadJob,
    Order,
    StepStarted,
    TickMeasured,
    WorkerFinished,
    WorkerReady,
    WorkerReport,
)
from harness.load.sampler import Sampler
from harness.results.load import LoadModel
from harness.results.run import BASELINE
from harness.runtime import channel, leftovers
from harness.runtime.channel import LONG, end_if_forked
from harness.runtime.child import JobFailed, decode_path, process_fault
from harness.runtime.clock import Clock, ClockCheck, KernelClock, MonotonicClock, cpu_ns
from harness.scenario import Case, Setting
from harness.text import encode_json, message_line
from harness.user_code import failure

try:
    import uvloop
except ImportError:  # asyncio's own loop works as well; the record names the one that was used
    new_event_loop, EVENT_LOOP = asyncio.new_event_loop, "asyncio"
else:
    new_event_loop, EVENT_LOOP = uvloop.new_event_loop, f"uvloop {importlib.metadata.version('uvloop')}"

SWITCH_S = 0.0002  # seconds that the sampling thread may keep the loop waiting; Python's default of 5 ms would show in the times
THREADS = 32  # threads that run the operations of a synchronous scenario; further concurrent operations wait for one
ASYNCHRONOUS = "asynchronous, in one event loop"  # an execution mode of a scenario's operations, for the record
SYNCHRONOUS = f"synchronous, in a pool of {THREADS} threads"
LANES = 8  # streams of cases between which arrivals of the open model alternate
MAX_STREAMS = 64  # the limit of streams of cases; further users share them: each case goes to the next user that starts


@dataclass
class LoadedInstances:
    """One scenario's open instances and its streams of cases."""

    loaded: LoadedScenario
    setting: Setting
    instances: Mapping[str, Any]
    """Arm → its instance; only arms that can take load."""
    order: list[str] = field(default_factory=list)
    """The arms in the order of even cycles."""
    excluded: frozenset[tuple[str, str]] = frozenset()
    """(arm, group) pairs that raised when answers were compared, in arms that may."""
    streams: dict[int, Sequence[Case]] = field(default_factory=dict)
    """Stream number → its cases."""
    taken: Counter[int] = field(default_factory=Counter)
    """Stream number → cases that users have taken from it."""
    arrived: int = 0
    """Arrivals of the cycles so far."""

    def stream(self, number: int) -> Sequence[Case]:
        """Return a stream's cases, the same in every process and at every call; `ScenarioFailedError` if there are none."""
        if number not in self.streams:
            cases = self.loaded.scenario.load_cases(replace(self.setting, stream=self.setting.stream + number + 1))
            if not cases:
                file = self.loaded.file
                raise ScenarioFailedError(f"{file} has no cases for a load test; check `load` of its groups, and load_cases")
            self.streams[number] = cases
        return self.streams[number]

    def user(self, arm: str, user: int) -> Iterator[Case]:
        """Return a user's endless cases, continuing its stream; the stream is created now, not under load."""
        number = user % MAX_STREAMS
        stream = self.stream(number)

        def cases() -> Iterator[Case]:
            while True:
                case = stream[self.taken[number] % len(stream)]
                self.taken[number] += 1
                if (arm, case.group) not in self.excluded:
                    yield case

        return cases()

    def arrivals(self, arm: str, offsets_ns: Sequence[int]) -> list[tuple[int, Case]]:
        """Return the arrivals with their cases, from lanes that alternate and each go through a stream, without excluded groups.

        Each lane is a case ahead of the one before, so that a few arrivals include cases of every group.
        """
        lanes = [self.stream(number) for number in range(LANES)]
        pairs = []
        for number, offset_ns in enumerate(offsets_ns, self.arrived):
            lane = lanes[number % LANES]
            case = lane[(number // LANES + number % LANES) % len(lane)]
            if (arm, case.group) not in self.excluded:
                pairs.append((offset_ns, case))
        return pairs


class LoadWorker:
    """Runs blocks of load on every scenario's instances. `cannot_run` is the same as in `WorkerReady`."""

    def __init__(
        self,
        loaded: Sequence[LoadedScenario],
        job: LoadJob,
        clock: Clock,
        pacer: PacerProtocol,
        sampler: Sampler | None = None,
        begin: Callable[[StepStarted, float], None] = lambda _step, _limit_s: None,
    ) -> None:
        """Prepare for a job. `begin` gets every step, and for how long the loop may be without a turn in it, in seconds."""
        self._loaded = list(zip(loaded, job.settings, strict=True))
        self._job, self._clock, self._pacer, self._sampler, self._report = job, clock, pacer, sampler, begin
        self._current = ""
        """The name of the scenario at work."""
        self._pool: OperationThreads | None = None
        self._own_cost_ns = 0.0
        self._stuck = 0
        self._clock_check = ClockCheck(MonotonicClock())
        self._cycle: int | None = None
        self._arrived = 0
        self._recorder: Recorder | None = None
        self._arrivals = arrivals.parse(job.arrivals)
        first = job.settings[0]
        self._random = random.Random(f"{first.seed}/{first.stream}/load")  # noqa: S311 - the order has to be reproducible
        # Workers that share a schedule need the same one; workers that run one after the other get one each.
        self._seed = f"{first.seed}/{0 if job.share[1] > 1 else first.stream}"
        self.cannot_run: list[tuple[str, str, str, str]] = []
        self._execution: dict[str, str] = {}
        self._scenarios: list[LoadedInstances] = []
        self._opened: list[tuple[LoadedScenario, str, AsyncExitStack]] = []

    @property
    def facts(self) -> dict[str, str]:
        """Return the execution mode of operations, for the record: one fact, or one per scenario if they differ."""
        modes = set(self._execution.values())
        return {"execution": modes.pop()} if len(modes) == 1 else {f"execution of {n}": mode for n, mode in self._execution.items()}

    @property
    def arms(self) -> list[str]:
        """The arms of the first scenario that take load, in the order of even cycles."""
        return list(self._scenarios[0].order) if self._scenarios else []

    def in_flight(self) -> list[InFlight]:
        """Return the operations in flight of the current block."""
        return [] if self._recorder is None else list(self._recorder.in_flight)

    async def open(self) -> None:
        """Open every arm's instance, create its cases and compare the answers; `ScenarioFailedError` if they differ or hang."""
        for loaded, setting in self._loaded:
            self._current = loaded.name
            scenario = loaded.scenario
            self._execution[loaded.name] = SYNCHRONOUS if scenario.is_synchronous else ASYNCHRONOUS
            if scenario.is_synchronous:
                if self._pool is None:
                    self._pool = OperationThreads(THREADS)
                scenario = scenario.in_threads(self._pool)
                loaded = replace(loaded, scenario=scenario)  # noqa: PLW2901 - the same scenario, run as it is from here on
            wanted = [arm for arm in scenario.arms if self._job.arms is None or arm in self._job.arms]
            opened = dict.fromkeys([BASELINE, *wanted])
            instances = {arm: await self._open(loaded, arm, setting) for arm in opened}
            target = LoadedInstances(loaded, setting, instances, arrived=self._job.arrived)
            self._begin_long(f"{loaded.name}: making the cases for a load test")
            cases = first_of_each_group(target.stream(0), self._job.verified_cases)
            timed = limited(scenario, instances, self._job.timeout_s, self._begin_operation, self._has_threads)
            try:
                verified = await verify(timed, instances, cases)
            except ScenarioFailedError as error:
                raise ScenarioFailedError(f"{loaded.name}: {error}") from error
            for instance in instances.values():
                await timed.settle(instance)
            self._check_clock("comparing answers")
            excluded = target.excluded = frozenset(verified.cannot_run)
            groups = {c.group for c in target.stream(0)}
            self.cannot_run += [(loaded.name, arm, g, error) for (arm, g), error in verified.cannot_run.items() if g in groups]
            target.instances = {arm: instances[arm] for arm in wanted if any((arm, g) not in excluded for g in groups)}
            target.order = list(target.instances)
            self._random.shuffle(target.order)
            for number in range(LANES if self._job.model == LoadModel.OPEN else 1):
                target.stream(number)
            self._scenarios.append(target)

    async def calibrate(self) -> None:
        """Measure the generator's own cost per operation, which is not the operations'."""
        self._own_cost_ns = await own_cost_ns(self._job.model, self._clock, self._pacer, self._pool)

    async def close(self) -> None:
        """Close every instance, the last one first; raise the first error when all were tried."""
        first: BaseException | None = None
        while self._opened:
            loaded, arm, stack = self._opened.pop()
            self._current, step = loaded.name, f"{arm}: closing its instance"
            self._begin(StepStarted(step, arm, self._job.timeout_s), self._job.timeout_s)
            limit = asyncio.timeout(self._job.timeout_s)
            try:
                async with limit:
                    await stack.aclose()
            except BaseException as error:  # noqa: BLE001 - a scenario's own code may raise anything, and the others are closed
                late = f"{loaded.name}: {step} did not end within {self._job.timeout_s:g} s; see --timeout"
                first = first or (ScenarioFailedError(late) if limit.expired() else _named(error, loaded, arm))
            finally:
                end_if_forked()
        if self._pool is not None:
            self._pool.leave()
        if first is not None:
            raise first

    async def _open(self, loaded: LoadedScenario, arm: str, setting: Setting) -> Any:
        timeout_s = self._begin_long(f"{arm}: open()", arm)
        limit, stack = asyncio.timeout(timeout_s), AsyncExitStack()
        try:
            async with limit:
                instance = await stack.enter_async_context(loaded.scenario.open(arm, setting))
        except TimeoutError as error:
            if not limit.expired():
                raise
            message = f"{loaded.name}: {arm}: open() did not end within {timeout_s:g} s, {LONG} times --timeout"
            raise ScenarioFailedError(message) from error
        finally:
            end_if_forked()
        self._opened.append((loaded, arm, stack))
        self._check_clock(f"{arm}: open()")
        return instance

    def _begin(self, step: StepStarted, limit_s: float) -> None:
        """Begin a step, which names the scenario where there are several."""
        if len(self._loaded) > 1 and self._current not in step.step:
            step = msgspec.structs.replace(step, step=f"{self._current}: {step.step}")
        self._report(step, limit_s)

    def _begin_long(self, step: str, arm: str = "") -> float:
        """Begin a step of many operations, and return its timeout in seconds."""
        timeout_s = LONG * self._job.timeout_s
        self._begin(StepStarted(step, arm, timeout_s), timeout_s)
        return timeout_s

    def _check_clock(self, step: str) -> None:
        """Raise ScenarioFailedError if the scenario has frozen or replaced the time since the last call."""
        if problem := self._clock_check.problem():
            raise ScenarioFailedError(f"{step}: {problem}")

    def _begin_operation(self, step: StepStarted) -> None:
        self._begin(step, step.timeout_s)

    async def cycles(self, last: Callable[[], Order], stopped: Callable[[], bool]) -> AsyncIterator[LoadBlock]:
        """Yield the blocks of the job's cycles, each under the load of the last order; `stopped()` cuts the last block short."""
        cycle = self._job.first_cycle
        while cycle != self._job.cycles and not (order := last()).stop:
            for scenario in self._scenarios:
                taken, offsets_ns = scenario.taken, self._offsets_ns(cycle, order)
                for position, arm in enumerate(scenario.order if cycle % 2 == 0 else scenario.order[::-1]):
                    scenario.taken = taken.copy()  # every arm of a cycle starts each user at the same case
                    block = await self._block(scenario, arm, (cycle, position), order, offsets_ns, stopped)
                    if block.measured_ns:
                        yield block
                    if stopped():
                        return
                    await self._check_ended(arm)
                    self._check_targets(scenario, arm, block)
                scenario.arrived += len(offsets_ns)
            cycle += 1

    async def run_block(self, order: Order, number: int, stopped: Callable[[], bool]) -> LoadBlock:
        """Run one block of the first scenario, of its own cycle `number` unless the order names one.

        `ScenarioFailedError` if the arm cannot take load.
        """
        scenario, arm = self._scenarios[0], order.arm
        if arm not in scenario.instances:
            name = scenario.loaded.name
            raise ScenarioFailedError(f"{name}: arm {arm} cannot take load; it is not selected, or runs no group as written")
        if order.cycle is None or order.cycle != self._cycle:
            scenario.arrived += self._arrived  # the cases of the last cycle
        cycle = number if order.cycle is None else order.cycle
        offsets_ns = self._offsets_ns(cycle, order)
        self._cycle, self._arrived = order.cycle, len(offsets_ns)
        block = await self._block(scenario, arm, (cycle, 0), order, offsets_ns, stopped)
        await self._check_ended(arm)
        self._check_targets(scenario, arm, block)
        return block

    def _has_threads(self) -> bool:
        return self._pool is not None and self._pool.running > 0

    async def _check_ended(self, arm: str) -> None:
        """Raise `OperationHangsError` if operations of an arm still run after its block: they would disturb the next arm's."""
        for _ in range(round(GIVE_UP_S / CHECK_S)):
            if self._pool is None or not self._pool.running:
                break
            await asyncio.sleep(CHECK_S)
        running = self._stuck + (self._pool.running if self._pool is not None else 0)
        if running:
            counted = f"{running} operation{'s' * (running != 1)} still ran {GIVE_UP_S:g} s after the drain timeout"
            raise OperationHangsError(f"{arm}: {counted} and could not be cancelled")

    def _check_targets(self, scenario: LoadedInstances, arm: str, block: LoadBlock) -> None:
        """Raise ScenarioFailedError if operations failed because a process of the system under load has ended or is stopped."""
        if not have_trouble([block]):
            return
        for name, pid in scenario.loaded.scenario.targets(scenario.instances[arm]).items():
            if pid and (state := process_fault(pid)):
                raise ScenarioFailedError(f"{arm}: the process {pid} ({name}) {state}")

    def _block_s(self, order: Order) -> float:
        return self._job.block_s if order.block_s is None else order.block_s

    def _offsets_ns(self, cycle: int, order: Order) -> list[int]:
        """Return the due times in a cycle's blocks; warm-up takes the beginning of a separate schedule."""
        if order.users or self._job.model == LoadModel.CLOSED:
            return []
        schedule = self._arrivals if order.rate_factor == 1 else self._arrivals.scaled(order.rate_factor)
        block_s = self._block_s(order)
        (worker, workers), warm_up_ns = self._job.share, int(self._job.warm_up_s * 1e9)
        before = schedule.offsets_ns(max(block_s, self._job.warm_up_s), f"{self._seed}/{cycle}/warm-up")[worker::workers]
        measured = schedule.offsets_ns(block_s, f"{self._seed}/{cycle}")[worker::workers]
        return [*before[before < warm_up_ns].tolist(), *(measured + warm_up_ns).tolist()]

    async def _block(
        self,
        scenario: LoadedInstances,
        arm: str,
        cycle_position: tuple[int, int],
        order: Order,
        offsets_ns: Sequence[int],
        stopped: Callable[[], bool],
    ) -> LoadBlock:
        runnable, instance, job, users = scenario.loaded.scenario, scenario.instances[arm], self._job, order.users
        targets, self._current = runnable.targets(instance), scenario.loaded.name
        # Without targets, the operations in this process need the core.
        keep_awake = KeepAwake(self._clock, wanted=bool(targets) and job.alone)
        recorder = Recorder(runnable, instance, self._clock, lambda: cpu_ns() - keep_awake.idle_ns, self._own_cost_ns)
        self._recorder = recorder
        seconds = (job.warm_up_s, self._block_s(order), job.drain_s, job.timeout_s)
        self._begin(StepStarted(f"{arm} under load", arm, math.fsum(seconds) + 2 * GIVE_UP_S), job.timeout_s)
        parts_ns = [int(duration_s * 1e9) for duration_s in seconds]
        schedule, time = scenario.arrivals(arm, offsets_ns), BlockTime(self._clock, self._pacer, stopped, *parts_ns)
        cases = [scenario.user(arm, user) for user in range(users)]
        if self._sampler is not None:
            await self._sampler.begin(arm, recorder, targets, lambda: runnable.counts(instance))
        async with keep_awake:
            timing_out = asyncio.ensure_future(time_out(recorder, time))
            run = run_closed(recorder, cases, time) if users else run_open(recorder, schedule, job.in_flight_limit, time)
            measured_ns = await run
            timing_out.cancel()
        self._check_clock(f"{arm} under load")
        if self._sampler is not None:
            self._sampler.end()
        self._stuck = recorder.stuck
        await runnable.settle(instance)
        return LoadBlock(
            scenario=scenario.loaded.name,
            arm=arm,
            cycle=cycle_position[0],
            position=cycle_position[1],
            users=users,
            measured_ns=measured_ns,
            groups=recorder.groups(),
            lateness=wire(recorder.lateness_ns),
            cpu_percent=recorder.cpu_percent,
            targets=bool(targets),
            warm_up_ns=parts_ns[0],
            own_percent=recorder.own_percent,
            arrivals=len(offsets_ns),
        )


def main() -> None:
    """Receive a job, report ready, then run blocks under the orders that follow."""
    supervisor = channel.connect()
    line = supervisor.read_line()
    if not line:
        return
    job = msgspec.json.decode(line, type=LoadJob, dec_hook=decode_path)
    sys.setswitchinterval(SWITCH_S)
    steps = _Reports(supervisor)
    channel.refuse_exits()
    try:
        asyncio.Runner(loop_factory=new_event_loop).run(_serve(job, supervisor, steps))
    except BaseException as error:  # noqa: BLE001 - a scenario's own code may raise anything; the supervisor shows it in one line
        steps.send(steps.failure(error))
    else:
        steps.send(WorkerFinished(_threads_left(), leftovers.started()))
    channel.leave(CLOSED if steps.is_closed else 0)  # threads that wait, for orders or for ever, must not keep the process alive


def _threads_left() -> list[str]:
    """Return the threads of the scenario that would keep this process alive."""
    known = (threading.main_thread(), threading.current_thread())
    return [
        f"thread {thread.name!r}"
        for thread in threading.enumerate()
        if not (thread in known or thread.daemon or thread.name.startswith((POOL_NAME, "asyncio_")))
    ]


@dataclass
class _Reports:
    """The reports of the worker to its supervisor, and the step that it is in."""

    supervisor: channel.Channel
    last: StepStarted | None = None
    loaded: Sequence[LoadedScenario] = ()
    is_closed: bool = False
    """Whether the connection to the supervisor was closed in this process."""

    def send(self, report: WorkerReport | JobFailed) -> None:
        try:
            self.supervisor.write_line(encode_json(report))
        except OSError as error:  # else the supervisor has exited
            self.is_closed |= error.errno in {errno.EBADF, errno.ENOTSOCK}

    def failure(self, error: BaseException) -> JobFailed:
        """Return the report of an error, with the step and the place in the scenario if its message does not have them."""
        named = _named(error, self.loaded[0] if len(self.loaded) == 1 else None, self.last.arm if self.last else "")
        detail = "".join(traceback.format_exception(error))
        if isinstance(named, HarnessError):
            return JobFailed(str(named), named.code, detail, type(named).__name__)
        step = f"{self.last.step}: " if self.last is not None else ""
        return JobFailed(f"{step}{message_of(error)}", detail=detail, kind=type(error).__name__)


def _named(error: BaseException, loaded: LoadedScenario | None, arm: str) -> BaseException:
    """Return an error of a scenario's code with the arm and the place in its message; one of the harness as it is."""
    if loaded is None or not arm or isinstance(error, HarnessError):
        return error
    found = ScenarioFailedError(failure(error, loaded.scenario.written, arm))
    found.__cause__ = error
    return found


def _print_in_one_line(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Print what a task of the scenario raised that nothing awaits, where asyncio would print a traceback."""
    error = context.get("exception")
    problem = f"{context.get('message', '')}{f': {message_of(error)}' if error is not None else ''}"
    with contextlib.suppress(OSError, ValueError, AttributeError):  # the scenario may have closed or replaced it
        sys.stderr.write(message_line(f"harness: in a task of the scenario: {problem}") + "\n")


async def _serve(job: LoadJob, supervisor: channel.Channel, steps: _Reports) -> None:
    clock, files, send = KernelClock(), [decode_path(Path, file) for file in job.files], steps.send

    def fail(error: HarnessError) -> None:
        send(steps.failure(error))
        channel.leave(1)  # the loop takes no turn in which it could end

    asyncio.get_running_loop().set_exception_handler(_print_in_one_line)
    watchdog = Watchdog(job.timeout_s, clock, fail)

    def begin(step: StepStarted, limit_s: float) -> None:
        watchdog.step, watchdog.limit_s = step, limit_s
        steps.last = step
        channel.begin(step.step)
        send(step)

    async with Pacer(clock) as pacer, Sampler(lambda tick: send(TickMeasured(tick)), clock) as sampler:
        steps.loaded = [load(file) for file in files]
        for loaded, digest in zip(steps.loaded, job.digests, strict=False):
            refuse_changed(loaded, digest)
        worker = LoadWorker(steps.loaded, job, clock, pacer, sampler, begin)
        watchdog.files, watchdog.in_flight = files, worker.in_flight
        with watchdog:
            try:
                await _work(job, worker, supervisor, send)
            except BaseException as error:
                send(steps.failure(error))  # before closing, which may hang as well
                raise
            finally:
                await worker.close()


async def _work(
    job: LoadJob, worker: LoadWorker, supervisor: channel.Channel, send: Callable[[WorkerReport | JobFailed], None]
) -> None:
    """Prepare, report ready, and run blocks under the orders that follow."""
    await worker.open()
    await worker.calibrate()
    gc.collect()
    gc.freeze()  # the instances live as long as the process: collections under load need not scan them
    orders = _Orders(asyncio.get_running_loop())
    send(WorkerReady({"event loop": EVENT_LOOP, **worker.facts}, worker.cannot_run, worker.arms))
    threading.Thread(target=orders.listen, args=(supervisor,), daemon=True).start()
    if job.on_request:
        for number in itertools.count(job.first_cycle):
            if (order := await orders.waiting.get()).stop:
                break
            send(await worker.run_block(order, number, lambda: orders.last.stop))
    else:
        await orders.waiting.get()
        async for block in worker.cycles(lambda: orders.last, lambda: orders.last.stop):
            send(block)


class _Orders:
    """The orders so far, received by a thread so that waiting for one never blocks the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.last = Order()
        self.waiting: asyncio.Queue[Order] = asyncio.Queue()
        self._loop = loop

    def listen(self, supervisor: channel.Channel) -> None:
        """Receive orders until one of them, or the end of the supervisor, stops the run."""
        while not self.last.stop:
            line = supervisor.read_line()
            self.last = msgspec.json.decode(line, type=Order) if line else Order(stop=True)
            self._loop.call_soon_threadsafe(self.waiting.put_nowait, self.last)


if __name__ == "__main__":
    main()
