"""How the load engine grows with its processes: `python -m tools.load_generator.bench_workers --help`.

One, two and four engine processes ask a raw ASGI echo, and then nothing at all, each with so many users, each of whom asks again
once answered. The echo has the first core; engines that ask it share the others, and engines that ask nothing share all of them.
Numbers of processes take turns, round by round. A column says what was full: with the echo full, more engines bring nothing.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import psutil
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from harness.errors import HarnessError, NotMeasurableError, ScenarioFailedError
from harness.load.block import LoadBlock
from harness.load.protocol import LoadJob
from harness.load.supervisor import Supervisor
from harness.results.load import LoadModel
from harness.runtime.child import kill_group
from harness.runtime.clock import MonotonicClock
from harness.scenario import Server, Setting
from harness.stats.histogram import Histogram
from tools.load_generator import echo_scenario
from tools.load_generator.echo_scenario import ECHO, NOTHING, PID, SERVER

COUNTS = (1, 2, 4)
WARM_UP_S = 0.5
FULL = 0.85
"""So much of a core's time used is a full core: the rest goes to the system, and to whatever else is on the machine."""

_TWO = 2


@dataclass(frozen=True)
class Turn:
    """What several engines did together in one window. Cores are shares of a core's time: the engines' together, and the echo's."""

    operations_per_s: float
    p50_ms: float
    p99_ms: float
    engines_cores: float
    echo_cores: float

    @classmethod
    def of(cls, blocks: Sequence[LoadBlock], echo_cores: float) -> Turn:
        """Sum the engines' blocks up: rates of all, and percentiles of all operations.

        Raises:
            ScenarioFailedError: an operation failed, or none ended.
        """
        groups = [group for block in blocks for group in block.groups.values()]
        failed = {message for group in groups for message in group.errors}
        if failed:
            raise ScenarioFailedError(f"the echo failed: {', '.join(sorted(failed))}")
        whole = Histogram.merged(Histogram.from_wire(group.response) for group in groups)
        p50_ns, p99_ns = whole.percentiles_ns([0.5, 0.99])
        if p50_ns is None or p99_ns is None:
            raise ScenarioFailedError("no operation ended; give it more --seconds")
        rate = math.fsum(sum(g.operations for g in b.groups.values()) / (b.measured_ns / 1e9) for b in blocks)
        return cls(rate, p50_ns / 1e6, p99_ns / 1e6, math.fsum(b.cpu_percent for b in blocks) / 100, echo_cores)


def seats(arm: str, engines: int, cores: Sequence[int]) -> list[int]:
    """Return each engine's core: the echo, which has the first one, is left alone unless nobody asks it."""
    free = cores[1:] if arm == ECHO else cores[::-1]
    return [free[number % len(free)] for number in range(engines)]


def limits(arm: str, engines: int, turn: Turn, cores: Sequence[int]) -> str:
    """Say what was full: the echo's core, or all cores that the engines had. Users without a pause fill one, if they get it."""
    had = len(set(seats(arm, engines, cores)))
    full = [
        name
        for name, used in (("the echo", turn.echo_cores), (f"the engines' {had}", turn.engines_cores / had))
        if used >= FULL and (name != "the echo" or arm == ECHO)
    ]
    return " and ".join(full) or "neither: others used the cores"


def grow(counts: Sequence[int], users: int, rounds: int, seconds: float, cores: Sequence[int]) -> dict[tuple[str, int], list[Turn]]:
    """Let numbers of engines take turns, in fresh processes each time; return (arm, number) → what they did, by round.

    Raises:
        NotMeasurableError: there are no two cores.
        ScenarioFailedError: an engine or the echo failed.
    """
    if len(cores) < _TWO:
        raise NotMeasurableError("the bench needs two cores: one for the echo and one for the engines")
    found: dict[tuple[str, int], list[Turn]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name, _echo(cores[0]) as (port, pid):
        url = f"http://127.0.0.1:{port}"
        setting = Setting(Path(name), Path(name), size="tiny", servers={SERVER: Server(url, url, {PID: str(pid)})})
        job = LoadJob([echo_scenario.__file__], [setting], seconds, warm_up_s=WARM_UP_S, model=LoadModel.CLOSED, on_request=True)
        for turn in range(rounds):
            for count in (*counts[turn % len(counts) :], *counts[: turn % len(counts)]):
                for arm in (ECHO, NOTHING):
                    jobs = [replace(job, arms=[arm], cpus=(core,)) for core in seats(arm, count, cores)]
                    found[arm, count].append(_together([Supervisor(each) for each in jobs], arm, users, psutil.Process(pid)))
    return found


def _together(engines: Sequence[Supervisor], arm: str, users: int, echo: psutil.Process) -> Turn:
    clock = MonotonicClock()
    try:
        with ThreadPoolExecutor(len(engines)) as pool:
            list(pool.map(Supervisor.start, engines))
            began_ns, used_s = clock.now_ns(), sum(echo.cpu_times()[:2])
            blocks = list(pool.map(lambda engine: engine.run_block(arm, users), engines))
            used_cores = (sum(echo.cpu_times()[:2]) - used_s) / ((clock.now_ns() - began_ns) / 1e9)
    finally:
        for engine in engines:
            engine.close()
    return Turn.of(blocks, used_cores)


@contextmanager
def _echo(core: int) -> Iterator[tuple[int, int]]:
    """Start the echo on a core; yield its port and its process id."""
    child = subprocess.Popen([sys.executable, "-m", "tools.load_generator.echo"], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None
    try:
        first = child.stdout.readline()
        if not first:
            raise NotMeasurableError("the echo did not start; install what the trial needs: pip install -r requirements.lock")
        os.sched_setaffinity(child.pid, {core})
        yield int(first), child.pid
    finally:
        kill_group(child)
        child.stdout.close()


def table(found: Mapping[tuple[str, int], Sequence[Turn]], title: str, cores: Sequence[int]) -> Table:
    """Draw what was measured, a number of engines a line: medians over rounds and, in brackets, the least and the most."""
    drawn = Table(title=title, title_justify="left")
    for heading in ("asked", "engines", "operations/s", "p50 ms", "p99 ms", "engines' cores", "echo's core", "full"):
        drawn.add_column(heading, justify="left" if heading in {"asked", "full"} else "right")
    for arm, what in ((ECHO, "the echo"), (NOTHING, "nothing")):
        for count in sorted(number for name, number in found if name == arm):
            turns = found[arm, count]
            middle = Turn(*(statistics.median(values) for values in zip(*map(astuple, turns), strict=True)))
            drawn.add_row(
                what,
                str(count),
                _spread([turn.operations_per_s for turn in turns]),
                f"{middle.p50_ms:.3g}",
                f"{middle.p99_ms:.3g}",
                f"{middle.engines_cores:.2f}",
                f"{middle.echo_cores:.0%}",
                limits(arm, count, middle, cores),
            )
    return drawn


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=32, help="users of each engine (default 32)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each number has its turn (default 3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a turn is (default 3)")
    asked = parser.parse_args()
    if min(asked.users, asked.rounds) < 1 or asked.seconds <= 0:
        parser.error("--users and --rounds begin at 1, --seconds above 0")
    cores = sorted(os.sched_getaffinity(0))
    console = Console(width=None if sys.stdout.isatty() else 132)
    try:
        found = grow(COUNTS, asked.users, asked.rounds, asked.seconds, cores)
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return error.code
    says = f"{len(cores)} cores; {asked.users} users an engine, closed model; {asked.rounds} rounds of {asked.seconds:g} s in turn"
    console.print(table(found, says, cores))
    return 0


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):,.0f} \\[{min(values):,.0f}, {max(values):,.0f}]"


if __name__ == "__main__":
    sys.exit(main())
