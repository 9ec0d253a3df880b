"""Use of an engine's connection pool: time of checkouts, connections opened, timeouts."""

from collections.abc import Mapping
from typing import Self

from sqlalchemy import Engine, Pool, PoolProxiedConnection, event
from sqlalchemy import exc as errors
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from harness.probes.connecting import synchronous
from harness.runtime.clock import Clock, MonotonicClock


class PoolUse:
    """Counts the work of a pool of any class while it is entered, and times every checkout.

    No pool event has the waiting time, so the method that checks out a connection is wrapped. Its time is what the caller waits
    for: the queue, and opening or pinging a connection. If `dispose` replaces the engine's pool, the new one is wrapped as well.

    - waits_ns: time of each checkout in nanoseconds, in the order of completion, including those that timed out.
    - waiting_peak: maximum of checkouts in flight at the same time.
    - overflow_peak: maximum of connections above the pool's size at the same time. A pool that has not opened all of its
      connections yet reports a negative overflow, which is 0 here.
    - counts(): successful checkouts, connections opened, and timeouts.
    """

    def __init__(self, engine: AsyncEngine | Engine, clock: Clock | None = None) -> None:
        self._engine = synchronous(engine)
        self._clock = clock or MonotonicClock()
        self._watched: list[Pool] = []

    async def __aenter__(self) -> Self:
        self.waits_ns: list[int] = []
        self.waiting_peak = 0
        self.overflow_peak = 0
        self._waiting = 0
        self._counts = {"checkouts": 0, "connects": 0, "timeouts": 0}
        event.listen(self._engine, "engine_disposed", self._watch)
        event.listen(self._engine, "connect", self._connected)
        self._watch(self._engine)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        event.remove(self._engine, "engine_disposed", self._watch)
        event.remove(self._engine, "connect", self._connected)
        while self._watched:
            del self._watched.pop().connect

    def counts(self) -> Mapping[str, float]:
        """Return checkouts, connects and timeouts."""
        return dict(self._counts)

    def _watch(self, engine: Engine) -> None:
        """Wrap `connect` of the engine's current pool."""
        pool = engine.pool
        check_out = pool.connect

        def timed() -> PoolProxiedConnection:
            self._waiting += 1
            self.waiting_peak = max(self.waiting_peak, self._waiting)
            started_ns = self._clock.now_ns()
            try:
                connection = check_out()
                self._counts["checkouts"] += 1
            except errors.TimeoutError:
                self._counts["timeouts"] += 1
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
        self._counts["connects"] += 1
