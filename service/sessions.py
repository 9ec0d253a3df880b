"""Sessions on an engine that the caller opens and closes: asyncio sessions, and synchronous ones with the same interface.

Code written for asyncio sessions runs on a synchronous session in a thread in the same way: each awaited call has already
completed, so the coroutine runs from start to end in one step. The same code serves both, so only the execution differs.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session
from sqlalchemy.orm import sessionmaker as orm_sessionmaker

Answer = TypeVar("Answer")
Piece = TypeVar("Piece")


def sessionmaker(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Return a session maker; create one session per task, since a session serves one coroutine at a time.

    Objects stay readable after a commit (`expire_on_commit=False`): an expired attribute is fetched again on access, and under
    asyncio an attribute access cannot wait for the database, so it would raise MissingGreenlet.
    """
    return async_sessionmaker(engine, expire_on_commit=False)


def _awaitable(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a session's method as one to await."""

    async def call(self: "_SyncSession", *args: Any, **options: Any) -> Any:
        return method(self.session, *args, **options)

    return call


class _SyncSession:
    """A synchronous session with the interface of an asyncio one. Methods not defined here are synchronous in both."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    execute, scalars, get = _awaitable(Session.execute), _awaitable(Session.scalars), _awaitable(Session.get)
    flush, commit, rollback = _awaitable(Session.flush), _awaitable(Session.commit), _awaitable(Session.rollback)

    @asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[Any]:
        with self.session.begin_nested() as savepoint:
            yield savepoint


class _SyncSessions:
    """Creates such sessions on an engine, as `async_sessionmaker` creates asyncio ones."""

    def __init__(self, engine: Engine) -> None:
        self._sessions = orm_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[_SyncSession]:
        with self._sessions() as session:
            yield _SyncSession(session)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[_SyncSession]:
        with self._sessions.begin() as session:
            yield _SyncSession(session)


def sync_sessions(engine: Engine) -> async_sessionmaker[AsyncSession]:
    """Return a maker of synchronous sessions with the interface of `async_sessionmaker`, for code run by `run_to_end`."""
    return cast("async_sessionmaker[AsyncSession]", _SyncSessions(engine))


class Threads:
    """Runs coroutines that await only such sessions, each from start to end in one thread."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    async def run(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run the work in a thread, and return its answer."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: run_to_end(work()))

    async def each(self, pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
        """Yield the items of an async generator, each produced in a thread, never two concurrently."""

        async def step() -> tuple[Piece] | None:
            async for piece in pieces:
                return (piece,)
            return None

        try:
            while (found := await self.run(step)) is not None:
                yield found[0]
        finally:
            if isinstance(pieces, AsyncGenerator):
                await self.run(pieces.aclose)


def run_to_end(work: Awaitable[Answer]) -> Answer:
    """Run a coroutine to its end in one step. Raises RuntimeError if it awaits something that has not completed."""
    steps = cast("Coroutine[Any, Any, Answer]", work)
    try:
        steps.send(None)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    steps.close()
    raise RuntimeError("the work awaits something other than its session")
