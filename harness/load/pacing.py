"""Waiting for a moment more precisely than event loops do: asyncio's timers come late, and uvloop's early.

A timer of the kernel's own (timerfd on the monotonic clock, to an absolute moment) becomes readable when it is due; the loop waits
for that as it waits for a socket. A core that has slept takes its time to wake, therefore the timer goes off a little early and the
rest is waited for in turns of the loop, which stays free for others. Linux only.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from harness.load.timerfd import TimerFd
from harness.runtime.clock import Clock, FakeClock

EARLY_SHARE = 10
MOST_EARLY_NS = 200_000
"""The timer goes off early by one in `EARLY_SHARE` of the wait, at most by `MOST_EARLY_NS`: so much idle time goes into turns."""


class Waits(Protocol):
    """What waits until a moment: a `Pacer`, or a `FakePacer` in tests."""

    async def until(self, due_ns: int) -> None:
        """Return at `due_ns` or after it, and give the loop a turn in any case."""
        ...


class Pacer:
    """Wakes coroutines at given moments; any number may wait at once. An async context manager, bound to the running loop.

    `clock` has to count as `time.perf_counter_ns()` does, which on Linux is the monotonic clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._now_ns: Callable[[], int] = clock.now_ns
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []  # a heap by when to wake
        self._number = itertools.count()

    async def __aenter__(self) -> Self:
        """Make the timer and let the running loop watch it."""
        self._loop = asyncio.get_running_loop()
        self._timer = TimerFd()
        self._loop.add_reader(self._timer.fileno, self._wake)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the timer; whoever still waits is cancelled."""
        self._loop.remove_reader(self._timer.fileno)
        self._timer.close()
        for _, _, future in self._waiting:
            future.cancel()
        self._waiting.clear()

    async def until(self, due_ns: int) -> None:
        """Return at `due_ns` or after it, never before.

        Also where that moment has passed the loop gets a turn, so that a caller who is behind cannot keep it from everybody else.
        """
        wait_ns = due_ns - self._now_ns()
        if wait_ns <= 0:
            await asyncio.sleep(0)
            return
        wake_ns = due_ns - min(wait_ns // EARLY_SHARE, MOST_EARLY_NS)
        future = self._loop.create_future()
        heapq.heappush(self._waiting, (wake_ns, next(self._number), future))
        if self._waiting[0][2] is future:
            self._timer.set(wake_ns)
        await future
        while self._now_ns() < due_ns:  # noqa: ASYNC110 - nothing happens at that moment but that it comes
            await asyncio.sleep(0)

    def _wake(self) -> None:
        """Wake all whose timer has gone off, and set it for the next."""
        self._timer.clear()
        waiting = self._waiting
        while waiting and (waiting[0][2].done() or waiting[0][0] <= self._now_ns()):
            _, _, future = heapq.heappop(waiting)
            if not future.done():  # cancelled ones stay until the timer meets them
                future.set_result(None)
        if waiting:
            self._timer.set(waiting[0][0])


SETTLING_TURNS = 50
"""Turns of the loop within which everybody who can go on does so, before a `FakePacer` moves time."""


class FakePacer:
    """A pacer for tests, on a fake clock: time moves to the earliest moment that anybody waits for, once nobody else can go on."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._waiting: list[tuple[int, int]] = []
        self._number = itertools.count()

    async def until(self, due_ns: int) -> None:
        """Return when the fake clock has come to `due_ns`; those who wait for the same moment return in the order they came."""
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
    """How late waits ended, in nanoseconds: what the machine and the loop add to every planned moment."""

    waits: int
    median_ns: float
    p99_ns: float
    max_ns: int


async def lateness_ns(pacer: Waits, clock: Clock, waits: int = 1000, gap_ns: int = 2_500_000) -> Lateness:
    """Return how late a pacer's waits of `gap_ns` end in the running loop, over at least one wait, one after the other."""
    late = np.empty(waits, dtype=np.int64)
    for i in range(waits):
        due_ns = clock.now_ns() + gap_ns
        await pacer.until(due_ns)
        late[i] = clock.now_ns() - due_ns
    median_ns, p99_ns = np.quantile(late, [0.5, 0.99])
    return Lateness(waits, float(median_ns), float(p99_ns), int(late.max()))
