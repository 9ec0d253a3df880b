"""How the service reaches its rows: sessions to read and to write with, and what runs the code that uses them.

The same code runs in threads and on the event loop. In threads, a whole request's work goes to one thread once, on synchronous
sessions. Optimised, it does so where the database is in the process; where it is behind a network, work stays on the loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
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

WARM = 10
"""Connections to open before the first request, where opening one takes round trips; no more than the pool holds."""

_UNREACHABLE = ("08", "53", "57P")
"""SQLSTATEs of a server that cannot be reached, has no more to give, or is shutting down or starting up."""


class DatabaseRun(Protocol):
    """Runs a piece of work where it belongs."""

    async def __call__(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do the work and return its answer."""
        ...


class Pieces(Protocol):
    """Makes the pieces of a text where they belong."""

    def __call__(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        """Yield the pieces."""
        ...


@dataclass(frozen=True)
class Database:
    """The service's database, open.

    `run` does work once, and `run_again` as often as conflicts ask for, so it must do nothing but what a rollback takes back.
    `once` makes units of work that are not tried again, for `run_again` to do that. `asks_at_once`, where there is one, answers
    several questions of a request at the same time. `retries` counts second tries by kind of conflict.
    """

    engine: Engine | AsyncEngine
    readers: Sessions
    writers: Sessions
    run: DatabaseRun
    run_again: DatabaseRun
    pieces: Pieces
    once: Transactions
    retries: Callable[[], dict[str, int]]
    asks_at_once: SessionEach | None = None

    async def read(self, work: Work[Answer]) -> Answer:
        """Do work that reads, on a session of its own."""
        return await self.run(lambda: _on(self.readers, work))

    async def write(self, work: Work[Answer]) -> Answer:
        """Do work that writes and commits, on a session of its own, again after a conflict where transactions are optimised."""
        return await self.run_again(lambda: _on(self.writers, work))


@asynccontextmanager
async def open_database(url: URL, switches: Switches) -> AsyncIterator[Database]:
    """Open the database as the switches say, and close every connection at the end.

    Raises:
        ValueError: the service does not run on such a database.
    """
    embedded = url.get_backend_name() == "sqlite"
    in_threads = switches.async_queries is Level.BASELINE or (switches.async_queries is Level.OPTIMISED and embedded)
    address = engines.with_driver(url, asyncio=not in_threads)
    async with (_in_threads if in_threads else _on_loop)(address, switches) as database:
        yield database


def is_busy(error: BaseException) -> bool:
    """Say whether an error means that the database has no time or no connection now, and may have later."""
    if isinstance(error, (PoolTimeoutError, ConnectionError, TimeoutError)) or conflict(error) is not None:
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", "")
    if state is None:  # a server's driver whose server has not answered
        return isinstance(error, OperationalError)
    return error.connection_invalidated or str(state).startswith(_UNREACHABLE)


@asynccontextmanager
async def _in_threads(url: URL, switches: Switches) -> AsyncIterator[Database]:
    engine = engines.engine_in_threads(url, switches.pools)
    engines.set_up(engine, says_begin=_says_begin(switches))
    size = async_queries.THREADS if switches.async_queries is Level.BASELINE else _size(engine)
    try:
        with ThreadPoolExecutor(size) as executor:
            threads = Threads(executor)
            if _opens_early(engine, switches):
                await threads.run(lambda: _warm_up(engine))
            writers = sync_sessions(engine.execution_options(**engines.WRITE_AT_ONCE))
            yield _database(switches, engine, sync_sessions(engine), writers, threads.run, threads.each)
    finally:
        engine.dispose()


@asynccontextmanager
async def _on_loop(url: URL, switches: Switches) -> AsyncIterator[Database]:
    engine = engines.engine_on_loop(url, switches.pools)
    engines.set_up(engine.sync_engine, says_begin=_says_begin(switches))
    try:
        if _opens_early(engine.sync_engine, switches):
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
    nowhere = cast("Sessions", _Nowhere())
    retrying = Transactions(nowhere, nowhere)

    async def run_again(work: Callable[[], Awaitable[Answer]]) -> Answer:
        # Whoever waits for the next try does so on the loop, and holds no thread meanwhile.
        return await retrying.write(lambda _session: run(work))

    again = run_again if switches.transactions is Level.OPTIMISED else run
    once = Transactions(writers, readers, attempts=1)
    return Database(engine, readers, writers, run, again, pieces, once, lambda: dict(retrying.retries), each)


def _says_begin(switches: Switches) -> bool:
    return switches.transactions is Level.OPTIMISED


def _opens_early(engine: Engine, switches: Switches) -> bool:
    """Say whether to open connections before the first request: where opening one takes round trips."""
    return switches.pools is Level.OPTIMISED and engine.dialect.name != "sqlite"


class _Nowhere:
    """Passes for a maker of sessions, for work that opens its own."""

    def begin(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()


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
    """Return how many connections a pool keeps; one that is not a queue keeps one."""
    return engine.pool.size() if isinstance(engine.pool, QueuePool) else 1
