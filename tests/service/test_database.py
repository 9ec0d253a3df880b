"""The open database: where work runs, what is retried, and which errors mean that it is busy."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from service.database import Database, is_busy, open_database
from service.models import Prompt
from service.switches import Level, Switches

PROMPT = "p0037"


def using(database: Path, switches: Switches, use: Callable[[Database], Awaitable[Any]]) -> Any:
    """Open a database, call a function with it, and close it."""

    async def run() -> Any:
        async with open_database(make_url(f"sqlite:///{database}"), switches) as opened:
            return await use(opened)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("switches", "in_threads"),
    [(Switches(), True), (Switches.parse("baseline,async_queries=proposed"), False), (Switches.alone("async_queries"), True)],
)
def test_work_runs_where_the_switch_requires(switches: Switches, in_threads: bool, database: Path) -> None:
    """Work runs in a thread at the baseline and for an optimised embedded database, on the event loop as proposed."""

    async def where(session: AsyncSession) -> int:
        await session.execute(select(1))
        return threading.get_ident()

    async def use(opened: Database) -> tuple[int, int]:
        return await opened.read(where), await opened.write(where)

    assert [thread != threading.get_ident() for thread in using(database, switches, use)] == [in_threads, in_threads]


async def _retitle_late(session: AsyncSession, barrier: threading.Barrier) -> None:
    """Read a prompt, wait until a second reader has read it, and write it: one of the two writers must lose."""
    before = (await session.execute(select(Prompt.version).where(Prompt.id == PROMPT))).scalar_one()
    with suppress(threading.BrokenBarrierError):  # the other writer waits, as intended
        barrier.wait(0.3)
    await session.execute(update(Prompt).where(Prompt.id == PROMPT).values(version=before + 1))
    await session.commit()


def test_the_loser_of_a_conflict_is_retried(database: Path) -> None:
    """With optimised transactions, two read-then-write operations are both counted."""
    barrier = threading.Barrier(2)

    async def use(opened: Database) -> Any:
        await asyncio.gather(*(opened.write(lambda session: _retitle_late(session, barrier)) for _ in range(2)))
        return (
            await opened.read(lambda session: session.execute(text(f"SELECT version FROM prompts WHERE id = '{PROMPT}'")))
        ).scalar()

    assert using(database, Switches.parse("baseline,async_queries=optimised,transactions=optimised"), use) == 4


def test_a_conflict_is_retried_in_a_thread(database: Path) -> None:
    """Work that is busy twice succeeds on the third attempt, and both retries are counted."""
    tries = []

    async def work(session: AsyncSession) -> int:
        tries.append(threading.get_ident())
        if len(tries) < 3:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = 5
            raise OperationalError("UPDATE", {}, error)
        return int((await session.execute(text("SELECT 7"))).scalar_one())

    async def use(opened: Database) -> tuple[int, Mapping[str, int]]:
        assert opened.retrying is not None
        return await opened.write(work), opened.retrying.retries

    assert using(database, Switches.alone("transactions"), use) == (7, {"BUSY": 2})
    assert threading.get_ident() not in tries


def _dbapi(code: int | None = None, state: str | None = None, *, unanswered: bool = False) -> DBAPIError:
    error = sqlite3.OperationalError("busy")
    if unanswered:
        error.sqlstate = None  # type: ignore[attr-defined]  # as psycopg has it where no server listens
    if code is not None:
        error.sqlite_errorcode = code
    if state is not None:
        error.sqlstate = state  # type: ignore[attr-defined]  # as PostgreSQL's drivers have it
    return OperationalError("SELECT", {}, error)


@pytest.mark.parametrize(
    ("error", "busy"),
    [
        (PoolTimeoutError("QueuePool limit"), True),
        (_dbapi(code=5), True),
        (_dbapi(code=5 | 2 << 8), True),
        (_dbapi(code=1), False),
        (_dbapi(state="40P01"), True),
        (_dbapi(state="53300"), True),
        (_dbapi(state="57P01"), True),
        (_dbapi(state="08006"), True),
        (_dbapi(state="42P01"), False),
        (_dbapi(), False),
        (_dbapi(unanswered=True), True),
        (ConnectionRefusedError(), True),
        (IntegrityError("INSERT", {}, sqlite3.IntegrityError()), False),
        (ValueError(), False),
    ],
)
def test_which_errors_mean_busy(error: Exception, busy: bool) -> None:
    """Errors that a later attempt may avoid mean busy: no free connection, no server, and lost conflicts."""
    assert is_busy(error) is busy


@pytest.mark.parametrize("level", Level)
def test_nothing_is_open_afterwards(level: Level, database: Path) -> None:
    """Every connection is closed with the database, so the write-ahead log is removed."""
    switches = Switches.parse(f"{level},caching=baseline")
    using(database, switches, lambda opened: opened.read(lambda session: session.execute(select(1))))
    assert not database.with_name(database.name + "-wal").exists()
