"""A request with several independent queries: run in a thread, on one asyncio session, or on one session per query.

Decisions of the optimised technique, with reasons:

- If the database is behind a network, every query has its own session: a connection executes one statement at a time.
- Those sessions read in autocommit. Several connections share no snapshot anyway, so BEGIN and ROLLBACK around a single statement
  are two wasted round trips. Queries whose answers must be consistent belong on one session.
- No more sessions are open, over all requests, than the pool has connections. The rest wait here, where nothing times out, and no
  holder of a connection waits for another connection.
- If the database is embedded, no network wait can overlap: the whole request runs in a thread once, on a synchronous session. An
  asyncio driver would switch to a thread for every single call.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from typing import Any

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from service import bulk, pools
from service.models import Prompt
from service.prompts import Query
from service.sessions import Threads, sync_sessions
from service.sessions import sessionmaker as async_sessions

THREADS = 40  # number of threads that FastAPI uses for endpoints that are plain functions
CONNECTIONS = 20  # pool size of the optimised engines


class Threaded:
    """The baseline, as in an endpoint that is a plain function: queries one after another on a synchronous session in a thread."""

    def __init__(self, engine: Engine, threads: Executor, insert: bulk.Insert = bulk.insert_baseline) -> None:
        self._sessions = sync_sessions(engine)
        self._threads = Threads(threads)
        self._insert = insert

    async def run_queries(self, queries: Sequence[Query]) -> list[Any]:
        """Run in a thread."""

        async def answer() -> list[Any]:
            async with self._sessions() as session:
                return [await query(session) for query in queries]

        return await self._threads.run(answer)

    async def create(self, rows: Sequence[bulk.PromptRow]) -> int:
        """Insert in a thread."""
        [inserted] = await self.run_queries([lambda session: self._insert(session, rows)])
        return int(inserted)


class OneSession:
    """The review's single session per request, on its asyncio engine. It executes one query after another, as any session does."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._sessions = async_sessions(engine)

    async def run_queries(self, queries: Sequence[Query]) -> list[Any]:
        """Run on one session."""
        async with self._sessions() as session:
            return [await query(session) for query in queries]

    async def create(self, rows: Sequence[bulk.PromptRow]) -> int:
        """Insert as the review does, and commit, which the review omits."""
        async with self._sessions() as session:
            await bulk_create_as_written(session, [Prompt(**row) for row in rows])
            await session.commit()
        return len(rows)


class SessionEach:
    """One autocommit session per query, at most `at_once` of them at the same time over all requests."""

    def __init__(self, engine: AsyncEngine, at_once: int) -> None:
        self._readers = async_sessions(engine.execution_options(isolation_level="AUTOCOMMIT"))
        self._writers = async_sessions(engine)
        self._free = asyncio.Semaphore(at_once)

    async def run_queries(self, queries: Sequence[Query]) -> list[Any]:
        """Run all concurrently. The first error cancels the other queries."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._answer(query)) for query in queries]
        return [task.result() for task in tasks]

    async def create(self, rows: Sequence[bulk.PromptRow]) -> int:
        """Insert with one executemany."""
        async with self._free, self._writers() as session:
            return await bulk.insert_optimised(session, rows)

    async def _answer(self, query: Query) -> Any:
        async with self._free, self._readers() as session:
            return await query(session)


Requests = Threaded | OneSession | SessionEach
"""A way of serving requests: `run_queries` runs independent queries of one request and returns the answers in their order; `create`
inserts prompts, commits, and returns their number."""

_OPTIMISED = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": 5, "pool_use_lifo": True}


def engine_baseline(url: URL) -> Engine:
    """Create the synchronous engine of the baseline."""
    return create_engine(url, **pools.BASELINE)


def engine_proposed(url: URL | str) -> AsyncEngine:
    """Create the review's asyncio engine."""
    return create_async_engine(url, pool_size=20, max_overflow=40, pool_recycle=900, pool_pre_ping=True)


def engine_optimised(url: URL) -> AsyncEngine:
    """Create an asyncio engine for `SessionEach`: a fixed number of connections, the most recently used first."""
    return create_async_engine(url, poolclass=AsyncAdaptedQueuePool, **_OPTIMISED)


def engine_in_threads(url: URL) -> Engine:
    """Create a synchronous engine for an embedded database: no overflow, and no ping, since no network can drop connections."""
    return create_engine(url, **_OPTIMISED)


def address_as_written(url: str) -> str:
    """Return the URL that the review derives from a libSQL URL for its asyncio engine."""
    return url.replace("libsql://", "sqlite+aiosqlite://")


async def session_as_written(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    """Yield a request's session, and commit nothing."""
    async with sessions() as session:
        yield session


async def gathered_on_one_session(session: AsyncSession, queries: Sequence[Query]) -> list[Any]:
    """Run all queries concurrently on one session: InvalidRequestError without a connection yet, one after another with one."""
    return list(await asyncio.gather(*(query(session) for query in queries)))


async def bulk_create_as_written(session: AsyncSession, prompts: list[Prompt]) -> list[Prompt]:
    """Insert without committing."""
    session.add_all(prompts)
    await session.flush()
    return prompts
