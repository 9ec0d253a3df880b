"""Precise waits: asyncio's timers fire late, and uvloop's early.

A kernel timer (timerfd on the monotonic clock, set to an absolute time) becomes readable when it is due, and the event loop waits
for it as it waits for a socket. A core takes time to wake up from an idle state, a tenth of a millisecond in a virtual machine.
Therefore the timer fires slightly early, and the rest of the wait is spent in turns of the loop, which stays free for other
coroutines. A process that has a core to itself can go further and never let it sleep: see `KeepAwake`. Linux only.
"""

import asyncio
import contextlib
import ctypes
import heapq
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from harness.runtime.clock import Clock, FakeClock

EARLY_SHARE = 10  # the timer fires early by one part in this many of the wait
MAX_EARLY_NS = 200_000  # the timer fires early by at most this much: the part of a wait that is spent in turns of the loop
IDLE_TURN_NS = 20_000  # the longest turn of the loop that counts as idle: handling any event takes longer

_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_EXPIRATIONS_BYTES = 8

# PyDLL keeps the interpreter lock: both calls return at once, and another thread that took the lock might keep it for milliseconds.
_libc = ctypes.PyDLL(None, use_errno=True)


class PacerProtocol(Protocol):
    """Anything that waits until a point in time: a `Pacer`, or a `FakePacer` in tests."""

    async def until(self, due_ns: int) -> None:
        """Return at or after `due_ns`, after at least one turn of the loop."""


class Pacer:
    """Wakes any number of coroutines at times of `clock`, a monotonic one. An async context manager, bound to the running loop."""

    def __init__(self, clock: Clock) -> None:
        self._now_ns: Callable[[], int] = clock.now_ns
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []  # a heap by wake-up time
        self._number = itertools.count()

    async def __aenter__(self) -> Self:
        """Create the timer and have the running loop watch it."""
        self._loop = asyncio.get_running_loop()
        self._timer = TimerFd()
        self._loop.add_reader(self._timer.fileno, self._wake)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the timer and cancel every pending wait."""
        self._loop.remove_reader(self._timer.fileno)
        self._timer.close()
        for _, _, future in self._waiting:
            future.cancel()
        self._waiting.clear()

    async def until(self, due_ns: int) -> None:
        """Return at or after `due_ns`, and after a turn of the loop, so that a caller that is behind cannot starve the others."""
        wait_ns = due_ns - self._now_ns()
        if wait_ns <= 0:
            await asyncio.sleep(0)
            return
        wake_ns = due_ns - min(wait_ns // EARLY_SHARE, MAX_EARLY_NS)
        future = self._loop.create_future()
        heapq.heappush(self._waiting, (wake_ns, next(self._number), future))
        if self._waiting[0][2] is future:
            self._timer.set(wake_ns)
        await future
        while self._now_ns() < due_ns:  # noqa: ASYNC110 - there is no event to wait for, only the time itself
            await asyncio.sleep(0)

    def _wake(self) -> None:
        """Wake every coroutine whose time has come, and set the timer for the next one."""
        self._timer.clear()
        waiting = self._waiting
        while waiting and (waiting[0][2].done() or waiting[0][0] <= self._now_ns()):
            _, _, future = heapq.heappop(waiting)
            if not future.done():  # cancelled waits stay in the heap until they reach its top
                future.set_result(None)
        if waiting:
            self._timer.set(waiting[0][0])


class TimerFd:
    """One Linux timerfd, readable at the time that was set last; by ctypes, since `os.timerfd_create` is new in Python 3.13."""

    def __init__(self) -> None:
        self.fileno: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.fileno < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        # `struct itimerspec`: interval and expiration in seconds and nanoseconds; with an interval of zero it fires once.
        self._spec = (ctypes.c_long * 4)()
        self._at = ctypes.byref(self._spec)

    def set(self, at_ns: int) -> None:
        """Fire at a time of the monotonic clock, in nanoseconds, instead of any time set before; at once if it has passed."""
        self._spec[2], self._spec[3] = divmod(max(1, at_ns), 1_000_000_000)  # zero would disarm the timer
        if _libc.timerfd_settime(self.fileno, _ABSOLUTE, self._at, None) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def clear(self) -> None:
        """Stop being readable until set again."""
        with contextlib.suppress(BlockingIOError):  # it was set again after it fired
            os.read(self.fileno, _EXPIRATIONS_BYTES)

    def close(self) -> None:
        """Close the file descriptor."""
        os.close(self.fileno)


class KeepAwake:
    """Keeps the running loop turning while it is entered and `wanted`, so that its core never sleeps. An async context manager.

    Waking a sleeping core takes time that every measured time would include, so the loop polls, as packet generators do. This uses
    a whole core. `idle_ns` is the total time of turns in which nothing happened, from which the real CPU usage follows.
    """

    def __init__(self, clock: Clock, *, wanted: bool = True) -> None:
        self.idle_ns = 0
        self._now_ns, self._wanted = clock.now_ns, wanted
        self._turning: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start turning."""
        if self._wanted:
            self._turning = asyncio.get_running_loop().create_task(self._turn())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Let the loop sleep again."""
        if self._turning is not None:
            self._turning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._turning

    async def _turn(self) -> None:
        before_ns = self._now_ns()
        while True:
            await asyncio.sleep(0)
            now_ns = self._now_ns()
            if now_ns - before_ns <= IDLE_TURN_NS:
                self.idle_ns += now_ns - before_ns
            before_ns = now_ns


SETTLING_TURNS = 50  # turns of the loop in which all coroutines that can continue do so, before a `FakePacer` advances


class FakePacer:
    """A pacer for tests, on a fake clock: time advances to the earliest pending wait once no other coroutine can continue."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._waiting: list[tuple[int, int]] = []
        self._number = itertools.count()

    async def until(self, due_ns: int) -> None:
        """Return when the fake clock has reached `due_ns`; waits for the same time return in the order of the calls."""
        me = (due_ns, next(self._number))
        heapq.heappush(self._waiting, me)
        try:
            settled = 0
            while self._waiting[0] != me or settled < SETTLING_TURNS:
                settled = settled + 1 if self._waiting[0] == me else 0
                await asyncio.sleep(0)
            self._clock.time_ns = max(self._clock.time_ns, due_ns)
        finally:
            self._waiting.remove(me)
            heapq.heapify(self._waiting)


@dataclass(frozen=True)
class Lateness:
    """The delay with which waits end, which the machine and the loop add to every planned time."""

    waits: int
    """Waits measured."""
    median_ns: float
    p99_ns: float
    max_ns: int


async def lateness_ns(pacer: PacerProtocol, clock: Clock, waits: int = 1000, gap_ns: int = 2_500_000) -> Lateness:
    """Measure how late a pacer's waits of `gap_ns` end in the running loop, over at least one wait, one after the other."""
    late = np.empty(waits, dtype=np.int64)
    for i in range(waits):
        due_ns = clock.now_ns() + gap_ns
        await pacer.until(due_ns)
        late[i] = clock.now_ns() - due_ns
    median_ns, p99_ns = np.quantile(late, [0.5, 0.99])
    return Lateness(waits, float(median_ns), float(p99_ns), int(late.max()))
