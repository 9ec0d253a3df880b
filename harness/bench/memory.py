"""The job that measures memory: the operations of one arm in one process, group by group, each repeated.

Groups are measured in the given order, those declared slow last: the memory of a small operation would hide in what a large one has
left in the allocator. Each group is sent when it is measured, so that a later one that ends the process costs no figure.
"""

import gc
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from statistics import median_low
from typing import Any, NamedTuple

from harness.bench.instance import Outbox, cases_of, opened
from harness.bench.job import BenchJob, Figures
from harness.bench.probes import memory
from harness.bench.probes.memory import MemoryMeter, MemoryUse
from harness.discovery import LoadedScenario
from harness.errors import text_of
from harness.network.addresses import local_address
from harness.results.run import Memory
from harness.runnable import RunnableScenario
from harness.runtime.channel import begin
from harness.runtime.clock import Clock, MonotonicClock
from harness.scenario import Case, Setting
from harness.servers.lifecycle import processes
from harness.user_code import causes, failure, is_request, user_code

REPETITIONS = 3
"""Repetitions of an operation after one that warms up, where there is time for them."""
FEWEST = 2
"""Repetitions in any case, except of an operation declared slow, so that there is a range."""
LONG_S = 1.0
"""Seconds of an operation from which the first repetition may be one of the fewest."""
SAMPLED_S = 0.1
"""Seconds in which a quick operation is repeated, so that it has a curve."""
MOST_REPETITIONS = 10
"""Limit of the repetitions of a quick operation."""


class _Servers(NamedTuple):
    """The servers of an instance."""

    pids: Mapping[str, int]
    """Name → process id of those that are measured."""
    left_out: Mapping[str, str]
    """Name → the reason why it is not."""


async def measure_memory(job: BenchJob, loaded: LoadedScenario, outbox: Outbox) -> None:
    """Measure one arm in the job's groups; an instance whose operation failed is closed, and the next group gets another one."""
    scenario, clock = loaded.scenario, MonotonicClock()
    with MemoryMeter(clock, job.limit_bytes) as meter:
        cases = {case.group: case for case in reversed(cases_of(scenario, job))}
        groups = [
            group for group in sorted(job.groups, key=lambda g: scenario.group[g].slow) if (job.arm, group) not in job.excluded
        ]
        left, spent_ns = deque(group for group in groups if group in cases), 0
        while left:
            async with opened(scenario, job.arm, job.setting, outbox) as instance:
                await _warm_up(job, scenario, instance, cases)
                servers = _servers(scenario, instance, job.setting)
                meter.servers = servers.pids
                completed = True
                while left and completed:
                    share_ns, started_ns = max(0, job.budget_ns - spent_ns) // len(left), clock.now_ns()
                    found = await _GroupMemory(job, scenario, instance, meter, clock, share_ns).measure(
                        cases[left.popleft()], servers
                    )
                    spent_ns += clock.now_ns() - started_ns
                    outbox.send(Figures(memory=[found]))
                    completed = found.error is None


async def _warm_up(job: BenchJob, scenario: RunnableScenario, instance: Any, cases: Mapping[str, Case]) -> None:
    """Run each quick group that is not to be measured, so that every process has loaded the same when it measures a slow one."""
    for name, group in scenario.group.items():
        if name in cases and not group.slow and name not in job.groups and (job.arm, name) not in job.excluded:
            begin("warming up", job.arm, cases[name].name)
            with user_code(scenario.written, job.arm, cases[name].name):
                await scenario.reset(instance, cases[name], await scenario.run(instance, cases[name]))
    gc.collect()
    gc.freeze()


class _GroupMemory(NamedTuple):
    """Measures the memory of one arm in a group."""

    job: BenchJob
    scenario: RunnableScenario
    instance: Any
    meter: MemoryMeter
    clock: Clock
    share_ns: int
    """The nanoseconds that the group may take, if it is measured at least once."""

    async def measure(self, case: Case, servers: _Servers) -> Memory:
        """Repeat the case and return its memory; an exception of it is a result. An operation declared slow is run once."""
        job, rows, error = self.job, None, None
        once = self.scenario.group[case.group].slow or job.limit_bytes is not None
        most = 1 if once else FEWEST if job.effort.is_preview else MOST_REPETITIONS
        try:
            with self.meter.sampling():
                rows = await self._repeat(case, most)
        except BaseException as raised:
            if is_request(raised):
                raise
            error = "out of memory" if _is_memory_error(raised) else failure(raised, self.scenario.written, job.arm, case.name)
        base = Memory(job.arm, case.group, 0, 0, 0.0, [], rows, job.setting.scale, job.limit_bytes, left_out=dict(servers.left_out))
        return replace(base, error=error) if error is not None else _of_repetitions(base, self.meter)

    async def _repeat(self, case: Case, most: int) -> int | None:
        """Run the case until there are enough repetitions after the first one or no time is left; return the rows of its answer."""
        begun_ns, rows = self.clock.now_ns(), None
        for number in range(1, most + 1):
            begin("measuring memory", self.job.arm, case.name)
            before_ns = self.clock.now_ns()
            with self.meter.measuring():
                answer = await self.scenario.run(self.instance, case)
            rows = None if answer is None else self.scenario.rows(case, answer)
            await self.scenario.reset(self.instance, case, answer)
            del answer
            now_ns = self.clock.now_ns()
            lasted_ns, spent_ns = now_ns - before_ns, now_ns - begun_ns
            if number > REPETITIONS and spent_ns >= SAMPLED_S * 1e9:
                break
            if number >= FEWEST + (lasted_ns < LONG_S * 1e9) and spent_ns + lasted_ns > self.share_ns:
                break
        return rows


def _of_repetitions(base: Memory, meter: MemoryMeter) -> Memory:
    """Return the memory of the repetition that added the median, with the range of all; the first one warms up if others follow."""
    uses = meter.uses()
    uses = uses[1:] if len(uses) > FEWEST else uses
    added = [max(0, use.peak_bytes - use.idle_bytes) for use in uses]
    middle: MemoryUse = uses[added.index(median_low(added))]
    found = replace(base, idle_bytes=middle.idle_bytes, peak_bytes=middle.peak_bytes, seconds=middle.seconds)
    found = replace(found, curve=memory.curve(middle, uses), repetitions=len(uses), servers=dict(middle.servers))
    return replace(found, lowest_added_bytes=min(added), highest_added_bytes=max(added)) if len(added) > 1 else found


def _servers(scenario: RunnableScenario, instance: Any, setting: Setting) -> _Servers:
    """Return the servers of an instance: those that it names, and those of its setting."""
    with user_code(scenario.written):
        named = dict(scenario.targets(instance))
    running = processes(setting.servers)
    named |= {name: pid for name, pid in running.items() if pid not in named.values()}
    left_out = {}
    for name, server in setting.servers.items():
        if name not in running:
            is_here = local_address(server.direct_url) is not None
            left_out[name] = "its process is another user's or in a container" if is_here else "it runs on another host"
    left_out |= {
        name: reason for name, pid in named.items() if (reason := memory.unreadable(pid) if pid else "its process is not known")
    }
    return _Servers({name: pid for name, pid in named.items() if name not in left_out}, left_out)


def _is_memory_error(error: BaseException) -> bool:
    return any(isinstance(each, MemoryError) or "out of memory" in text_of(each) for each in causes(error))
