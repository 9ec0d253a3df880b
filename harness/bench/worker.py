"""A bench worker: a fresh process that does one job of a run. Its job, its messages, the parent's `run_job`, and the work itself.

Always a fresh interpreter, so that hash seed, memory layout and caches differ between processes as they do in production.

Pairs: the same case on every arm, in random order, in slots of at least a millisecond. Orders are drawn independently: balanced
blocks make the order predictable, which the sign of a paired difference must not be. Evidence (`harness.stats.sequential_test`)
ends no group's pairs early: little time would be saved, at the price of process medians that rest on less.
"""

import asyncio
import gc
import math
import random
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from harness.bench import work_counts
from harness.bench.operations import UnpicklableCaseError, cached_cases, first_of_each_group, run_timed
from harness.bench.probes import instructions
from harness.bench.probes.cpu_control import spin
from harness.bench.probes.interpreter import watch_new_threads
from harness.bench.probes.round_trips import counting_relay
from harness.bench.verify import verify
from harness.discovery import LoadedScenario, load
from harness.errors import HarnessError, NotMeasurableError, ScenarioFailedError
from harness.results.run import AA_CONTROL, BASELINE, PING, PURE_CPU, Finding, Memory, SlotTotals, Statement, WorkCount
from harness.runnable import RunnableScenario, resolved
from harness.runtime import channel
from harness.runtime.channel import LONG, beat, begin
from harness.runtime.child import Child, JobFailed, child_environment, decode_path, encode_path, kill_group, python_module
from harness.runtime.clock import WRONG_CLOCK, Clock, ClockCheck, MonotonicClock
from harness.runtime.watch import OPERATION_TIMEOUT_S, ActivityWatch, Lasting, place_of
from harness.scenario import Case, DeclaredFinding, Setting
from harness.text import encode_json
from harness.user_code import failure, shown, user_code


class Task(StrEnum):
    """The kinds of job."""

    PREPARE = "prepare"
    """Build the data that instances start from."""
    TRY = "try"
    """Build the data, verify the answers and try the findings."""
    EXAMINE = "examine"
    """Verify the answers, count the work, collect the statements with their plans and try the findings."""
    REVISIT = "revisit"
    """Verify the answer to a case of each group and collect the arms' own figures, at a higher RTT, which changes no answer."""
    COUNT = "count"
    """Count the work at another scale."""
    PAIRS = "pairs"
    """Time pairs."""
    MEMORY = "memory"
    """Measure the memory of one operation of one arm and group."""
    INSTRUCTIONS = "instructions"
    """Count the instructions of one arm; the process runs under callgrind."""


SLOT_NS = 1_000_000
"""A slot repeats its operation until about this duration: shorter slots measure the clock and the scheduler."""
RECORDED = 32
"""The most operations of a slot whose times are kept: a quick operation is repeated thousands of times in one, and the record of a
run of some minutes would take gigabytes. Slots in a run are many, so that percentiles rest on thousands of operations anyway."""
CONTROL_EVERY = 4
"""The A/A control takes part in one of this number of a group's pairs.

In every pair the baseline instances exchange their roles at random, so that both are used equally: an instance that runs less
often has colder caches and a shorter log, and would differ from the other for that alone.
"""
SLOWED = "baseline slowed"
"""The arm name of a third baseline instance, the one that gets an injected slowdown."""
BASELINE_COPIES = (AA_CONTROL, SLOWED)
"""Arms that are further instances of the baseline."""
COUNTING = (Task.EXAMINE, Task.COUNT, Task.INSTRUCTIONS)
EXIT_S = 5.0
"""Seconds that a worker has to exit after its job."""
COUNTING_HASH_SEED = 0
"""Hash seed of processes that count work: the order of sets decides which functions are called, and how often."""


@dataclass(frozen=True)
class Effort:
    """The time and the processes that a run gives to each scenario on one engine at one RTT."""

    minimum_pairs: int = 3
    """Pairs of each group in a process, whatever the budget."""
    slow_processes: int = 3
    """Number of the processes that time slow groups as well."""
    slow_from_ns: int = 500_000_000
    """Nanoseconds of a baseline operation from which its group counts as slow; at a high RTT many do."""
    is_full: bool = True
    """Whether secondary groups are timed too, slow ones at every RTT, calls and allocations counted in addition to the data layer's
    work, and everything is timed alone. Otherwise scenarios without a server, and then those with network latency, are timed in
    parallel, each on one core."""


class BenchJob(msgspec.Struct, tag=True, frozen=True):
    """One job of a bench worker."""

    task: Task
    """The kind of job."""
    file: Path
    """The scenario's file."""
    setting: Setting
    """The setting of its instances."""
    process: int = 0
    """Number of the process among those that time pairs, from 1."""
    budget_ns: int = 0
    """Nanoseconds to spend on pairs."""
    arm: str = ""
    """The arm to measure, for memory and instructions."""
    group: str = ""
    """The group to measure, for memory."""
    limit_bytes: int | None = None
    """Memory that the operation may add; None: no limit."""
    timeout_s: float = OPERATION_TIMEOUT_S
    """Timeout of one operation, in seconds."""
    exit_s: float = EXIT_S
    """Seconds to exit after the job."""
    slow_groups: bool = True
    """Whether to time the groups declared slow."""
    effort: Effort = Effort()
    """The effort of the run."""
    excluded: tuple[tuple[str, str], ...] = ()
    """The (arm, group) that cannot run."""
    ablate: bool = False
    """Whether the arms are sets of the scenario's switches."""
    cpus: tuple[int, ...] = ()
    """Cores to pin the process to; empty for those of its parent."""
    injected: float = 0.0
    """Share by which a baseline instance is slowed, to see whether that is detected."""
    prefix: tuple[str, ...] = ()
    """Command to run the process under."""


class DataPrepared(msgspec.Struct, tag=True, frozen=True):
    """The scenario's data were built."""

    dataset: dict[str, str | int] = {}
    """Description of the data, with their digest."""
    engine_settings: dict[str, str] = {}
    """Version and settings of the engine."""
    warnings: list[str] = []
    """Problems that cost time and nothing else."""


class AnswersVerified(msgspec.Struct, tag=True, frozen=True):
    """The arms' answers are equal."""

    cases: int = 0
    """Number of cases verified."""
    cannot_run: list[tuple[str, str, str]] = []
    """(arm, group, error) of arms that raised as written."""


class Figures(msgspec.Struct, tag=True, frozen=True):
    """Something was counted, tried or measured."""

    work_counts: list[WorkCount] = []
    """Work counts of one arm in one group."""
    statements: list[Statement] = []
    """The statements that it sends there, with their plans."""
    findings: list[Finding] = []
    """Findings, demonstrated or not."""
    memory: list[Memory] = []
    """The memory of one operation."""


class SlotTimes(msgspec.Struct, frozen=True):
    """One arm's slot in a pair."""

    arm: str
    """Name of the arm."""
    latencies_ns: list[int]
    """The nanoseconds of each recorded operation, in the order they ran."""
    everything: SlotTotals | None = None
    """The totals of all operations where only some were recorded; None: all were."""

    @property
    def totals(self) -> SlotTotals:
        """The totals of all operations."""
        return self.everything or SlotTotals.of(self.latencies_ns)


def recorded(arm: str, times_ns: list[int], start: float) -> SlotTimes:
    """Return a slot of these operations, with the times of at most `RECORDED` of them.

    Those are evenly spaced, and the first of them is drawn: `start` is uniform from 0 to 1. A systematic sample like that has the
    distribution of all, also at the tails, and of the slot's beginning, where caches are cold.
    """
    if len(times_ns) <= RECORDED:
        return SlotTimes(arm, times_ns)
    step = len(times_ns) / RECORDED
    return SlotTimes(arm, [times_ns[int((place + start) * step)] for place in range(RECORDED)], SlotTotals.of(times_ns))


class PairTimes(msgspec.Struct, tag=True, frozen=True):
    """One pair: a case timed on every arm. Sent by a worker after each pair."""

    group: str
    """Name of the case's group."""
    case: str
    """Name of the case."""
    slots: list[SlotTimes]
    """The slots in the random order in which they ran."""
    controls_ns: dict[str, int] = {}
    """Name → nanoseconds of the controls that were timed after the pair."""


class JobDone(msgspec.Struct, tag=True, frozen=True):
    """The job is complete."""


class LeftRunning(msgspec.Struct, frozen=True):
    """Seen by the parent: the worker did not exit after its job, or processes that it started did not, and were ended."""

    names: list[str]
    """Names of the threads and processes, with the line of a thread."""


Message = DataPrepared | AnswersVerified | Figures | PairTimes | JobFailed | JobDone
Event = Message | LeftRunning
"""A message of a worker, or what its parent sees of it."""

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_running: set[Child[Message]] = set()


def run_job(job: BenchJob, waiting: Callable[[Lasting], None] = lambda _: None) -> Generator[Event, None, None]:
    """Run a job in a fresh process and yield its messages as they arrive; `waiting` receives its activity while it sends none.

    The last one is a `JobDone` or a `JobFailed`; that of a process that exits before has its signal or exit code, that of one that
    hangs the arm, the case and the line. Closing the generator, or an exception in the caller, ends the process and everything it
    started.
    """
    command = python_module("harness.bench.worker")
    hash_seed = COUNTING_HASH_SEED if job.task in COUNTING else None
    environment = child_environment(temporary=job.setting.folder)
    with Child(command, _decoder, prefix=job.prefix, environment=environment, cores=job.cpus, hash_seed=hash_seed) as child:
        _running.add(child)
        try:
            child.send(job)
            watch, last = ActivityWatch(child.activity, job.timeout_s), None
            while not isinstance(last, JobDone | JobFailed):
                try:
                    last = child.receive(watch.poll_s)
                except TimeoutError:
                    if child.process.poll() is not None:  # a process that it has forked keeps the channel open
                        yield JobFailed(f"worker exited unexpectedly ({child.exit_description()})", detail=child.output())
                        return
                    lasting = watch.look()
                    if lasting.is_over:
                        yield _hanging(child, lasting, job.file)
                        return
                    waiting(lasting)
                    continue
                if last is None:
                    yield JobFailed(f"worker exited unexpectedly ({child.exit_description()})", detail=child.output())
                    return
                watch.moved()
                if not isinstance(last, JobDone | JobFailed):
                    yield last
            yield from _exit(child, last, job)
        finally:
            _running.discard(child)


def _hanging(child: Child[Message], lasting: Lasting, file: Path) -> JobFailed:
    """Return the failure of a worker whose operation takes too long, with the line in the scenario's file where that is known."""
    is_stopped = child.is_stopped()
    stacks = [] if is_stopped else child.stacks()
    detail = "\n".join(f"{stack.title}: {name}, line {line}" for stack in stacks for name, line in stack.places)
    return JobFailed(lasting.failure(place_of(stacks, file), is_stopped=is_stopped), detail=detail + "\n" + child.output())


def _exit(child: Child[Message], outcome: JobDone | JobFailed, job: BenchJob) -> Generator[Event, None, None]:
    """Yield what a worker left running after its job, if that keeps it from exiting or outlives it, and the outcome."""
    try:
        code = child.process.wait(job.exit_s)
    except subprocess.TimeoutExpired:
        stacks = child.stacks()
        left = [f"{stack.title}{_at(place_of([stack], job.file))}" for stack in stacks if stack.keeps_process]
        unknown = [f"its own exit{_at(place_of(stacks, job.file))}"]
    else:
        left, unknown = [], []
        if isinstance(outcome, JobDone) and code != 0:
            yield JobFailed(f"worker exited unexpectedly ({child.exit_description()})", detail=child.output())
            return
    if names := [*left, *child.left()] or unknown:
        yield LeftRunning(names)
    yield outcome


def _at(place: str) -> str:
    return f" at {place}" if place else ""


def end_all() -> None:
    """Kill every worker, whichever thread receives its messages; each of them receives a `JobFailed`."""
    for child in list(_running):
        kill_group(child.process)


class Outbox:
    """The worker's end of its job: sends messages, and after its outcome nothing more."""

    def __init__(self, parent: channel.Channel) -> None:
        self._parent, self._is_over = parent, False

    def send(self, message: Message) -> None:
        """Send a message, unless the outcome was sent."""
        if not self._is_over:
            self._is_over = isinstance(message, JobDone | JobFailed)
            self._parent.write_line(encode_json(message, encode_path))

    def fail(self, error: Exception) -> None:
        """Send an exception as the outcome, with its traceback."""
        if isinstance(error, HarnessError):
            self.send(JobFailed(str(error), error.code, traceback.format_exc()))
        else:
            self.send(JobFailed(f"{type(error).__name__}: {error}", ScenarioFailedError.code, traceback.format_exc()))


def main() -> None:
    """Do the job on the channel; exits with 0 whatever the job's outcome, which is in the messages.

    The outcome is sent before the event loop is closed, which waits for everything that the scenario has left in its threads.
    """
    parent = channel.connect()
    line = parent.read_line()
    if not line:
        return
    job = msgspec.json.decode(line, type=BenchJob, dec_hook=decode_path)
    outbox, clock, runner = Outbox(parent), ClockCheck(MonotonicClock()), asyncio.Runner()
    try:
        begin("importing the scenario", times=LONG)
        loaded = load(job.file)
        if job.ablate:
            from harness.bench.switches import ablated  # noqa: PLC0415 - imports numpy, which few jobs need

            loaded = ablated(loaded)
        _do(job, loaded, outbox, runner)
        _check(clock)
    except Exception as error:  # noqa: BLE001 - a scenario's own code may raise anything; the parent gets it as a message
        outbox.fail(error)
    else:
        outbox.send(JobDone())
    begin("ending")
    runner.close()


def _check(clock: ClockCheck) -> None:
    """Refuse to go on if the clock does not advance as time passes."""
    if problem := clock.problem():
        raise ScenarioFailedError(problem)


def _do(job: BenchJob, loaded: LoadedScenario, outbox: Outbox, runner: asyncio.Runner) -> None:
    if job.task in {Task.PREPARE, Task.TRY}:
        begin("preparing the data", times=LONG)
        ready = loaded.scenario.prepare(job.setting)
        outbox.send(DataPrepared(dict(ready.dataset), dict(ready.engine_settings), list(ready.warnings)))
    match job.task:
        case Task.TRY | Task.EXAMINE | Task.REVISIT:
            runner.run(_examine(job, loaded, outbox))
        case Task.COUNT:
            runner.run(_count(job, loaded, outbox))
        case Task.INSTRUCTIONS:
            runner.run(_instructions(job, loaded, outbox))
        case Task.PAIRS:
            runner.run(_pairs(job, loaded, outbox))
        case Task.MEMORY:
            outbox.send(Figures(memory=[_memory(job, loaded.scenario, runner)]))


@asynccontextmanager
async def _opened(scenario: RunnableScenario, arm: str, setting: Setting, outbox: Outbox) -> AsyncIterator[Any]:
    """Open an instance of an arm. A failure is sent before it is closed, which may not come to an end after a failure."""
    begin("opening", arm, times=LONG)
    async with scenario.open(arm, setting) as instance:
        try:
            yield instance
        except Exception as error:
            outbox.fail(error)
            raise
        finally:
            begin("closing", arm)


async def _examine(job: BenchJob, loaded: LoadedScenario, outbox: Outbox) -> None:
    scenario, cases = loaded.scenario, _cases(loaded.scenario, job)
    counted_groups = [g for g in scenario.groups if not g.uncounted] if job.task is Task.EXAMINE else []
    watch_new_threads()
    async with AsyncExitStack() as stack:
        relayed, round_trips = stack.enter_context(counting_relay(job.setting.servers if counted_groups else {}))
        setting = replace(job.setting, resets=True, servers={**job.setting.servers, **relayed})
        instances = {arm: await stack.enter_async_context(_opened(scenario, arm, setting, outbox)) for arm in scenario.arms}
        first = [c for c in first_of_each_group(cases) if not scenario.group[c.group].slow]
        verified = await verify(scenario, instances, first if job.task is Task.REVISIT else cases)
        outbox.send(AnswersVerified(verified.cases, [(arm, group, error) for (arm, group), error in verified.cannot_run.items()]))
        if job.task is Task.TRY:  # only whether the arms agree is shown
            return
        for arm, instance in instances.items():
            begin("collecting figures", arm)
            with user_code(scenario.written, arm):
                outbox.send(Figures(await work_counts.facts(scenario, arm, instance, job.setting.scale)))
            for case in first_of_each_group(cases) if job.task is Task.EXAMINE else ():
                if (arm, case.group) in verified.cannot_run or scenario.group[case.group].uncounted:
                    continue
                begin("counting work", arm, case.name, times=LONG)
                with user_code(scenario.written, arm, case.name):
                    counted = await work_counts.count(scenario, arm, instance, case, job.setting.scale)
                    shapes = [replace(s, arm=arm, group=case.group) for s in await scenario.statements(instance, case)]
                    if round_trips and not scenario.group[case.group].slow:
                        counted += await work_counts.round_trips(scenario, arm, instance, case, round_trips)
                    if job.effort.is_full and not scenario.group[case.group].slow:
                        counted += await work_counts.interpreter(scenario, arm, instance, case)
                outbox.send(Figures(counted, shapes))
    for finding in loaded.findings if job.task is not Task.REVISIT else ():
        outbox.send(Figures(findings=[await _demonstrate(scenario, finding, cases, job, outbox)]))


async def _demonstrate(
    scenario: RunnableScenario, finding: DeclaredFinding, cases: list[Case], job: BenchJob, outbox: Outbox
) -> Finding:
    async with _opened(scenario, finding.arm, job.setting, outbox) as instance:
        begin(f"demonstrating {finding.message!r}", finding.arm, times=LONG)
        try:
            with user_code(scenario.written, finding.arm, passed=AssertionError):
                evidence = await resolved(finding.demonstrate(scenario.written, instance, cases))
        except (AssertionError, NotMeasurableError) as error:
            return Finding(finding.arm, finding.message, holds=False, evidence=str(error) or "not demonstrated")
    return Finding(finding.arm, finding.message, holds=True, evidence=evidence)


async def _count(job: BenchJob, loaded: LoadedScenario, outbox: Outbox) -> None:
    scenario = loaded.scenario
    cases = [c for c in first_of_each_group(_cases(scenario, job)) if job.setting.scale in scenario.group[c.group].growth]
    for arm in scenario.arms:
        async with _opened(scenario, arm, job.setting, outbox) as instance:
            for case in cases:
                if (arm, case.group) not in job.excluded:
                    begin("counting work", arm, case.name, times=LONG)
                    with user_code(scenario.written, arm, case.name):
                        outbox.send(Figures(await work_counts.count(scenario, arm, instance, case, job.setting.scale)))


async def _pairs(job: BenchJob, loaded: LoadedScenario, outbox: Outbox) -> None:
    scenario, cases = loaded.scenario, _cases(loaded.scenario, job)
    setting = replace(job.setting, resets=True)
    slow = scenario.groups_with("slow")
    excluded_groups = {*(() if job.slow_groups else slow), *(() if job.effort.is_full else scenario.groups_with("secondary"))}
    groups = tuple(g for g in dict.fromkeys(c.group for c in cases) if g not in excluded_groups)
    budget = TimeBudget(groups, job.budget_ns, job.effort.minimum_pairs, tuple(slow))
    rng = random.Random(f"{job.setting.seed}/{loaded.name}/{job.process}")  # noqa: S311 - reproducible, not cryptographic
    arms = list(scenario.arms)
    rng.shuffle(arms)  # the first instance to be built must not always be the same arm's
    async with AsyncExitStack() as stack:
        instances = {arm: await stack.enter_async_context(_opened(scenario, arm, setting, outbox)) for arm in arms}
        for copy in (AA_CONTROL, *([SLOWED] if job.injected else [])):
            instances[copy] = await stack.enter_async_context(_opened(scenario, BASELINE, setting, outbox))
        clock = MonotonicClock()
        check = ClockCheck(clock)
        pairing = Pairing(scenario, instances, cases, budget, rng, clock, job.excluded, job.effort.slow_from_ns, job.injected)
        await pairing.warm_up()
        _check(check)
        async for pair in pairing.pairs():
            _check(check)
            if min(slot.totals.min_ns for slot in pair.slots) <= 0:
                raise ScenarioFailedError(f"an operation of case {pair.case!r} took no time; {WRONG_CLOCK}")
            outbox.send(pair)


@dataclass
class TimeBudget:
    """Divides a process's time among its groups, whose costs differ by orders of magnitude, and decides which one is timed next."""

    groups: tuple[str, ...]
    """Names of the groups to time."""
    budget_ns: int
    """Nanoseconds in all; each group that is not slow gets the same part of them."""
    minimum_pairs: int
    """Pairs of each group whatever they cost: a median needs them."""
    slow: tuple[str, ...] = ()
    """Groups whose operation takes seconds: one pair each, not counted towards the budget."""
    spent_ns: Counter[str] = field(default_factory=Counter)
    """Group → nanoseconds spent so far, resets included."""
    pairs: Counter[str] = field(default_factory=Counter)
    """Group → pairs timed so far."""

    def add(self, group: str, duration_ns: int) -> None:
        """Count one pair of a group and the time it took."""
        self.pairs[group] += 1
        self.spent_ns[group] += duration_ns

    def next_group(self) -> str | None:
        """Return the group to time next; None when every group has its pairs and its part of the time."""
        short = [g for g in self.groups if self.pairs[g] < (1 if g in self.slow else self.minimum_pairs)]
        if short:
            return min(short, key=lambda g: self.pairs[g])
        quick = [g for g in self.groups if g not in self.slow]
        behind = [g for g in quick if self.spent_ns[g] < self.budget_ns / len(quick)]
        return min(behind, key=lambda g: self.spent_ns[g], default=None)


@dataclass
class Pairing:
    """Times the pairs of one scenario in one process."""

    scenario: RunnableScenario
    instances: Mapping[str, Any]
    """Open instances by arm, the A/A control's among them. That of SLOWED, if there is one, takes part in every pair."""
    cases: Sequence[Case]
    budget: TimeBudget
    rng: random.Random
    clock: Clock
    excluded: Collection[tuple[str, str]] = ()
    """The (arm, group) that cannot run."""
    slow_from_ns: int = sys.maxsize
    """Nanoseconds of a baseline operation from which its group counts as slow."""
    injected: float = 0.0
    """Share of its time by which the instance of SLOWED is slowed."""
    _repeats: dict[tuple[str, str], int] = field(default_factory=dict)
    _operations: Counter[tuple[str, str]] = field(default_factory=Counter)  # (arm, case) → operations so far

    async def warm_up(self) -> None:
        """Run every group on every arm, to fill caches and to size the slots; declared slow groups are left to their one pair."""
        cases, declared = {c.group: c for c in reversed(self.cases)}, self.budget.slow
        for group in self.budget.groups:
            arms = self._arms(group, BASELINE_COPIES)
            for arm in sorted(arms, key=lambda arm: arm != BASELINE):  # the baseline first: it may show that the group is slow
                if group in declared or (arm in BASELINE_COPIES and group in self.budget.slow):
                    self._repeats[arm, group] = 1
                    continue
                begin("warming up", arm, cases[group].name)
                ((_, fastest),) = await self._timed(arm, self.instances[arm], cases[group])
                if fastest <= SLOT_NS:
                    ((_, again),) = await self._timed(arm, self.instances[arm], cases[group])
                    fastest = min(fastest, again)
                self._repeats[arm, group] = max(1, math.ceil(SLOT_NS / max(1, fastest)))
                if arm == BASELINE and fastest >= self.slow_from_ns:
                    self.budget.slow += (group,)
        gc.collect()
        gc.freeze()

    async def pairs(self) -> AsyncIterator[PairTimes]:
        """Yield pairs until the budget is spent. The cases of a group alternate."""
        cases = {g: [c for c in self.cases if c.group == g] for g in self.budget.groups}
        while (group := self.budget.next_group()) is not None:
            started, number = self.clock.now_ns(), self.budget.pairs[group]
            quick = group not in self.budget.slow
            copies = [arm for arm in BASELINE_COPIES if quick and (arm == SLOWED or number % CONTROL_EVERY == 0)]
            pair = await self._pair(cases[group][number % len(cases[group])], copies)
            self.budget.add(group, self.clock.now_ns() - started)
            yield pair

    async def _pair(self, case: Case, copies: Sequence[str]) -> PairTimes:
        order = self._arms(case.group, copies)
        self.rng.shuffle(order)
        equal = [arm for arm in (BASELINE, *BASELINE_COPIES) if arm in self.instances]
        exchanged = self.rng.sample([self.instances[arm] for arm in equal], len(equal))
        instances = {**self.instances, **dict(zip(equal, exchanged, strict=True))}
        slots = []
        for arm in order:
            begin("timing pairs", arm, case.name)
            times = await self._timed(arm, instances[arm], case, self._repeats[arm, case.group])
            slots.append(recorded(arm, [counted for counted, _ in times], self.rng.random()))
        controls_ns = await self._controls_ns(instances[BASELINE]) if AA_CONTROL in copies else {}
        return PairTimes(case.group, case.name, slots, controls_ns)

    async def _timed(self, arm: str, instance: Any, case: Case, repeats: int = 1) -> list[tuple[int, int]]:
        """Time an operation a number of times; an error of it has the repetition, counted from the process's start."""
        times: list[tuple[int, int]] = []
        slowdown = self.injected if arm == SLOWED else 0.0
        try:
            for _ in range(repeats):
                beat()
                times.append(await run_timed(self.scenario, instance, case, self.clock.now_ns, slowdown))
        except HarnessError:
            raise
        except Exception as error:
            repetition = self._operations[arm, case.name] + len(times) + 1
            raise ScenarioFailedError(failure(error, self.scenario.written, arm, case.name, repetition)) from error
        self._operations[arm, case.name] += repeats
        return times

    async def _controls_ns(self, instance: Any) -> dict[str, int]:
        """Time what depends on no arm: the interpreter, and a ping of the baseline instance's server."""
        now_ns = self.clock.now_ns
        begin("timing the controls", BASELINE)
        start = now_ns()
        spin()
        found = {PURE_CPU: now_ns() - start}
        start = now_ns()
        if await self.scenario.ping(instance) is not NotImplemented:
            found[PING] = now_ns() - start
        return found

    def _arms(self, group: str, copies: Sequence[str]) -> list[str]:
        present = [arm for arm in self.instances if arm not in BASELINE_COPIES or arm in copies]
        return [arm for arm in present if (BASELINE if arm in BASELINE_COPIES else arm, group) not in self.excluded]


async def _instructions(job: BenchJob, loaded: LoadedScenario, outbox: Outbox) -> None:
    """Count one arm's instructions, twice for each group that is not slow; the process runs under callgrind."""
    scenario, files = loaded.scenario, instructions.folder(job.setting.folder, job.arm)
    async with _opened(scenario, job.arm, job.setting, outbox) as instance:
        for case in first_of_each_group(_cases(scenario, job)):
            group = scenario.group[case.group]
            if group.slow or group.uncounted or (job.arm, case.group) in job.excluded:
                continue

            async def operation(case: Case = case) -> None:
                await scenario.reset(instance, case, await scenario.run(instance, case))

            begin("counting instructions", job.arm, case.name)  # once: it would be counted itself
            first, second = [await instructions.per_operation(operation, files) for _ in range(2)]
            repeats = abs(second - first) <= instructions.SAME * first
            outbox.send(Figures([WorkCount(job.arm, case.group, "instructions", first, repeats_exactly=repeats)]))


def _memory(job: BenchJob, scenario: RunnableScenario, runner: asyncio.Runner) -> Memory:
    from harness.bench.probes import memory  # noqa: PLC0415 - memory-profiler must run only in a dedicated process

    memory.adopt_orphans()
    stack = AsyncExitStack()
    begin("opening", job.arm, times=LONG)
    instance = runner.run(stack.enter_async_context(scenario.open(job.arm, job.setting)))
    cases = {c.group: c for c in reversed(_cases(scenario, job))}
    case = cases[job.group]
    for group in scenario.groups_with("memory_warm_up"):
        begin("warming up", job.arm, cases[group].name)
        with user_code(scenario.written, job.arm, cases[group].name):
            answer = runner.run(scenario.run(instance, cases[group]))
            runner.run(scenario.reset(instance, cases[group], answer))
    gc.collect()

    def operation() -> Any:
        return runner.run(scenario.run(instance, case))

    begin("measuring memory", job.arm, case.name)
    used, answer, error = memory.MemoryUse(0, 0, 0.0, []), None, None
    try:
        used, answer = memory.measure(operation, MonotonicClock(), job.limit_bytes)
    except Exception as raised:  # noqa: BLE001 - running out of memory raises many types; each is a result
        error = "out of memory" if _is_memory_error(raised) else failure(raised, scenario.written, job.arm, case.name)
    rows = None
    if error is None:
        with user_code(scenario.written, job.arm, case.name):
            rows = None if answer is None else scenario.rows(case, answer)
            runner.run(scenario.reset(instance, case, answer))
        begin("closing", job.arm)
        runner.run(stack.aclose())
    return Memory(job.arm, job.group, *used, rows=rows, scale=job.setting.scale, limit_bytes=job.limit_bytes, error=error)


def _is_memory_error(error: BaseException | None) -> bool:
    if error is None or isinstance(error, MemoryError) or "out of memory" in str(error):
        return error is not None
    return _is_memory_error(error.__cause__ or error.__context__)


def _cases(scenario: RunnableScenario, job: BenchJob) -> list[Case]:
    """Return the scenario's cases, made once per run and cached with its data."""

    def make() -> list[Case]:
        begin("making the cases", times=LONG)
        cases = list(scenario.cases(job.setting))
        if not cases:
            raise ScenarioFailedError(f"{shown(job.file)} returns no cases for size {job.setting.size!r}, seed {job.setting.seed}")
        name, times = Counter(case.name for case in cases).most_common(1)[0]
        if times > 1:
            raise ScenarioFailedError(f"{shown(job.file)} has two cases named {name!r}; give every case a unique name")
        return cases

    try:
        return cached_cases(job.setting.folder / f"cases-{job.setting.scale:g}.pickle", make)
    except UnpicklableCaseError as error:
        raise ScenarioFailedError(f"{shown(job.file)}: {error}") from error


if __name__ == "__main__":
    main()
