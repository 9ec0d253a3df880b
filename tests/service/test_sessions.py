"""Sessions: objects after a commit, and asyncio code that runs on synchronous sessions in a thread."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import Prompt
from service.sessions import Threads, run_to_end, sync_sessions

OnSession = Callable[..., Any]


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    """Return a synchronous engine for the test's database."""
    made = create_engine(f"sqlite:///{database}")
    yield made
    made.dispose()


def in_threads(use: Callable[[Threads], Any]) -> Any:
    """Call a function with two threads."""

    async def run() -> Any:
        with ThreadPoolExecutor(2) as threads:
            return await use(Threads(threads))

    return asyncio.run(run())


def test_every_method_matches_the_asyncio_session(engine: Engine) -> None:
    """Rows are read, changed, flushed, rolled back to a SAVEPOINT, rolled back and committed."""
    sessions = sync_sessions(engine)

    async def work() -> list[Any]:
        async with sessions() as session:
            prompt = await session.get(Prompt, "p0037")
            assert prompt is not None
            prompt.title = "one"
            await session.flush()
            with suppress(ZeroDivisionError):
                async with session.begin_nested():
                    prompt.title = "two"
                    await session.flush()
                    raise ZeroDivisionError
            titles = list(await session.scalars(select(Prompt.title).where(Prompt.id == "p0037")))
            await session.commit()
            prompt.title = "three"
            await session.flush()
            await session.rollback()
            assert session.get_bind().dialect.name == "sqlite"
        async with sessions.begin() as session:
            counted = (await session.execute(select(func.count()).select_from(Prompt).where(Prompt.title == "one"))).scalar_one()
        return [titles, counted]

    assert run_to_end(work()) == [["one"], 1]


def test_a_failed_transaction_leaves_nothing(engine: Engine) -> None:
    """The error is raised, and the row does not exist."""
    sessions = sync_sessions(engine)

    async def work() -> None:
        async with sessions.begin() as session:
            prompt = await session.get(Prompt, "p0037")
            assert prompt is not None
            prompt.title = "lost"
            await session.flush()
            raise NoResultFound

    with pytest.raises(NoResultFound):
        run_to_end(work())

    async def read() -> Any:
        async with sessions() as session:
            return (await session.execute(select(Prompt.title).where(Prompt.id == "p0037"))).scalar_one()

    assert run_to_end(read()) != "lost"


def test_work_runs_in_another_thread() -> None:
    """The event loop's thread is not blocked."""

    async def where() -> int:
        return threading.get_ident()

    assert in_threads(lambda threads: threads.run(where)) != threading.get_ident()


def test_an_error_of_the_work_is_raised() -> None:
    """The caller gets the same exception that the work raised."""

    async def fail() -> None:
        raise KeyError("this")

    with pytest.raises(KeyError, match="this"):
        in_threads(lambda threads: threads.run(fail))


def test_chunks_come_in_order_and_are_produced_in_threads() -> None:
    """Each chunk is produced in a thread; the generator is closed if its reader stops early."""
    closed = []

    async def pieces() -> AsyncIterator[tuple[int, int]]:
        try:
            for number in range(5):
                yield number, threading.get_ident()
        finally:
            closed.append(threading.get_ident())

    async def take(threads: Threads) -> list[tuple[int, int]]:
        taken = []
        each = threads.each(pieces())
        async for piece in each:
            taken.append(piece)
            if len(taken) == 3:
                break
        await each.aclose()  # type: ignore[attr-defined]  # it is a generator
        return taken

    taken = in_threads(take)
    assert [number for number, _ in taken] == [0, 1, 2]
    assert threading.get_ident() not in {thread for _, thread in taken}
    assert len(closed) == 1


def test_work_that_awaits_something_else_is_refused() -> None:
    """A thread has no event loop that could resume it."""

    async def sleep() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="awaits something other than its session"):
        run_to_end(sleep())


def test_objects_stay_readable_after_a_commit(on_session: OnSession) -> None:
    """Reading an attribute after a commit needs no database access, which could not be awaited."""

    async def read_late(session: AsyncSession) -> str:
        prompt = await session.get_one(Prompt, "p0000")
        await session.commit()
        return prompt.title

    assert on_session(read_late) == 'Title, "0"'
