"""The service's access to its rows: sessions for reads and writes, and dispatchers that run the code that uses them.

The same code runs in threads and on the event loop. In threads, all work of a request goes to one thread once, on synchronous
sessions. The optimised service does so if the database is embedded; if it is behind a network, work stays on the loop.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol, TypeVar, cast

from sqlalchemy import URL, Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.pool import QueuePool

from service import async_queries, engines, pools
from service.async_queries import SessionEach
from service.sessions import Threads, sessionmaker, sync_sessions
from service.switches import Level, Switches
from service.transactions import Transactions, conflict

Answer = TypeVar("Answer")
Sessions = async_sessionmaker[AsyncSession]
Work = Callable[[AsyncSession], Awaitable[Answer]]

WARM = 10  # number of connections to open before the first request if opening one takes round trips; limited by the pool size
_UNREACHABLE = ("08", "53", "57P")
"""SQLSTATE prefixes of a server that is unreachable, out of resources, shutting down or starting up."""


class DatabaseRun(Protocol):
    """Dispatches work to a thread or to the event loop."""

    async def __call__(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run the work and return its answer."""


class Pieces(Protocol):
    """Produces the chunks of a text in a thread or on the event loop."""

    def __call__(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        """Yield the chunks."""


@dataclass(frozen=True)
class Database:
    """The service's open database."""

    engine: Engine | AsyncEngine
    readers: Sessions
    writers: Sessions
    run: DatabaseRun  # runs work once
    run_again: DatabaseRun
    """Runs work, again after a conflict, so the work must have no side effects other than those that a rollback undoes."""

    pieces: Pieces
    once: Transactions  # units of work without retries, for `run_again` to retry
    retries: Mapping[str, int]  # number of retries by kind of conflict, so far
    concurrent_reads: SessionEach | None = None  # runs several queries of a request concurrently; None if the service does not

    async def read(self, work: Work[Answer]) -> Answer:
        """Run work that reads, on its own session."""
        return await self.run(lambda: _on(self.readers, work))

    async def write(self, work: Work[Answer]) -> Answer:
        """Run work that writes and commits, on its own session; retried after a conflict if transactions are optimised."""
        return await self.run_again(lambda: _on(self.writers, work))


@asynccontextmanager
async def open_database(url: URL, switches: Switches) -> AsyncIterator[Database]:
    """Open the database with the switches, and close every connection at the end.

    Raises ValueError if the service does not support the database.
    """
    embedded = url.get_backend_name() == "sqlite"
    in_threads = switches.async_queries is Level.BASELINE or (switches.async_queries is Level.OPTIMISED and embedded)
    address = engines.with_driver(url, asyncio=not in_threads)
    async with (_in_threads if in_threads else _on_loop)(address, switches) as database:
        yield database


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
    engine = engines.engine_in_threads(url, switches.pools)
    engines.set_up(engine, explicit_begin=switches.transactions is Level.OPTIMISED)
    size = async_queries.THREADS if switches.async_queries is Level.BASELINE else _size(engine)
    try:
        with ThreadPoolExecutor(size) as executor:
            threads = Threads(executor)
            if _warms_up_early(engine, switches):
                await threads.run(lambda: _warm_up(engine))
            writers = sync_sessions(engine.execution_options(**engines.WRITE_AT_ONCE))
            yield _database(switches, engine, sync_sessions(engine), writers, threads.run, threads.each)
    finally:
        engine.dispose()


@asynccontextmanager
async def _on_loop(url: URL, switches: Switches) -> AsyncIterator[Database]:
    engine = engines.engine_on_loop(url, switches.pools)
    engines.set_up(engine.sync_engine, explicit_begin=switches.transactions is Level.OPTIMISED)
    try:
        if _warms_up_early(engine.sync_engine, switches):
            await pools.warm_up(engine, min(WARM, _size(engine.sync_engine)))
        readers, writers = sessionmaker(engine), sessionmaker(engine.execution_options(**engines.WRITE_AT_ONCE))
        each = None
        if switches.async_queries is Level.OPTIMISED:
            each = SessionEach(engine, _size(engine.sync_engine))
            readers = sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"))
        yield _database(switches, engine, readers, writers, _directly, lambda pieces: pieces, each)
    finally:
        await engine.dispose()


def _database(
    switches: Switches,
    engine: Engine | AsyncEngine,
    readers: Sessions,
    writers: Sessions,
    run: DatabaseRun,
    pieces: Pieces,
    each: SessionEach | None = None,
) -> Database:
    no_sessions = cast("Sessions", SimpleNamespace(begin=nullcontext))  # the work opens its own session
    retrying = Transactions(no_sessions, no_sessions)

    async def run_again(work: Callable[[], Awaitable[Answer]]) -> Answer:
        # The wait before a retry happens on the loop and occupies no thread.
        return await retrying.write(lambda _session: run(work))

    again = run_again if switches.transactions is Level.OPTIMISED else run
    once = Transactions(writers, readers, attempts=1)
    return Database(engine, readers, writers, run, again, pieces, once, retrying.retries, each)


def _warms_up_early(engine: Engine, switches: Switches) -> bool:
    """Return whether to open connections before the first request: if opening one takes round trips."""
    return switches.pools is Level.OPTIMISED and engine.dialect.name != "sqlite"


async def _directly(work: Callable[[], Awaitable[Answer]]) -> Answer:
    return await work()


async def _on(sessions: Sessions, work: Work[Answer]) -> Answer:
    async with sessions() as session:
        return await work(session)


async def _warm_up(engine: Engine) -> None:
    with ExitStack() as stack:
        for _ in range(min(WARM, _size(engine))):
            stack.enter_context(engine.connect())


def _size(engine: Engine) -> int:
    """Return the number of connections that a pool keeps; a pool that is not a queue keeps one."""
    return engine.pool.size() if isinstance(engine.pool, QueuePool) else 1
