"""The cores that each process runs on: timed workers get a core to themselves, without the coordinator and the servers."""

import contextlib
import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from queue import Queue

import psutil

from harness.runtime import channel


@dataclass(frozen=True)
class Cores:
    """The cores of a run."""

    coordinator: int | None
    """The coordinator's core while something is timed; None leaves it to the system."""
    worker: int | None
    """The core of the process that is timed; None leaves it to the system."""
    all: tuple[int, ...] = ()
    """The cores that this process may use; empty if they are not known or there is only one."""


class Isolation(StrEnum):
    """The share of the machine that a child process needs for itself."""

    SHARED = "shared"
    """Nothing: it is not timed and runs next to any other process."""
    CORE = "core"
    """One core: it is timed while others are timed on other cores."""
    MACHINE = "machine"
    """Everything: it is timed while no other process of the run is active."""


def choose_cores() -> Cores:
    """Return the last usable core for the workers and the first for the coordinator; no cores if there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    cores = tuple(sorted(os.sched_getaffinity(0)))
    return Cores(cores[0], cores[-1], cores) if len(cores) > 1 else Cores(None, None)


def keep_to(cores: Collection[int], root: psutil.Process | None = None) -> None:
    """Move a process, by default this one, and all processes that it has started to these cores, with all their threads."""
    root = root or psutil.Process()
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.Error, OSError):  # it has exited meanwhile, or belongs to another user
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)


_apart: set[int] = set()
"""Process ids of the servers that this process keeps off its own cores."""


def elsewhere() -> frozenset[int]:
    """Return the cores for a server that this process starts: those that it ran on before it was pinned, without its own.

    Empty if there are no others or it was not pinned: the server then runs on the same cores.
    """
    return channel.cores_before - os.sched_getaffinity(0) if channel.cores_before else frozenset()


def keep_apart(pid: int) -> None:
    """Note that this process has started a server, which stays off its cores also when it moves to others."""
    _apart.add(pid)


def move_to(cores: Collection[int]) -> None:
    """Move this process to these of the cores that it was started on, with all that it has started except its servers.

    Those move to the other cores, if there are any.
    """
    if not cores:
        return
    root, others = psutil.Process(), channel.cores_before - set(cores)
    for thread in root.threads():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            os.sched_setaffinity(thread.id, cores)
    for child in root.children():
        keep_to(others if others and child.pid in _apart else cores, child)


class CoreAllocator:
    """Allocates cores to child processes, and moves the coordinator and the servers to another core while one is timed."""

    def __init__(self, cores: Cores) -> None:
        self._cores = cores
        self._is_moved = False
        self._moving = threading.Lock()
        self._free = Queue[int]()
        for core in cores.all:
            self._free.put(core)

    @contextmanager
    def allocate(self, isolation: Isolation) -> Iterator[tuple[int, ...]]:
        """Yield the cores of a child process for as long as it runs; an empty tuple leaves them to the system.

        With `Isolation.CORE` it waits until a core is free.
        """
        self._move(away=isolation is not Isolation.SHARED)
        if isolation is Isolation.SHARED or self._cores.worker is None:
            yield self._cores.all
        elif isolation is Isolation.MACHINE:
            yield (self._cores.worker,)
        else:
            core = self._free.get()
            try:
                yield (core,)
            finally:
                self._free.put(core)

    def release(self) -> None:
        """Let the coordinator and the servers run on all cores again."""
        self._move(away=False)

    def _move(self, *, away: bool) -> None:
        with self._moving:  # or a second child's move would take along the first one, which has its core already
            if away != self._is_moved and self._cores.coordinator is not None:
                keep_to({self._cores.coordinator} if away else self._cores.all)
            self._is_moved = away
