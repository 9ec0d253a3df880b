"""The machine check: times the same work in interleaved fresh processes on one core, and reads the machine's own figures."""

import asyncio
import os
import random
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
import numpy as np
import psutil

from harness.doctor.verdict import Checkup, Machine, check_up
from harness.errors import ScenarioFailedError
from harness.load.pacing import Lateness, Pacer, lateness_ns
from harness.runtime.child import Child, last_error_line, python_module
from harness.runtime.clock import Clock, MonotonicClock, resolution_ns
from harness.runtime.cores import Cores, choose_cores, keep_to
from harness.runtime.machine import governor
from harness.stats.noise import ProcessPairTimes, noise

SLICE = 4
"""Operations of a slice, of about a millisecond each; an even number, since consecutive ones are paired."""
_STOLEN = 7
"""Index of the time stolen by the host among Linux's CPU times; those after it are included in the first eight."""


@dataclass(frozen=True)
class DoctorEffort:
    """The extent of the check."""

    process_pairs: int
    rounds: int
    """Slices of each process."""
    waits: int
    """Number of timer expirations to measure the lateness of."""


USUAL = DoctorEffort(process_pairs=10, rounds=120, waits=800)
QUICK = DoctorEffort(process_pairs=4, rounds=40, waits=200)


def examine(effort: DoctorEffort, cores: Cores | None = None) -> Checkup:
    """Check this machine and return the result, after about half a minute, or some seconds with QUICK.

    The coordinator stays on one core meanwhile if there are two. ScenarioFailedError if a worker exited unexpectedly.
    """
    clock, cores = MonotonicClock(), cores or choose_cores()
    rng = random.Random("doctor")  # noqa: S311 - reproducible, not cryptographic
    load_average, before = os.getloadavg()[0], psutil.cpu_times()
    with ExitStack() as stack:
        if cores.coordinator is not None:
            keep_to({cores.coordinator})
            stack.callback(keep_to, cores.all)
        measured = [process_pair(effort.rounds, rng, clock, cores.worker) for _ in range(effort.process_pairs)]
        late = asyncio.run(_lateness(effort.waits, clock))
    tick_ns, reading_ns = ticks(clock)
    machine = Machine(
        cores=len(cores.all) or os.cpu_count() or 1,
        pinned=cores.worker is not None,
        governor=governor(),
        load_average=load_average,
        stolen=stolen(before, psutil.cpu_times()),
        resolution_ns=resolution_ns(),
        tick_ns=tick_ns,
        reading_ns=reading_ns,
        late_median_ns=None if late is None else late.median_ns,
        late_p99_ns=None if late is None else late.p99_ns,
    )
    return check_up(machine, noise(measured))


def process_pair(rounds: int, rng: random.Random, clock: Clock, core: int | None) -> ProcessPairTimes:
    """Time slices of two fresh processes, interleaved in random order."""
    started_ns = clock.now_ns()
    slices: tuple[list[list[int]], list[list[int]]] = ([], [])
    command, cores = python_module("harness.doctor.worker"), () if core is None else (core,)
    with ExitStack() as stack:
        workers = [stack.enter_context(Child(command, msgspec.json.Decoder(list[int]), cores=cores)) for _ in slices]
        for _ in range(rounds):
            for number in rng.sample(range(2), 2):
                workers[number].send(SLICE)
                slices[number].append(_received(workers[number]))
    return ProcessPairTimes(*slices, seconds=(clock.now_ns() - started_ns) / 1e9)


def _received(worker: Child[list[int]]) -> list[int]:
    times_ns = worker.receive()
    if times_ns is None:
        ended = worker.exit_description()  # which waits for it, and so for what it prints at last
        error = last_error_line(worker.output()) or "is there enough memory?"
        raise ScenarioFailedError(f"worker of the machine check exited unexpectedly ({ended}): {error}")
    return times_ns


async def _lateness(waits: int, clock: Clock) -> Lateness | None:
    if sys.platform != "linux":
        return None
    async with Pacer(clock) as pacer:
        return await lateness_ns(pacer, clock, waits)


def ticks(clock: Clock, readings: int = 10_000) -> tuple[int, float]:
    """Return a clock's smallest step and the median difference of consecutive readings, in nanoseconds; 0 if it never moved."""
    steps = np.diff([clock.now_ns() for _ in range(readings)])
    moved = steps[steps > 0]
    return (int(moved.min()), float(np.median(steps))) if len(moved) else (0, 0.0)


def stolen(before: Sequence[float], after: Sequence[float]) -> float | None:
    """Return the share of CPU time between two readings by kind that the host gave to others; None if it is not reported."""
    spent = [b - a for a, b in zip(before, after, strict=True)][: _STOLEN + 1]
    return spent[_STOLEN] / sum(spent) if len(spent) > _STOLEN and sum(spent) > 0 else None
