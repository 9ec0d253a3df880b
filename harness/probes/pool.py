"""How an engine's pool is used: how long checkouts take, how many connections are made for them, how many give up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from sqlalchemy import Engine, Pool, PoolProxiedConnection, event
from sqlalchemy import exc as errors
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from harness.runtime.clock import Clock, MonotonicClock


class PoolUse:
    """Counts what a pool does while it is entered, and times every checkout, whatever kind of pool it is.

    No event of a pool carries the wait, so the call that checks a connection out is wrapped. What that takes is what its caller
    waits for: the queue, and the making or pinging of a connection. When `dispose` puts another pool in place of the
    engine's, that one is watched as well.

    - waits_ns: nanoseconds of each checkout, in the order they ended; those that timed out are among them.
    - waiting_peak: most checkouts under way at the same time.
    - overflow_peak: most connections beyond the pool's size at the same time. A pool that has not opened all of its own connections
      reports a negative overflow, which is 0 here.
    - counts(): checkouts granted, connects made and timeouts.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock | None = None) -> None:
        self._engine = engine.sync_engine
        self._clock = clock or MonotonicClock()
        self._watched: list[Pool] = []
        self._clear()

    async def __aenter__(self) -> Self:
        """Start counting from zero."""
        self._clear()
        event.listen(self._engine, "engine_disposed", self._watch)
        event.listen(self._engine, "connect", self._connected)
        self._watch(self._engine)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""
        event.remove(self._engine, "engine_disposed", self._watch)
        event.remove(self._engine, "connect", self._connected)
        while self._watched:
            del self._watched.pop().connect

    def counts(self) -> Mapping[str, float]:
        """Return checkouts, connects and timeouts."""
        return {"checkouts": self._checkouts, "connects": self._connects, "timeouts": self._timeouts}

    def _clear(self) -> None:
        self.waits_ns: list[int] = []
        self.waiting_peak = 0
        self.overflow_peak = 0
        self._waiting = 0
        self._checkouts = 0
        self._connects = 0
        self._timeouts = 0

    def _watch(self, engine: Engine) -> None:
        """Wrap `connect` of the pool that an engine has now."""
        pool = engine.pool
        check_out = pool.connect

        def timed() -> PoolProxiedConnection:
            self._waiting += 1
            self.waiting_peak = max(self.waiting_peak, self._waiting)
            started_ns = self._clock.now_ns()
            try:
                connection = check_out()
                self._checkouts += 1
            except errors.TimeoutError:
                self._timeouts += 1
                raise
            finally:
                self.waits_ns.append(self._clock.now_ns() - started_ns)
                self._waiting -= 1
            if isinstance(pool, QueuePool):
                self.overflow_peak = max(self.overflow_peak, pool.overflow())
            return connection

        pool.connect = timed  # type: ignore[method-assign]  # hides the method until it is deleted again
        self._watched.append(pool)

    def _connected(self, _connection: object, _record: object) -> None:
        self._connects += 1
