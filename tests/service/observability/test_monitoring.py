"""The metrics match what the service did: statements, errors, pools and caches, also after the engine is disposed of."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine, select, text
from sqlalchemy import exc as errors
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from service import prompts
from service.models import Prompt
from service.observability.monitoring import Monitoring, operation_and_entity
from service.observability.slow_query_log import SlowQueryLog, SlowStatement

OnEngine = Callable[[Callable[[AsyncEngine], Awaitable[Any]]], Any]


class MillisecondClock:
    """A clock that advances by a millisecond on each reading."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        """Return the time, and advance it."""
        self.now_ns += 1_000_000
        return self.now_ns


def value(monitoring: Monitoring, name: str, **labels: str) -> float | None:
    """Return a sample as Prometheus reads it; None if the series does not exist."""
    registry: CollectorRegistry = monitoring.registry
    return registry.get_sample_value(name, labels)


def statements(monitoring: Monitoring, operation: str, entity: str = "prompts", outcome: str = "ok", of: str = "count") -> float:
    """Return a value of the statements' histogram, 0 if there is none."""
    name = f"db_statement_duration_seconds_{of}"
    return value(monitoring, name, operation=operation, entity=entity, outcome=outcome) or 0.0


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT prompts.id \nFROM prompts WHERE id = ?", ("select", "prompts")),
        ('select "x" from "evaluations"', ("select", "evaluations")),
        ("INSERT INTO prompts (id) VALUES (?)", ("insert", "prompts")),
        ("UPDATE test_results SET score=?", ("update", "test_results")),
        ("DELETE FROM prompts", ("delete", "prompts")),
        ("WITH RECURSIVE a(n) AS (SELECT 1) SELECT * FROM a JOIN prompts ON true", ("select", "prompts")),
        ("WITH old AS (SELECT 1) DELETE FROM evaluations", ("delete", "evaluations")),
        ("SELECT 1", ("select", "other")),
        ("SELECT * FROM made_up_by_a_client", ("select", "other")),
        ("BEGIN IMMEDIATE", ("transaction", "other")),
        ("SAVEPOINT sa_savepoint_1", ("transaction", "other")),
        ("PRAGMA journal_mode", ("other", "other")),
        ("", ("other", "other")),
    ],
)
def test_a_statement_is_labelled_by_operation_and_table(sql: str, expected: tuple[str, str]) -> None:
    """The number of label values is limited, whatever is sent."""
    assert operation_and_entity(sql) == expected


def test_every_statement_is_counted_with_its_time(on_engine: OnEngine) -> None:
    """Three reads of one clock tick each are three milliseconds, an executemany is one statement, and BEGIN is not a read."""
    monitoring = Monitoring(now_ns=MillisecondClock())

    async def work(engine: AsyncEngine) -> None:
        monitoring.watch(engine)
        async with AsyncSession(engine) as session:
            for number in range(3):
                await prompts.prompt(session, f"p{number}")
            rows = (await session.execute(select(Prompt.__table__).limit(3))).mappings().all()
            await session.execute(
                Prompt.metadata.tables["prompts"].insert(), [{**row, "id": f"new {row['id']}", "parent_id": None} for row in rows]
            )

    on_engine(work)
    assert statements(monitoring, "select") == 4
    assert statements(monitoring, "select", of="sum") == pytest.approx(0.004)
    assert statements(monitoring, "insert") == 1
    assert statements(monitoring, "transaction", "other") == 1


def test_a_failed_statement_is_counted_as_an_error_only(on_engine: OnEngine) -> None:
    """It is counted once, by SQLAlchemy's name of the error, and its time is recorded separately."""
    monitoring = Monitoring(now_ns=MillisecondClock())

    async def work(engine: AsyncEngine) -> None:
        monitoring.watch(engine)
        async with engine.connect() as connection:
            with pytest.raises(errors.OperationalError):
                await connection.execute(text("SELECT no_such_column FROM prompts"))

    on_engine(work)
    assert value(monitoring, "db_errors_total", kind="OperationalError") == 1
    assert statements(monitoring, "select", outcome="error") == 1
    assert statements(monitoring, "select") == 0


def test_a_cancelled_statement_is_an_error_of_its_own_kind(on_engine: OnEngine) -> None:
    """A client that disconnected is neither a success nor an error of the database."""
    monitoring = Monitoring()
    endless = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n")

    async def work(engine: AsyncEngine) -> None:
        monitoring.watch(engine)

        async def read() -> None:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                begun.set()
                await connection.execute(endless)

        begun = asyncio.Event()
        reading = asyncio.create_task(read())
        await begun.wait()
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    on_engine(work)
    assert value(monitoring, "db_errors_total", kind="Cancelled") == 1
    assert statements(monitoring, "select", "other", "error") == 1
    assert statements(monitoring, "select", "other") == 1


def pool_of(monitoring: Monitoring) -> dict[str, float | None]:
    """Return the four gauges of the pool."""
    return {name: value(monitoring, f"db_pool_{name}", pool="main") for name in ("size", "checked_out", "overflow", "waiting")}


def test_the_gauges_show_the_current_pool(tmp_path: Path) -> None:
    """In use, above the size, and waiting, before and after a dispose."""
    monitoring = Monitoring()

    async def look() -> list[dict[str, float | None]]:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'own.db'}", pool_size=1, max_overflow=1, pool_timeout=5)
        monitoring.watch(engine)
        seen = [pool_of(monitoring)]
        for _ in range(2):
            async with engine.connect(), engine.connect():
                third = asyncio.create_task(read(engine))
                await asyncio.sleep(0)  # runs until it has to wait
                seen.append(pool_of(monitoring))
            await third
            seen.append(pool_of(monitoring))
            await engine.dispose()
        return seen

    async def read(engine: AsyncEngine) -> None:
        async with engine.connect():
            pass

    idle = {"size": 1.0, "checked_out": 0.0, "overflow": 0.0, "waiting": 0.0}
    busy = {"size": 1.0, "checked_out": 2.0, "overflow": 1.0, "waiting": 1.0}
    first, *seen = asyncio.run(look())
    assert {**first, "waiting": 0.0} == idle
    assert seen == [busy, idle, busy, idle]
    assert value(monitoring, "db_pool_wait_seconds_count", pool="main") == 6


def test_a_pool_timeout_is_an_error(tmp_path: Path) -> None:
    """It is counted although the engine has no event for it."""
    monitoring = Monitoring()

    async def wait() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'own.db'}", pool_size=1, max_overflow=0, pool_timeout=0.01)
        monitoring.watch(engine)
        async with engine.connect():
            with pytest.raises(errors.TimeoutError):
                await engine.connect().start()
        await engine.dispose()

    asyncio.run(wait())
    assert value(monitoring, "db_errors_total", kind="PoolTimeout") == 1


def test_a_pool_without_a_size_has_no_gauges(tmp_path: Path) -> None:
    """Statements are still timed, on a synchronous engine too."""
    monitoring = Monitoring()
    engine = create_engine(f"sqlite:///{tmp_path / 'own.db'}", poolclass=NullPool)
    monitoring.watch(engine)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert value(monitoring, "db_pool_size", pool="main") is None
    assert statements(monitoring, "select", "other") == 1


def test_series_do_not_grow_with_client_data(on_engine: OnEngine) -> None:
    """Five hundred ids and IN lists of as many lengths create as many series as one, in bounded memory."""
    monitoring = Monitoring()

    async def work(engine: AsyncEngine) -> tuple[int, int]:
        monitoring.watch(engine)
        lines = []
        async with engine.connect() as connection:
            for many in (1, 500):
                for number in range(many):
                    ids = ", ".join(f"'{i}'" for i in range(number + 1))
                    await connection.execute(text(f"SELECT id FROM prompts WHERE id IN ({ids})"))
                lines.append(len(monitoring.render().splitlines()))
        return lines[0], lines[1]

    first, last = on_engine(work)
    assert first == last


def test_two_instances_are_independent(on_engine: OnEngine) -> None:
    """Two can be created, and each reports only its own engines."""
    ours, other = Monitoring(), Monitoring()

    async def work(engine: AsyncEngine) -> None:
        ours.watch(engine)
        async with AsyncSession(engine) as session:
            await prompts.prompt(session, "p")

    on_engine(work)
    assert (statements(ours, "select"), statements(other, "select")) == (1, 0)


def test_cache_counters_are_read_at_scrape_time() -> None:
    """Lookups that loaded are misses, the others hits."""
    counts = {"lookups": 10, "loads": 4}
    monitoring = Monitoring()
    monitoring.watch_cache(lambda: counts)
    assert value(monitoring, "cache_hits_total", cache="answers") == 6
    counts["lookups"] = 11
    assert value(monitoring, "cache_hits_total", cache="answers") == 7
    assert value(monitoring, "cache_misses_total", cache="answers") == 4


def test_only_slow_statements_are_logged(on_engine: OnEngine, tmp_path: Path) -> None:
    """Statements at the threshold are logged, with their call site; the log's dropped statements are part of the metrics."""
    noted: list[SlowStatement] = []
    clock = MillisecondClock()
    slow = SlowQueryLog(tmp_path / "slow.jsonl", threshold_s=0.002)
    slow.note = noted.append  # type: ignore[method-assign,assignment]  # for this log only
    slow.dropped = 3
    monitoring = Monitoring(slow, now_ns=clock)

    async def work(engine: AsyncEngine) -> None:
        monitoring.watch(engine)
        async with AsyncSession(engine) as session:
            await prompts.prompt(session, "quick")
            connection = await session.connection()

            execute = engine.sync_engine.dialect.do_execute

            def executing(*arguments: Any) -> None:
                clock.now_ns += 1_000_000
                execute(*arguments)

            engine.sync_engine.dialect.do_execute = executing  # type: ignore[method-assign,assignment]  # for this engine only
            await connection.execute(select(Prompt.id).where(Prompt.id == "slow"))

    on_engine(work)
    [one] = noted
    assert one.parameters == ("slow",)
    assert one.duration_s == pytest.approx(0.002)
    assert "test_monitoring.py" in one.call_site[0]
    assert value(monitoring, "slow_queries_dropped_total") == 3
