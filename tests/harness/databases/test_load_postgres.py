"""The loader: the schema that SQLAlchemy would have made, filled, vacuumed and analysed; and errors instead of waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import asyncpg
import numpy as np
import pytest
from sqlalchemy import (
    URL,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    make_url,
)
from sqlalchemy.ext.asyncio import create_async_engine

from harness.databases.load_postgres import copy_in, load_postgres
from harness.databases.postgres_connection import connect
from harness.errors import UsageError

TABLES = MetaData()
Table(
    "parents",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("Name", String(9), nullable=False),
    Column("score", Float, server_default="0.5"),
    Column("parent_id", ForeignKey("parents.id")),
    UniqueConstraint("Name", deferrable=True, initially="DEFERRED"),
    CheckConstraint("score >= 0"),
    Index("idx_parents_score", "score", postgresql_where="score > 0"),
)
Table(
    "order",
    TABLES,
    Column("id", Integer, Identity(), primary_key=True),
    Column("parent_id", ForeignKey("parents.id", ondelete="CASCADE"), index=True),
    Column("note", Text),
)

SCHEMA = """
SELECT 'column', attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull::text,
       pg_get_expr(adbin, adrelid), attidentity::text
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text, condeferrable::text, ''
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', tablename, indexname, indexdef, '', '', '' FROM pg_indexes WHERE schemaname = 'public'
"""

_names = count()


@dataclass(frozen=True)
class Rows:
    """A block for tests."""

    table: str
    columns: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))


def parents(first: int = 1, number: int = 2_000) -> Rows:
    """Return parents, each the child of the one before."""
    ids = np.arange(first, first + number)
    above = [None if n == 1 else int(n) - 1 for n in ids]
    return Rows("parents", {"id": ids, "Name": [f"n{n}" for n in ids], "parent_id": above})


def orders() -> Rows:
    """Return an order of each of the first parents."""
    return Rows("order", {"id": np.arange(1, 1_001), "parent_id": np.arange(1, 1_001), "note": ["x" * 200] * 1_000})


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine, for no longer than a test may take."""
    return asyncio.run(asyncio.wait_for(work, 60))


async def query(url: URL, sql: str) -> list[tuple[Any, ...]]:
    """Return a query's rows."""
    async with connect(url) as connection:
        return [tuple(row) for row in await connection.fetch(sql)]


@pytest.fixture(scope="module")
def empty(postgres_url: str) -> Iterator[Callable[[], URL]]:
    """Yield a maker of empty databases, which are dropped afterwards."""
    base, made = make_url(postgres_url), []

    def make() -> URL:
        name = f"{base.database}.load-{next(_names)}"
        finish(query(base, f'CREATE DATABASE "{name}" TEMPLATE template0'))
        made.append(name)
        return base.set(database=name)

    yield make
    for name in made:
        finish(query(base, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="module")
def spare(empty: Callable[[], URL]) -> URL:
    """Return a database that stays empty."""
    return empty()


async def create_all(url: URL) -> None:
    """Make the tables as SQLAlchemy does."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(TABLES.create_all)
    await engine.dispose()


def test_the_schema_is_what_sqlalchemy_makes(empty: Callable[[], URL]) -> None:
    """Columns, constraints and indexes, with their names and conditions, are those of create_all; no foreign key goes unchecked."""
    ours, theirs = empty(), empty()
    assert finish(load_postgres(ours, TABLES, [parents(), orders()])) == {"parents": 2_000, "order": 1_000}
    finish(create_all(theirs))
    schema = [sorted(finish(query(url, SCHEMA)), key=repr) for url in (ours, theirs)]
    assert schema[0] == schema[1]
    assert {"parents_parent_id_fkey", "order_parent_id_fkey", "parents_Name_key", "idx_parents_score"} <= {
        row[2] for row in schema[0]
    }


def test_a_loaded_database_is_ready_for_the_planner(empty: Callable[[], URL]) -> None:
    """Every page is known to be visible to all, statistics are there, and an index alone answers without looking at the table."""
    url = empty()
    finish(load_postgres(url, TABLES, [parents(), orders()]))
    pages = finish(query(url, "SELECT relpages, relallvisible FROM pg_class WHERE relname IN ('parents', 'order')"))
    assert all(0 < pages == visible for pages, visible in pages)
    assert finish(query(url, "SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND tablename = 'parents'"))[0][0] >= 3
    plan = finish(query(url, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT id FROM parents WHERE id = 7"))
    assert any("Index Only Scan using parents_pkey" in line for (line,) in plan)
    assert ("  Heap Fetches: 0",) in plan


def test_rows_added_later_get_fresh_ids(empty: Callable[[], URL]) -> None:
    """Serial and identity columns go on after the largest id that was loaded; defaults hold for columns that blocks leave out."""
    url = empty()
    finish(load_postgres(url, TABLES, [parents(), orders()]))
    added = "INSERT INTO parents (\"Name\") VALUES ('new') RETURNING id, score"
    assert finish(query(url, added)) == [(2_001, 0.5)]
    assert finish(query(url, 'INSERT INTO "order" (parent_id) VALUES (1) RETURNING id')) == [(1_001,)]


def test_ids_of_an_empty_table_begin_at_one(empty: Callable[[], URL]) -> None:
    """Tables without rows are there, counted, and begin as fresh ones do."""
    url = empty()
    assert finish(load_postgres(url, TABLES, [])) == {"parents": 0, "order": 0}
    assert finish(query(url, "INSERT INTO parents (\"Name\") VALUES ('new') RETURNING id")) == [(1,)]


@pytest.mark.parametrize(
    ("blocks", "error", "says"),
    [
        ([parents(), parents(2_000, 1)], asyncpg.UniqueViolationError, "is duplicated"),
        ([orders()], asyncpg.ForeignKeyViolationError, "order_parent_id_fkey"),
        ([Rows("parents", {"id": [1], "Name": [None]})], asyncpg.NotNullViolationError, "Name"),
        ([Rows("parents", {"id": [1], "Name": ["far too long"]})], asyncpg.StringDataRightTruncationError, "too long"),
        ([Rows("parents", {"id": [1], "Name": ["a"], "score": [-1.0]})], asyncpg.CheckViolationError, "score"),
        ([parents(), Rows("strangers", {"id": [1]})], UsageError, "no table named 'strangers' in the database"),
        ([parents(), Rows("parents", {"id": [2**40]})], UsageError, "parents.id cannot be int4"),
    ],
)
def test_rows_that_do_not_fit_leave_nothing(spare: URL, blocks: Any, error: type[Exception], says: str) -> None:
    """What the server or the encoder refuses is raised, and not even the tables stay."""
    with pytest.raises(error, match=says):
        finish(load_postgres(spare, TABLES, blocks))
    assert finish(query(spare, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")) == []


def test_what_the_blocks_raise_passes_through(spare: URL) -> None:
    """When the making of rows fails, that error is raised, and the connection is not left in the middle of a COPY."""

    def failing() -> Iterator[Rows]:
        yield parents()
        raise ZeroDivisionError

    async def load_twice() -> Any:
        async with connect(spare) as connection:
            await connection.execute('CREATE TEMP TABLE parents (id int, "Name" text, parent_id int)')
            with pytest.raises(ZeroDivisionError):
                await copy_in(connection, failing())
            return await copy_in(connection, [parents()])

    assert finish(load_twice()) == {"parents": 2_000}


def test_a_connection_lost_in_the_middle_is_an_error(spare: URL) -> None:
    """When the server ends the connection while rows are sent, loading ends with an error instead of waiting for ever."""

    async def load() -> None:
        async with connect(spare) as killer, connect(spare) as connection:
            await connection.execute('CREATE TEMP TABLE parents (id int, "Name" text, parent_id int)')
            ended = asyncio.Event()

            def endless() -> Iterator[Rows]:
                for n in count():
                    if n == 20:
                        task = asyncio.ensure_future(killer.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid()))
                        task.add_done_callback(lambda _: ended.set())
                    yield parents(1 + n * 2_000)

            with pytest.raises((ConnectionError, asyncpg.PostgresError, asyncpg.InterfaceError)):
                await copy_in(connection, endless())
            await ended.wait()

    finish(load())
