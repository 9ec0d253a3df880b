"""The doctor: measures the same work in fresh processes that take turns on a core, and reads what the machine says of itself."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from harness.doctor.verdict import Checkup, Machine, check_up
from harness.errors import ScenarioFailedError
from harness.load.pacing import Lateness, Pacer, lateness_ns
from harness.runtime.clock import Clock, MonotonicClock, resolution_ns
from harness.runtime.cores import Cores, choose_cores
from harness.runtime.machine import governor
from harness.runtime.processes import end, environment
from harness.stats.noise import Twins, noise

SLICE = 4
"""Operations of a slice, of about a millisecond each: even, since neighbours are paired."""

READINGS = 10_000
_STAT = Path("/proc/stat")
_STOLEN = 7
"""Which figure of a line in /proc/stat is the time stolen by the host; the eight up to it are all there is, the rest is in them."""


@dataclass(frozen=True)
class DoctorEffort:
    """How long the doctor looks: so many pairs of processes, slices of each, and waits for a timer."""

    twins: int = 10
    rounds: int = 120
    waits: int = 800


USUAL = DoctorEffort()
QUICK = DoctorEffort(twins=4, rounds=40, waits=200)


def examine(effort: DoctorEffort, clock: Clock | None = None, cores: Cores | None = None, seed: str = "doctor") -> Checkup:
    """Return what there is to know of this machine; takes about half a minute, or with QUICK some seconds.

    The coordinator stays on its own core meanwhile, where there are two.

    Raises:
        ScenarioFailedError: a process of the doctor's ended before it had answered.
    """
    clock, cores = clock or MonotonicClock(), cores or choose_cores()
    coin = random.Random(seed)  # noqa: S311 - a coin that can be tossed again
    load_average, before = os.getloadavg()[0], cpu_times()
    with _on(cores.coordinator):
        measured = [twins(effort.rounds, coin, clock, cores.worker) for _ in range(effort.twins)]
        late = asyncio.run(_lateness(effort.waits, clock))
    tick_ns, reading_ns = ticks(clock)
    machine = Machine(
        cores=len(cores.all) or os.cpu_count() or 1,
        pinned=cores.worker is not None,
        governor=governor(),
        load_average=load_average,
        stolen=stolen(before, cpu_times()),
        resolution_ns=resolution_ns(),
        tick_ns=tick_ns,
        reading_ns=reading_ns,
        late_median_ns=None if late is None else late.median_ns,
        late_p99_ns=None if late is None else late.p99_ns,
    )
    return check_up(machine, noise(measured))


def twins(rounds: int, coin: random.Random, clock: Clock, core: int | None) -> Twins:
    """Measure two fresh processes in turns; a coin says which goes first in each round."""
    started_ns = clock.now_ns()
    slices: tuple[list[list[int]], list[list[int]]] = ([], [])
    with ExitStack() as stack:
        children = [stack.enter_context(_child(core)) for _ in slices]
        for _ in range(rounds):
            order = [0, 1]
            coin.shuffle(order)
            for one in order:
                slices[one].append(_ask(children[one]))
    return Twins(*slices, seconds=(clock.now_ns() - started_ns) / 1e9)


@contextmanager
def _child(core: int | None) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "harness.doctor.worker", *([] if core is None else [str(core)])]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), start_new_session=True
    )
    with child:
        try:
            yield child
        finally:
            end(child)


def _ask(child: subprocess.Popen[bytes]) -> list[int]:
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(b"%d\n" % SLICE)
        child.stdin.flush()
        return msgspec.json.decode(child.stdout.readline(), type=list[int])
    except (BrokenPipeError, msgspec.DecodeError) as error:
        raise ScenarioFailedError("a process of the doctor's ended before it had answered; is there enough memory?") from error


@contextmanager
def _on(core: int | None) -> Iterator[None]:
    """Keep this process, and what it starts until it settles, on one core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _lateness(waits: int, clock: Clock) -> Lateness | None:
    if sys.platform != "linux":
        return None
    async with Pacer(clock) as pacer:
        return await lateness_ns(pacer, clock, waits)


def ticks(clock: Clock, readings: int = READINGS) -> tuple[int, float]:
    """Return the least step a clock was seen to make, and the median of what two readings in a row differ by, in nanoseconds.

    A clock that never moved within the readings gives 0 for both.
    """
    read = [clock.now_ns() for _ in range(readings)]
    steps = np.diff(np.asarray(read, dtype=np.int64))
    moved = steps[steps > 0]
    return (int(moved.min()), float(np.median(steps))) if len(moved) else (0, 0.0)


def cpu_times() -> list[int] | None:
    """Return the machine's CPU time by what it went into, in ticks since it started; None where the system does not say."""
    try:
        return [int(figure) for figure in _STAT.read_text().partition("\n")[0].split()[1:]]
    except (OSError, ValueError):
        return None


def stolen(before: list[int] | None, after: list[int] | None) -> float | None:
    """Return the share of CPU time between two readings that the host gave to others; None where it cannot be told."""
    if before is None or after is None or min(len(before), len(after)) <= _STOLEN:
        return None
    spent = [b - a for a, b in zip(before[: _STOLEN + 1], after[: _STOLEN + 1], strict=True)]
    return spent[_STOLEN] / sum(spent) if sum(spent) > 0 else None
