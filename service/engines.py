"""The engine under the service: for sessions in threads or on the event loop, with its pool set up as the switch says.

Every connection to SQLite is told the same, whatever the switches, so that all ways of answering are equally durable.

The review gives SQLite one shared connection (StaticPool), on the event loop and in threads. It answers as long as requests come
one after another. When they come at once they share one transaction: a request that ends, if only of reading, rolls back what
another has written and not yet committed. That one then fails on a SAVEPOINT that is gone, or commits nothing, without an error.
That is the review's way, and it is left as it is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from service import async_queries, pools
from service.pools import PROPOSED, UNKNOWN, Environment
from service.switches import Level

DRIVERS = {"sqlite": ("pysqlite", "aiosqlite"), "postgresql": ("psycopg", "asyncpg")}
"""Database → the driver for synchronous sessions, and the one for asyncio."""

BEGIN_WITH = "begin_with"
"""Execution option: the statement that opens a transaction on SQLite, where SQLAlchemy says it and not the driver."""

WRITE_AT_ONCE = {BEGIN_WITH: "BEGIN IMMEDIATE"}
"""For an engine whose transactions will write: they take the write lock when they begin, so that none fails for it halfway."""

_SQLITE = ("busy_timeout=5000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY")
"""PRAGMAs for each connection; the wait for locks comes first, because the change of journal mode may need it."""


def with_driver(url: URL, *, asyncio: bool) -> URL:
    """Return the address of the same database for one of the two kinds of sessions.

    Raises:
        ValueError: the service does not run on such a database.
    """
    backend = url.get_backend_name()
    if backend not in DRIVERS:
        raise ValueError(f"the service does not run on {backend}; name a database of {' or '.join(DRIVERS)}")
    return url.set(drivername=f"{backend}+{DRIVERS[backend][asyncio]}")


def engine_in_threads(url: URL, level: Level) -> Engine:
    """Make an engine for synchronous sessions.

    The optimised pool has one age for all its connections: to draw one for each takes the pool of an asyncio engine.
    """
    if level is Level.BASELINE:
        return async_queries.engine_baseline(url)
    if level is Level.PROPOSED:
        if url.get_backend_name() == "sqlite":
            return create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        return create_engine(url, **{name: value for name, value in PROPOSED[Environment.PRODUCTION].items() if name != UNKNOWN})
    settings = pools.settings_for(Environment.PRODUCTION, url)
    return create_engine(
        url,
        pool_size=settings.size,
        max_overflow=0,
        pool_timeout=settings.timeout_s,
        pool_use_lifo=True,
        pool_recycle=-1 if settings.lifetime_s is None else settings.lifetime_s,
    )


def engine_on_loop(url: URL, level: Level) -> AsyncEngine:
    """Make an engine for asyncio sessions."""
    if level is Level.BASELINE:
        return pools.engine_baseline(url)
    if level is Level.PROPOSED:
        if url.get_backend_name() == "sqlite":
            return create_async_engine(url, poolclass=StaticPool)
        return pools.engine_proposed(url, Environment.PRODUCTION)
    return pools.engine_optimised(url, pools.settings_for(Environment.PRODUCTION, url))


def set_up(engine: Engine, *, says_begin: bool) -> None:
    """Tell each connection to SQLite what the service wants; a server's is told nothing.

    With `says_begin` a transaction begins when SQLAlchemy begins it, so that all of its statements see one moment, and SAVEPOINTs
    are inside it. Without, as today, the driver begins one before the first statement that writes.
    """
    if engine.dialect.name != "sqlite":
        return

    def connected(connection: Any, _record: object) -> None:
        if says_begin:
            connection.isolation_level = None  # the driver keeps out of transactions
        cursor = connection.cursor()
        for pragma in _SQLITE:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", connected)
    if says_begin:
        event.listen(engine, "begin", _begin)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN_WITH, "BEGIN"))
