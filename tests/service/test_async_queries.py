"""However a request is answered, the answers are the same; sessions are as many as promised, and the review's ways fail as said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, make_url, select
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from harness.probes.pool import PoolUse
from service import async_queries, bulk
from service.async_queries import OneSession, Requests, SessionEach, Threaded
from service.dashboard import API, Subject, queries, query
from service.models import Prompt
from service.sessions import sessionmaker

SUBJECT = Subject("ann", "p0037", "e00-p0037", "a", "openai", "big")
KINDS = ("threaded", "one session", "session each")
Use = Callable[[Requests], Awaitable[Any]]


def answered(kind: str, database: Path, use: Use) -> Any:
    """Run a function on one kind of answering requests, and close all that it needs."""
    url = make_url(f"sqlite+aiosqlite:///{database}")

    async def run() -> Any:
        if kind == "threaded":
            blocking = async_queries.engine_baseline(url.set(drivername="sqlite"))
            with ThreadPoolExecutor(2) as threads:
                found = await use(Threaded(blocking, threads))
            blocking.dispose()
            return found
        engine = async_queries.engine_proposed(url) if kind == "one session" else async_queries.engine_optimised(url)
        try:
            return await use(OneSession(engine) if kind == "one session" else SessionEach(engine, 3))
        finally:
            await engine.dispose()

    return asyncio.run(run())


def on_proposed(database: Path, use: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
    """Run a function on the review's engine."""

    async def run() -> Any:
        engine = async_queries.engine_proposed(make_url(f"sqlite+aiosqlite:///{database}"))
        try:
            return await use(engine)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def new_prompts(count: int) -> list[dict[str, Any]]:
    """Return rows of prompts that are not there yet."""
    moment = datetime(2025, 6, 1)  # noqa: DTZ001 - the service keeps UTC without a zone
    rest = {"user_id": "ann", "title": "", "content": "", "status": "active", "version": 1, "parent_id": None, "deleted_at": None}
    return [{"id": f"new{n}", "created_at": moment, "updated_at": moment, **rest} for n in range(count)]


@pytest.mark.parametrize("name", API)
def test_every_question_has_the_same_answer_everywhere(name: str, database: Path) -> None:
    """In a thread, on one session, and on a session of its own."""
    [first], *others = [answered(kind, database, lambda asked: asked.run_queries([query(API[name], SUBJECT)])) for kind in KINDS]
    assert first
    assert others == [[first], [first]]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_come_in_the_order_of_the_questions(kind: str, database: Path) -> None:
    """Those of a dashboard are what its queries give one by one."""

    async def both(requests: Requests) -> Any:
        one_by_one = [(await requests.run_queries([each]))[0] for each in queries(SUBJECT)]
        return await requests.run_queries(queries(SUBJECT)), one_by_one

    together, one_by_one = answered(kind, database, both)
    assert together == one_by_one
    assert len(together) == 8


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_created_is_there_for_the_next_request(kind: str, database: Path) -> None:
    """It was committed."""

    async def create(requests: Requests) -> Any:
        created = await requests.create(new_prompts(5))
        chosen = select(func.count()).select_from(Prompt).where(Prompt.id.startswith("new"))
        return created, await requests.run_queries([lambda session: _scalar(session, chosen)])

    assert answered(kind, database, create) == (5, [5])


async def _scalar(session: AsyncSession, statement: Any) -> Any:
    return (await session.execute(statement)).scalar_one()


def test_a_thread_inserts_in_the_way_that_it_was_given(database: Path) -> None:
    """An insert that is written for asyncio sessions works in a thread."""

    async def create() -> int:
        blocking = async_queries.engine_in_threads(make_url(f"sqlite:///{database}"))
        with ThreadPoolExecutor(1) as threads:
            created = await Threaded(blocking, threads, bulk.insert_optimised).create(new_prompts(5))
        blocking.dispose()
        return created

    assert asyncio.run(create()) == 5


def test_a_thread_refuses_a_question_that_waits_for_something_else(database: Path) -> None:
    """There is no event loop in a thread to go on with."""

    async def sleep(_session: AsyncSession) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="awaits something other than its session"):
        answered("threaded", database, lambda requests: requests.run_queries([sleep]))


def test_sessions_are_opened_up_to_the_limit_over_all_requests(database: Path) -> None:
    """Two dashboards at once, on three sessions at once: three connections are made, and no checkout waits."""

    async def run() -> Any:
        engine = async_queries.engine_optimised(make_url(f"sqlite+aiosqlite:///{database}"))
        requests = SessionEach(engine, 3)
        async with PoolUse(engine) as use:
            await asyncio.gather(requests.run_queries(queries(SUBJECT)), requests.run_queries(queries(SUBJECT)))
        await engine.dispose()
        return use.counts(), use.waiting_peak

    counts, waiting_peak = asyncio.run(run())
    assert counts == {"checkouts": 16, "connects": 3, "timeouts": 0}
    assert waiting_peak <= 3


def test_one_error_ends_the_request_and_gives_its_sessions_back(database: Path) -> None:
    """The other queries are cancelled; the next request has all sessions again."""

    async def fail(_session: AsyncSession) -> None:
        raise LookupError("no such thing")

    async def work(requests: Requests) -> Any:
        with pytest.raises(ExceptionGroup) as caught:
            await requests.run_queries([fail, *queries(SUBJECT)])
        return caught.value.exceptions, await requests.run_queries(queries(SUBJECT))

    (error,), answers = answered("session each", database, work)
    assert isinstance(error, LookupError)
    assert len(answers) == 8


def test_questions_are_read_in_autocommit_and_writes_are_not(database: Path) -> None:
    """A write that fails half-way leaves nothing behind, and a query's connection has autocommit while it reads."""

    async def run() -> Any:
        engine = async_queries.engine_optimised(make_url(f"sqlite+aiosqlite:///{database}"))
        requests = SessionEach(engine, 3)
        level = await requests.run_queries([_isolation])
        rows = new_prompts(2)
        with pytest.raises(Exception, match="UNIQUE"):
            await requests.create([*rows, rows[0]])
        left = await requests.run_queries(
            [lambda session: _scalar(session, select(func.count()).where(Prompt.id.startswith("new")))]
        )
        await engine.dispose()
        return level, left

    assert asyncio.run(run()) == (["AUTOCOMMIT"], [0])


async def _isolation(session: AsyncSession) -> str:
    connection = (await session.connection()).sync_connection
    assert connection is not None
    return str(connection.get_execution_options()["isolation_level"])


def test_gathered_on_a_new_session_queries_fail(database: Path) -> None:
    """While the first one gets the connection, the others are refused."""

    async def gather(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            outcomes = await asyncio.gather(*(each(session) for each in queries(SUBJECT)), return_exceptions=True)
        assert sum(isinstance(outcome, InvalidRequestError) for outcome in outcomes) == 7

    on_proposed(database, gather)


def test_gathered_on_a_session_with_a_connection_they_take_no_other(database: Path) -> None:
    """The answers are right, and all went through one connection."""

    async def gather(engine: AsyncEngine) -> Any:
        async with PoolUse(engine) as use, AsyncSession(engine) as session:
            await session.connection()
            found = await async_queries.gathered_on_one_session(session, queries(SUBJECT))
        return found, use.counts()["checkouts"]

    expected = answered("one session", database, lambda requests: requests.run_queries(queries(SUBJECT)))
    assert on_proposed(database, gather) == (expected, 1)


def test_the_reviews_session_commits_nothing(database: Path) -> None:
    """What was created in a request is gone after it."""

    async def create(engine: AsyncEngine) -> Any:
        sessions = sessionmaker(engine)
        async for session in async_queries.session_as_written(sessions):
            created = await async_queries.bulk_create_as_written(session, [Prompt(**row) for row in new_prompts(3)])
        async with sessions() as session:
            return len(created), await session.scalar(select(func.count()).where(Prompt.id.startswith("new")))

    assert on_proposed(database, create) == (3, 0)


def test_the_rewritten_address_of_a_remote_database_is_refused() -> None:
    """SQLite's dialect knows no host."""
    with pytest.raises(ArgumentError, match="Invalid SQLite URL"):
        async_queries.engine_proposed(async_queries.address_as_written("libsql://somebody.turso.io"))


def test_an_address_of_another_kind_is_left_alone() -> None:
    """Only libSQL's is rewritten."""
    assert async_queries.address_as_written("postgresql://somebody@host/base") == "postgresql://somebody@host/base"
