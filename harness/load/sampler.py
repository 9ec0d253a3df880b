"""Samples of CPU, memory and the scenario's counts during a block, on the time axis of the operations."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias

import numpy as np
import psutil

from harness.load.block import Recorder
from harness.results.load import Tick
from harness.runtime.clock import Clock
from harness.runtime.cores import elsewhere
from harness.stats.intervals import is_supported

GENERATOR = "generator"
USERS = "Locust users"
"""The process of the users of a locustfile, which is a part of the load generator."""
INTERVAL_S = 0.5

Counts: TypeAlias = Callable[[], Awaitable[Mapping[str, float]]]


def watched(targets: Mapping[str, int]) -> dict[str, list[psutil.Process]]:
    """Return the generator's process (this one) and each target's with its children, by name, without those that have exited."""
    found = {GENERATOR: [psutil.Process()]}  # before a block: listing all processes of a machine takes milliseconds
    for name, pid in targets.items():
        if not pid:  # it is not known
            continue
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
    processes: Mapping[str, Sequence[psutil.Process]]
    """Name → its processes, whose usage is added up."""
    began_ns: int
    """The start of the load worker's first block."""
    _at_ns: int = 0
    _operations: int = 0
    _errors: int = 0
    _usage: dict[str, tuple[float, int]] = field(default_factory=dict)  # name → CPU seconds and resident bytes
    _counts: Mapping[str, float] = field(default_factory=dict)

    def start(self, now_ns: int, counts: Mapping[str, float]) -> None:
        """Take the readings from which the first tick counts."""
        self._at_ns, self._counts, self._usage = now_ns, counts, self._read_usage()

    def tick(self, now_ns: int, counts: Mapping[str, float] | None) -> Tick:
        """Return the sample since the last tick; `counts` is None if the scenario did not return them in time."""
        recorder = self.recorder
        times_ns = np.array(recorder.finished_ns[self._operations :], dtype=np.int64)
        failed, operations, passed_s = recorder.failed, len(times_ns), max(1, now_ns - self._at_ns) / 1e9
        before, self._usage = self._usage, self._read_usage()
        p50_ns, p99_ns = (float(np.quantile(times_ns, q)) if is_supported(operations, q) else None for q in (0.5, 0.99))
        tick = Tick(
            process=0,
            at_s=(now_ns - self.began_ns) / 1e9,
            arm=self.arm,
            phase=recorder.phase(now_ns),
            operations=operations,
            errors=failed - self._errors,
            in_flight=len(recorder.in_flight),
            p50_ns=p50_ns,
            p99_ns=p99_ns,
            cpu_percent={n: max(0.0, cpu_s - before[n][0]) / passed_s * 100 for n, (cpu_s, _) in self._usage.items()},
            rss_bytes={name: rss_bytes for name, (_, rss_bytes) in self._usage.items()},
            counts={n: (c - self._counts.get(n, 0.0)) / operations for n, c in (counts or {}).items()} if operations else {},
        )
        self._at_ns, self._errors = now_ns, failed
        self._operations += operations
        self._counts = self._counts if counts is None else counts
        return tick

    def _read_usage(self) -> dict[str, tuple[float, int]]:
        """Return the usage by name; idle turns of this process's loop do not count."""
        found = {name: usage(processes) for name, processes in self.processes.items()}
        if GENERATOR in found:
            found[GENERATOR] = self.recorder.cpu_ns() / 1e9, found[GENERATOR][1]
        return found


class Sampler:
    """Samples each block every half second, in a thread that avoids the loop's core. An async context manager.

    Counts are read in the loop, to which instances belong; a tick has none if the loop is too busy to return them in time.
    """

    def __init__(self, send: Callable[[Tick], None], clock: Clock, interval_s: float = INTERVAL_S) -> None:
        self._send, self._clock, self._interval_s = send, clock, interval_s
        self._began_ns = 0
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
        self._began_ns = self._began_ns or now_ns
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
        except Exception:  # noqa: BLE001 - a count that cannot be read in time is a gap in a curve, and does not end the run
            reading.cancel()
            return None
