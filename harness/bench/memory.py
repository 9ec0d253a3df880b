"""The job that measures memory: one operation of an arm in a process of its own."""

import asyncio
import gc
from contextlib import AsyncExitStack
from typing import Any

from harness.bench.instance import cases_of
from harness.bench.job import BenchJob
from harness.bench.probes import memory
from harness.results.run import Memory
from harness.runnable import RunnableScenario
from harness.runtime.channel import LONG, begin
from harness.runtime.clock import MonotonicClock
from harness.user_code import failure, user_code


def measure_memory(job: BenchJob, scenario: RunnableScenario, runner: asyncio.Runner) -> Memory:
    """Measure the memory of one operation of the job's arm and group."""
    memory.adopt_orphans()
    stack = AsyncExitStack()
    begin("opening", job.arm, times=LONG)
    instance = runner.run(stack.enter_async_context(scenario.open(job.arm, job.setting)))
    cases = {c.group: c for c in reversed(cases_of(scenario, job))}
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
