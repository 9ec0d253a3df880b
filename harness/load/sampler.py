"""What happens beside the operations: CPU and memory of generator and targets and the scenario's own counts, on one time axis."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt
import psutil

from harness.load.recorder import Recorder
from harness.results.load import Tick
from harness.runtime.clock import Clock
from harness.runtime.cores import elsewhere
from harness.stats.intervals import is_supported

GENERATOR = "generator"
INTERVAL_S = 0.5

Counts: TypeAlias = Callable[[], Awaitable[Mapping[str, float]]]
Processes: TypeAlias = Mapping[str, Sequence[psutil.Process]]
"""Name → its processes, which are added up."""


def watched(targets: Mapping[str, int]) -> dict[str, list[psutil.Process]]:
    """Return the generator's process (this one) and each target's with its children, by name; those that are gone are left out.

    Children are looked for here, before a block, because going through all processes of a machine takes milliseconds.
    """
    found = {GENERATOR: [psutil.Process()]}
    for name, pid in targets.items():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            found[name] = [process, *process.children(recursive=True)]
    return found


def usage(processes: Sequence[psutil.Process]) -> tuple[float, int]:
    """Return the CPU seconds that processes have used in their lives, and the bytes they have resident; the ended count nothing."""
    cpu_s, rss_bytes = 0.0, 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info()
            cpu_s += times.user + times.system
            rss_bytes += memory.rss
    return cpu_s, rss_bytes


@dataclass
class Watch:
    """One block under observation: each `tick` tells what has happened since the one before."""

    arm: str
    tally: Recorder
    processes: Processes
    began_ns: int
    _at_ns: int = 0
    _operations: int = 0
    _errors: int = 0
    _cpu_s: dict[str, float] = field(default_factory=dict)
    _counts: Mapping[str, float] = field(default_factory=dict)

    def start(self, now_ns: int, counts: Mapping[str, float]) -> None:
        """Take the readings that the first tick is compared with."""
        self._at_ns, self._counts = now_ns, counts
        self._cpu_s = {name: cpu_s for name, (cpu_s, _) in self._usage().items()}

    def tick(self, now_ns: int, counts: Mapping[str, float] | None) -> Tick:
        """Return what has happened since the last tick; `counts` is None where the scenario could not be asked in time."""
        tally = self.tally
        times_ns = np.array(tally.finished_ns[self._operations :], dtype=np.int64)
        failed, operations, passed_s = tally.failed, len(times_ns), max(1, now_ns - self._at_ns) / 1e9
        readings = self._usage()
        tick = Tick(
            process=0,
            at_s=(now_ns - self.began_ns) / 1e9,
            arm=self.arm,
            phase=tally.phase(now_ns),
            operations=operations,
            errors=failed - self._errors,
            in_flight=len(tally.flying),
            p50_ns=_percentile(times_ns, 0.5),
            p99_ns=_percentile(times_ns, 0.99),
            cpu_percent={n: max(0.0, cpu_s - self._cpu_s[n]) / passed_s * 100 for n, (cpu_s, _) in readings.items()},
            rss_bytes={name: rss_bytes for name, (_, rss_bytes) in readings.items()},
            counts=self._a_piece(counts, operations),
        )
        self._at_ns, self._errors = now_ns, failed
        self._operations += operations
        self._cpu_s = {name: cpu_s for name, (cpu_s, _) in readings.items()}
        if counts is not None:
            self._counts = counts
        return tick

    def _usage(self) -> dict[str, tuple[float, int]]:
        """Return what each has used; of this process, turns of a loop with nothing to do are left out."""
        found = {name: usage(processes) for name, processes in self.processes.items()}
        if GENERATOR in found:
            found[GENERATOR] = self.tally.cpu_ns() / 1e9, found[GENERATOR][1]
        return found

    def _a_piece(self, counts: Mapping[str, float] | None, operations: int) -> dict[str, float]:
        if counts is None or not operations:
            return {}
        return {name: (number - self._counts.get(name, 0.0)) / operations for name, number in counts.items()}


def _percentile(times_ns: npt.NDArray[np.int64], quantile: float) -> float | None:
    return float(np.quantile(times_ns, quantile)) if is_supported(len(times_ns), quantile) else None


class Sampler:
    """Ticks every half second of each block, from a thread of its own, off the loop's core if it has one; an async context manager.

    The scenario's counts are asked for in the loop, because its instances belong there; a loop that is too busy to answer within an
    interval is asked again at the next tick.
    """

    def __init__(self, say: Callable[[Tick], None], clock: Clock, interval_s: float = INTERVAL_S) -> None:
        self._say, self._clock, self._interval_s = say, clock, interval_s
        self._began_ns: int | None = None
        self._watch: Watch | None = None
        self._counts: Counts | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    async def __aenter__(self) -> Self:
        """Start the thread."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """End the thread, without keeping it from the loop that it may be waiting for."""
        self._watch = None
        self._ended.set()
        await asyncio.to_thread(self._thread.join)

    async def begin(self, arm: str, tally: Recorder, targets: Mapping[str, int], counts: Counts) -> None:
        """Watch a block from now on."""
        now_ns = self._clock.now_ns()
        if self._began_ns is None:
            self._began_ns = now_ns
        watch, read = Watch(arm, tally, watched(targets), self._began_ns), {}
        with contextlib.suppress(Exception):  # as in a tick
            read = dict(await counts())
        watch.start(now_ns, read)
        self._counts, self._watch = counts, watch

    def end(self) -> None:
        """Watch nothing any more, until the next block."""
        self._watch = None

    def _sample(self) -> None:
        if cores := elsewhere():
            os.sched_setaffinity(0, cores)  # of this thread alone: whoever is on the loop's core keeps it from its operations
        while not self._ended.wait(self._interval_s):
            watch, counts = self._watch, self._counts
            if watch is None or counts is None:
                continue
            read = self._ask(counts)
            if watch is self._watch:
                self._say(watch.tick(self._clock.now_ns(), read))

    def _ask(self, counts: Counts) -> Mapping[str, float] | None:
        async def ask() -> Mapping[str, float]:
            return await counts()

        asked = asyncio.run_coroutine_threadsafe(ask(), self._loop)
        try:
            return asked.result(self._interval_s)
        except concurrent.futures.TimeoutError:
            asked.cancel()
            return None
        except Exception:  # noqa: BLE001 - a count that cannot be taken is a gap in a line, and no reason to end a run
            return None
