"""A single-threaded event loop for descriptors and timers, with finer timers than asyncio's.

Timeouts of epoll, and therefore of asyncio and uvloop, are whole milliseconds. This loop waits in `select` on the epoll's own
descriptor, whose timeout has the resolution of the kernel's clock. It wakes up slightly early and polls for the rest.
"""

import heapq
import itertools
import select
import time
from collections.abc import Callable

NEVER_NS = 2**63


class TimerLoop:
    """Event loop of the relay process. Times are nanoseconds of the monotonic clock."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._early_ns = 50_000
        self._not_before_ns = 0

    def watch(self, fd: int, mask: int, handler: Callable[[int], None]) -> None:
        """Call `handler` with the epoll events of a descriptor from now on; a `mask` of 0 stops that."""
        known = fd in self._handlers
        if not mask:
            if known:
                del self._handlers[fd]
                self._epoll.unregister(fd)
            return
        self._handlers[fd] = handler
        (self._epoll.modify if known else self._epoll.register)(fd, mask)

    def call_at(self, due_ns: int, callback: Callable[[], None]) -> None:
        """Call `callback` once at `due_ns`, never earlier."""
        heapq.heappush(self._timers, (due_ns, next(self._numbers), callback))

    @property
    def is_paused(self) -> bool:
        """Whether timers are paused."""
        return self._not_before_ns == NEVER_NS

    def pause(self) -> None:
        """Fire no timer until `resume`; descriptors are still served."""
        self._not_before_ns = NEVER_NS

    def resume(self, not_before_ns: int) -> None:
        """Fire timers again, none of them before `not_before_ns`."""
        self._not_before_ns = not_before_ns

    def run_once(self) -> None:
        """Wait for the next event or timer and handle it."""
        if not self._timers or self.is_paused:
            events = self._epoll.poll()
        else:
            events = self._wait(max(self._timers[0][0], self._not_before_ns))
        for fd, mask in events:
            if handler := self._handlers.get(fd):
                handler(mask)
        while self._timers and max(self._timers[0][0], self._not_before_ns) <= time.monotonic_ns():
            heapq.heappop(self._timers)[2]()

    def _wait(self, until_ns: int) -> list[tuple[int, int]]:
        """Wait for a descriptor or until just before a time; the lead adapts so that about four in five wake-ups are in time."""
        left_ns = until_ns - self._early_ns - time.monotonic_ns()
        if left_ns <= 0:
            return self._epoll.poll(0)
        ready, _, _ = select.select([self._epoll], [], [], left_ns / 1e9)
        if ready:
            return self._epoll.poll(0)
        late = time.monotonic_ns() > until_ns
        self._early_ns = min(200_000, self._early_ns + 8_000) if late else max(0, self._early_ns - 2_000)
        return []
