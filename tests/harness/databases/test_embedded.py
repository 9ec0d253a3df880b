"""Databases that are files: both engines keep the same promises to whoever names, copies, migrates, opens and removes them."""

from __future__ import annotations

import asyncio
import errno
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
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

Answer = TypeVar("Answer")

METADATA = MetaData()
PARENTS = Table("parents", METADATA, Column("id", String, primary_key=True), Column("age", Integer, index=True))
CHILDREN = Table("children", METADATA, Column("id", Integer, primary_key=True), Column("parent", ForeignKey("parents.id")))
ROWS = 300


@dataclass(frozen=True)
class Rows:
    """Some rows of a table."""

    table: str
    columns: Mapping[str, Sequence[Any]]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns["id"])


def parents(count: int = ROWS) -> Iterator[Rows]:
    """Yield rows: ids whose order is not the ages', an age of NULL now and then."""
    numbers = range(count)
    yield Rows(
        "parents", {"id": [f"p{n * 37 % 1009:04d} 親" for n in numbers], "age": [None if n % 7 == 0 else n for n in numbers]}
    )


@pytest.fixture(params=["sqlite", "turso"])
def found(request: pytest.FixtureRequest, tmp_path: Path) -> FileDatabases:
    """Return an engine's databases in folders of the test's own."""
    for folder in ("own", "shared"):
        (tmp_path / folder).mkdir()
    made = databases(Setting(tmp_path / "own", tmp_path / "shared", engine=request.param))
    assert isinstance(made, FileDatabases)
    return made


def ask(
    found: Databases, name: str, check: Callable[[AsyncEngine], Awaitable[Answer]], options: ConnectionOptions = DEFAULT_OPTIONS
) -> Answer:
    """Run a check on an engine for a database."""

    async def opened() -> Answer:
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
    """Name the files in the setting's own folder that hold something."""
    return sorted(file.name for file in found.path("x").parent.iterdir() if file.stat().st_size)


def test_a_filled_database_is_read_row_for_row(found: FileDatabases) -> None:
    """Both engines read what was loaded, in the shared folder for a shared name, with nothing beside the file."""
    assert found.fill("shared-all", METADATA, parents()) == {"parents": ROWS, "children": 0}
    (block,) = parents()
    assert ask(found, "shared-all", rows_of) == sorted(zip(block.columns["id"], block.columns["age"], strict=True))
    assert found.exists("shared-all")
    assert not found.exists("all")
    assert found.path("shared-all").parent.name == "shared"
    found.checkpoint("shared-all")
    assert [file.name for file in found.path("shared-all").parent.iterdir() if file.stat().st_size] == ["shared-all.db"]


def test_a_database_is_not_filled_twice(found: FileDatabases) -> None:
    """A second filling is refused, and names the file."""
    found.fill("a", METADATA, parents(1))
    with pytest.raises(UsageError, match=r"a\.db exists already"):
        found.fill("a", METADATA, parents(1))


def test_a_copy_is_another_database(found: FileDatabases) -> None:
    """A copy replaces what was there, has what its source wrote last, and what it writes stays its own."""
    found.fill("a", METADATA, parents())
    found.fill("b", METADATA, parents(1))
    ask(found, "a", add)
    ask(found, "b", add)
    found.copy("a", "b")
    assert ask(found, "b", rows_of) == ask(found, "a", rows_of)
    assert len(ask(found, "a", rows_of)) == ROWS + 1
    found.copy("a", "c")
    ask(found, "c", lambda engine: _run(engine, "DELETE FROM parents"))
    assert len(ask(found, "a", rows_of)) == ROWS + 1


def test_what_is_in_the_log_comes_along(found: FileDatabases) -> None:
    """A crashed writer's log is folded in before the file is copied or renamed, and an old log is not taken for the new file's."""
    found.fill("a", METADATA, parents(5))

    async def crash(engine: AsyncEngine) -> None:
        await add(engine)
        for name in ("crashed", "again", "target"):
            for suffix in ("", "-wal"):
                shutil.copy(f"{found.path('a')}{suffix}", f"{found.path(name)}{suffix}")

    ask(found, "a", crash)
    assert has_log(found.path("crashed"))
    found.copy("crashed", "whole")
    assert len(ask(found, "whole", rows_of)) == 6
    found.fill("empty", METADATA, parents(0))
    found.copy("empty", "target")
    assert ask(found, "target", rows_of) == []
    found.rename("again", "whole")
    assert len(ask(found, "whole", rows_of)) == 6


def test_renaming_moves_the_whole_database(found: FileDatabases) -> None:
    """The database has its new name, nothing has the old one, and what had the new name is gone."""
    found.fill("a", METADATA, parents(5))
    found.fill("b", METADATA, parents(1))
    ask(found, "a", add)
    found.rename("a", "b")
    assert len(ask(found, "b", rows_of)) == 6
    assert not found.exists("a")
    found.checkpoint("b")
    assert files(found) == ["b.db"]


def test_removing_takes_everything_along(found: FileDatabases) -> None:
    """The file and what lies beside it go, and removing it again is fine."""
    found.fill("a", METADATA, parents(5))
    ask(found, "a", add)
    for _ in range(2):
        found.remove("a")
    assert not list(found.path("a").parent.iterdir())


def test_a_database_in_use_is_not_copied(found: FileDatabases) -> None:
    """While somebody reads the old state the log cannot be folded in; the message says to close the connection."""
    found.fill("a", METADATA, parents(5))

    async def copy_meanwhile(engine: AsyncEngine) -> None:
        async with engine.connect() as reader:
            await reader.execute(PARENTS.select())
            await add(engine)
            with pytest.raises(UsageError, match=r"a\.db.*in use; close its connections"):
                found.copy("a", "b")

    ask(found, "a", copy_meanwhile)
    assert not found.exists("b")


def test_a_full_disk_leaves_what_was_there(found: FileDatabases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that fails half-way is one line, and the target is still the old database."""
    found.fill("a", METADATA, parents(5))
    found.fill("b", METADATA, parents(1))

    def full(_source: Path, partial: Path) -> None:
        partial.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copyfile", full)
        with pytest.raises(UsageError, match=r"b\.db: No space left on device; free disk space"):
            found.copy("a", "b")
    assert len(ask(found, "b", rows_of)) == 1
    assert files(found) == ["a.db", "b.db"]


def test_what_is_missing_is_named_and_not_made(found: FileDatabases) -> None:
    """Opening, migrating, copying, renaming or folding a database that is not there is one line, and makes no empty one."""
    for doing in (
        lambda: ask(found, "none", rows_of),
        lambda: asyncio.run(_enter(found.open_undo("none"))),
        lambda: found.migrate("none", _index),
        lambda: found.copy("none", "b"),
        lambda: found.rename("none", "b"),
        lambda: found.checkpoint("none"),
    ):
        with pytest.raises(UsageError, match=r"none\.db"):
            doing()
    assert not list(found.path("a").parent.iterdir())


def test_a_migration_is_there_and_used(found: FileDatabases) -> None:
    """Partial indexes and statistics are made by the engine itself, whose planner then goes by them."""
    found.fill("a", METADATA, parents())
    sql = "SELECT id FROM parents WHERE age > 290 AND id > 'p' ORDER BY age"
    assert "ages_of_some" not in str(ask(found, "a", lambda engine: _run(engine, f"EXPLAIN QUERY PLAN {sql}")))
    found.migrate("a", _index)
    assert "ages_of_some" in str(ask(found, "a", lambda engine: _run(engine, f"EXPLAIN QUERY PLAN {sql}")))
    statistics = ask(found, "a", lambda engine: _run(engine, "SELECT stat FROM sqlite_stat1 WHERE idx = 'ages_of_some'"))
    assert len(statistics) == 1
    with closing(sqlite3.connect(found.path("a"))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_migration_that_fails_changes_nothing(found: FileDatabases) -> None:
    """It runs in one transaction, which takes back the indexes that were made before it failed."""
    found.fill("a", METADATA, parents())
    before = ask(found, "a", _schema)

    def fail(connection: Connection) -> None:
        _index(connection)
        raise KeyError("later")

    with pytest.raises(KeyError, match="later"):
        found.migrate("a", fail)
    assert ask(found, "a", _schema) == before


@pytest.mark.parametrize("first", [False, True])
def test_a_rollback_takes_everything_back(found: FileDatabases, first: bool) -> None:
    """Rows released from a savepoint, plain rows and tables all go with the transaction, and a commit keeps what was not undone."""
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
            await connection.execute(PARENTS.insert(), {"id": "kept"})
        return [await rows_of(engine), await _schema(engine)]

    before = ask(found, "a", _schema)
    assert ask(found, "a", check, ConnectionOptions(write_lock_first=first)) == [[("kept", None)], before]


def test_a_writer_can_take_the_lock_first(found: FileDatabases) -> None:
    """Transactions that only read get along; those that begin with the write lock do not, for an engine or a part of it."""
    found.fill("a", METADATA, parents(1))

    async def two(engine: AsyncEngine) -> None:
        event.listen(engine.sync_engine, "connect", _impatient)
        async with engine.begin(), engine.begin():
            pass

    ask(found, "a", two)
    with pytest.raises(OperationalError, match="database is locked"):
        ask(found, "a", two, ConnectionOptions(write_lock_first=True))
    with pytest.raises(OperationalError, match="database is locked"):
        ask(found, "a", lambda engine: two(engine.execution_options(**{BEGIN_OPTION: "BEGIN IMMEDIATE"})))


def test_foreign_keys_hold_except_for_the_undo(found: FileDatabases) -> None:
    """A child without a parent is refused, and the undo may still write it."""
    found.fill("a", METADATA, parents(1))

    async def orphan(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.execute(CHILDREN.insert(), {"id": 1, "parent": "nobody"})

    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        ask(found, "a", orphan)

    async def undo() -> None:
        async with found.open_undo("a") as engine:
            await orphan(engine)

    asyncio.run(undo())
    assert ask(found, "a", lambda engine: _run(engine, "SELECT * FROM children")) == [(1, "nobody")]


def test_the_undo_sees_and_takes_back_what_the_engine_wrote(found: FileDatabases) -> None:
    """Both are open at once, on the same rows, and what the undo does outside of a transaction stays."""
    found.fill("a", METADATA, parents(3))

    async def both() -> tuple[int, list[Any]]:
        async with found.open("a") as engine, found.open_undo("a") as undo:
            await add(engine)
            async with undo.connect() as connection:
                seen = len((await connection.execute(PARENTS.select())).all())
                await connection.execute(PARENTS.delete().where(PARENTS.c.id == "one more"))
                await connection.commit()
                await connection.execute(text("ANALYZE"))
            return seen, [len(await rows_of(engine)), len(await _run(engine, "SELECT * FROM sqlite_stat1")) > 0]

    assert asyncio.run(both()) == (4, [3, True])


def test_an_engine_of_somebody_elses_making_is_set_up_the_same(found: FileDatabases) -> None:
    """An engine made for the URL has, once configured, the PRAGMAs and the BEGIN of one that was opened."""
    found.fill("a", METADATA, parents(1))
    options = ConnectionOptions(write_lock_first=True, small_cache=True)

    async def settings(engine: AsyncEngine) -> Mapping[str, str]:
        return await found.settings(engine)

    async def own() -> tuple[Mapping[str, str], bool]:
        engine = create_async_engine(found.url("a"))
        found.configure(engine, options)
        async with engine.connect() as connection:
            outer = await connection.begin()
            async with connection.begin_nested():
                await connection.execute(PARENTS.insert(), {"id": "released"})
            await outer.rollback()
        told, lost = await settings(engine), len(await rows_of(engine)) == 1
        await engine.dispose()
        return told, lost

    told, lost = asyncio.run(own())
    assert lost
    opened = ask(found, "a", settings, options)
    pool = ("pool size", "pool overflow", "PRAGMA page_count")
    assert {k: v for k, v in told.items() if k not in pool} == {k: v for k, v in opened.items() if k not in pool}
    assert told["begin"] == "BEGIN IMMEDIATE"


def test_the_record_names_versions_settings_and_pool(found: FileDatabases) -> None:
    """A reader of the record finds the engine's version, what its connections are set to, and the pool."""
    found.fill("a", METADATA, parents(1))

    async def settings(engine: AsyncEngine) -> Mapping[str, str]:
        return await found.settings(engine)

    told = ask(found, "a", settings, ConnectionOptions(pool_size=3, max_overflow=2))
    small = ask(found, "a", settings, ConnectionOptions(small_cache=True))
    assert {"sqlite source", "turso source"} & set(told)
    expected = {"busy_timeout": "5000", "cache_size": "-65536", "foreign_keys": "1", "synchronous": "1", "temp_store": "2"}
    assert {name: told[f"PRAGMA {name}"] for name in expected} == expected
    assert (told["PRAGMA journal_mode"], told["begin"]) == ("wal", "BEGIN")
    assert abs(int(small["PRAGMA cache_size"])) <= 2048
    assert (told["pool"], told["pool size"], told["pool overflow"]) == ("AsyncAdaptedQueuePool", "3", "2")
    assert all(isinstance(value, str) for value in told.values())


def test_the_pool_is_as_asked_for(found: FileDatabases) -> None:
    """No more connections than asked for are open at once, and a pinged one works."""
    found.fill("a", METADATA, parents(1))

    async def exhaust(engine: AsyncEngine) -> None:
        async with engine.connect(), engine.connect():
            with pytest.raises(PoolTimeoutError):
                await engine.connect()
        assert len(await rows_of(engine)) == 1

    ask(found, "a", exhaust, ConnectionOptions(pool_size=1, max_overflow=1, pool_timeout_s=0.01, pool_pre_ping=True))


def _index(connection: Connection) -> None:
    table = PARENTS.to_metadata(MetaData())
    Index("ages_of_some", table.c.age, table.c.id, sqlite_where=text("id > 'p'")).create(connection)
    connection.execute(text("ANALYZE"))


def _impatient(connection: Any, _record: object) -> None:
    connection.run_async(lambda driver: driver.execute("PRAGMA busy_timeout = 0"))


async def _run(engine: AsyncEngine, sql: str) -> list[tuple[Any, ...]]:
    async with engine.begin() as connection:
        result = await connection.execute(text(sql))
        return [tuple(row) for row in result] if result.returns_rows else []


async def _schema(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    return await _run(engine, "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")


async def _enter(context: Any) -> None:
    async with context:
        pass
