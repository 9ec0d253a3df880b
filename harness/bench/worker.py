"""A bench worker: a fresh process that does one job of a run. Its job, its messages, the parent's `run_job`, and what it does.

Always a fresh interpreter, so that hash seed, memory layout and caches differ between processes as they do in production.
"""

import asyncio
import gc
import random
import signal
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from harness.bench import work_counts
from harness.bench.operations import cached_cases, first_of_each_group
from harness.bench.pairing import SLOWED, Pairing, PairTimes, TimeBudget
from harness.bench.probes import instructions
from harness.bench.probes.calls import watch_new_threads
from harness.bench.probes.round_trips import CountingRelay
from harness.bench.verify import verify
from harness.discovery import LoadedScenario, load
from harness.errors import HarnessError, NotMeasurableError, ScenarioFailedError
from harness.results.run import AA_CONTROL, BASELINE, Finding, Memory, Statement, WorkCount
from harness.runnable import RunnableScenario, resolved
from harness.runtime import channel
from harness.runtime.child import Child, JobFailed, decode_path, encode_path, kill_group, python_module
from harness.runtime.clock import MonotonicClock
from harness.scenario import Case, DeclaredFinding, Setting


class Task(StrEnum):
    """The kinds of job."""

    PREPARE = "prepare"
    """Build the data that instances start from."""
    TRY = "try"
    """Build the data, verify the answers and try the findings."""
    EXAMINE = "examine"
    """Verify the answers, count the work, collect the statements with their plans and try the findings."""
    REVISIT = "revisit"
    """Verify the answers and collect the arms' own figures, at a higher RTT than the lowest."""
    COUNT = "count"
    """Count the work at another scale."""
    PAIRS = "pairs"
    """Time pairs."""
    MEMORY = "memory"
    """Measure the memory of one operation of one arm and group."""
    INSTRUCTIONS = "instructions"
    """Count the instructions of one arm; the process runs under callgrind."""


COUNTING = (Task.EXAMINE, Task.COUNT, Task.INSTRUCTIONS)
COUNTING_HASH_SEED = 0
"""Hash seed of processes that count work: the order of sets decides which functions are called, and how often."""


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
    minimum_pairs: int = 1
    """Pairs of each group, whatever the budget."""
    arm: str = ""
    """The arm to measure, for memory and instructions."""
    group: str = ""
    """The group to measure, for memory."""
    limit_bytes: int | None = None
    """Memory that the operation may add; None: no limit."""
    timeout_s: int = 0
    """Seconds until the process is ended by the kernel; 0: no timeout."""
    slow_groups: bool = True
    """Whether to time the groups declared slow."""
    slow_from_ns: int = sys.maxsize
    """Nanoseconds of a baseline operation from which its group counts as slow."""
    secondary_groups: bool = True
    """Whether to time the secondary groups."""
    interpreter: bool = True
    """Whether to count calls and allocations in addition to the data layer's work."""
    cases_per_group: int | None = None
    """Cases of each group to verify; None verifies all."""
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

    dataset: dict[str, str | int]
    """Description of the data, with their digest."""
    engine_settings: dict[str, str]
    """Version and settings of the engine."""


class AnswersVerified(msgspec.Struct, tag=True, frozen=True):
    """The arms' answers are equal."""

    cases: int
    """Number of cases verified."""
    cannot_run: list[tuple[str, str, str]]
    """(arm, group, error) of arms that raised as written."""


class WorkCounted(msgspec.Struct, tag=True, frozen=True):
    """Work counts and statements of one arm in one group."""

    work_counts: list[WorkCount]
    """The counts."""
    statements: list[Statement] = []
    """The statements with their plans."""


class FindingTried(msgspec.Struct, tag=True, frozen=True):
    """One finding was tried."""

    finding: Finding
    """The finding and whether it was demonstrated."""


class MemoryMeasured(msgspec.Struct, tag=True, frozen=True):
    """The memory of one operation was measured."""

    memory: Memory
    """The measurement."""


class JobDone(msgspec.Struct, tag=True, frozen=True):
    """The job is complete."""


Event = DataPrepared | AnswersVerified | WorkCounted | FindingTried | PairTimes | MemoryMeasured | JobFailed | JobDone
Send = Callable[[Event], None]

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_running: set[Child[Event]] = set()


def run_job(job: BenchJob) -> Generator[Event, None, None]:
    """Run a job in a fresh process and yield its messages as they arrive.

    The last one is a `JobDone` or a `JobFailed`; that of a process that exits before has its signal or exit code. Closing the
    generator, or an exception in the caller, ends the process and everything it started.
    """
    command = python_module("harness.bench.worker")
    hash_seed = COUNTING_HASH_SEED if job.task in COUNTING else None
    with Child(command, _decoder, prefix=job.prefix, cores=job.cpus, hash_seed=hash_seed) as child:
        _running.add(child)
        try:
            child.send(job)
            last: Event | None = None
            while (event := child.receive()) is not None:
                last = event
                yield event
            code = child.process.wait()
            if not (isinstance(last, JobFailed) or (isinstance(last, JobDone) and code == 0)):
                yield JobFailed(f"worker exited unexpectedly ({child.exit_description()})", detail=child.output())
        finally:
            _running.discard(child)


def end_all() -> None:
    """Kill every worker, whichever thread receives its messages; each of them receives a `JobFailed`."""
    for child in list(_running):
        kill_group(child.process)


def decode_job(line: bytes) -> BenchJob:
    """Return the job in a line of JSON."""
    return msgspec.json.decode(line, type=BenchJob, dec_hook=decode_path)


def main() -> None:
    """Do the job on the channel; exits with 0 whatever the job's outcome, which is in the messages."""
    parent = channel.connect()
    line = parent.read_line()
    if not line:
        return
    job = decode_job(line)
    encoder = msgspec.json.Encoder(enc_hook=encode_path)

    def send(event: Event) -> None:
        parent.write_line(encoder.encode(event))

    signal.alarm(job.timeout_s)  # the kernel's, because a process that ran out of memory may hang outside of Python code
    try:
        loaded = load(job.file)
        if job.ablate:
            from harness.bench.switches import ablated  # noqa: PLC0415 - imports numpy, which few jobs need

            loaded = ablated(loaded)
        _do(job, loaded, send)
    except HarnessError as error:
        send(JobFailed(str(error), error.code, traceback.format_exc()))
    except Exception as error:  # noqa: BLE001 - a scenario's own code may raise anything; the parent gets it as a message
        send(JobFailed(f"{type(error).__name__}: {error}", ScenarioFailedError.code, traceback.format_exc()))
    else:
        send(JobDone())


def _do(job: BenchJob, loaded: LoadedScenario, send: Send) -> None:
    if job.task in {Task.PREPARE, Task.TRY}:
        ready = loaded.scenario.prepare(job.setting)
        send(DataPrepared(dict(ready.dataset), dict(ready.engine_settings)))
    if job.task in {Task.TRY, Task.EXAMINE, Task.REVISIT}:
        asyncio.run(_examine(job, loaded, send))
    elif job.task is Task.COUNT:
        asyncio.run(_count(job, loaded, send))
    elif job.task is Task.INSTRUCTIONS:
        asyncio.run(_instructions(job, loaded.scenario, send))
    elif job.task is Task.PAIRS:
        asyncio.run(_pairs(job, loaded, send))
    elif job.task is Task.MEMORY:
        send(MemoryMeasured(_memory(job, loaded.scenario)))


async def _examine(job: BenchJob, loaded: LoadedScenario, send: Send) -> None:
    scenario, cases = loaded.scenario, _cases(loaded.scenario, job)
    counted_groups = [g for g in scenario.groups if not g.uncounted] if job.task is Task.EXAMINE else []
    watch_new_threads()
    async with AsyncExitStack() as stack:
        relay = stack.enter_context(CountingRelay(job.setting.servers if counted_groups else {}))
        setting = replace(job.setting, resets=True, servers={**job.setting.servers, **relay.servers})
        instances = {arm: await stack.enter_async_context(scenario.open(arm, setting)) for arm in scenario.arms}
        to_verify = [c for c in cases if job.task is not Task.REVISIT or not scenario.group[c.group].slow]
        verified = await verify(scenario, instances, first_of_each_group(to_verify, job.cases_per_group))
        send(AnswersVerified(verified.cases, [(arm, group, error) for (arm, group), error in verified.cannot_run.items()]))
        if job.task is Task.TRY:  # only whether the arms agree is shown
            return
        for arm, instance in instances.items():
            send(WorkCounted(await work_counts.facts(scenario, arm, instance, job.setting.scale)))
            for case in first_of_each_group(cases) if job.task is Task.EXAMINE else ():
                if (arm, case.group) in verified.cannot_run or scenario.group[case.group].uncounted:
                    continue
                counted = await work_counts.count(scenario, arm, instance, case, job.setting.scale)
                shapes = [replace(s, arm=arm, group=case.group) for s in await scenario.statements(instance, case)]
                if relay.counts and not scenario.group[case.group].slow:
                    counted += await work_counts.round_trips(scenario, arm, instance, case, relay)
                if job.interpreter and not scenario.group[case.group].slow:
                    counted += await work_counts.interpreter(scenario, arm, instance, case)
                send(WorkCounted(counted, shapes))
    for finding in loaded.findings if job.task is not Task.REVISIT else ():
        send(FindingTried(await _demonstrate(scenario, finding, cases, job)))


async def _demonstrate(scenario: RunnableScenario, finding: DeclaredFinding, cases: list[Case], job: BenchJob) -> Finding:
    async with scenario.open(finding.arm, job.setting) as instance:
        try:
            evidence = await resolved(finding.demonstrate(scenario.written, instance, cases))
        except (AssertionError, NotMeasurableError) as error:
            return Finding(finding.arm, finding.message, holds=False, evidence=str(error) or "not demonstrated")
    return Finding(finding.arm, finding.message, holds=True, evidence=evidence)


async def _count(job: BenchJob, loaded: LoadedScenario, send: Send) -> None:
    scenario = loaded.scenario
    cases = [c for c in first_of_each_group(_cases(scenario, job)) if job.setting.scale in scenario.group[c.group].growth]
    for arm in scenario.arms:
        async with scenario.open(arm, job.setting) as instance:
            for case in cases:
                if (arm, case.group) not in job.excluded:
                    send(WorkCounted(await work_counts.count(scenario, arm, instance, case, job.setting.scale)))


async def _pairs(job: BenchJob, loaded: LoadedScenario, send: Send) -> None:
    scenario, cases, clock = loaded.scenario, _cases(loaded.scenario, job), MonotonicClock()
    setting = replace(job.setting, resets=True)
    slow = tuple(scenario.groups_with("slow"))
    excluded_groups = {*(() if job.slow_groups else slow), *(() if job.secondary_groups else scenario.groups_with("secondary"))}
    groups = tuple(g for g in dict.fromkeys(c.group for c in cases) if g not in excluded_groups)
    budget = TimeBudget(groups, job.budget_ns, job.minimum_pairs, slow)
    rng = random.Random(f"{job.setting.seed}/{loaded.name}/{job.process}")  # noqa: S311 - reproducible, not cryptographic
    arms = list(scenario.arms)
    rng.shuffle(arms)  # the first instance to be built must not always be the same arm's
    async with AsyncExitStack() as stack:
        instances = {arm: await stack.enter_async_context(scenario.open(arm, setting)) for arm in arms}
        for copy in (AA_CONTROL, *([SLOWED] if job.injected else [])):
            instances[copy] = await stack.enter_async_context(scenario.open(BASELINE, setting))
        pairing = Pairing(
            scenario,
            instances,
            cases,
            budget,
            rng,
            clock,
            excluded=job.excluded,
            slow_from_ns=job.slow_from_ns,
            injected=job.injected,
        )
        await pairing.warm_up()
        async for pair in pairing.pairs():
            send(pair)


async def _instructions(job: BenchJob, scenario: RunnableScenario, send: Send) -> None:
    """Count one arm's instructions, twice for each group that is not slow; the process runs under callgrind."""
    excluded_groups = {*scenario.groups_with("slow"), *scenario.groups_with("uncounted")}
    cases = [c for c in first_of_each_group(_cases(scenario, job)) if c.group not in excluded_groups]
    async with scenario.open(job.arm, job.setting) as instance:
        for case in cases:
            if (job.arm, case.group) in job.excluded:
                continue

            async def operation(case: Case = case) -> None:
                await scenario.reset(instance, case, await scenario.run(instance, case))

            first, second = [
                await instructions.per_operation(operation, instructions.folder(job.setting.folder, job.arm)) for _ in range(2)
            ]
            repeats = abs(second - first) <= instructions.SAME * first
            send(WorkCounted([WorkCount(job.arm, case.group, "instructions", first, repeats_exactly=repeats)]))


def _memory(job: BenchJob, scenario: RunnableScenario) -> Memory:
    from harness.bench.probes import memory  # noqa: PLC0415 - memory-profiler must run only in a dedicated process

    clock = MonotonicClock()
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        instance = runner.run(stack.enter_async_context(scenario.open(job.arm, job.setting)))
        cases = {c.group: c for c in reversed(_cases(scenario, job))}
        case = cases[job.group]
        for group in scenario.groups_with("memory_warm_up"):
            answer = runner.run(scenario.run(instance, cases[group]))
            runner.run(scenario.reset(instance, cases[group], answer))
        gc.collect()

        def operation() -> Any:
            return runner.run(scenario.run(instance, case))

        used, answer, error = memory.MemoryUse(0, 0, 0.0, []), None, None
        try:
            if job.limit_bytes is None:
                used, answer = memory.measure(operation, clock)
            else:
                used, answer = memory.measure_limited(operation, job.limit_bytes, clock)
        except Exception as raised:  # noqa: BLE001 - running out of memory raises many types; each is a result
            error = "out of memory" if _is_memory_error(raised) else f"{type(raised).__name__}: {raised}"
        rows = None if answer is None else scenario.rows(case, answer)
        if error is None:
            runner.run(scenario.reset(instance, case, answer))
            runner.run(stack.aclose())
    return Memory(
        arm=job.arm,
        group=job.group,
        idle_bytes=used.idle_bytes,
        peak_bytes=used.peak_bytes,
        seconds=used.seconds,
        curve=used.curve,
        rows=rows,
        scale=job.setting.scale,
        limit_bytes=job.limit_bytes,
        error=error,
    )


def _is_memory_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError) or "out of memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _cases(scenario: RunnableScenario, job: BenchJob) -> list[Case]:
    """Return the scenario's cases, made once per run and cached with its data."""
    return cached_cases(job.setting.folder / f"cases-{job.setting.scale:g}.pickle", lambda: _checked_cases(scenario, job))


def _checked_cases(scenario: RunnableScenario, job: BenchJob) -> list[Case]:
    cases = list(scenario.cases(job.setting))
    if not cases:
        raise ScenarioFailedError(f"{job.file} returns no cases for size {job.setting.size!r}, seed {job.setting.seed}")
    names = [c.name for c in cases]
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise ScenarioFailedError(f"{job.file} has two cases named {twice!r}; give every case a unique name")
    return cases


if __name__ == "__main__":
    main()
