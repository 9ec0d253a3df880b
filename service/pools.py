"""Connection pools: the baseline's single setting, the review's settings per environment, and the optimised settings.

Every function creates an engine and opens no connection yet. The caller disposes of it on the event loop that used it.

Decisions of the optimised settings, with reasons:

- One kind of pool, `AsyncAdaptedQueuePool`, set explicitly: SQLAlchemy's default has changed between releases.
- A server's pool is as large as the number of concurrent requests, up to this process's share of the server's connections. There is
  no overflow: a connection beyond the size is closed when it is returned, so every burst would open the same ones again.
- An embedded engine's pool is small: its connections are threads of one interpreter, and each has a page cache.
- The most recently used connection is taken first. It has the statements prepared and the pages cached.
- Each connection to a server has its own lifetime, randomly shortened, so that those opened at once are not closed at once.
- A connection is pinged only if a network can drop it, and only after it has been idle for a while, as HikariCP's
  `aliveBypassWindowMs` does: a ping before every use costs every request round trips.
- A checkout times out before a user gives up. Then it raises, and the service can respond that it is busy.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy import exc as errors
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, StaticPool

RETIRES, RETURNED = "retires_s", "returned_s"  # keys of a connection's `info`: end of its lifetime, last return to the pool


class Environment(StrEnum):
    """The environment that the service runs in."""

    LOCAL = "local"
    STAGING = "staging"
    PRODUCTION = "production"


BASELINE: Mapping[str, Any] = {"pool_size": 10, "max_overflow": 20, "pool_pre_ping": True}

UNKNOWN = "pool_timeout_retry"  # the keyword of the review that SQLAlchemy does not know
PROPOSED: Mapping[Environment, Mapping[str, Any]] = {
    Environment.LOCAL: {"pool_size": 5, "max_overflow": 10, "pool_timeout": 30, "pool_recycle": 3600},
    Environment.STAGING: {"pool_size": 10, "max_overflow": 20, "pool_timeout": 20, "pool_recycle": 1800},
    Environment.PRODUCTION: {
        "pool_size": 20,
        "max_overflow": 40,
        "pool_timeout": 10,
        UNKNOWN: 3,
        "pool_recycle": 900,
        "pool_pre_ping": True,
        "pool_use_lifo": True,
    },
}


def engine_baseline(url: URL) -> AsyncEngine:
    """Create an engine with the baseline's settings: the same everywhere, pinged before every use, never recycled."""
    return create_async_engine(url, **BASELINE)


def engine_as_written(url: URL, environment: Environment) -> AsyncEngine:
    """Create an engine as the review writes it. Raises TypeError in production, unless the URL contains "sqlite"."""
    if "sqlite" in url.render_as_string():
        # `check_same_thread` is omitted: an asyncio driver has its own thread, and Turso's driver does not know the argument.
        return create_async_engine(url, poolclass=StaticPool)
    return engine_with_settings_as_written(url, environment)


def engine_with_settings_as_written(url: URL, environment: Environment) -> AsyncEngine:
    """Create an engine with the review's settings of an environment, for any URL. Raises TypeError in production."""
    return create_async_engine(url, **PROPOSED[environment], pool_logging_name="turso_pool")


def engine_proposed(url: URL, environment: Environment) -> AsyncEngine:
    """Create an engine with the review's settings of an environment, repaired to run."""
    return create_async_engine(url, **repaired(environment), pool_logging_name="turso_pool")


def repaired(environment: Environment) -> dict[str, Any]:
    """Return the review's settings of an environment, without the unknown keyword."""
    return {name: value for name, value in PROPOSED[environment].items() if name != UNKNOWN}


@dataclass(frozen=True)
class Share:
    """A process's share of a server's connections: equal parts, after a reserve for administrators and migrations."""

    granted: int = 100
    reserved: int = 10
    processes: int = 2

    @property
    def connections(self) -> int:
        """The number of connections that one process may open."""
        return (self.granted - self.reserved) // self.processes


@dataclass(frozen=True)
class PoolSettings:
    """The settings of one pool; there is no overflow."""

    size: int
    timeout_s: float
    lifetime_s: float | None = None  # maximum age of a connection in seconds; None for no limit
    lifetime_jitter: float = 0.1  # share of the lifetime by which each connection's lifetime is shortened at most, at random
    ping_after_idle_s: float | None = None  # idle seconds after which a connection is pinged when it is taken; None for never

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the pool for SQLAlchemy's `create_engine`."""
        return {"pool_size": self.size, "max_overflow": 0, "pool_timeout": self.timeout_s, "pool_use_lifo": True}


def settings_for(environment: Environment, url: URL, share: Share = Share(), requests: int = 100) -> PoolSettings:
    """Return the settings for an environment and a kind of database; `requests` is the limit of concurrent requests per process."""
    if url.get_dialect().name == "sqlite":
        return PoolSettings(size=4 if environment is Environment.LOCAL else 16, timeout_s=5)
    if environment is Environment.LOCAL:
        return PoolSettings(size=5, timeout_s=5)  # on this machine no network can drop connections
    size = min(requests, share.connections)
    if environment is Environment.STAGING:
        size = max(1, size // 4)  # the only difference, so that problems of production show up in staging first
    return PoolSettings(size=size, timeout_s=5, lifetime_s=15 * 60, ping_after_idle_s=30)


def engine_optimised(
    url: URL, settings: PoolSettings, draw: Callable[[], float] = random.random, now_s: Callable[[], float] = time.monotonic
) -> AsyncEngine:
    """Create an engine with the optimised settings. `draw` returns a number in [0, 1), `now_s` monotonic seconds."""
    engine = create_async_engine(url, poolclass=AsyncAdaptedQueuePool, **settings.arguments)
    if settings.lifetime_s is not None:
        _retire(engine, settings.lifetime_s, settings.lifetime_jitter, draw, now_s)
    if settings.ping_after_idle_s is not None:
        _ping_idle(engine, settings.ping_after_idle_s, now_s)
    return engine


async def warm_up(engine: AsyncEngine, connections: int) -> None:
    """Open a number of a pool's connections concurrently and return them to it; those within the pool's size stay open."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as opening:
        for _ in range(connections):
            opening.create_task(stack.enter_async_context(engine.connect()))


def _retire(engine: AsyncEngine, lifetime_s: float, jitter: float, draw: Callable[[], float], now_s: Callable[[], float]) -> None:
    """Replace a connection whose lifetime is over when it is next taken: after DisconnectionError the pool opens a new one."""

    def connected(_connection: Any, record: Any) -> None:
        record.info[RETIRES] = now_s() + lifetime_s * (1 - jitter * draw())

    def taken(_connection: Any, record: Any, _proxy: Any) -> None:
        if now_s() >= record.info[RETIRES]:
            raise errors.DisconnectionError("the connection has reached its lifetime")

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "checkout", taken)


def _ping_idle(engine: AsyncEngine, idle_s: float, now_s: Callable[[], float]) -> None:
    """Ping a connection that is taken after an idle period; if it is dead, replace it and all older connections."""
    dialect = engine.dialect

    def returned(_connection: Any, record: Any) -> None:
        record.info[RETURNED] = now_s()

    def taken(connection: Any, record: Any, _proxy: Any) -> None:
        if now_s() - record.info.get(RETURNED, now_s()) < idle_s:
            return
        try:
            alive = dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            if not dialect.is_disconnect(error, connection, None):
                raise
            alive = False
        if not alive:
            raise errors.InvalidatePoolError

    event.listen(engine.sync_engine, "checkin", returned)
    event.listen(engine.sync_engine, "checkout", taken)
