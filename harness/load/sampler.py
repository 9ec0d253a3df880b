"""Samples of CPU, memory and the scenario's counts during a block, on the time axis of the operations."""

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

from harness.load.block import Recorder
from harness.results.load import Tick
from harness.runtime.clock import Clock
from harness.runtime.cores import elsewhere
from harness.stats.intervals import is_supported

GENERATOR = "generator"
INTERVAL_S = 0.5

Counts: TypeAlias = Callable[[], Awaitable[Mapping[str, float]]]
Processes: TypeAlias = Mapping[str, Sequence[psutil.Process]]
"""Name → its processes, whose usage is added up."""


def watched(targets: Mapping[str, int]) -> dict[str, list[psutil.Process]]:
    """Return the generator's process (this one) and each target's with its children, by name, without those that have exited.

    Children are looked up here, before a block, because listing all processes of a machine takes milliseconds.
    """
    found = {GENERATOR: [psutil.Process()]}
    for name, pid in targets.items():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            found[name] = [process, *process.children(recursive=True)]
    return found


def usage(processes: Sequence[psutil.Process]) -> tuple[float, int]:
    """Return the total CPU seconds and the resident bytes of processes; those that have exited count as 0."""
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
    """One block that is being sampled: each `tick` covers the time since the last one."""

    arm: str
    recorder: Recorder
    processes: Processes
    began_ns: int
    """The start of the load worker's first block."""
    _at_ns: int = 0
    _operations: int = 0
    _errors: int = 0
    _cpu_s: dict[str, float] = field(default_factory=dict)
    _counts: Mapping[str, float] = field(default_factory=dict)

    def start(self, now_ns: int, counts: Mapping[str, float]) -> None:
        """Take the readings from which the first tick counts."""
        self._at_ns, self._counts = now_ns, counts
        self._cpu_s = {name: cpu_s for name, (cpu_s, _) in self._usage().items()}

    def tick(self, now_ns: int, counts: Mapping[str, float] | None) -> Tick:
        """Return the sample since the last tick; `counts` is None if the scenario did not return them in time."""
        recorder = self.recorder
        times_ns = np.array(recorder.finished_ns[self._operations :], dtype=np.int64)
        failed, operations, passed_s = recorder.failed, len(times_ns), max(1, now_ns - self._at_ns) / 1e9
        readings = self._usage()
        tick = Tick(
            process=0,
            at_s=(now_ns - self.began_ns) / 1e9,
            arm=self.arm,
            phase=recorder.phase(now_ns),
            operations=operations,
            errors=failed - self._errors,
            in_flight=len(recorder.in_flight),
            p50_ns=_percentile(times_ns, 0.5),
            p99_ns=_percentile(times_ns, 0.99),
            cpu_percent={n: max(0.0, cpu_s - self._cpu_s[n]) / passed_s * 100 for n, (cpu_s, _) in readings.items()},
            rss_bytes={name: rss_bytes for name, (_, rss_bytes) in readings.items()},
            counts=self._per_operation(counts, operations),
        )
        self._at_ns, self._errors = now_ns, failed
        self._operations += operations
        self._cpu_s = {name: cpu_s for name, (cpu_s, _) in readings.items()}
        if counts is not None:
            self._counts = counts
        return tick

    def _usage(self) -> dict[str, tuple[float, int]]:
        """Return the usage by name; idle turns of this process's loop do not count."""
        found = {name: usage(processes) for name, processes in self.processes.items()}
        if GENERATOR in found:
            found[GENERATOR] = self.recorder.cpu_ns() / 1e9, found[GENERATOR][1]
        return found

    def _per_operation(self, counts: Mapping[str, float] | None, operations: int) -> dict[str, float]:
        if counts is None or not operations:
            return {}
        return {name: (number - self._counts.get(name, 0.0)) / operations for name, number in counts.items()}


def _percentile(times_ns: npt.NDArray[np.int64], quantile: float) -> float | None:
    return float(np.quantile(times_ns, quantile)) if is_supported(len(times_ns), quantile) else None


class Sampler:
    """Samples each block every half second, in a separate thread that avoids the loop's core. An async context manager.

    The scenario's counts are read in the loop, to which its instances belong; if the loop is too busy to return them within an
    interval, the tick has none.
    """

    def __init__(self, send: Callable[[Tick], None], clock: Clock, interval_s: float = INTERVAL_S) -> None:
        self._send, self._clock, self._interval_s = send, clock, interval_s
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
        """End the thread, without blocking the loop that it may be waiting for."""
        self._watch = None
        self._ended.set()
        await asyncio.to_thread(self._thread.join)

    async def begin(self, arm: str, recorder: Recorder, targets: Mapping[str, int], counts: Counts) -> None:
        """Sample a block from now on; `counts` reads the scenario's counts."""
        now_ns = self._clock.now_ns()
        if self._began_ns is None:
            self._began_ns = now_ns
        watch, read = Watch(arm, recorder, watched(targets), self._began_ns), {}
        with contextlib.suppress(Exception):  # as in a tick
            read = dict(await counts())
        watch.start(now_ns, read)
        self._counts, self._watch = counts, watch

    def end(self) -> None:
        """Stop sampling until the next block."""
        self._watch = None

    def _sample(self) -> None:
        if cores := elsewhere():
            os.sched_setaffinity(0, cores)  # of this thread alone: on the loop's core it would delay operations
        while not self._ended.wait(self._interval_s):
            watch, counts = self._watch, self._counts
            if watch is None or counts is None:
                continue
            found = self._read(counts)
            if watch is self._watch:
                self._send(watch.tick(self._clock.now_ns(), found))

    def _read(self, counts: Counts) -> Mapping[str, float] | None:
        async def read() -> Mapping[str, float]:
            return await counts()

        reading = asyncio.run_coroutine_threadsafe(read(), self._loop)
        try:
            return reading.result(self._interval_s)
        except concurrent.futures.TimeoutError:
            reading.cancel()
            return None
        except Exception:  # noqa: BLE001 - a count that cannot be read is a gap in a curve, and does not end the run
            return None
