"""The SQLite engine: real transactions, options on every connection, complete checkpoints."""

import asyncio
import errno
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from harness.databases import embedded
from harness.databases.engines import sqlite
from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions
from harness.errors import UsageError
from harness.scenario import Setting

Check = Callable[[AsyncEngine], Awaitable[Any]]


def on(path: Path, check: Check, options: ConnectionOptions = DEFAULT_OPTIONS) -> Any:
    """Run a check on an engine for a file."""

    async def opened() -> Any:
        async with sqlite.engine(path, options) as engine:
            return await check(engine)

    return asyncio.run(opened())


def of(path: Path) -> sqlite.SqliteDatabases:
    """Return the databases in a file's folder."""
    return sqlite.databases(Setting(path.parent, path.parent))


async def make(engine: AsyncEngine) -> None:
    """Create a table with one row."""
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
        await connection.exec_driver_sql("INSERT INTO t VALUES (1)")


async def count(engine: AsyncEngine) -> Any:
    """Count the table's rows."""
    async with engine.connect() as connection:
        return (await connection.exec_driver_sql("SELECT count(*) FROM t")).scalar_one()


async def insert_in_savepoint_and_roll_back(engine: AsyncEngine) -> Any:
    """Insert a row in a released savepoint, roll the outer transaction back, and count the remaining rows."""
    async with engine.connect() as connection:
        outer = await connection.begin()
        async with connection.begin_nested():
            await connection.exec_driver_sql("INSERT INTO t VALUES (2)")
        await outer.rollback()
    return await count(engine)


def rows(path: Path) -> Any:
    """Count the rows in a file without the engine."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM t").fetchone()[0]


def test_a_rollback_undoes_a_released_savepoint(tmp_path: Path) -> None:
    """With SQLAlchemy emitting BEGIN, the savepoint's row is rolled back with the outer transaction."""
    on(tmp_path / "a.db", make)
    assert on(tmp_path / "a.db", insert_in_savepoint_and_roll_back) == 1


def test_with_the_drivers_transactions_the_row_survives(tmp_path: Path) -> None:
    """The driver alone begins no transaction before the SAVEPOINT, and the row survives the rollback."""
    legacy = ConnectionOptions(undo=True)
    on(tmp_path / "a.db", make, legacy)
    assert on(tmp_path / "a.db", insert_in_savepoint_and_roll_back, legacy) == 2


def test_options_apply_to_every_connection(tmp_path: Path) -> None:
    """Two connections at the same time both have the PRAGMAs of the options."""
    options = ConnectionOptions(small_cache=True, pool_size=2)

    async def pragmas(engine: AsyncEngine) -> list[list[Any]]:
        async with engine.connect() as first, engine.connect() as second:
            return [
                [
                    (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
                    for name in ("busy_timeout", "cache_size", "synchronous", "temp_store", "foreign_keys", "journal_mode")
                ]
                for connection in (first, second)
            ]

    assert on(tmp_path / "a.db", pragmas, options) == [[5000, -2048, 1, 2, 1, "wal"]] * 2


def test_the_record_contains_versions_settings_and_pool(tmp_path: Path) -> None:
    """The settings contain versions, limits, PRAGMAs, how transactions begin, and the pool."""
    found = on(tmp_path / "a.db", of(tmp_path / "a.db").settings, ConnectionOptions(pool_size=3, max_overflow=2))
    assert found["sqlite"] == sqlite3.sqlite_version
    assert {"aiosqlite", "sqlalchemy", "python", "sqlite source", "sqlite compile options"} <= set(found)
    assert {f"PRAGMA {name}" for name in embedded.PRAGMAS} <= set(found)
    assert found["PRAGMA journal_mode"] == "wal"
    assert (found["begin"], found["mode"]) == ("BEGIN", "rwc")
    assert (found["pool"], found["pool size"], found["pool overflow"]) == ("AsyncAdaptedQueuePool", "3", "2")
    assert all(isinstance(value, str) for value in found.values())


def test_a_read_only_engine_cannot_write(tmp_path: Path) -> None:
    """A read-only engine reads a file, also one with special characters in its name, and refuses to write."""
    path = tmp_path / "a ?#%.db"
    on(path, make)

    async def write() -> Any:
        url = URL.create("sqlite+aiosqlite", database=path.as_uri(), query={"mode": "ro", "uri": "true"})
        engine = create_async_engine(url)
        of(path).configure(engine)
        async with engine.connect() as connection:
            with pytest.raises(OperationalError, match="readonly"):
                await connection.exec_driver_sql("INSERT INTO t VALUES (2)")
        rows, mode = await count(engine), (await of(path).settings(engine))["mode"]
        await engine.dispose()
        return rows, mode

    assert asyncio.run(write()) == (1, "ro")


def test_immediate_transactions_take_the_write_lock_at_once(tmp_path: Path) -> None:
    """With BEGIN IMMEDIATE, for an engine or one of its connections, a second transaction waits before its first statement."""
    on(tmp_path / "a.db", make)

    async def two(engine: AsyncEngine) -> None:
        event.listen(engine.sync_engine, "connect", _no_busy_timeout)
        async with engine.begin(), engine.begin():
            pass  # two readers do not block each other
        immediate = engine.execution_options(**{embedded.BEGIN_OPTION: "BEGIN IMMEDIATE"})
        async with immediate.begin():
            with pytest.raises(OperationalError, match="locked"):
                async with immediate.begin():
                    pass

    on(tmp_path / "a.db", two)


def test_a_checkpoint_leaves_one_complete_file(tmp_path: Path) -> None:
    """The log of a crashed writer is written back, and no other file remains."""
    live = tmp_path / "live.db"
    on(live, make)
    with closing(sqlite3.connect(live)) as writer:
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        for suffix in ("", "-wal"):
            shutil.copy(f"{live}{suffix}", tmp_path / f"crashed.db{suffix}")
    of(live).checkpoint("crashed")
    assert sorted(file.name for file in tmp_path.glob("crashed*")) == ["crashed.db"]
    assert rows(tmp_path / "crashed.db") == 2


def test_a_checkpoint_of_a_database_in_use_is_refused(tmp_path: Path) -> None:
    """While a reader sees the old state the log cannot be written back; the message asks to close the connection."""
    path = tmp_path / "a.db"
    on(path, make)
    with closing(sqlite3.connect(path)) as reader, closing(sqlite3.connect(path)) as writer:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        with pytest.raises(UsageError, match=r"a\.db.*close its connections"):
            of(path).checkpoint("a")


def test_a_restored_copy_has_nothing_of_the_old_database(tmp_path: Path) -> None:
    """The old log of the target would be replayed into the copy; it is removed with the old file."""
    first, target = tmp_path / "first.db", tmp_path / "target.db"
    on(first, make)
    on(target, make)
    with closing(sqlite3.connect(target)) as writer:
        writer.execute("INSERT INTO t VALUES (2), (3)")
        writer.commit()
        shutil.copy(f"{target}-wal", tmp_path / "stale")
    shutil.copy(tmp_path / "stale", f"{target}-wal")
    of(target).copy("first", "target")
    assert sorted(file.name for file in tmp_path.glob("*target*")) == ["target.db"]
    assert rows(target) == 1


def test_a_full_disk_leaves_the_old_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the copy fails, one line names the target, the old file is unchanged, and no partial file remains."""
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    on(source, make)
    on(target, make)

    def full(_source: Path, partial: Path) -> None:
        partial.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(UsageError, match=r"^cannot copy .*target\.db: No space left on device; free disk space"):
        of(target).copy("source", "target")
    assert rows(target) == 1
    assert not list(tmp_path.glob("*.partial"))


def test_a_corrupt_file_is_one_line(tmp_path: Path) -> None:
    """A file that is not a database is a one-line error that names it."""
    (tmp_path / "a.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(UsageError, match=r"a\.db: file is not a database"):
        of(tmp_path / "a.db").checkpoint("a")


def test_missing_files_are_named(tmp_path: Path) -> None:
    """A missing database or folder is named with the next step."""
    missing = tmp_path / "none" / "a.db"
    with pytest.raises(UsageError, match=r"no folder .*none"):
        on(missing, count)
    with pytest.raises(UsageError, match=r"no database .*a\.db"):
        of(missing).checkpoint("a")
    with pytest.raises(UsageError, match=r"no database .*a\.db"):
        of(missing).copy("a", "b")


def test_remove_deletes_the_log_too(tmp_path: Path) -> None:
    """The file, its log and its shared memory are deleted; removing them again is not an error."""
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"a.db{suffix}").touch()
    (tmp_path / "a.db-notes").touch()
    for _ in range(2):
        of(tmp_path / "a.db").remove("a")
    assert [file.name for file in tmp_path.iterdir()] == ["a.db-notes"]


def _no_busy_timeout(connection: Any, _record: object) -> None:
    connection.run_async(lambda driver: driver.execute("PRAGMA busy_timeout = 0"))
