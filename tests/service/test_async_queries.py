"""Requests: equal answers by every technique, the documented number of sessions, and the failures of the review's code."""

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
from service.models import Prompt
from service.prompts import API, Subject, queries, query
from service.sessions import sessionmaker

SUBJECT = Subject("ann", "p0037", "e00-p0037", "a", "openai", "big")
KINDS = ("threaded", "one session", "session each")
Use = Callable[[Requests], Awaitable[Any]]


def answered(kind: str, database: Path, use: Use) -> Any:
    """Call a function with one kind of requests, and close everything that it needs."""
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
    """Call a function with the review's engine."""

    async def run() -> Any:
        engine = async_queries.engine_proposed(make_url(f"sqlite+aiosqlite:///{database}"))
        try:
            return await use(engine)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def new_prompts(count: int) -> list[dict[str, Any]]:
    """Return rows of prompts that do not exist yet."""
    moment = datetime(2025, 6, 1)  # noqa: DTZ001 - the service keeps UTC without a zone
    rest = {"user_id": "ann", "title": "", "content": "", "status": "active", "version": 1, "parent_id": None, "deleted_at": None}
    return [{"id": f"new{n}", "created_at": moment, "updated_at": moment, **rest} for n in range(count)]


@pytest.mark.parametrize("name", API)
def test_every_query_has_the_same_answer_everywhere(name: str, database: Path) -> None:
    """A query has one answer in a thread, on a shared session, and on its own session."""
    [first], *others = [
        answered(kind, database, lambda requests: requests.run_queries([query(API[name], SUBJECT)])) for kind in KINDS
    ]
    assert first
    assert others == [[first], [first]]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_come_in_the_order_of_the_queries(kind: str, database: Path) -> None:
    """A dashboard's answers equal those of its queries run one by one."""

    async def both(requests: Requests) -> Any:
        one_by_one = [(await requests.run_queries([each]))[0] for each in queries(SUBJECT)]
        return await requests.run_queries(queries(SUBJECT)), one_by_one

    together, one_by_one = answered(kind, database, both)
    assert together == one_by_one
    assert len(together) == 8


@pytest.mark.parametrize("kind", KINDS)
def test_created_prompts_are_visible_to_the_next_request(kind: str, database: Path) -> None:
    """Every technique commits what it creates."""

    async def create(requests: Requests) -> Any:
        created = await requests.create(new_prompts(5))
        chosen = select(func.count()).select_from(Prompt).where(Prompt.id.startswith("new"))
        return created, await requests.run_queries([lambda session: _scalar(session, chosen)])

    assert answered(kind, database, create) == (5, [5])


async def _scalar(session: AsyncSession, statement: Any) -> Any:
    return (await session.execute(statement)).scalar_one()


def test_a_thread_uses_the_insert_it_is_given(database: Path) -> None:
    """An insert written for asyncio sessions works in a thread."""

    async def create() -> int:
        blocking = async_queries.engine_in_threads(make_url(f"sqlite:///{database}"))
        with ThreadPoolExecutor(1) as threads:
            created = await Threaded(blocking, threads, bulk.insert_optimised).create(new_prompts(5))
        blocking.dispose()
        return created

    assert asyncio.run(create()) == 5


def test_a_thread_refuses_a_query_that_awaits_something_else(database: Path) -> None:
    """A query that awaits anything except its session is refused, since a thread has no event loop."""

    async def sleep(_session: AsyncSession) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="awaits something other than its session"):
        answered("threaded", database, lambda requests: requests.run_queries([sleep]))


def test_sessions_are_opened_up_to_the_limit_over_all_requests(database: Path) -> None:
    """Two concurrent dashboards with a limit of three sessions open three connections, and no checkout waits."""

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


def test_an_error_ends_the_request_and_frees_its_sessions(database: Path) -> None:
    """The other queries are cancelled, and the next request has all sessions available."""

    async def fail(_session: AsyncSession) -> None:
        raise LookupError("no such thing")

    async def work(requests: Requests) -> Any:
        with pytest.raises(ExceptionGroup) as caught:
            await requests.run_queries([fail, *queries(SUBJECT)])
        return caught.value.exceptions, await requests.run_queries(queries(SUBJECT))

    (error,), answers = answered("session each", database, work)
    assert isinstance(error, LookupError)
    assert len(answers) == 8


def test_queries_read_in_autocommit_and_writes_do_not(database: Path) -> None:
    """A write that fails halfway leaves nothing, and a query's connection is in autocommit while it reads."""

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


def test_queries_gathered_on_a_new_session_fail(database: Path) -> None:
    """While the first query opens the connection, the others are refused."""

    async def gather(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            outcomes = await asyncio.gather(*(each(session) for each in queries(SUBJECT)), return_exceptions=True)
        assert sum(isinstance(outcome, InvalidRequestError) for outcome in outcomes) == 7

    on_proposed(database, gather)


def test_queries_gathered_on_a_session_use_its_one_connection(database: Path) -> None:
    """The answers are correct, and all queries use the same connection."""

    async def gather(engine: AsyncEngine) -> Any:
        async with PoolUse(engine) as use, AsyncSession(engine) as session:
            await session.connection()
            found = await async_queries.gathered_on_one_session(session, queries(SUBJECT))
        return found, use.counts()["checkouts"]

    expected = answered("one session", database, lambda requests: requests.run_queries(queries(SUBJECT)))
    assert on_proposed(database, gather) == (expected, 1)


def test_the_reviews_session_commits_nothing(database: Path) -> None:
    """Prompts created in a request of the review do not exist after it."""

    async def create(engine: AsyncEngine) -> Any:
        sessions = sessionmaker(engine)
        async for session in async_queries.session_as_written(sessions):
            created = await async_queries.bulk_create_as_written(session, [Prompt(**row) for row in new_prompts(3)])
        async with sessions() as session:
            return len(created), await session.scalar(select(func.count()).where(Prompt.id.startswith("new")))

    assert on_proposed(database, create) == (3, 0)


def test_the_rewritten_url_of_a_remote_database_is_refused() -> None:
    """SQLite's dialect accepts no host."""
    with pytest.raises(ArgumentError, match="Invalid SQLite URL"):
        async_queries.engine_proposed(async_queries.address_as_written("libsql://name.turso.io"))


def test_the_url_of_another_database_is_unchanged() -> None:
    """Only libSQL's URL is rewritten."""
    assert async_queries.address_as_written("postgresql://name@host/base") == "postgresql://name@host/base"
