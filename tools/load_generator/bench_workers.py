"""The scaling of the load generator with its workers: `python -m tools.load_generator.bench_workers --help`.

One, two and four load workers send requests to a raw ASGI echo, and then run operations that do nothing. The echo has the first
core; workers that use it share the others, and workers without it share all of them. Numbers of workers alternate, round by round.
The last column is the limit: with the echo at its limit, more workers add nothing.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from harness.errors import NotMeasurableError, ScenarioFailedError
from harness.load.block import LoadBlock
from harness.load.protocol import LoadJob
from harness.load.supervisor import Supervisor
from harness.results.load import LoadModel
from harness.runtime.clock import MonotonicClock
from harness.scenario import Server, Setting
from harness.stats.histogram import Histogram
from tools import exit_code
from tools.load_generator import echo_scenario, options, spread
from tools.load_generator.bench_drivers import WARM_UP_S, cpu_s
from tools.load_generator.echo_scenario import ECHO, NOTHING, PID, SERVER
from tools.servers import HOST, served

COUNTS = (1, 2, 4)
FULL = 0.85
"""The usage from which a core counts as full: the rest goes to the system and other processes."""


@dataclass(frozen=True)
class WorkersResult:
    """The result of several load workers in one window. CPU usage is in cores: of all workers together, and of the echo."""

    operations_per_s: float
    p50_ms: float
    p99_ms: float
    workers_cores: float
    echo_cores: float

    @classmethod
    def of(cls, blocks: Sequence[LoadBlock], echo_cores: float) -> WorkersResult:
        """Combine the workers' blocks; raise ScenarioFailedError if an operation failed, or none completed."""
        groups = [group for block in blocks for group in block.groups.values()]
        failed = {message for group in groups for message in group.errors}
        if failed:
            raise ScenarioFailedError(f"the echo failed: {', '.join(sorted(failed))}")
        whole = Histogram.merged(Histogram.from_wire(group.response) for group in groups)
        p50_ns, p99_ns = whole.percentiles_ns([0.5, 0.99])
        if p50_ns is None or p99_ns is None:
            raise ScenarioFailedError("no operation completed; raise --seconds")
        rate = math.fsum(sum(g.operations for g in b.groups.values()) / (b.measured_ns / 1e9) for b in blocks)
        return cls(rate, p50_ns / 1e6, p99_ns / 1e6, math.fsum(b.cpu_percent for b in blocks) / 100, echo_cores)


def cores_of(arm: str, workers: int, cores: Sequence[int]) -> list[int]:
    """Return each worker's core, which is not the echo's first core unless the echo is idle."""
    free = cores[1:] if arm == ECHO else cores[::-1]
    return [free[number % len(free)] for number in range(workers)]


def limits(arm: str, workers: int, result: WorkersResult, cores: Sequence[int]) -> str:
    """Return what was full: the echo's core, or all cores of the workers. Users without pauses fill one if it is available."""
    had = len(set(cores_of(arm, workers, cores)))
    full = ["the echo"] * (arm == ECHO and result.echo_cores >= FULL)
    full += [f"the workers' {had}"] * (result.workers_cores / had >= FULL)
    return " and ".join(full) or "neither: other processes used the cores"


def grow(
    counts: Sequence[int], users: int, rounds: int, seconds: float, cores: Sequence[int]
) -> dict[tuple[str, int], list[WorkersResult]]:
    """Run numbers of workers alternately, in fresh processes each time; return (arm, number) → results by round."""
    if len(cores) < 2:  # noqa: PLR2004 - see the message
        raise NotMeasurableError("the benchmark needs two cores: one for the echo and one for the workers")
    found: dict[tuple[str, int], list[WorkersResult]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name, served("tools.load_generator.echo", cores[:1]) as (port, child):
        pid = child.process.pid
        url = f"http://{HOST}:{port}"
        setting = Setting(Path(name), Path(name), size="tiny", servers={SERVER: Server(url, url, {PID: str(pid)})})
        job = LoadJob([echo_scenario.__file__], [setting], seconds, warm_up_s=WARM_UP_S, model=LoadModel.CLOSED, on_request=True)
        for turn in range(rounds):
            for count in (*counts[turn % len(counts) :], *counts[: turn % len(counts)]):
                for arm in (ECHO, NOTHING):
                    jobs = [replace(job, arms=[arm], cpus=(core,)) for core in cores_of(arm, count, cores)]
                    found[arm, count].append(_together([Supervisor(each) for each in jobs], arm, users, pid))
    return found


def _together(workers: Sequence[Supervisor], arm: str, users: int, echo: int) -> WorkersResult:
    clock = MonotonicClock()
    try:
        with ThreadPoolExecutor(len(workers)) as pool:
            list(pool.map(Supervisor.start, workers))
            began_ns, used_s = clock.now_ns(), cpu_s(echo)
            blocks = list(pool.map(lambda worker: worker.run_block(arm, users), workers))
            used_cores = (cpu_s(echo) - used_s) / ((clock.now_ns() - began_ns) / 1e9)
    finally:
        for worker in workers:
            worker.close()
    return WorkersResult.of(blocks, used_cores)


def table(found: Mapping[tuple[str, int], Sequence[WorkersResult]], title: str, cores: Sequence[int]) -> Table:
    """Return a table with one number of workers per row: medians over rounds, with minimum and maximum in brackets."""
    drawn = Table(title=title, title_justify="left")
    for heading in ("target", "workers", "operations/s", "p50 ms", "p99 ms", "workers' cores", "echo's core", "limit"):
        drawn.add_column(heading, justify="left" if heading in {"target", "limit"} else "right")
    for arm, what in ((ECHO, "the echo"), (NOTHING, "nothing")):
        for count in sorted(number for name, number in found if name == arm):
            turns = found[arm, count]
            middle = WorkersResult(*(statistics.median(values) for values in zip(*map(astuple, turns), strict=True)))
            rate = spread([turn.operations_per_s for turn in turns], ",.0f")
            times = (f"{middle.p50_ms:.3g}", f"{middle.p99_ms:.3g}")
            usage = (f"{middle.workers_cores:.2f}", f"{middle.echo_cores:.0%}")
            drawn.add_row(what, str(count), rate, *times, *usage, limits(arm, count, middle, cores))
    return drawn


def main() -> int:
    """Measure and print the table."""
    given = options(argparse.ArgumentParser(description=__doc__), "worker")
    cores = sorted(os.sched_getaffinity(0))
    found = grow(COUNTS, given.users, given.rounds, given.seconds, cores)
    title = f"{len(cores)} cores; {given.users} users per worker, closed model; {given.rounds} rounds of {given.seconds:g} s"
    Console(width=None if sys.stdout.isatty() else 132).print(table(found, title, cores))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
