"""Memory of one operation: of its process and of every process that it started, as a curve and as a peak.

memory-profiler's timer samples the tree of processes; the kernel's high-water marks have the peaks between two samples. Of other
processes the private memory counts, since what they share with the first one after a fork, such as libraries, exists once.

Only for a dedicated worker process: it adopts the orphans of its tree and may limit its own memory.
"""

import ctypes
import gc
import os
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, NamedTuple

import memory_profiler
import psutil

from harness.runtime.clock import Clock

INTERVAL_S = 0.01
"""Seconds between two samples of the curve. Shorter spikes are still part of the kernel's peak."""
CURVE_POINTS = 400
"""Number of points that a longer curve is thinned to, keeping its peaks."""
_PROCESS = Path("/proc/self")
_PR_SET_CHILD_SUBREAPER = 36


class MemoryUse(NamedTuple):
    """Memory of a tree of processes during one operation; the fields are those of `harness.results.run.Memory`."""

    idle_bytes: int
    peak_bytes: int
    seconds: float
    curve: list[tuple[float, int]]


class ChildMemory(NamedTuple):
    """Memory of a process below the measured one."""

    private_bytes: int
    """Its resident memory that it does not share with other processes."""
    highest_bytes: int
    """The highest resident set since it was started, shared memory included."""
    shared_bytes: int
    """The part of its resident set that it shares."""


class TreeSample(NamedTuple):
    """The memory of a tree of processes at one moment."""

    at_s: float
    own_bytes: int
    """The resident set of the measured process."""
    children: Mapping[int, ChildMemory]
    """Process id → memory of each process below it."""

    @property
    def bytes(self) -> int:
        """The memory of the tree."""
        return self.own_bytes + sum(child.private_bytes for child in self.children.values())


class _TreeTimer(memory_profiler.MemTimer):  # type: ignore[misc]  # memory-profiler has no types
    """memory-profiler's process that takes samples, here of a tree of processes without itself."""

    def __init__(self, pipe: Any) -> None:
        super().__init__(os.getpid(), INTERVAL_S, pipe, "psutil")
        self.mem_usage: list[TreeSample] = []

    def run(self) -> None:
        """Take samples until a message arrives, then send them."""
        memory_profiler._get_memory = lambda pid, *_, **__: tree_sample(pid, {os.getpid()})  # noqa: SLF001 - what it samples
        super().run()


def adopt_orphans() -> None:
    """Make processes whose parent exits, such as daemons, children of this one, so that they stay in its tree."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def measure(operation: Callable[[], Any], clock: Clock, limit_bytes: int | None = None) -> tuple[MemoryUse, Any]:
    """Run `operation` once; return the memory use of its tree of processes, and its answer.

    Processes that were running before, such as a server of the instance, are part of the idle figure. With `limit_bytes`, which
    this process and each that it starts may add at most, there is no curve.
    """
    gc.collect()
    ours, theirs = Pipe()
    timer = None if limit_bytes is not None else _TreeTimer(theirs)
    if timer is not None:
        timer.start()
        ours.recv()  # it is ready
    excluded = {timer.pid} if timer is not None else set()
    before = tree_sample(os.getpid(), excluded)
    for process in ["self", *map(str, before.children)]:
        _reset_peak(process)
    if limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (status_bytes("VmData") + limit_bytes,) * 2)
    exited_before = _largest_exited_bytes()
    start_ns = clock.now_ns()
    try:
        answer = operation()
        seconds = (clock.now_ns() - start_ns) / 1e9
        exited, own_peak, after = _largest_exited_bytes(), status_bytes("VmHWM"), tree_sample(os.getpid(), excluded)
        samples = [] if timer is None else _samples(ours)
    finally:
        if timer is not None:
            timer.kill()
            timer.join()
    peak = peak_bytes(before, [*samples, after], own_peak, exited if exited > exited_before else 0)
    curve = [(round(sample.at_s - samples[0].at_s, 4), sample.bytes) for sample in samples]
    return MemoryUse(before.bytes, peak, seconds, thin(curve)), answer


def peak_bytes(before: TreeSample, samples: Sequence[TreeSample], own_peak: int, exited: int) -> int:
    """Return the highest memory of a tree that is certain: the largest of what was sampled and what the high-water marks add.

    A peak of one process between two samples is added to the others' memory before the operation, as the peaks of several need not
    coincide. `exited` is the largest resident set of the processes that have exited, 0 if it is not of the operation. It is at
    least that of this process, from which they were forked, and says nothing unless it is larger.
    """
    peaks = dict[int, ChildMemory]()
    for sample in samples:
        for pid, child in sample.children.items():
            if pid not in peaks or child.highest_bytes - child.shared_bytes > peaks[pid].highest_bytes - peaks[pid].shared_bytes:
                peaks[pid] = child
    added = [
        child.highest_bytes - child.shared_bytes - (before.children[pid].private_bytes if pid in before.children else 0)
        for pid, child in peaks.items()
    ]
    new = [child for pid, child in peaks.items() if pid not in before.children]
    if exited > max([own_peak, *(child.highest_bytes for child in new)]):  # one that exited after its last sample, or without any
        added.append(exited - max(new, key=lambda child: child.highest_bytes).shared_bytes if new else exited - own_peak)
    others = before.bytes - before.own_bytes
    return max([own_peak + others, before.bytes + max([0, *added]), *(sample.bytes for sample in samples)])


def tree_sample(pid: int, excluded: set[int | None]) -> TreeSample:
    """Return the memory of a process and of all below it, without those in `excluded`."""
    found = dict[int, ChildMemory]()
    for child in psutil.Process(pid).children(recursive=True):
        if child.pid not in excluded:
            try:
                found[child.pid] = _child_memory(Path(f"/proc/{child.pid}"))
            except OSError:  # it has exited
                continue
    return TreeSample(time.time(), status_bytes("VmRSS", Path(f"/proc/{pid}")), found)


def _child_memory(process: Path) -> ChildMemory:
    resident, highest = status_bytes("VmRSS", process), status_bytes("VmHWM", process)
    try:
        rollup = (process / "smaps_rollup").read_text().splitlines()
        private = sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Private_"))
    except PermissionError:  # a process of another user
        private = status_bytes("RssAnon", process)
    return ChildMemory(private, max(highest, resident), max(0, resident - private))


def _reset_peak(process: str) -> None:
    try:
        Path(f"/proc/{process}/clear_refs").write_text("5")
    except OSError:  # it has exited, or is another user's: its peak then includes what was before
        if process == "self":
            raise


def _largest_exited_bytes() -> int:
    """Return the largest resident set of any process below this one that has exited and was waited for."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def _samples(pipe: Any) -> list[TreeSample]:
    """Stop the timer at the other end; return its samples."""
    pipe.send(0)
    return list(pipe.recv())


def status_bytes(name: str, process: Path = _PROCESS) -> int:
    """Return a figure of a process's status such as VmRSS, VmHWM or VmData, in bytes; raise OSError if it does not exist."""
    for line in (process / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {name} in {process}/status")


def thin(curve: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return about `CURVE_POINTS` points of a longer curve: the highest of each stretch, and the last."""
    if len(curve) <= CURVE_POINTS:
        return curve
    stretch = -(-len(curve) // CURVE_POINTS)
    kept = [max(curve[i : i + stretch], key=lambda point: point[1]) for i in range(0, len(curve), stretch)]
    return kept if kept[-1] == curve[-1] else [*kept, curve[-1]]
