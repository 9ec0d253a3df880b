"""File databases behave the same on both embedded engines: by name, copied, migrated, opened and removed."""

import asyncio
import errno
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Column, Connection, ForeignKey, Index, Integer, MetaData, String, Table, event, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from harness.databases.embedded import BEGIN_OPTION, FileDatabases, has_log
from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions, Databases, databases
from harness.errors import UsageError
from harness.scenario import Setting
from tests.harness.databases.blocks import Rows

Result = TypeVar("Result")

METADATA = MetaData()
PARENTS = Table("parents", METADATA, Column("id", String, primary_key=True), Column("age", Integer, index=True))
CHILDREN = Table("children", METADATA, Column("id", Integer, primary_key=True), Column("parent", ForeignKey("parents.id")))
ROWS = 300


def parents(count: int = ROWS) -> Iterator[Rows]:
    """Yield rows whose ids are in another order than the ages, some ages NULL."""
    numbers = range(count)
    yield Rows(
        "parents", {"id": [f"p{n * 37 % 1009:04d} 親" for n in numbers], "age": [None if n % 7 == 0 else n for n in numbers]}
    )


@pytest.fixture(params=["sqlite", "turso"])
def found(request: pytest.FixtureRequest, tmp_path: Path) -> FileDatabases:
    """Return an engine's databases in the test's folders."""
    for folder in ("own", "shared"):
        (tmp_path / folder).mkdir()
    made = databases(Setting(tmp_path / "own", tmp_path / "shared", engine=request.param))
    assert isinstance(made, FileDatabases)
    return made


def run(
    found: Databases, name: str, check: Callable[[AsyncEngine], Awaitable[Result]], options: ConnectionOptions = DEFAULT_OPTIONS
) -> Result:
    """Run a check on an engine for a database."""

    async def opened() -> Result:
        async with found.open(name, options) as engine:
            return await check(engine)

    return asyncio.run(opened())


async def rows_of(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    """Return the parents by id."""
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(PARENTS.select().order_by(PARENTS.c.id))]


async def add(engine: AsyncEngine) -> None:
    """Commit one more parent."""
    async with engine.begin() as connection:
        await connection.execute(PARENTS.insert(), {"id": "one more", "age": 1})


def files(found: FileDatabases) -> list[str]:
    """Return the names of the files in the setting's folder that are not empty."""
    return sorted(file.name for file in found.path("x").parent.iterdir() if file.stat().st_size)


def test_a_filled_database_has_the_loaded_rows(found: FileDatabases) -> None:
    """Both engines read the loaded rows, in the shared folder for a shared name, with no other file."""
    assert found.fill("shared-all", METADATA, parents()) == {"parents": ROWS, "children": 0}
    (block,) = parents()
    assert run(found, "shared-all", rows_of) == sorted(zip(block.columns["id"], block.columns["age"], strict=True))
    assert found.exists("shared-all")
    assert not found.exists("all")
    assert found.path("shared-all").parent.name == "shared"
    found.checkpoint("shared-all")
    assert [file.name for file in found.path("shared-all").parent.iterdir() if file.stat().st_size] == ["shared-all.db"]


def test_a_database_is_not_filled_twice(found: FileDatabases) -> None:
    """A second fill is refused, and the message names the file."""
    found.fill("a", METADATA, parents(1))
    with pytest.raises(UsageError, match=r"a\.db exists already"):
        found.fill("a", METADATA, parents(1))


def test_a_copy_is_a_separate_database(found: FileDatabases) -> None:
    """A copy replaces its target, has the source's last writes, and its own writes do not affect the source."""
    found.fill("a", METADATA, parents())
    found.fill("b", METADATA, parents(1))
    run(found, "a", add)
    run(found, "b", add)
    found.copy("a", "b")
    assert run(found, "b", rows_of) == run(found, "a", rows_of)
    assert len(run(found, "a", rows_of)) == ROWS + 1
    found.copy("a", "c")
    run(found, "c", lambda engine: _execute(engine, "DELETE FROM parents"))
    assert len(run(found, "a", rows_of)) == ROWS + 1


def test_the_log_is_included(found: FileDatabases) -> None:
    """A crashed writer's log is written back before the file is copied or renamed; an old log is not applied to a new file."""
    found.fill("a", METADATA, parents(5))

    async def crash(engine: AsyncEngine) -> None:
        await add(engine)
        for name in ("crashed", "again", "target"):
            for suffix in ("", "-wal"):
                shutil.copy(f"{found.path('a')}{suffix}", f"{found.path(name)}{suffix}")

    run(found, "a", crash)
    assert has_log(found.path("crashed"))
    found.copy("crashed", "whole")
    assert len(run(found, "whole", rows_of)) == 6
    found.fill("empty", METADATA, parents(0))
    found.copy("empty", "target")
    assert run(found, "target", rows_of) == []
    found.rename("again", "whole")
    assert len(run(found, "whole", rows_of)) == 6


def test_renaming_moves_the_whole_database(found: FileDatabases) -> None:
    """The database has its new name only, and the one that had that name is replaced."""
    found.fill("a", METADATA, parents(5))
    found.fill("b", METADATA, parents(1))
    run(found, "a", add)
    found.rename("a", "b")
    assert len(run(found, "b", rows_of)) == 6
    assert not found.exists("a")
    found.checkpoint("b")
    assert files(found) == ["b.db"]


def test_remove_deletes_all_files(found: FileDatabases) -> None:
    """The file and its log are deleted, and removing it again is not an error."""
    found.fill("a", METADATA, parents(5))
    run(found, "a", add)
    for _ in range(2):
        found.remove("a")
    assert not list(found.path("a").parent.iterdir())


def test_a_database_in_use_is_not_copied(found: FileDatabases) -> None:
    """While a reader sees the old state the log cannot be written back; the message asks to close the connection."""
    found.fill("a", METADATA, parents(5))

    async def copy_meanwhile(engine: AsyncEngine) -> None:
        async with engine.connect() as reader:
            await reader.execute(PARENTS.select())
            await add(engine)
            with pytest.raises(UsageError, match=r"a\.db.*in use; close its connections"):
                found.copy("a", "b")

    run(found, "a", copy_meanwhile)
    assert not found.exists("b")


def test_a_full_disk_leaves_the_old_database(found: FileDatabases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that fails is a one-line error, and the target is still the old database."""
    found.fill("a", METADATA, parents(5))
    found.fill("b", METADATA, parents(1))

    def full(_source: Path, partial: Path) -> None:
        partial.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copyfile", full)
        with pytest.raises(UsageError, match=r"b\.db: No space left on device; free disk space"):
            found.copy("a", "b")
    assert len(run(found, "b", rows_of)) == 1
    assert files(found) == ["a.db", "b.db"]


def test_a_missing_database_is_named_and_not_created(found: FileDatabases) -> None:
    """Opening, migrating, copying, renaming or checkpointing a missing database is a one-line error and creates no file."""
    for action in (
        lambda: run(found, "none", rows_of),
        lambda: asyncio.run(_enter(found.open_undo("none"))),
        lambda: found.migrate("none", _index),
        lambda: found.copy("none", "b"),
        lambda: found.rename("none", "b"),
        lambda: found.checkpoint("none"),
    ):
        with pytest.raises(UsageError, match=r"none\.db"):
            action()
    assert not list(found.path("a").parent.iterdir())


def test_a_migration_is_applied_and_used(found: FileDatabases) -> None:
    """Partial indexes and statistics are created by the engine itself, and its planner uses them."""
    found.fill("a", METADATA, parents())
    sql = "SELECT id FROM parents WHERE age > 290 AND id > 'p' ORDER BY age"
    assert "ages_of_some" not in str(run(found, "a", lambda engine: _execute(engine, f"EXPLAIN QUERY PLAN {sql}")))
    found.migrate("a", _index)
    assert "ages_of_some" in str(run(found, "a", lambda engine: _execute(engine, f"EXPLAIN QUERY PLAN {sql}")))
    statistics = run(found, "a", lambda engine: _execute(engine, "SELECT stat FROM sqlite_stat1 WHERE idx = 'ages_of_some'"))
    assert len(statistics) == 1
    with closing(sqlite3.connect(found.path("a"))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_failed_migration_changes_nothing(found: FileDatabases) -> None:
    """It runs in one transaction, which rolls back the indexes created before the failure."""
    found.fill("a", METADATA, parents())
    before = run(found, "a", _schema)

    def fail(connection: Connection) -> None:
        _index(connection)
        raise KeyError("later")

    with pytest.raises(KeyError, match="later"):
        found.migrate("a", fail)
    assert run(found, "a", _schema) == before


@pytest.mark.parametrize("first", [False, True])
def test_a_rollback_undoes_everything(found: FileDatabases, first: bool) -> None:
    """Rows of released savepoints, plain rows and tables are rolled back with the transaction; a commit keeps the rest."""
    found.fill("a", METADATA, parents(0))

    async def check(engine: AsyncEngine) -> list[Any]:
        async with engine.connect() as connection:
            outer = await connection.begin()
            async with connection.begin_nested():
                await connection.execute(PARENTS.insert(), {"id": "released"})
            await connection.execute(text("CREATE TABLE made (x INTEGER)"))
            await outer.rollback()
        async with engine.begin() as connection:
            inner = await connection.begin_nested()
            await connection.execute(PARENTS.insert(), {"id": "undone"})
            await inner.rollback()
            await connection.execute(PARENTS.insert(), {"id": "committed"})
        return [await rows_of(engine), await _schema(engine)]

    before = run(found, "a", _schema)
    assert run(found, "a", check, ConnectionOptions(write_lock_first=first)) == [[("committed", None)], before]


def test_a_writer_can_take_the_lock_first(found: FileDatabases) -> None:
    """Read transactions do not block each other; those that begin with the write lock do, per engine or per connection."""
    found.fill("a", METADATA, parents(1))

    async def two(engine: AsyncEngine) -> None:
        event.listen(engine.sync_engine, "connect", _no_busy_timeout)
        async with engine.begin(), engine.begin():
            pass

    run(found, "a", two)
    with pytest.raises(OperationalError, match="database is locked"):
        run(found, "a", two, ConnectionOptions(write_lock_first=True))
    with pytest.raises(OperationalError, match="database is locked"):
        run(found, "a", lambda engine: two(engine.execution_options(**{BEGIN_OPTION: "BEGIN IMMEDIATE"})))


def test_foreign_keys_are_checked_except_for_undo(found: FileDatabases) -> None:
    """A child without a parent is refused, except on the undo connection."""
    found.fill("a", METADATA, parents(1))

    async def orphan(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.execute(CHILDREN.insert(), {"id": 1, "parent": "missing"})

    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        run(found, "a", orphan)

    async def undo() -> None:
        async with found.open_undo("a") as engine:
            await orphan(engine)

    asyncio.run(undo())
    assert run(found, "a", lambda engine: _execute(engine, "SELECT * FROM children")) == [(1, "missing")]


def test_undo_sees_and_deletes_what_the_engine_wrote(found: FileDatabases) -> None:
    """Both are open at once on the same rows, and writes of the undo connection outside of a transaction are permanent."""
    found.fill("a", METADATA, parents(3))

    async def both() -> tuple[int, list[Any]]:
        async with found.open("a") as engine, found.open_undo("a") as undo:
            await add(engine)
            async with undo.connect() as connection:
                seen = len((await connection.execute(PARENTS.select())).all())
                await connection.execute(PARENTS.delete().where(PARENTS.c.id == "one more"))
                await connection.commit()
                await connection.execute(text("ANALYZE"))
            return seen, [len(await rows_of(engine)), len(await _execute(engine, "SELECT * FROM sqlite_stat1")) > 0]

    assert asyncio.run(both()) == (4, [3, True])


def test_a_callers_engine_is_configured_the_same(found: FileDatabases) -> None:
    """An engine created for the URL has, once configured, the PRAGMAs and the BEGIN of one that was opened."""
    found.fill("a", METADATA, parents(1))
    options = ConnectionOptions(write_lock_first=True, small_cache=True)

    async def settings(engine: AsyncEngine) -> Mapping[str, str]:
        return await found.settings(engine)

    async def configured() -> tuple[Mapping[str, str], bool]:
        engine = create_async_engine(found.url("a"))
        found.configure(engine, options)
        async with engine.connect() as connection:
            outer = await connection.begin()
            async with connection.begin_nested():
                await connection.execute(PARENTS.insert(), {"id": "released"})
            await outer.rollback()
        recorded, rolled_back = await settings(engine), len(await rows_of(engine)) == 1
        await engine.dispose()
        return recorded, rolled_back

    recorded, rolled_back = asyncio.run(configured())
    assert rolled_back
    opened = run(found, "a", settings, options)
    pool = ("pool size", "pool overflow", "PRAGMA page_count")
    assert {k: v for k, v in recorded.items() if k not in pool} == {k: v for k, v in opened.items() if k not in pool}
    assert recorded["begin"] == "BEGIN IMMEDIATE"


def test_the_record_contains_versions_settings_and_pool(found: FileDatabases) -> None:
    """The settings contain the engine's version, the connections' PRAGMAs, and the pool."""
    found.fill("a", METADATA, parents(1))

    async def settings(engine: AsyncEngine) -> Mapping[str, str]:
        return await found.settings(engine)

    recorded = run(found, "a", settings, ConnectionOptions(pool_size=3, max_overflow=2))
    small = run(found, "a", settings, ConnectionOptions(small_cache=True))
    assert {"sqlite source", "turso source"} & set(recorded)
    expected = {"busy_timeout": "5000", "cache_size": "-65536", "foreign_keys": "1", "synchronous": "1", "temp_store": "2"}
    assert {name: recorded[f"PRAGMA {name}"] for name in expected} == expected
    assert (recorded["PRAGMA journal_mode"], recorded["begin"]) == ("wal", "BEGIN")
    assert abs(int(small["PRAGMA cache_size"])) <= 2048
    assert (recorded["pool"], recorded["pool size"], recorded["pool overflow"]) == ("AsyncAdaptedQueuePool", "3", "2")
    assert all(isinstance(value, str) for value in recorded.values())


def test_the_pool_has_the_configured_size(found: FileDatabases) -> None:
    """The pool opens no more connections than configured, and a pre-pinged one works."""
    found.fill("a", METADATA, parents(1))

    async def exhaust(engine: AsyncEngine) -> None:
        async with engine.connect(), engine.connect():
            with pytest.raises(PoolTimeoutError):
                await engine.connect()
        assert len(await rows_of(engine)) == 1

    run(found, "a", exhaust, ConnectionOptions(pool_size=1, max_overflow=1, pool_timeout_s=0.01, pool_pre_ping=True))


def _index(connection: Connection) -> None:
    table = PARENTS.to_metadata(MetaData())
    Index("ages_of_some", table.c.age, table.c.id, sqlite_where=text("id > 'p'")).create(connection)
    connection.execute(text("ANALYZE"))


def _no_busy_timeout(connection: Any, _record: object) -> None:
    connection.run_async(lambda driver: driver.execute("PRAGMA busy_timeout = 0"))


async def _execute(engine: AsyncEngine, sql: str) -> list[tuple[Any, ...]]:
    async with engine.begin() as connection:
        result = await connection.execute(text(sql))
        return [tuple(row) for row in result] if result.returns_rows else []


async def _schema(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    return await _execute(engine, "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")


async def _enter(context: Any) -> None:
    async with context:
        pass
