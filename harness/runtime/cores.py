"""Which core whose work runs on: timing has one to itself, with the coordinator and the servers kept off it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from queue import SimpleQueue

import psutil


@dataclass(frozen=True)
class Cores:
    """Where the coordinator and the timing workers run; None leaves it to the system. `all` are those this process may use."""

    coordinator: int | None
    worker: int | None
    all: tuple[int, ...] = ()


class Isolation(Enum):
    """How a child process likes to work: beside anything, timed with nobody beside it, or timed beside others that are timed."""

    ANY = "any"
    NONE = "none"
    TIMED = "timed"


def choose_cores() -> Cores:
    """Give the workers the last core of those this process may use, and the coordinator the first; one core is left unpinned."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    cores = tuple(sorted(os.sched_getaffinity(0)))
    return Cores(cores[0], cores[-1], cores) if len(cores) > 1 else Cores(None, None)


def keep_to(cores: Collection[int]) -> None:
    """Keep this process and all that it has started, such as the run's servers, on these cores; what they start stays there too."""
    this = psutil.Process()
    for process in (this, *this.children(recursive=True)):
        with contextlib.suppress(psutil.Error, OSError):  # it has ended meanwhile, or is somebody else's
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)


_left: set[int] = set()
"""The cores that this process ran on before it settled."""


def settle(cores: Collection[int]) -> None:
    """Keep this process, and all threads that it starts, on these cores from now on; servers that it starts may go `elsewhere`."""
    _left.update(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores)


def elsewhere() -> frozenset[int]:
    """Return where a server belongs that this process starts: the cores that it ran on before it settled, without its own.

    None where there are no others, or where it has not settled: the server then runs where its starter does.
    """
    return frozenset(_left - os.sched_getaffinity(0)) if _left else frozenset()


class CoreAllocator:
    """Gives every child process its cores, and moves the coordinator and the servers aside while one is timed."""

    def __init__(self, cores: Cores) -> None:
        self._cores = cores
        self._aside = False
        self._moving = threading.Lock()
        self._free: SimpleQueue[int] = SimpleQueue()
        for core in cores.all:
            self._free.put(core)

    @contextmanager
    def seat(self, company: Isolation) -> Iterator[tuple[int, ...]]:
        """Yield the cores of a child process for as long as it runs; none leaves it to the system."""
        self._move(aside=company is not Isolation.ANY)
        if company is Isolation.ANY or not self._cores.all:
            yield self._cores.all
        elif company is Isolation.NONE:
            assert self._cores.worker is not None, "whoever knows the cores has chosen one for the workers"
            yield (self._cores.worker,)
        else:
            core = self._free.get()
            try:
                yield (core,)
            finally:
                self._free.put(core)

    def leave(self) -> None:
        """Let everything run anywhere again."""
        self._move(aside=False)

    def _move(self, *, aside: bool) -> None:
        with self._moving:  # or a second child's move would drag the first one, which has its core already, along
            if aside != self._aside and self._cores.coordinator is not None:
                keep_to({self._cores.coordinator} if aside else self._cores.all)
            self._aside = aside
