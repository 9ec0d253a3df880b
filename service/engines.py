"""The service's SQLAlchemy engine, for sessions in threads or on the event loop, with the pool settings of the switch.

Every connection to SQLite gets the same settings, whatever the switches, so all levels are equally durable.

The review gives SQLite one shared connection (StaticPool), on the event loop and in threads. It works while requests come one after
another. Concurrent requests share one transaction: a request that ends, even a read, rolls back uncommitted writes of another
request. That request then fails on a missing SAVEPOINT, or commits nothing, without an error. This is how the review's code
behaves, and it is kept as proposed.
"""

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from service import pools
from service.pools import Environment
from service.switches import Level

DRIVERS = {"sqlite": ("pysqlite", "aiosqlite"), "postgresql": ("psycopg", "asyncpg")}
"""Database → the driver for synchronous sessions, and the one for asyncio."""

BEGIN_WITH = "begin_with"
"""Execution option: the statement that opens a transaction on SQLite, where SQLAlchemy sends it instead of the driver."""
WRITE_AT_ONCE = {BEGIN_WITH: "BEGIN IMMEDIATE"}
"""For an engine whose transactions write: they take the write lock when they begin, so none fails to get it halfway."""

_SQLITE = ("busy_timeout=5000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY")
"""PRAGMAs for each connection. The lock timeout comes first, because the change of journal mode may need it."""


def with_driver(url: URL, *, asyncio: bool) -> URL:
    """Return the URL of the same database with the driver for synchronous or asyncio sessions.

    Raises ValueError if the service does not support the database.
    """
    backend = url.get_backend_name()
    if backend not in DRIVERS:
        raise ValueError(f"the service does not support {backend}; name a database of {' or '.join(DRIVERS)}")
    return url.set(drivername=f"{backend}+{DRIVERS[backend][asyncio]}")


def engine_in_threads(url: URL, level: Level) -> Engine:
    """Create an engine for synchronous sessions.

    The optimised pool gives all its connections the same lifetime; a random lifetime per connection takes the pool of an asyncio
    engine.
    """
    if level is Level.BASELINE:
        return create_engine(url, **pools.BASELINE)
    if level is Level.PROPOSED:
        if url.get_backend_name() == "sqlite":
            return create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        return create_engine(url, **pools.repaired(Environment.PRODUCTION))
    settings = pools.settings_for(Environment.PRODUCTION, url)
    lifetime_s = -1 if settings.lifetime_s is None else settings.lifetime_s
    return create_engine(url, **settings.arguments, pool_recycle=lifetime_s)


def engine_on_loop(url: URL, level: Level) -> AsyncEngine:
    """Create an engine for asyncio sessions."""
    if level is Level.BASELINE:
        return pools.engine_baseline(url)
    if level is Level.PROPOSED:
        if url.get_backend_name() == "sqlite":
            return create_async_engine(url, poolclass=StaticPool)
        return pools.engine_proposed(url, Environment.PRODUCTION)
    return pools.engine_optimised(url, pools.settings_for(Environment.PRODUCTION, url))


def set_up(engine: Engine, *, explicit_begin: bool) -> None:
    """Configure each connection to SQLite as the service needs it; connections to a server stay as they are.

    With `explicit_begin` a transaction begins when SQLAlchemy begins it, so all of its statements see one snapshot, and SAVEPOINTs
    are inside it. Without, as in the baseline, the driver begins a transaction before the first statement that writes.
    """
    if engine.dialect.name != "sqlite":
        return

    def connected(connection: Any, _record: object) -> None:
        if explicit_begin:
            connection.isolation_level = None  # the driver sends no BEGIN
        cursor = connection.cursor()
        for pragma in _SQLITE:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", connected)
    if explicit_begin:
        event.listen(engine, "begin", _begin)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN_WITH, "BEGIN"))
