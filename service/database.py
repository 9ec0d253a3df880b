"""The service's access to its rows: engines, sessions for reads and writes, and dispatchers that run the code that uses them.

The same code runs in threads and on the event loop. In threads, all work of a request goes to one thread once, on synchronous
sessions. The optimised service does so if the database is embedded; if it is behind a network, work stays on the loop. Every
connection to SQLite gets the same settings, whatever the switches, so all levels are equally durable.

The review gives SQLite one shared connection (StaticPool), on the event loop and in threads. Concurrent requests then share one
transaction: a request that ends, even a read, rolls back uncommitted writes of another request, which fails on a missing SAVEPOINT,
or commits nothing, without an error. This is how the review's code behaves, and it is kept as proposed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import QueuePool, StaticPool

from service import async_queries, pools
from service.async_queries import SessionEach
from service.pools import Environment
from service.sessions import Threads, sessionmaker, sync_sessions
from service.switches import Level, Switches
from service.transactions import Transactions, conflict

Answer = TypeVar("Answer")
Sessions = async_sessionmaker[AsyncSession]
Work = Callable[[AsyncSession], Awaitable[Answer]]
Pieces = Callable[[AsyncIterator[str]], AsyncIterator[str]]  # produces the chunks of a text in a thread or on the event loop

WARM = 10  # number of connections to open before the first request if opening one takes round trips; limited by the pool size
_UNREACHABLE = ("08", "53", "57P")  # SQLSTATE prefixes of a server that is unreachable, out of resources, shutting down or starting
DRIVERS = {"sqlite": ("pysqlite", "aiosqlite"), "postgresql": ("psycopg", "asyncpg")}  # for synchronous sessions, for asyncio
BEGIN_WITH = "begin_with"  # execution option: the statement with which SQLAlchemy, not the driver, opens a transaction on SQLite
WRITE_AT_ONCE = {BEGIN_WITH: "BEGIN IMMEDIATE"}  # transactions take the write lock when they begin, so none fails to get it halfway
_SQLITE = ("busy_timeout=5000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY")
"""PRAGMAs for each connection. The lock timeout comes first, because the change of journal mode may need it."""


class DatabaseRun(Protocol):
    """Dispatches work to a thread or to the event loop."""

    async def __call__(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run the work and return its answer."""


@dataclass(frozen=True)
class Database:
    """The service's open database."""

    engine: Engine | AsyncEngine
    readers: Sessions
    writers: Sessions
    run: DatabaseRun  # runs work once
    pieces: Pieces
    retrying: Transactions | None  # retries work after a conflict; None if the service does not
    concurrent_reads: SessionEach | None = None  # runs several queries of a request concurrently; None if the service does not

    async def read(self, work: Work[Answer]) -> Answer:
        """Run work that reads, on its own session."""
        return await self.run(lambda: _on(self.readers, work))

    async def write(self, work: Work[Answer]) -> Answer:
        """Run work that writes and commits, on its own session; retried after a conflict if transactions are optimised."""
        return await self.run_again(lambda: _on(self.writers, work))

    async def run_again(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run work, again after a conflict, so it must have no side effects other than those that a rollback undoes."""
        if self.retrying is None:
            return await self.run(work)
        return await self.retrying.write(lambda _session: self.run(work))  # the wait before a retry occupies no thread


@asynccontextmanager
async def open_database(url: URL, switches: Switches) -> AsyncIterator[Database]:
    """Open the database with the switches, and close every connection at the end. Raises ValueError if it is unsupported."""
    embedded = url.get_backend_name() == "sqlite"
    in_threads = switches.async_queries is Level.BASELINE or (switches.async_queries is Level.OPTIMISED and embedded)
    address = with_driver(url, asyncio=not in_threads)
    async with (_in_threads if in_threads else _on_loop)(address, switches) as database:
        yield database


def with_driver(url: URL, *, asyncio: bool) -> URL:
    """Return the URL of the same database with the driver for these sessions. Raises ValueError if it is unsupported."""
    backend = url.get_backend_name()
    if backend not in DRIVERS:
        raise ValueError(f"the service does not support {backend}; name a database of {' or '.join(DRIVERS)}")
    return url.set(drivername=f"{backend}+{DRIVERS[backend][asyncio]}")


def engine_in_threads(url: URL, level: Level) -> Engine:
    """Create an engine for synchronous sessions. If optimised, all connections have one lifetime; random ones are for asyncio."""
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

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(BEGIN_WITH, "BEGIN"))

    event.listen(engine, "connect", connected)
    if explicit_begin:
        event.listen(engine, "begin", begin)


def is_busy(error: BaseException) -> bool:
    """Return whether an error means that the database is temporarily out of time or connections."""
    if isinstance(error, (PoolTimeoutError, ConnectionError, TimeoutError)) or conflict(error) is not None:
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", "")
    if state is None:  # the driver of a server that has not responded
        return isinstance(error, OperationalError)
    return error.connection_invalidated or str(state).startswith(_UNREACHABLE)


@asynccontextmanager
async def _in_threads(url: URL, switches: Switches) -> AsyncIterator[Database]:
    engine = engine_in_threads(url, switches.pools)
    set_up(engine, explicit_begin=switches.transactions is Level.OPTIMISED)
    size = async_queries.THREADS if switches.async_queries is Level.BASELINE else _size(engine)
    try:
        with ThreadPoolExecutor(size) as executor:
            threads = Threads(executor)
            await threads.run(lambda: _warm_up(engine, _early(engine, switches)))
            writers = sync_sessions(engine.execution_options(**WRITE_AT_ONCE))
            yield Database(engine, sync_sessions(engine), writers, threads.run, threads.each, _retrying(switches))
    finally:
        engine.dispose()


@asynccontextmanager
async def _on_loop(url: URL, switches: Switches) -> AsyncIterator[Database]:
    engine = engine_on_loop(url, switches.pools)
    set_up(engine.sync_engine, explicit_begin=switches.transactions is Level.OPTIMISED)
    try:
        await pools.warm_up(engine, _early(engine.sync_engine, switches))
        readers, writers = sessionmaker(engine), sessionmaker(engine.execution_options(**WRITE_AT_ONCE))
        each = None
        if switches.async_queries is Level.OPTIMISED:
            each = SessionEach(engine, _size(engine.sync_engine))
            readers = sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"))
        yield Database(engine, readers, writers, _directly, lambda pieces: pieces, _retrying(switches), each)
    finally:
        await engine.dispose()


def _retrying(switches: Switches) -> Transactions | None:
    no_sessions = cast("Sessions", SimpleNamespace(begin=nullcontext))  # the work opens its own session
    return Transactions(no_sessions, no_sessions) if switches.transactions is Level.OPTIMISED else None


def _early(engine: Engine, switches: Switches) -> int:
    """Return the number of connections to open before the first request: some, if opening one takes round trips."""
    return min(WARM, _size(engine)) if switches.pools is Level.OPTIMISED and engine.dialect.name != "sqlite" else 0


async def _directly(work: Callable[[], Awaitable[Answer]]) -> Answer:
    return await work()


async def _on(sessions: Sessions, work: Work[Answer]) -> Answer:
    async with sessions() as session:
        return await work(session)


async def _warm_up(engine: Engine, connections: int) -> None:
    with ExitStack() as stack:
        for _ in range(connections):
            stack.enter_context(engine.connect())


def _size(engine: Engine) -> int:
    """Return the number of connections that a pool keeps; a pool that is not a queue keeps one."""
    return engine.pool.size() if isinstance(engine.pool, QueuePool) else 1
