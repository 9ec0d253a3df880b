"""Pairs as a run times them: the workload and its slower twin in a fresh process, timed by the harness's worker."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from statistics import fmean

from harness.bench.pairing import PairTimes
from harness.bench.worker import BenchJob, Task, run_job
from harness.errors import ScenarioFailedError
from harness.results.run import BASELINE
from harness.runtime.child import JobFailed
from harness.runtime.clock import MonotonicClock
from harness.runtime.cores import choose_cores
from harness.scenario import Setting
from harness.stats.sequential_test import SLOWER, SequentialTest
from tools.validation.times import workload
from tools.validation.times.workload import QueryWorkload

MARGIN = 0.01
"""The smallest slowdown that the harness's rule tests for, as a share."""

LONGEST_S = 10.0
FEWEST_PAIRS = 60
"""Fewest pairs of a stream, for rules that are evaluated once."""


@dataclass(frozen=True)
class Stream:
    """The pairs of one process, in ns: an operation of the baseline and of its twin, and all slots up to a pair's end."""

    percent: int
    base_ns: list[float]
    other_ns: list[float]
    spent_ns: list[int]

    @property
    def log_ratios(self) -> list[float]:
        """The twin against the baseline, above 0 where it is slower."""
        return [math.log(other / base) for base, other in zip(self.base_ns, self.other_ns, strict=True)]

    def cut(self, seconds: float) -> list[Stream]:
        """Return the parts of `seconds` seconds each; an incomplete part at the end is left out."""
        parts, begin = [], 0
        for place, spent_ns in enumerate(self.spent_ns):
            since_ns = self.spent_ns[begin - 1] if begin else 0
            if spent_ns - since_ns >= seconds * 1e9:
                parts.append(self._part(begin, place + 1))
                begin = place + 1
        return parts

    def pieces(self, pairs: int) -> list[Stream]:
        """Return the parts of `pairs` pairs each; an incomplete part at the end is left out."""
        return [self._part(begin, begin + pairs) for begin in range(0, len(self.base_ns) - pairs + 1, pairs)]

    def _part(self, begin: int, end: int) -> Stream:
        before_ns = self.spent_ns[begin - 1] if begin else 0
        spent_ns = [ns - before_ns for ns in self.spent_ns[begin:end]]
        return Stream(self.percent, self.base_ns[begin:end], self.other_ns[begin:end], spent_ns)


@cache
def recorded(effort: float) -> tuple[Stream, ...]:
    """Return all streams, recorded once: of the same work, whole ones; of slowdowns, each until the harness's rule has found it."""
    plan = {0: 10, 1: 3, 3: 40, 5: 20, 10: 20}
    numbers = count(1)
    with tempfile.TemporaryDirectory() as folder:
        return tuple(
            record(Path(folder), percent, next(numbers), LONGEST_S, until_found=percent > 0)
            for percent, streams in plan.items()
            for _ in range(max(1, round(streams * effort)))
        )


def record(folder: Path, percent: int, process: int, seconds: float, *, until_found: bool) -> Stream:
    """Return the pairs of one fresh process within `seconds` of slots, or until the rule has found a slowdown."""
    name, stream, evidence, spent_ns = workload.arm_of(percent), Stream(percent, [], [], []), SequentialTest(MARGIN), 0
    core = choose_cores().worker
    job = BenchJob(
        Task.PAIRS,
        Path(workload.__file__),
        Setting(folder, folder),
        process=process,
        budget_ns=int(2 * seconds * 1e9),  # more than is used: the job's own budget includes the time between slots
        excluded=tuple((workload.arm_of(other), "queries") for other in workload.INJECTED if other != percent),
        cpus=() if core is None else (core,),
    )
    with closing(run_job(job)) as received:
        for event in received:
            if isinstance(event, JobFailed):
                raise ScenarioFailedError(f"timing failed: {event.message}")
            if isinstance(event, PairTimes):
                times = {slot.arm: fmean(slot.latencies_ns) for slot in event.slots}
                spent_ns += sum(sum(slot.latencies_ns) for slot in event.slots)
                stream.base_ns.append(times[BASELINE])
                stream.other_ns.append(times[name])
                stream.spent_ns.append(spent_ns)
                evidence.add(math.log(times[name] / times[BASELINE]))
                found = until_found and len(stream.base_ns) >= FEWEST_PAIRS and evidence.conclusion() == SLOWER
                if found or spent_ns >= seconds * 1e9:
                    break
    return stream


def one_after_the_other(percent: int, operations: int) -> Stream:
    """Return `operations` of the baseline, then of its twin, in this process, as tools that run A and then B do."""
    now_ns = MonotonicClock().now_ns
    times_ns: tuple[list[float], list[float]] = [], []
    with closing(QueryWorkload.new(0)) as base, closing(QueryWorkload.new(percent)) as other:
        for instance, found in zip((base, other), times_ns, strict=True):
            workload.operation(instance)
            for _ in range(operations):
                begun_ns = now_ns()
                workload.operation(instance)
                found.append(now_ns() - begun_ns)
    return Stream(percent, *times_ns, [])


def all_of(streams: Sequence[Stream], percent: int) -> list[Stream]:
    """Return the streams with a slowdown of `percent`."""
    return [stream for stream in streams if stream.percent == percent]
