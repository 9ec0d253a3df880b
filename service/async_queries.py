"""A request with several independent questions: answered in a thread, on one asyncio session, or on a session for each.

The same questions are asked of every kind of session, so
that only how they are asked differs.

What "done right" decides, and why:

- Where the database is behind a network, every question has a session of its own. A session is one connection, and a
  connection answers one statement at a time.
- Those sessions read in autocommit. Questions on several connections have no common snapshot, transaction or not, so that BEGIN and
  ROLLBACK around a single statement are two round trips for nothing. Questions whose answers must agree belong on one session.
- No more sessions than the pool has connections are open at once, over all requests. The rest wait here, where nothing times out,
  and nobody who holds a connection waits for another.
- Where the database is in the process, there is nothing to wait for while the others are answered. The whole request goes
  to a thread once, on a synchronous session; an asyncio driver would go to a thread for every single call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol, cast

from sqlalchemy import URL, Engine, Executable, Result, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import AsyncAdaptedQueuePool

from service import bulk
from service.dashboard import Question
from service.models import Prompt
from service.sessions import sessionmaker as async_sessions

PromptRow = Mapping[str, Any]
Insert = Callable[[AsyncSession, Sequence[PromptRow]], Awaitable[int]]

THREADS = 40
"""Threads that FastAPI has for endpoints that are plain functions."""

CONNECTIONS = 20


class Requests(Protocol):
    """How a service answers requests."""

    async def ask(self, questions: Sequence[Question]) -> list[Any]:
        """Answer independent questions of one request, in their order."""
        ...

    async def create(self, rows: Sequence[PromptRow]) -> int:
        """Insert prompts and commit; return how many."""
        ...


class Threaded:
    """Questions one after another on a synchronous session, in a thread: an endpoint that is a plain function. The baseline.

    Also what is right for a database in the process, on an engine without pings.
    """

    def __init__(self, engine: Engine, threads: Executor, insert: Insert = bulk.insert_baseline) -> None:
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        self._threads = threads
        self._insert = insert

    async def ask(self, questions: Sequence[Question]) -> list[Any]:
        """Answer in a thread."""
        return await self._in_thread(questions)

    async def create(self, rows: Sequence[PromptRow]) -> int:
        """Insert in a thread."""
        [inserted] = await self._in_thread([lambda session: self._insert(session, rows)])
        return int(inserted)

    async def _in_thread(self, questions: Sequence[Question]) -> list[Any]:
        def answer() -> list[Any]:
            with self._sessions() as session:
                return [_answered(session, question) for question in questions]

        return await asyncio.get_running_loop().run_in_executor(self._threads, answer)


class OneSession:
    """The review's session for a request, on its asyncio engine. It answers one question after another: no session can do more."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._sessions = async_sessions(engine)

    async def ask(self, questions: Sequence[Question]) -> list[Any]:
        """Answer on one session."""
        async with self._sessions() as session:
            return [await question(session) for question in questions]

    async def create(self, rows: Sequence[PromptRow]) -> int:
        """Insert as the review does, and commit, which it does not."""
        async with self._sessions() as session:
            await bulk_create_as_written(session, [Prompt(**row) for row in rows])
            await session.commit()
        return len(rows)


class SessionEach:
    """A session in autocommit for every question, `at_once` of them at the same time over all requests."""

    def __init__(self, engine: AsyncEngine, at_once: int) -> None:
        self._readers = async_sessions(engine.execution_options(isolation_level="AUTOCOMMIT"))
        self._writers = async_sessions(engine)
        self._free = asyncio.Semaphore(at_once)

    async def ask(self, questions: Sequence[Question]) -> list[Any]:
        """Answer all at the same time. The first error cancels the other questions."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._answer(question)) for question in questions]
        return [task.result() for task in tasks]

    async def create(self, rows: Sequence[PromptRow]) -> int:
        """Insert with one executemany."""
        async with self._free, self._writers() as session:
            return await bulk.insert_optimised(session, rows)

    async def _answer(self, question: Question) -> Any:
        async with self._free, self._readers() as session:
            return await question(session)


def engine_baseline(url: URL) -> Engine:
    """Make the synchronous engine of today."""
    return create_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True)


def engine_proposed(url: URL | str) -> AsyncEngine:
    """Make the review's asyncio engine."""
    return create_async_engine(url, pool_size=20, max_overflow=40, pool_recycle=900, pool_pre_ping=True)


def engine_optimised(url: URL) -> AsyncEngine:
    """Make an asyncio engine for `SessionEach`: a fixed number of connections, the last used first."""
    return create_async_engine(
        url, poolclass=AsyncAdaptedQueuePool, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=5, pool_use_lifo=True
    )


def engine_in_threads(url: URL) -> Engine:
    """Make a synchronous engine for a database in the process: no overflow, and no ping, as no network can cut connections."""
    return create_engine(url, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=5, pool_use_lifo=True)


def address_as_written(url: str) -> str:
    """Return the address that the review makes of a libSQL one, for its asyncio engine."""
    return url.replace("libsql://", "sqlite+aiosqlite://")


async def session_as_written(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    """Yield a request's session, and commit nothing."""
    async with sessions() as session:
        yield session


async def gathered_on_one_session(session: AsyncSession, questions: Sequence[Question]) -> list[Any]:
    """Ask one session all questions at the same time.

    Raises:
        InvalidRequestError: the session has no connection yet. With one, it answers one question after another.
    """
    return list(await asyncio.gather(*(question(session) for question in questions)))


async def bulk_create_as_written(session: AsyncSession, prompts: list[Prompt]) -> list[Prompt]:
    """Insert without committing."""
    session.add_all(prompts)
    await session.flush()
    return prompts


class _Unawaited:
    """A synchronous session that questions for an asyncio session can be asked of: what they await is there already."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.add_all = session.add_all

    async def execute(self, statement: Executable, parameters: Sequence[PromptRow] | None = None) -> Result[Any]:
        return self._session.execute(statement, parameters)

    async def commit(self) -> None:
        self._session.commit()


def _answered(session: Session, question: Question) -> Any:
    """Return a question's answer on a synchronous session: its coroutine runs to the end at the first step."""
    steps = cast("Coroutine[Any, Any, Any]", question(cast("AsyncSession", _Unawaited(session))))
    try:
        steps.send(None)
    except StopIteration as end:
        return end.value
    steps.close()
    raise RuntimeError("the question awaits something other than its session")
