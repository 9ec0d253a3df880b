"""The Turso engine: defects of its driver are fixed, its differences from SQLite are as documented, and the service runs on it."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import datasets
from harness.databases.embedded import FileDatabases
from harness.databases.engines import turso
from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions, databases
from harness.errors import UsageError
from harness.scenario import Setting
from service import bulk, loading, prompts, streaming
from service.migrations import composite_indexes
from service.models import Base
from service.sessions import sessionmaker

Result = TypeVar("Result")
MANY = "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000) SELECT x FROM c"


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """Return a setting with its folders."""
    for folder in ("own", "shared"):
        (tmp_path / folder).mkdir()
    return Setting(tmp_path / "own", tmp_path / "shared", engine="turso", size="tiny", scale=0.1)


@pytest.fixture
def found(setting: Setting) -> turso.TursoDatabases:
    """Return databases with one named `a`, which has a table of one row."""
    made = turso.databases(setting)
    with closing(sqlite3.connect(made.path("a"))) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1)")
    return made


def run(
    found: FileDatabases, check: Callable[[AsyncEngine], Awaitable[Result]], options: ConnectionOptions = DEFAULT_OPTIONS
) -> Result:
    """Run a check on an engine for the database `a`."""

    async def opened() -> Result:
        async with found.open("a", options) as engine:
            return await check(engine)

    return asyncio.run(opened())


async def execute(engine: AsyncEngine, sql: str) -> list[Any]:
    """Execute a statement in a transaction and return its rows."""
    async with engine.begin() as connection:
        result = await connection.exec_driver_sql(sql)
        return [tuple(row) for row in result] if result.returns_rows else []


def test_a_cancelled_writer_releases_its_lock(found: turso.TursoDatabases) -> None:
    """A connection whose statement is cancelled is closed, so that the next writer does not wait forever."""

    async def cancel(engine: AsyncEngine) -> list[Any]:
        writing = asyncio.Event()

        def begun(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
            if sql == MANY:
                writing.set()

        event.listen(engine.sync_engine, "before_cursor_execute", begun)
        writer = asyncio.create_task(execute(engine, MANY))
        await writing.wait()
        await asyncio.sleep(0.01)
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
        await execute(engine, "INSERT INTO t VALUES (2)")
        return await execute(engine, "SELECT x FROM t")

    assert run(found, cancel) == [(1,), (2,)]


def test_with_the_drivers_transactions_a_released_row_survives(found: turso.TursoDatabases) -> None:
    """The driver begins no transaction before a SAVEPOINT, as the undo connection, whose transactions the driver begins, shows."""

    async def release_and_roll_back() -> list[Any]:
        async with found.open_undo("a") as engine:
            async with engine.connect() as connection:
                outer = await connection.begin()
                async with connection.begin_nested():
                    await connection.exec_driver_sql("INSERT INTO t VALUES (2)")
                await outer.rollback()
            return await execute(engine, "SELECT x FROM t")

    assert asyncio.run(release_and_roll_back()) == [(1,), (2,)]


def test_a_second_writer_gets_database_is_locked(found: turso.TursoDatabases) -> None:
    """It is an OperationalError, and after a rollback the connection works again."""

    async def two(engine: AsyncEngine) -> list[Any]:
        event.listen(engine.sync_engine, "connect", _no_busy_timeout)
        async with engine.connect() as first, engine.connect() as second:
            await first.exec_driver_sql("INSERT INTO t VALUES (2)")
            with pytest.raises(OperationalError, match=r"turso\.lib\.OperationalError\) database is locked"):
                await second.exec_driver_sql("INSERT INTO t VALUES (3)")
            await second.rollback()
            await first.commit()
            await second.exec_driver_sql("INSERT INTO t VALUES (4)")
            await second.commit()
        return await execute(engine, "SELECT x FROM t")

    assert run(found, two) == [(1,), (2,), (4,)]


def test_a_transaction_with_a_stale_snapshot_cannot_write(found: turso.TursoDatabases) -> None:
    """It fails at once with an exception that is not a DB-API error, unless it took the write lock first."""

    async def read_and_write(engine: AsyncEngine) -> str:
        async with engine.connect() as first, engine.connect() as second:
            await first.exec_driver_sql("SELECT * FROM t")
            await second.exec_driver_sql("UPDATE t SET x = 2")
            await second.commit()
            with pytest.raises(Exception, match="database snapshot is stale, rollback and retry the transaction") as raised:
                await first.exec_driver_sql("UPDATE t SET x = x + 1")
            await first.rollback()
            await first.exec_driver_sql("UPDATE t SET x = x + 1")
            await first.commit()
        assert not isinstance(raised.value, DBAPIError)
        return f"{type(raised.value).__module__} {await execute(engine, 'SELECT x FROM t')}"

    async def add(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            x = (await connection.exec_driver_sql("SELECT x FROM t")).scalar_one()
            await asyncio.sleep(0)
            await connection.exec_driver_sql("UPDATE t SET x = ?", (x + 1,))

    async def add_all(engine: AsyncEngine) -> list[Any]:
        await asyncio.gather(*(add(engine) for _ in range(5)))
        return await execute(engine, "SELECT x FROM t")

    assert run(found, read_and_write) == "turso [(3,)]"
    assert run(found, add_all, ConnectionOptions(write_lock_first=True)) == [(8,)]


def test_a_reader_does_not_wait_for_a_writer(found: turso.TursoDatabases) -> None:
    """While a transaction writes, another one reads the old rows until it ends."""

    async def read(engine: AsyncEngine) -> list[Any]:
        async with engine.connect() as writer, engine.connect() as reader:
            await writer.exec_driver_sql("UPDATE t SET x = 2")
            during = (await reader.exec_driver_sql("SELECT x FROM t")).scalar_one()
            await writer.commit()
            after = (await reader.exec_driver_sql("SELECT x FROM t")).scalar_one()
            await reader.rollback()
            return [during, after, (await reader.exec_driver_sql("SELECT x FROM t")).scalar_one()]

    assert run(found, read) == [1, 1, 2]


def test_another_process_locks_the_file(found: turso.TursoDatabases) -> None:
    """While another process has the database open, a checkpoint is refused with one line; it works afterwards."""
    with _opened_by_another_process(found.path("a")):
        with pytest.raises(UsageError, match=r"a\.db: Locking error.*; close its connections"):
            found.checkpoint("a")
        with pytest.raises(UsageError, match=r"a\.db: Locking error"):
            found.copy("a", "b")
    found.copy("a", "b")
    with closing(sqlite3.connect(found.path("b"))) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(2,)]


def test_a_corrupt_file_is_one_line(found: turso.TursoDatabases) -> None:
    """A file that is not a database is a one-line error that names it."""
    found.path("broken").write_bytes(b"no database at all" * 100)
    with pytest.raises(UsageError, match=r"broken\.db: file is not a database"):
        found.checkpoint("broken")


def test_statistics_are_sqlites_rounded_up_and_the_planner_uses_them(setting: Setting) -> None:
    """Both engines' ANALYZE covers the same indexes; Turso's averages are SQLite's or one more; a plan changes with them."""
    found = turso.databases(setting)
    blocks = datasets.blocks(datasets.Dataset("tiny", 0, 0.1), ["prompts"])
    found.fill("a", Base.metadata, blocks)
    found.copy("a", "sqlite")
    query = "EXPLAIN QUERY PLAN SELECT id FROM prompts WHERE user_id = 'x' AND status = 'active' AND deleted_at IS NULL"
    before = run(found, lambda engine: execute(engine, query))
    found.migrate("a", _analyse)
    after = run(found, lambda engine: execute(engine, query))
    databases(_on("sqlite", setting)).migrate("sqlite", _analyse)
    assert before != after
    statistics = []
    for name in ("sqlite", "a"):
        with closing(sqlite3.connect(found.path(name))) as connection:
            statistics.append({index: stat.split() for index, stat in connection.execute("SELECT idx, stat FROM sqlite_stat1")})
    sqlite_stats, turso_stats = statistics
    assert set(sqlite_stats) == set(turso_stats)
    pairs = [(int(a), int(b)) for index, stat in sqlite_stats.items() for a, b in zip(stat, turso_stats[index], strict=True)]
    assert all(b - a in {0, 1} for a, b in pairs)


def test_the_service_results_as_on_sqlite(setting: Setting) -> None:
    """All reads, writes, exports and migrations of the service give the same on both engines, and leave equal rows."""
    assert asyncio.run(_serve(setting)) == asyncio.run(_serve(_on("sqlite", setting)))


async def _serve(setting: Setting) -> dict[str, Any]:
    rows = datasets.Dataset(setting.size, setting.seed, setting.scale)
    user, prompt, evaluation = (
        datasets.heavy_users(rows, 1)[0],
        datasets.prompt_ids(rows, 0, 1)[0],
        datasets.evaluation_ids(rows, 0, 1)[0],
    )
    category = next(datasets.rows(rows, "prompt_templates"))["category"]
    new = datasets.prompts_to_insert(rows, 0, 60)
    stored = list(datasets.block(rows, "prompts", 0).columns["id"][:60])
    known = [dict(row, content="again") for row in new[10:50]]
    at = datetime(2025, 10, 2)  # noqa: DTZ001 - the service stores naive UTC
    calls: list[Callable[[AsyncSession], Awaitable[Any]]] = [
        lambda session: prompts.active_prompts(session, user),
        lambda session: prompts.best_evaluations(session, prompt),
        lambda session: prompts.results(session, evaluation, passed=True),
        lambda session: prompts.top_templates(session, category),
        prompts.evaluation_analysis,
        lambda session: prompts.prompt(session, prompt),
        lambda session: prompts.version_history(session, prompt),
        lambda session: prompts.evaluation(session, evaluation),
        lambda session: loading.with_evaluations_one_by_one(session, user),
        lambda session: loading.with_evaluations_proposed(session, user),
        lambda session: loading.with_evaluations_optimised(session, user),
        lambda session: streaming.walk_by_key(session, user, 5),
        lambda session: streaming.walk_by_offset(session, user, 5),
        lambda session: bulk.insert_baseline(session, new[:20]),
        lambda session: bulk.insert_repaired(session, new[20:40]),
        lambda session: bulk.insert_optimised(session, new[40:]),
        lambda session: bulk.upsert_baseline(session, known[:15]),
        lambda session: bulk.upsert_optimised(session, known[15:]),
        lambda session: bulk.set_status_baseline(session, stored[:20], "archived", at),
        lambda session: bulk.set_status_proposed(session, stored[20:40], "archived", at),
        lambda session: bulk.set_status_optimised(session, stored[40:], "archived", at),
        lambda session: bulk.soft_delete_baseline(session, stored[:30], at),
        lambda session: bulk.soft_delete_proposed(session, stored[20:50], at),
        lambda session: bulk.soft_delete_optimised(session, stored, at),
    ]
    found = databases(setting)
    name = f"served-by-{setting.engine}"
    found.fill(name, Base.metadata, datasets.blocks(rows, datasets.TABLES))
    found.migrate(name, composite_indexes.upgrade_optimised)
    found.migrate(name, composite_indexes.upgrade_keyset)
    results: dict[str, Any] = {}
    async with found.open(name) as engine:
        sessions = sessionmaker(engine)
        for number, call in enumerate(calls):
            async with sessions() as session:
                results[f"call {number}"] = await call(session)
        for export in (streaming.export_baseline, streaming.export_optimised):
            results[export.__name__] = "".join([piece async for piece in export(sessions)])
        results["rows"] = await execute(engine, "SELECT * FROM prompts ORDER BY id")
    return results


def _on(engine: str, setting: Setting) -> Setting:
    return Setting(setting.folder, setting.shared, engine=engine, size=setting.size, scale=setting.scale)


def _analyse(connection: Connection) -> None:
    connection.exec_driver_sql("ANALYZE")


def _no_busy_timeout(connection: Any, _record: object) -> None:
    connection.run_async(lambda driver: driver.execute("PRAGMA busy_timeout = 0"))


@contextmanager
def _opened_by_another_process(path: Path) -> Iterator[None]:
    """Let another process write to the database and keep it open."""
    program = (
        "import sys, turso; c = turso.connect(sys.argv[1], isolation_level=None); c.execute('INSERT INTO t VALUES (2)');"
        "print('open', flush=True); sys.stdin.read(); c.close()"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        yield
