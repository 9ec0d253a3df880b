"""A child process: reads one job from standard input, does it, and writes events to standard output.

Always a fresh interpreter, so that hash seed, memory layout and caches differ from process to process as they do in production.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import pickle
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, BinaryIO

import msgspec

from harness.bench import work_counts as exact
from harness.bench.pairing import SLOWED, Pairing
from harness.bench.probes import instructions
from harness.bench.probes.calls import watch_new_threads
from harness.bench.probes.round_trips import CountingRelay
from harness.bench.protocol import (
    AnswersVerified,
    BenchJob,
    DataPrepared,
    Event,
    FindingTried,
    JobDone,
    JobFailed,
    MemoryMeasured,
    PairTimes,
    SlotTimes,
    WorkCounted,
    decode_job,
)
from harness.bench.time_budget import Shares
from harness.bench.verify import verify
from harness.discovery import LoadedScenario, load
from harness.errors import HarnessError, NotMeasurableError, ScenarioFailedError
from harness.results.run import BASELINE, CONTROL, Finding, Memory, WorkCount
from harness.runnable import RunnableScenario, resolved
from harness.runtime.clock import MonotonicClock
from harness.runtime.cores import settle
from harness.scenario import Case, DeclaredFinding

_PR_SET_PDEATHSIG = 1
Emit = Callable[[Event], None]


def main() -> None:
    """Do the job on standard input; exits 0 whatever the job's outcome, which is in the events."""
    die_with_parent()
    channel = only_events_on_stdout()
    job = decode_job(sys.stdin.buffer.read())
    if job.cpus:
        settle(job.cpus)
    emit = _emitter(channel)
    signal.alarm(job.timeout_s)  # the kernel's, because a process that ran out of memory may hang where no code of ours runs
    try:
        loaded = load(job.file)
        if job.ablate:
            from harness.bench.switches import ablated  # noqa: PLC0415 - brings numpy, which few jobs need

            loaded = ablated(loaded)
        _do(job, loaded, emit)
    except HarnessError as error:
        emit(JobFailed(str(error), error.code, traceback.format_exc()))
    except Exception as error:  # noqa: BLE001 - a scenario's own code may raise anything; the event carries it to the coordinator
        emit(JobFailed(f"{type(error).__name__}: {error}", ScenarioFailedError.code, traceback.format_exc()))
    else:
        emit(JobDone())


def _emitter(channel: BinaryIO) -> Emit:
    encoder = msgspec.json.Encoder()

    def emit(event: Event) -> None:
        channel.write(encoder.encode(event) + b"\n")
        channel.flush()

    return emit


def _do(job: BenchJob, loaded: LoadedScenario, emit: Emit) -> None:
    if job.task in {"prepare", "try"}:
        ready = loaded.scenario.prepare(job.setting)
        emit(DataPrepared(dict(ready.dataset), dict(ready.engine_settings)))
    if job.task in {"try", "examine", "revisit"}:
        asyncio.run(_examine(job, loaded, emit))
    elif job.task == "count":
        asyncio.run(_count(job, loaded, emit))
    elif job.task == "instructions":
        asyncio.run(_instructions(job, loaded.scenario, emit))
    elif job.task == "pairs":
        asyncio.run(_pairs(job, loaded, emit))
    elif job.task == "memory":
        emit(MemoryMeasured(_memory(job, loaded.scenario)))


async def _examine(job: BenchJob, loaded: LoadedScenario, emit: Emit) -> None:
    scenario, cases = loaded.scenario, _cases(loaded.scenario, job)
    counted_groups = [g for g in scenario.groups if not g.uncounted] if job.task == "examine" else []
    watch_new_threads()
    async with AsyncExitStack() as stack:
        relay = stack.enter_context(CountingRelay(job.setting.servers if counted_groups else {}))
        setting = replace(job.setting, resets=True, servers={**job.setting.servers, **relay.servers})
        instances = {arm: await stack.enter_async_context(scenario.open(arm, setting)) for arm in scenario.arms}
        tried = [c for c in cases if job.task != "revisit" or not scenario.group[c.group].slow]
        seen = await verify(scenario, instances, _first_of_each_group(tried, job.cases_per_group))
        emit(AnswersVerified(seen.cases, [(arm, group, error) for (arm, group), error in seen.cannot_run.items()]))
        if job.task == "try":  # nobody would see more than whether the arms agree
            return
        for arm, instance in instances.items():
            emit(WorkCounted(await exact.facts(scenario, arm, instance, job.setting.scale)))
            for case in _first_of_each_group(cases) if job.task == "examine" else ():
                if (arm, case.group) in seen.cannot_run or scenario.group[case.group].uncounted:
                    continue
                counted = await exact.count(scenario, arm, instance, case, job.setting.scale)
                shapes = [replace(s, arm=arm, group=case.group) for s in await scenario.statements(instance, case)]
                if relay.counts and not scenario.group[case.group].slow:
                    counted += await exact.round_trips(scenario, arm, instance, case, relay)
                if job.interpreter and not scenario.group[case.group].slow:
                    counted += await exact.interpreter(scenario, arm, instance, case)
                emit(WorkCounted(counted, shapes))
    for finding in loaded.findings if job.task != "revisit" else ():
        emit(FindingTried(await _demonstrate(scenario, finding, cases, job)))


async def _demonstrate(scenario: RunnableScenario, finding: DeclaredFinding, cases: list[Case], job: BenchJob) -> Finding:
    async with scenario.open(finding.arm, job.setting) as instance:
        try:
            evidence = await resolved(finding.demonstrate(scenario.written, instance, cases))
        except (AssertionError, NotMeasurableError) as instead:
            return Finding(finding.arm, finding.message, holds=False, evidence=str(instead) or "it did not show")
    return Finding(finding.arm, finding.message, holds=True, evidence=evidence)


async def _count(job: BenchJob, loaded: LoadedScenario, emit: Emit) -> None:
    scenario = loaded.scenario
    cases = [c for c in _first_of_each_group(_cases(scenario, job)) if job.setting.scale in scenario.group[c.group].growth]
    for arm in scenario.arms:
        async with scenario.open(arm, job.setting) as instance:
            for case in cases:
                if (arm, case.group) not in job.excluded:
                    emit(WorkCounted(await exact.count(scenario, arm, instance, case, job.setting.scale)))


async def _pairs(job: BenchJob, loaded: LoadedScenario, emit: Emit) -> None:
    scenario, cases, clock = loaded.scenario, _cases(loaded.scenario, job), MonotonicClock()
    setting = replace(job.setting, resets=True)
    slow = tuple(scenario.groups_with("slow"))
    left_out = {*(() if job.slow_groups else slow), *(() if job.secondary_groups else scenario.groups_with("secondary"))}
    groups = tuple(g for g in dict.fromkeys(c.group for c in cases) if g not in left_out)
    shares = Shares(groups, job.budget_ns, job.minimum_pairs, slow)
    coin = random.Random(f"{job.setting.seed}/{loaded.name}/{job.process}")  # noqa: S311 - a coin that can be tossed again
    arms = list(scenario.arms)
    coin.shuffle(arms)  # which instance is built first must not always favour the same arm
    async with AsyncExitStack() as stack:
        instances = {arm: await stack.enter_async_context(scenario.open(arm, setting)) for arm in arms}
        for again in (CONTROL, *([SLOWED] if job.injected else [])):
            instances[again] = await stack.enter_async_context(scenario.open(BASELINE, setting))
        barred = frozenset(job.excluded)
        pairing = Pairing(
            scenario, instances, cases, shares, coin, clock, lambda *pair: pair in barred, job.slow_from_ns, job.injected
        )
        await pairing.warm_up()
        async for pair in pairing.pairs():
            slots = [SlotTimes(s.arm, s.position, s.latencies_ns) for s in pair.slots]
            emit(PairTimes(pair.group, pair.case, slots, pair.controls_ns))


async def _instructions(job: BenchJob, scenario: RunnableScenario, emit: Emit) -> None:
    """Count one arm's instructions, twice for each group that is light; the process runs under callgrind."""
    left_out = {*scenario.groups_with("slow"), *scenario.groups_with("uncounted")}
    cases = [c for c in _first_of_each_group(_cases(scenario, job)) if c.group not in left_out]
    async with scenario.open(job.arm, job.setting) as instance:
        for case in cases:
            if (job.arm, case.group) in job.excluded:
                continue

            async def operation(case: Case = case) -> None:
                await scenario.reset(instance, case, await scenario.run(instance, case))

            first, second = [
                await instructions.per_operation(operation, instructions.folder(job.setting.folder, job.arm)) for _ in range(2)
            ]
            same = abs(second - first) <= instructions.SAME * first
            emit(WorkCounted([WorkCount(job.arm, case.group, "instructions", first, repeats_exactly=same)]))


def _memory(job: BenchJob, scenario: RunnableScenario) -> Memory:
    from harness.bench.probes import memory  # noqa: PLC0415 - memory-profiler belongs in this dedicated child alone

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
        except Exception as raised:  # noqa: BLE001 - running out of memory has many faces; each is the result
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
    """Return the scenario's cases, made once a run and kept beside its data: every process starts with them."""
    kept = job.setting.folder / f"cases-{job.setting.scale:g}.pickle"
    if kept.exists():
        found: list[Case] = pickle.loads(kept.read_bytes())  # noqa: S301 - written by this run, in its own folder
        return found
    cases = _checked_cases(scenario, job)
    partial = kept.with_suffix(f".{os.getpid()}")
    partial.write_bytes(pickle.dumps(cases))
    partial.rename(kept)
    return cases


def _checked_cases(scenario: RunnableScenario, job: BenchJob) -> list[Case]:
    cases = list(scenario.cases(job.setting))
    if not cases:
        raise ScenarioFailedError(f"{job.file} gives no cases for size {job.setting.size!r}, seed {job.setting.seed}")
    names = [c.name for c in cases]
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise ScenarioFailedError(f"{job.file} names two cases {twice!r}; every case needs a name of its own")
    return cases


def _first_of_each_group(cases: list[Case], number: int | None = 1) -> list[Case]:
    """Return the first cases of each group, in their order; None keeps all."""
    if number is None:
        return cases
    taken: Counter[str] = Counter()
    kept = []
    for case in cases:
        taken[case.group] += 1
        if taken[case.group] <= number:
            kept.append(case)
    return kept


def only_events_on_stdout() -> BinaryIO:
    """Return the real standard output for events, and send what a scenario prints to standard error instead."""
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return channel


def die_with_parent() -> None:
    """Ask the kernel to end this process when the coordinator ends, however it ends; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it decides what is kept


if __name__ == "__main__":
    main()
