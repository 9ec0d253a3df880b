"""Memory of one operation: of its process, of every process that it started and of the servers that it uses, as a curve and a peak.

memory-profiler's timer samples these processes; the kernel's high-water marks, which are reset before each operation, have the
peaks between two samples. Of other processes the private memory counts, since what they share with the first one after a fork, such
as libraries, exists once; of servers the private memory without shared segments such as PostgreSQL's buffers, which belong to no
operation. A process that the operation starts and that exits between two samples counts if it is larger than all before it.

Only for a dedicated worker process: it adopts the orphans of its tree and may limit its own memory.
"""

import ctypes
import gc
import os
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, NamedTuple, Self

import memory_profiler

from harness.bench.probes.allocator import nothing_free
from harness.runtime.clock import Clock, MonotonicClock

INTERVAL_S = 0.01
"""Seconds between two samples of the curve. Shorter spikes are still part of the kernel's peak."""
CURVE_POINTS = 400
"""Number of points that a longer curve is thinned to, keeping its peaks."""
OWN_CURVE = 10
"""Number of samples from which an operation has a curve of its own; that of a quicker one is of all its repetitions in a row."""
OTHER = ""
"""The name of processes that belong to no server: those that the operation and its instance have started."""
LISTS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()
"""Whether the kernel lists the children of a thread (CONFIG_PROC_CHILDREN)."""
_PR_SET_CHILD_SUBREAPER = 36


class ProcessMemory(NamedTuple):
    """Memory of a process other than the measured one."""

    private_bytes: int
    """Its resident memory that it does not share with other processes."""
    highest_bytes: int
    """The highest resident set since its high-water mark was reset, shared memory included."""
    shared_bytes: int
    """The part of its resident set that it shares."""
    server: str = OTHER
    """Name of the server that it belongs to."""

    @property
    def highest_private_bytes(self) -> int:
        """The highest private memory that is certain."""
        return max(self.private_bytes, self.highest_bytes - self.shared_bytes)


class TreeSample(NamedTuple):
    """The memory of a process, of the tree of processes below it and of servers at one moment."""

    began_s: float
    """The moment at which it was begun, on the clock that all processes share; taking it needs some milliseconds."""
    at_s: float
    """The moment at which it was complete."""
    own_bytes: int
    """The resident set of the measured process."""
    others: Mapping[int, ProcessMemory]
    """Process id → memory of each other process."""

    @property
    def bytes(self) -> int:
        """The memory of all."""
        return self.own_bytes + sum(other.private_bytes for other in self.others.values())


class MemoryUse(NamedTuple):
    """The memory of one operation."""

    idle_bytes: int
    """The memory just before it."""
    peak_bytes: int
    """The highest memory that is certain."""
    seconds: float
    servers: Mapping[str, int]
    """Name of a server → the bytes that its processes added at most."""
    samples: Sequence[TreeSample]
    """The samples just before it, meanwhile and just after it."""


@dataclass
class _Repetition:
    """One operation between `begin` and `end`."""

    before: TreeSample
    after: TreeSample
    began_s: float
    seconds: float
    own_peak: int
    exited: int


class _TreeTimer(memory_profiler.MemTimer):  # type: ignore[misc]  # memory-profiler has no types
    """memory-profiler's process that takes samples, here of several processes without itself, and one series after another."""

    def __init__(self, pipe: Any, parents_end: Any) -> None:
        super().__init__(os.getpid(), INTERVAL_S, pipe, "psutil")
        self._parents_end, self._servers = parents_end, dict[str, int]()

    def run(self) -> None:
        """For each message, which names the servers, take samples until the next one arrives, and send them."""
        self._parents_end.close()  # so that the end of the parent is seen
        memory_profiler._get_memory = lambda pid, *_, **__: tree_sample(pid, self._servers, {os.getpid()})  # noqa: SLF001 - what it samples
        with suppress(EOFError, OSError):
            while True:
                self._servers = self.pipe.recv()
                self.mem_usage.clear()
                super().run()
                self.pipe.recv()  # the message that ended it


@dataclass
class MemoryMeter:
    """Measures operations of this process, one after another. A context manager; its timer is started once, which takes long.

    With `limit_bytes`, which this process and each that it starts may add at most while an operation runs, there are no samples.
    """

    clock: Clock = field(default_factory=MonotonicClock)
    limit_bytes: int | None = None
    servers: Mapping[str, int] = field(default_factory=dict)
    """Name → process id of the servers to include."""
    _timer: _TreeTimer | None = None
    _pipe: Any = None
    _runs: list[_Repetition] = field(default_factory=list)
    _samples: list[TreeSample] = field(default_factory=list)
    _largest_exited: int = 0

    def __enter__(self) -> Self:
        """Start the timer, before there are threads and instances."""
        adopt_orphans()
        if self.limit_bytes is None:
            self._pipe, theirs = Pipe()
            self._timer = _TreeTimer(theirs, self._pipe)
            self._timer.start()
            theirs.close()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.kill()
            self._timer.join()

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Take samples meanwhile, of operations each of which is inside `measuring`; then `uses` has their memory."""
        self._runs, self._samples, self._largest_exited = [], [], 0
        if self._timer is not None:
            self._pipe.send(dict(self.servers))
            self._pipe.recv()  # it is ready
        try:
            yield
        finally:
            if self._timer is not None:
                self._pipe.send(0)
                self._samples = list(self._pipe.recv())
                self._pipe.recv()  # the number of samples

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure the operation inside the context; one that raises is not measured."""
        gc.collect()
        with nothing_free() if self.limit_bytes is None else nullcontext():
            before = self._sample()
            for process in ["self", *map(str, before.others)]:
                _reset_peak(process)
            faults, exited = _exited_children()
            with self._limit():
                began_s = self._now_s()
                yield
                seconds, own_peak, after = self._now_s() - began_s, _status_bytes("VmHWM"), self._sample()
        faults_after, exited_after = _exited_children()
        if exited_after > exited:
            self._largest_exited = exited_after
        seen = self._largest_exited if faults_after > faults else 0  # repetitions start equal processes
        self._runs.append(_Repetition(before, after, began_s, seconds, own_peak, seen))

    @contextmanager
    def _limit(self) -> Iterator[None]:
        """Limit the memory of this process and of those that it starts meanwhile, where there is a limit."""
        usual = resource.getrlimit(resource.RLIMIT_DATA)
        if self.limit_bytes is not None:
            most_bytes, hard = _status_bytes("VmData") + self.limit_bytes, usual[1]
            resource.setrlimit(resource.RLIMIT_DATA, (most_bytes if hard < 0 else min(most_bytes, hard), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, usual)

    def uses(self) -> list[MemoryUse]:
        """Return the memory of each operation that has completed."""
        return [_memory_use(run, self._samples) for run in self._runs]

    def _now_s(self) -> float:
        return self.clock.now_ns() / 1e9

    def _sample(self) -> TreeSample:
        return tree_sample(os.getpid(), self.servers, set() if self._timer is None else {self._timer.pid or 0})


def _memory_use(run: _Repetition, samples: Iterable[TreeSample]) -> MemoryUse:
    """Return the memory of an operation from all `samples`, those at other times included."""
    meanwhile = [sample for sample in samples if run.began_s <= sample.began_s and sample.at_s <= run.after.at_s]
    seen = [*meanwhile, run.after]
    names = {other.server for sample in (run.before, *seen) for other in sample.others.values()} - {OTHER}
    servers = {name: _added_by(name, run.before, seen) for name in sorted(names)}
    peak = peak_bytes(run.before, seen, run.own_peak, run.exited)
    return MemoryUse(run.before.bytes, peak, run.seconds, servers, [run.before, *seen])


def _added_by(server: str, before: TreeSample, samples: Iterable[TreeSample]) -> int:
    """Return the bytes that a server's processes added at most, each at its own peak."""
    highest: dict[int, int] = {}
    for sample in samples:
        for pid, other in sample.others.items():
            if other.server == server:
                highest[pid] = max(highest.get(pid, 0), other.highest_private_bytes)
    return sum(max(0, most - (before.others[pid].private_bytes if pid in before.others else 0)) for pid, most in highest.items())


def peak_bytes(before: TreeSample, samples: Sequence[TreeSample], own_peak: int, exited: int) -> int:
    """Return the highest memory that is certain: the largest of what was sampled and what the high-water marks add.

    A peak of one process between two samples is added to the others' memory before the operation, as the peaks of several need not
    coincide. `exited` is the largest resident set of the processes that have exited, 0 if it is not of the operation. It is at
    least that of this process, from which they were forked, and says nothing unless it is larger.
    """
    peaks = dict[int, ProcessMemory]()
    for sample in samples:
        for pid, other in sample.others.items():
            if pid not in peaks or other.highest_private_bytes > peaks[pid].highest_private_bytes:
                peaks[pid] = other
    added = [
        other.highest_private_bytes - (before.others[pid].private_bytes if pid in before.others else 0)
        for pid, other in peaks.items()
    ]
    new = [other for pid, other in peaks.items() if pid not in before.others]
    if exited > max([own_peak, *(other.highest_bytes for other in new)]):  # one that exited after its last sample, or without any
        added.append(exited - max(new, key=lambda other: other.highest_bytes).shared_bytes if new else exited - own_peak)
    others = before.bytes - before.own_bytes
    return max([own_peak + others, before.bytes + max([0, *added]), *(sample.bytes for sample in samples)])


def curve(middle: MemoryUse, uses: Sequence[MemoryUse]) -> list[tuple[float, int]]:
    """Return the samples of the operation `middle`, or of all if it is quick, as seconds from the first one and bytes.

    Those of other operations are moved to the idle memory of `middle`.
    """
    shown, points, passed_s = [middle] if len(middle.samples) >= OWN_CURVE else uses, list[tuple[float, int]](), 0.0
    for use in shown:
        first_s, moved = use.samples[0].at_s, middle.idle_bytes - use.idle_bytes
        points += [(round(passed_s + sample.at_s - first_s, 4), sample.bytes + moved) for sample in use.samples]
        passed_s += use.samples[-1].at_s - first_s
    return thin(points)


def thin(curve: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return about `CURVE_POINTS` points of a longer curve: the highest of each stretch, and the last."""
    if len(curve) <= CURVE_POINTS:
        return curve
    stretch = -(-len(curve) // CURVE_POINTS)
    kept = [max(curve[i : i + stretch], key=lambda point: point[1]) for i in range(0, len(curve), stretch)]
    return kept if kept[-1] == curve[-1] else [*kept, curve[-1]]


def tree_sample(pid: int, servers: Mapping[str, int], excluded: set[int]) -> TreeSample:
    """Return the memory of a process, of all below it and of the servers with all below them, without those in `excluded`."""
    began_ns, children = MonotonicClock().now_ns(), _listed_children if LISTS_CHILDREN else _scanned_children()
    names = dict.fromkeys(_below(pid, children), OTHER)
    for name, root in servers.items():
        names |= dict.fromkeys([root, *_below(root, children)], name)
    found = dict[int, ProcessMemory]()
    for other, name in names.items():
        if other != pid and other not in excluded:
            with suppress(OSError):  # it has exited
                found[other] = _process_memory(Path(f"/proc/{other}"), name)
    own = _status_bytes("VmRSS", Path(f"/proc/{pid}"))
    return TreeSample(began_ns / 1e9, MonotonicClock().now_ns() / 1e9, own, found)


def _listed_children(pid: int) -> list[int]:
    """Return the ids of a process's children, as the kernel lists them for each of its threads; none if it has exited."""
    found = list[int]()
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - paths as objects would take as long as the rest of a sample
            with suppress(OSError):  # it has exited
                found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def _scanned_children() -> Callable[[int], list[int]]:
    """Return the same from a scan of all processes, for kernels without these lists; it takes long where processes are many."""
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - as above
        if name.isdigit():
            with suppress(OSError):  # it has exited
                parent = int(_read(f"/proc/{name}/stat").rpartition(b") ")[2].split()[1])
                found.setdefault(parent, []).append(int(name))
    return lambda pid: found.get(pid, [])


def _below(pid: int, children: Callable[[int], list[int]]) -> Iterator[int]:
    for child in children(pid):
        yield child
        yield from _below(child, children)


def _process_memory(process: Path, server: str) -> ProcessMemory:
    resident, highest = _status_bytes("VmRSS", process), _status_bytes("VmHWM", process)
    try:
        rollup = {name: size for name, _, size in (line.partition(":") for line in _rollup(process))}
        private = sum(_bytes(size) for name, size in rollup.items() if name.startswith("Private_"))
        if server:
            private -= _bytes(rollup.get("Pss_Shmem", "0 kB"))
    except PermissionError:  # a process of another user
        private = _status_bytes("RssAnon", process)
    private = min(resident, max(0, private))
    return ProcessMemory(private, max(highest, resident), resident - private, server)


def _rollup(process: Path) -> list[str]:
    return (process / "smaps_rollup").read_text().splitlines()[1:]


def _bytes(size: str) -> int:
    return int(size.split(maxsplit=1)[0]) * 1024


def _status_bytes(name: str, process: Path | str = "/proc/self") -> int:
    """Return a figure of a process's status such as VmRSS, VmHWM or VmData, in bytes; raise OSError if it does not exist."""
    _, found, rest = _read(f"{process}/status").partition(f"\n{name}:".encode())
    if found:
        return int(rest.split(maxsplit=1)[0]) * 1024
    raise OSError(f"no {name} in {process}/status")


def _read(path: str) -> bytes:
    """Return the content of one of the kernel's files."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
        return file.read()


def unreadable(pid: int) -> str:
    """Return why the memory of a server's process cannot be measured; empty if it can."""
    try:
        _rollup(Path(f"/proc/{pid}"))
        Path(f"/proc/{pid}/clear_refs").open("wb").close()
    except PermissionError:
        return f"process {pid} belongs to another user"
    except (FileNotFoundError, ProcessLookupError):
        return f"process {pid} has exited, or this kernel does not report its memory"
    return ""


def _reset_peak(process: str) -> None:
    try:
        Path(f"/proc/{process}/clear_refs").write_text("5")
    except OSError:  # it has exited, or is another user's: its peak then includes what was before
        if process == "self":
            raise


def _exited_children() -> tuple[int, int]:
    """Return the page faults of all processes below this one that have exited, and the largest resident set of any, in bytes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_minflt + usage.ru_majflt, usage.ru_maxrss * 1024


def adopt_orphans() -> None:
    """Make processes whose parent exits, such as daemons, children of this one, so that they stay in its tree."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
