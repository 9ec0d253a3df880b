"""The SQLite engine: real transactions, settings on every connection, snapshots that are whole."""

from __future__ import annotations

import asyncio
import errno
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.databases.engines import sqlite
from harness.errors import UsageError

Check = Callable[[AsyncEngine], Awaitable[Any]]


def on(path: Path, check: Check, options: sqlite.SqliteOptions = sqlite.DEFAULTS, *, read_only: bool = False) -> Any:
    """Run a check on an engine for a file."""

    async def opened() -> Any:
        async with sqlite.engine(path, options, read_only=read_only) as engine:
            return await check(engine)

    return asyncio.run(opened())


async def make(engine: AsyncEngine) -> None:
    """Make a table with one row."""
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
        await connection.exec_driver_sql("INSERT INTO t VALUES (1)")


async def count(engine: AsyncEngine) -> Any:
    """Count the table's rows."""
    async with engine.connect() as connection:
        return (await connection.exec_driver_sql("SELECT count(*) FROM t")).scalar_one()


async def insert_in_savepoint_and_roll_back(engine: AsyncEngine) -> Any:
    """Insert in a released savepoint, roll the outer transaction back, and count the rows left."""
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


def test_a_rollback_takes_back_what_a_savepoint_released(tmp_path: Path) -> None:
    """With SQLAlchemy saying BEGIN, the savepoint's row goes with the outer transaction."""
    on(tmp_path / "a.db", make)
    assert on(tmp_path / "a.db", insert_in_savepoint_and_roll_back) == 1


def test_left_to_the_driver_the_row_survives(tmp_path: Path) -> None:
    """Without it, the driver starts no transaction before the SAVEPOINT, and the row survives the rollback."""
    legacy = sqlite.SqliteOptions(begin=None)
    on(tmp_path / "a.db", make, legacy)
    assert on(tmp_path / "a.db", insert_in_savepoint_and_roll_back, legacy) == 2


def test_settings_hold_on_every_connection(tmp_path: Path) -> None:
    """Two connections at once both have the options' PRAGMAs."""
    options = sqlite.SqliteOptions(busy_timeout_ms=1234, cache_size_kib=2048, synchronous="FULL", temp_store="FILE", pool_size=2)

    async def pragmas(engine: AsyncEngine) -> list[list[Any]]:
        async with engine.connect() as first, engine.connect() as second:
            return [
                [
                    (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
                    for name in ("busy_timeout", "cache_size", "synchronous", "temp_store", "foreign_keys", "journal_mode")
                ]
                for connection in (first, second)
            ]

    assert on(tmp_path / "a.db", pragmas, options) == [[1234, -2048, 2, 1, 1, "wal"]] * 2


def test_the_record_names_versions_settings_and_pool(tmp_path: Path) -> None:
    """What a reader needs to repeat a run is there: versions, limits, PRAGMAs, how transactions begin, the pool."""
    found = on(tmp_path / "a.db", sqlite.settings, sqlite.SqliteOptions(pool_size=3, max_overflow=2))
    assert found["sqlite"] == sqlite3.sqlite_version
    assert {"aiosqlite", "sqlalchemy", "python", "sqlite source", "sqlite compile options"} <= set(found)
    assert {f"PRAGMA {name}" for name in sqlite.PRAGMAS} <= set(found)
    assert found["PRAGMA journal_mode"] == "wal"
    assert (found["begin"], found["mode"]) == ("BEGIN", "rwc")
    assert (found["pool"], found["pool size"], found["pool overflow"]) == ("AsyncAdaptedQueuePool", "3", "2")
    assert all(isinstance(value, str) for value in found.values())


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """A read-only engine reads a file, one with odd characters in its name as well, and refuses to write it."""
    path = tmp_path / "a ?#%.db"
    on(path, make)

    async def write(engine: AsyncEngine) -> Any:
        async with engine.connect() as connection:
            with pytest.raises(OperationalError, match="readonly"):
                await connection.exec_driver_sql("INSERT INTO t VALUES (2)")
        return await count(engine)

    assert on(path, write, read_only=True) == 1


def test_immediate_transactions_take_the_write_lock_at_once(tmp_path: Path) -> None:
    """With BEGIN IMMEDIATE, for an engine or for one connection of it, a second transaction waits before its first statement."""
    on(tmp_path / "a.db", make)
    options = sqlite.SqliteOptions(busy_timeout_ms=0)

    async def two(engine: AsyncEngine) -> None:
        async with engine.begin(), engine.begin():
            pass  # two readers get along
        immediate = engine.execution_options(**{sqlite.BEGIN_OPTION: "BEGIN IMMEDIATE"})
        async with immediate.begin():
            with pytest.raises(OperationalError, match="locked"):
                async with immediate.begin():
                    pass

    on(tmp_path / "a.db", two, options)


def test_a_snapshot_is_one_whole_file(tmp_path: Path) -> None:
    """What a crashed writer left in the log is folded in, and nothing stays beside the file."""
    live = tmp_path / "live.db"
    on(live, make)
    with closing(sqlite3.connect(live)) as writer:
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        for suffix in ("", "-wal"):
            shutil.copy(f"{live}{suffix}", tmp_path / f"crashed.db{suffix}")
    assert sqlite.checkpoint(tmp_path / "crashed.db") == tmp_path / "crashed.db"
    assert sorted(file.name for file in tmp_path.glob("crashed*")) == ["crashed.db"]
    assert rows(tmp_path / "crashed.db") == 2


def test_a_snapshot_of_a_database_in_use_is_refused(tmp_path: Path) -> None:
    """While somebody reads the old state the log cannot be folded in; the message says to close the connection."""
    path = tmp_path / "a.db"
    on(path, make)
    with closing(sqlite3.connect(path)) as reader, closing(sqlite3.connect(path)) as writer:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        with pytest.raises(UsageError, match=r"a\.db.*close its connections"):
            sqlite.checkpoint(path)


def test_a_restored_copy_has_nothing_of_the_old_database(tmp_path: Path) -> None:
    """The old log beside the target would be replayed into the copy; it goes with the old file."""
    first, target = tmp_path / "first.db", tmp_path / "target.db"
    on(first, make)
    on(target, make)
    with closing(sqlite3.connect(target)) as writer:
        writer.execute("INSERT INTO t VALUES (2), (3)")
        writer.commit()
        shutil.copy(f"{target}-wal", tmp_path / "stale")
    shutil.copy(tmp_path / "stale", f"{target}-wal")
    assert sqlite.restore(first, target) == target
    assert sorted(file.name for file in tmp_path.glob("*target*")) == ["target.db"]
    assert rows(target) == 1


def test_a_snapshot_with_a_log_is_not_restored(tmp_path: Path) -> None:
    """A copy of the file alone would lack what is in the log, so it is refused."""
    path = tmp_path / "a.db"
    on(path, make)
    (tmp_path / "a.db-wal").write_bytes(b"something")
    with pytest.raises(UsageError, match=r"a\.db is not the whole database.*checkpoint\(\)"):
        sqlite.restore(path, tmp_path / "b.db")


def test_a_full_disk_leaves_the_old_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the copy fails half-way, one line names the target and the old file is still there, with no half of a new one."""
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    on(source, make)
    on(target, make)

    def full(_source: Path, partial: Path) -> None:
        partial.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(UsageError, match=r"^cannot restore .*target\.db: No space left on device; free disk space"):
        sqlite.restore(source, target)
    assert rows(target) == 1
    assert not list(tmp_path.glob("*.partial"))


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    """A file that is no database is named, not traced."""
    (tmp_path / "a.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(UsageError, match=r"a\.db: file is not a database"):
        sqlite.checkpoint(tmp_path / "a.db")


def test_missing_files_are_named(tmp_path: Path) -> None:
    """Nothing to read, to snapshot or to restore, and no folder to write to: each message names it and the next step."""
    missing = tmp_path / "none" / "a.db"
    with pytest.raises(UsageError, match=r"no folder .*none"):
        on(missing, count)
    with pytest.raises(UsageError, match=r"no database .*a\.db; create it"):
        on(missing, count, read_only=True)
    with pytest.raises(UsageError, match=r"no database .*a\.db"):
        sqlite.checkpoint(missing)
    with pytest.raises(UsageError, match=r"no snapshot .*a\.db"):
        sqlite.restore(missing, tmp_path / "b.db")


def test_removing_takes_the_log_along(tmp_path: Path) -> None:
    """The file, its log and its shared memory go; removing them again is fine."""
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"a.db{suffix}").touch()
    (tmp_path / "a.db-notes").touch()
    for _ in range(2):
        sqlite.remove(tmp_path / "a.db")
    assert [file.name for file in tmp_path.iterdir()] == ["a.db-notes"]
