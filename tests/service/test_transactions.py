"""Transactions: every technique writes and counts the same; they differ after failures and conflicts."""

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, NoResultFound, OperationalError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from harness.databases.engines import postgres, sqlite
from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions
from harness.errors import NotMeasurableError
from harness.scenario import Setting
from service import transactions as tx
from service.models import Base, Evaluation, Prompt, PromptTemplate
from service.sessions import sessionmaker

AT = datetime(2025, 6, 1)  # noqa: DTZ001 - the service stores naive UTC
PROMPT: dict[str, Any] = {
    "id": "new",
    "user_id": "cid",
    "title": "a title",
    "content": "a text",
    "status": "draft",
    "version": 1,
    "parent_id": None,
    "created_at": AT,
    "updated_at": AT,
    "deleted_at": None,
}
EVALUATION: dict[str, Any] = {
    "id": "new",
    "prompt_id": "new",
    "status": "pending",
    "provider": "mistral",
    "model": "small",
    "overall_score": None,
    "created_at": AT,
}
TEMPLATES = ("t00", "t07")
ARMS = ("baseline", "proposed", "optimised")
LEFT_TO_DRIVER = ConnectionOptions(undo=True)
WRITE_LOCK_FIRST = ConnectionOptions(write_lock_first=True)

Check = Callable[[AsyncEngine], Awaitable[Any]]


class BusyError(OperationalError):
    """The error of SQLite's driver if another connection holds the lock."""

    def __init__(self) -> None:
        cause = sqlite3.OperationalError("database is locked")
        cause.sqlite_errorcode = sqlite3.SQLITE_BUSY
        super().__init__("UPDATE", {}, cause)


def run(database: Path, check: Check, options: ConnectionOptions = DEFAULT_OPTIONS) -> Any:
    """Call a check with an engine for the database."""

    async def opened() -> Any:
        async with sqlite.engine(database, options) as engine:
            return await check(engine)

    return asyncio.run(opened())


def explicit_begin(engine: AsyncEngine) -> None:
    """Set up a reading engine as the store does."""
    sqlite.databases(Setting(Path(), Path())).configure(engine)


async def act(engine: AsyncEngine, technique: str, arm: str, *args: Any) -> Any:
    """Call a technique of an arm as the service does."""
    function = getattr(tx, f"{technique}_{arm}")
    sessions = sessionmaker(engine)
    if arm == "optimised":
        return await function(tx.Transactions(sessions, sessions), *args)
    async with sessions() as session:
        return await function(session, *args)


async def left(engine: AsyncEngine) -> tuple[int, int]:
    """Return the number of rows of the new prompt and the new evaluation."""
    async with engine.connect() as connection:
        counts = [select(func.count()).select_from(m).where(m.id == "new") for m in (Prompt, Evaluation)]
        prompts, evaluations = [(await connection.execute(count)).scalar_one() for count in counts]
    return prompts, evaluations


async def uses(engine: AsyncEngine) -> list[int]:
    """Return the usage counts of the two templates."""
    async with engine.connect() as connection:
        counted = select(PromptTemplate.usage_count).where(PromptTemplate.id.in_(TEMPLATES)).order_by(PromptTemplate.id)
        return list((await connection.scalars(counted)).all())


@pytest.mark.parametrize("arm", ARMS)
def test_every_technique_saves_the_pair(database: Path, arm: str) -> None:
    """The prompt and its evaluation exist afterwards, with the given values."""

    async def check(engine: AsyncEngine) -> list[Any]:
        await act(engine, "create", arm, PROMPT, EVALUATION)
        async with engine.connect() as connection:
            tables = [Base.metadata.tables[name] for name in ("prompts", "evaluations")]
            return [(await connection.execute(t.select().where(t.c.id == "new"))).mappings().one() for t in tables]

    assert run(database, check) == [PROMPT, EVALUATION]


@pytest.mark.parametrize("arm", ARMS)
def test_every_technique_counts_a_use_of_the_template_with_the_pair(database: Path, arm: str) -> None:
    """One use is added, to this template only."""

    async def check(engine: AsyncEngine) -> Any:
        before = await uses(engine)
        await act(engine, "create_from_template", arm, TEMPLATES[0], PROMPT, EVALUATION)
        return await left(engine), [now - then for now, then in zip(await uses(engine), before, strict=True)]

    assert run(database, check) == ((1, 1), [1, 0])


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("order", [1, -1])
def test_every_technique_counts_one_use_of_each_template(database: Path, arm: str, order: int) -> None:
    """The order of the templates does not matter."""

    async def check(engine: AsyncEngine) -> list[int]:
        before = await uses(engine)
        await act(engine, "use", arm, TEMPLATES[::order])
        return [now - then for now, then in zip(await uses(engine), before, strict=True)]

    assert run(database, check) == [1, 1]


@pytest.mark.parametrize("arm", ARMS)
def test_every_technique_counts_the_same(database: Path, arm: str) -> None:
    """The counts of prompts and evaluations equal those of SQL."""

    async def check(engine: AsyncEngine) -> Any:
        async with engine.connect() as connection:
            counts = [select(func.count()).select_from(model) for model in (Prompt, Evaluation)]
            expected = [(await connection.execute(count)).scalar_one() for count in counts]
        return list(await act(engine, "statistics", arm)), expected

    counted, expected = run(database, check)
    assert counted == expected
    assert min(counted) > 0


@pytest.mark.parametrize("arm", ARMS)
def test_every_technique_refuses_a_template_that_does_not_exist(database: Path, arm: str) -> None:
    """A missing template is an error, and no use is counted."""

    async def check(engine: AsyncEngine) -> None:
        with pytest.raises(NoResultFound):
            await act(engine, "use", arm, ["no such template"])

    run(database, check)


@pytest.mark.parametrize(
    ("arm", "options", "expected"),
    [
        ("baseline", DEFAULT_OPTIONS, (1, 1)),
        ("proposed", DEFAULT_OPTIONS, (0, 0)),
        ("proposed", LEFT_TO_DRIVER, (1, 1)),
        ("optimised", WRITE_LOCK_FIRST, (0, 0)),
    ],
)
def test_the_rows_left_by_a_failed_request(database: Path, arm: str, options: ConnectionOptions, expected: tuple[int, int]) -> None:
    """A SAVEPOINT without a transaction of the driver is committed when it is released; one transaction leaves nothing."""

    async def check(engine: AsyncEngine) -> tuple[int, int]:
        with pytest.raises(NoResultFound):
            await act(engine, "create_from_template", arm, "no such template", PROMPT, EVALUATION)
        return await left(engine)

    assert run(database, check, options) == expected


def test_a_write_in_the_read_only_block_leaves_the_connection_read_only(database: Path) -> None:
    """The pool gets a read-only connection back.

    The session requires a rollback before any statement, including query_only = OFF.
    """

    async def write_by_mistake(session: AsyncSession) -> None:
        async with tx.review_read_only(session):
            session.add(Prompt(**PROMPT))
            await session.flush()

    async def check(engine: AsyncEngine) -> None:
        async with sessionmaker(engine)() as session:
            with pytest.raises(PendingRollbackError):
                await write_by_mistake(session)
        with pytest.raises(OperationalError, match="readonly"):
            await act(engine, "create", "proposed", PROMPT, EVALUATION)

    run(database, check, ConnectionOptions(pool_size=1))


def test_readers_cannot_write_and_writers_still_can(database: Path) -> None:
    """With optimised transactions, the readers' own connections are read-only."""

    async def check(engine: AsyncEngine) -> tuple[int, int]:
        async with tx.read_only(engine, explicit_begin) as readers:
            runner = tx.Transactions(sessionmaker(engine), sessionmaker(readers))

            async def write(session: AsyncSession) -> None:
                session.add(Prompt(**PROMPT))
                await session.flush()

            with pytest.raises(OperationalError, match="readonly"):
                await runner.read(write)
            await tx.create_optimised(runner, PROMPT, EVALUATION)
        return await left(engine)

    assert run(database, check, WRITE_LOCK_FIRST) == (1, 1)


def test_a_reader_sees_one_snapshot_and_waits_for_no_writer(database: Path) -> None:
    """A pair created between two counts is in neither."""

    async def check(engine: AsyncEngine) -> Any:
        async with tx.read_only(engine, explicit_begin) as readers:
            runner = tx.Transactions(sessionmaker(engine), sessionmaker(readers))

            async def twice(session: AsyncSession) -> list[tx.Counts]:
                first = await tx.statistics_baseline(session)
                await tx.create_optimised(runner, PROMPT, EVALUATION)
                return [first, await tx.statistics_baseline(session)]

            return *await runner.read(twice), await tx.statistics_optimised(runner)

    first, second, after = run(database, check, WRITE_LOCK_FIRST)
    assert first == second
    assert after == (first[0] + 1, first[1] + 1)


def test_work_that_loses_a_conflict_is_retried_as_a_whole_on_a_new_session(database: Path) -> None:
    """Its earlier writes are rolled back, and each retry is counted."""
    seen = []

    async def work(session: AsyncSession) -> str:
        seen.append(session)
        session.add(Prompt(**PROMPT))
        await session.flush()
        if len(seen) < 4:
            raise BusyError
        return "done"

    async def check(engine: AsyncEngine) -> Any:
        sessions = sessionmaker(engine)
        runner = tx.Transactions(sessions, sessions, first_wait_s=0)
        return await runner.write(work), dict(runner.retries), await left(engine)

    assert run(database, check) == ("done", {tx.BUSY: 3}, (1, 0))
    assert len(set(map(id, seen))) == 4


@given(st.integers(1, 12))
def test_a_permanent_conflict_is_raised_after_the_last_attempt(attempts: int) -> None:
    """The work runs as often as allowed; the last error is raised."""
    tried = 0

    async def work(_session: AsyncSession) -> None:
        nonlocal tried
        tried += 1
        raise BusyError

    async def check() -> Any:
        engine = create_async_engine("sqlite+aiosqlite://")
        sessions = sessionmaker(engine)
        runner = tx.Transactions(sessions, sessions, attempts=attempts, first_wait_s=0)
        with pytest.raises(BusyError):
            await runner.write(work)
        await engine.dispose()
        return runner.retries.total()

    assert asyncio.run(check()) == attempts - 1
    assert tried == attempts


def test_waits_grow_at_random_up_to_a_bound(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait is drawn below a bound that doubles up to the limit."""
    bounds: list[tuple[float, float]] = []

    def no_wait(low: float, high: float) -> float:
        bounds.append((low, high))
        return 0.0

    monkeypatch.setattr(random, "uniform", no_wait)

    async def work(_session: AsyncSession) -> None:
        raise BusyError

    async def check(engine: AsyncEngine) -> None:
        sessions = sessionmaker(engine)
        with pytest.raises(BusyError):
            await tx.Transactions(sessions, sessions, attempts=6, first_wait_s=0.01, longest_wait_s=0.05).write(work)

    run(database, check)
    assert bounds == [(0, bound) for bound in (0.01, 0.02, 0.04, 0.05, 0.05)]


def test_other_errors_are_not_retried_and_leave_nothing(database: Path) -> None:
    """An error that is not a conflict is raised at once."""
    tried = []

    async def work(session: AsyncSession) -> None:
        tried.append(1)
        session.add(Prompt(**PROMPT))
        await session.flush()
        raise ValueError("a mistake")

    async def check(engine: AsyncEngine) -> tuple[int, int]:
        sessions = sessionmaker(engine)
        with pytest.raises(ValueError, match="a mistake"):
            await tx.Transactions(sessions, sessions).write(work)
        return await left(engine)

    assert run(database, check) == (0, 0)
    assert tried == [1]


def test_a_read_that_becomes_a_write_too_late_is_retried(database: Path) -> None:
    """Another connection has written meanwhile: SQLite reports it at once, and the second attempt reads the new value."""
    seen = []

    async def check(engine: AsyncEngine) -> Any:
        sessions = sessionmaker(engine)
        runner = tx.Transactions(sessions, sessions)

        async def work(session: AsyncSession) -> None:
            template = await session.get_one(PromptTemplate, TEMPLATES[0])
            seen.append(template.usage_count)
            if len(seen) == 1:
                await act(engine, "use", "proposed", TEMPLATES[:1])
            template.usage_count += 1

        await runner.write(work)
        return dict(runner.retries), await uses(engine)

    retries, now = run(database, check)
    assert retries == {tx.BUSY: 1}
    assert (seen[1], now[0]) == (seen[0] + 1, seen[0] + 2)


def cause(module: str = "elsewhere", message: str = "", **attributes: Any) -> Exception:
    """Return a driver's error."""
    error: Exception = type("DriverError", (Exception,), {"__module__": module})(message)
    vars(error).update(attributes)
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (cause(sqlstate="40P01"), tx.DEADLOCK),
        (cause(sqlstate="40001"), tx.NOT_SERIALIZABLE),
        (cause(sqlstate="23505"), None),
        (cause(sqlstate=None), None),
        (cause(sqlite_errorcode=sqlite3.SQLITE_BUSY), tx.BUSY),
        (cause(sqlite_errorcode=sqlite3.SQLITE_BUSY_SNAPSHOT), tx.BUSY),
        (cause(sqlite_errorcode=sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY), None),
        (cause("turso.lib", "database is locked"), tx.BUSY),
        (cause("turso", "database snapshot is stale, rollback and retry the transaction"), tx.BUSY),
        (cause("turso", "no such table: prompts"), None),
        (cause("elsewhere", "database is locked"), None),
    ],
)
def test_conflicts_are_distinguished_from_other_errors(error: Exception, kind: str | None) -> None:
    """By the database's error code, or Turso's message, whether SQLAlchemy has wrapped the error or not."""
    assert tx.conflict(error) == kind
    assert tx.conflict(DBAPIError("UPDATE", {}, error)) == kind


@pytest.fixture(scope="module")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a PostgreSQL server."""
    try:
        with postgres.server(tmp_path_factory.mktemp("postgres")) as url:
            yield url
    except NotMeasurableError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_postgres_readers_cannot_write_and_see_one_snapshot(postgres_url: str) -> None:
    """Read-only is set with BEGIN, for that transaction only: the same connection writes afterwards."""

    async def check() -> Any:
        engine = create_async_engine(postgres_url, pool_size=1, max_overflow=0)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            async with tx.read_only(engine, explicit_begin) as readers, readers.connect() as connection:
                names = ("transaction_read_only", "transaction_isolation")
                settings = [(await connection.execute(text(f"SHOW {name}"))).scalar_one() for name in names]
                assert settings == ["on", "repeatable read"]
                with pytest.raises(DBAPIError, match="read-only"):
                    await connection.execute(Base.metadata.tables["prompts"].insert(), PROMPT)
            await act(engine, "create", "optimised", PROMPT, EVALUATION)
            return await left(engine)
        finally:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.drop_all)
            await engine.dispose()

    assert asyncio.run(check()) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("arm", "deadlocks"), [("baseline", True), ("proposed", True), ("optimised", False)])
def test_postgres_transactions_in_opposite_orders(postgres_url: str, arm: str, deadlocks: bool) -> None:
    """Locks in the given order deadlock; locks in key order do not."""

    async def check() -> list[str | None]:
        engine = create_async_engine(postgres_url, pool_size=8)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
                rows = [{"id": key, "name": key, "category": "a", "usage_count": 0, "content": ""} for key in TEMPLATES]
                await connection.execute(Base.metadata.tables["prompt_templates"].insert(), rows)
            tasks = [act(engine, "use", arm, TEMPLATES[::order]) for _ in range(8) for order in (1, -1)]
            found = await asyncio.gather(*tasks, return_exceptions=True)
            kinds = [None if f is None else tx.conflict(f) or repr(f) for f in found]
            assert deadlocks or await uses(engine) == [len(tasks), len(tasks)]
            return kinds
        finally:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.drop_all)
            await engine.dispose()

    assert set(asyncio.run(check())) == ({None, tx.DEADLOCK} if deadlocks else {None})
