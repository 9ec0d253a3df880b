"""Bulk load into PostgreSQL: SQLAlchemy's schema, the values of a plain insert, statistics, and no endless waiting."""

import asyncio
import struct
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

import asyncpg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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

from harness.databases.load_postgres import copy_in, encode, load_postgres
from harness.databases.postgres_server import connect
from harness.errors import UsageError
from tests.harness.databases.blocks import Rows

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


def parents(first: int = 1, number: int = 2_000) -> Rows:
    """Return parents, each the child of the previous one."""
    ids = np.arange(first, first + number)
    above = [None if n == 1 else int(n) - 1 for n in ids]
    return Rows("parents", {"id": ids, "Name": [f"n{n}" for n in ids], "parent_id": above})


def orders() -> Rows:
    """Return one order for each of the first parents."""
    return Rows("order", {"id": np.arange(1, 1_001), "parent_id": np.arange(1, 1_001), "note": ["x" * 200] * 1_000})


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine with a timeout."""
    return asyncio.run(asyncio.wait_for(coroutine, 60))


async def query(url: URL, sql: str) -> list[tuple[Any, ...]]:
    """Return a query's rows."""
    async with connect(url) as connection:
        return [tuple(row) for row in await connection.fetch(sql)]


@pytest.fixture(scope="module")
def empty(postgres_url: str) -> Iterator[Callable[[], URL]]:
    """Yield a function that creates empty databases, which are dropped afterwards."""
    base, made = make_url(postgres_url), []

    def make() -> URL:
        name = f"{base.database}.load-{next(_names)}"
        run(query(base, f'CREATE DATABASE "{name}" TEMPLATE template0'))
        made.append(name)
        return base.set(database=name)

    yield make
    for name in made:
        run(query(base, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="module")
def spare(empty: Callable[[], URL]) -> URL:
    """Return a database that stays empty."""
    return empty()


async def create_all(url: URL) -> None:
    """Create the tables with SQLAlchemy."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(TABLES.create_all)
    await engine.dispose()


def test_the_schema_is_sqlalchemys(empty: Callable[[], URL]) -> None:
    """Columns, constraints and indexes, with their names and conditions, are those of create_all; foreign keys are valid."""
    loaded, created = empty(), empty()
    assert run(load_postgres(loaded, TABLES, [parents(), orders()])) == {"parents": 2_000, "order": 1_000}
    run(create_all(created))
    schema = [sorted(run(query(url, SCHEMA)), key=repr) for url in (loaded, created)]
    assert schema[0] == schema[1]
    assert {"parents_parent_id_fkey", "order_parent_id_fkey", "parents_Name_key", "idx_parents_score"} <= {
        row[2] for row in schema[0]
    }


def test_a_loaded_database_has_statistics_and_a_visibility_map(empty: Callable[[], URL]) -> None:
    """All pages are marked as visible, statistics exist, and an index-only scan does not read the table."""
    url = empty()
    run(load_postgres(url, TABLES, [parents(), orders()]))
    pages = run(query(url, "SELECT relpages, relallvisible FROM pg_class WHERE relname IN ('parents', 'order')"))
    assert all(0 < pages == visible for pages, visible in pages)
    assert run(query(url, "SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND tablename = 'parents'"))[0][0] >= 3
    plan = run(query(url, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT id FROM parents WHERE id = 7"))
    assert any("Index Only Scan using parents_pkey" in line for (line,) in plan)
    assert ("  Heap Fetches: 0",) in plan


def test_rows_added_later_get_new_ids(empty: Callable[[], URL]) -> None:
    """Serial and identity columns continue after the largest loaded id; defaults apply to columns missing in the blocks."""
    url = empty()
    run(load_postgres(url, TABLES, [parents(), orders()]))
    added = "INSERT INTO parents (\"Name\") VALUES ('new') RETURNING id, score"
    assert run(query(url, added)) == [(2_001, 0.5)]
    assert run(query(url, 'INSERT INTO "order" (parent_id) VALUES (1) RETURNING id')) == [(1_001,)]


def test_ids_of_an_empty_table_begin_at_one(empty: Callable[[], URL]) -> None:
    """Tables without rows are created and counted, and their ids begin at 1."""
    url = empty()
    assert run(load_postgres(url, TABLES, [])) == {"parents": 0, "order": 0}
    assert run(query(url, "INSERT INTO parents (\"Name\") VALUES ('new') RETURNING id")) == [(1,)]


@pytest.mark.parametrize(
    ("blocks", "error", "message"),
    [
        ([parents(), parents(2_000, 1)], asyncpg.UniqueViolationError, "is duplicated"),
        ([orders()], asyncpg.ForeignKeyViolationError, "order_parent_id_fkey"),
        ([Rows("parents", {"id": [1], "Name": [None]})], asyncpg.NotNullViolationError, "Name"),
        ([Rows("parents", {"id": [1], "Name": ["far too long"]})], asyncpg.StringDataRightTruncationError, "too long"),
        ([Rows("parents", {"id": [1], "Name": ["a"], "score": [-1.0]})], asyncpg.CheckViolationError, "score"),
        ([parents(), Rows("strangers", {"id": [1]})], UsageError, "unknown table 'strangers'; create it before loading"),
        ([parents(), Rows("parents", {"id": [2**40]})], UsageError, "cannot load parents.id as int4"),
    ],
)
def test_invalid_rows_leave_nothing_behind(spare: URL, blocks: Any, error: type[Exception], message: str) -> None:
    """Errors of the server and of the encoder are raised, and the tables are rolled back."""
    with pytest.raises(error, match=message):
        run(load_postgres(spare, TABLES, blocks))
    assert run(query(spare, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")) == []


def test_an_error_of_the_blocks_passes_through(spare: URL) -> None:
    """An exception while blocks are generated is raised, and the connection is not left within a COPY."""

    def failing() -> Iterator[Rows]:
        yield parents()
        raise ZeroDivisionError

    async def load_twice() -> Any:
        async with connect(spare) as connection:
            await connection.execute('CREATE TEMP TABLE parents (id int, "Name" text, parent_id int)')
            with pytest.raises(ZeroDivisionError):
                await copy_in(connection, failing())
            return await copy_in(connection, [parents()])

    assert run(load_twice()) == {"parents": 2_000}


def test_a_connection_lost_during_a_load_is_an_error(spare: URL) -> None:
    """If the server ends the connection while rows are sent, the load fails instead of waiting forever."""

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

    run(load())


EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - PostgreSQL's timestamps without a zone count from here
TYPES = {"i2": "int2", "i4": "int4", "i8": "int8", "f": "float8", "b": "bool", "t": "timestamp", "s": "text", "v": "varchar"}


def typed_rows(columns: Mapping[str, Any], table: str = "loaded") -> Rows:
    """Return a block of a table with one column per type."""
    return Rows(table, columns)


def integers(bits: int) -> st.SearchStrategy[int]:
    """Return all integers of this number of bits."""
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


# Unicode without NUL, which PostgreSQL cannot store, and without surrogates, which UTF-8 cannot encode.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
TIMES = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31))  # noqa: DTZ001 - tables hold naive UTC
ROWS = st.lists(
    st.tuples(
        integers(16),
        st.none() | integers(32),
        integers(64),
        st.none() | st.floats(allow_nan=False),
        st.booleans(),
        st.none() | TIMES,
        st.none() | TEXT,
        TEXT,
    ),
    min_size=1,
    max_size=12,
)


def block_of(rows: list[tuple[Any, ...]]) -> Rows:
    """Return rows as columns: arrays where NumPy has a NULL or none is needed, else lists."""
    i2, i4, i8, f, b, t, s, v = zip(*rows, strict=True)
    return typed_rows(
        {
            "i2": np.array(i2, np.int16),
            "i4": list(i4),
            "i8": np.array(i8, np.int64),
            "f": np.array([np.nan if value is None else value for value in f]),
            "b": np.array(b),
            "t": np.array(t, "datetime64[us]"),
            "s": list(s),
            "v": list(v),
        }
    )


def field(kind: str, value: Any) -> bytes:
    """Encode one field as the manual describes, one value at a time."""
    if value is None:
        return struct.pack(">i", -1)
    if kind in {"text", "varchar"}:
        data = str.encode(value)
    elif kind == "timestamp":
        since = value - EPOCH
        data = struct.pack(">q", (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
    else:
        data = struct.pack({"int2": ">h", "int4": ">i", "int8": ">q", "float8": ">d", "bool": ">?"}[kind], value)
    return struct.pack(">i", len(data)) + data


@given(ROWS)
def test_a_block_is_encoded_as_in_the_manual(rows: list[tuple[Any, ...]]) -> None:
    """Encoding whole columns gives the same bytes as encoding one value at a time."""
    per_value = b"".join(struct.pack(">h", len(row)) + b"".join(map(field, TYPES.values(), row)) for row in rows)
    assert bytes(encode(block_of(rows), TYPES)) == per_value


class OpenConnection:
    """A connection with its own event loop, for tests with many queries."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._context = connect(make_url(url))
        self.connection: asyncpg.Connection = self._runner.run(self._context.__aenter__())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine."""
        return self._runner.run(coroutine)

    def close(self) -> None:
        """Close the connection and its loop."""
        self._runner.run(self._context.__aexit__(None, None, None))
        self._runner.close()


@pytest.fixture(scope="module")
def opened(postgres_url: str) -> Iterator[OpenConnection]:
    """Yield a connection with two tables of one column per type, `loaded` and `inserted`."""
    opened = OpenConnection(postgres_url)
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    for table in ("loaded", "inserted"):
        opened.run(opened.connection.execute(f"CREATE TEMP TABLE {table} ({columns})"))
    yield opened
    opened.close()


@settings(max_examples=50)
@given(ROWS)
def test_loaded_rows_equal_inserted_rows(opened: OpenConnection, rows: list[tuple[Any, ...]]) -> None:
    """Random rows loaded as blocks equal those inserted by the driver, in the same order."""

    async def both() -> tuple[list[Any], list[Any]]:
        for table in ("loaded", "inserted"):
            await opened.connection.execute(f"TRUNCATE {table}")
        assert await copy_in(opened.connection, [block_of(rows)]) == {"loaded": len(rows)}
        await opened.connection.executemany("INSERT INTO inserted VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", rows)
        loaded, inserted = [await opened.connection.fetch(f"SELECT {table}::text FROM {table}") for table in ("loaded", "inserted")]
        return loaded, inserted

    loaded, inserted = opened.run(both())
    assert loaded == inserted


def test_each_kind_of_column_has_its_null(opened: OpenConnection) -> None:
    """NaN among floats, NaT among times and None in a list become NULL, as does NaN in a column of integers."""
    block = typed_rows(
        {
            "i4": np.array([1.0, np.nan]),
            "i8": [None, None],
            "f": [np.nan, None],
            "t": np.array(["NaT", "2025-10-01"], "datetime64[us]"),
            "s": [None, ""],
            "v": np.array(["a", None], object),
        }
    )

    async def load() -> list[Any]:
        await opened.connection.execute("TRUNCATE loaded")
        await copy_in(opened.connection, [block])
        return [tuple(row) for row in await opened.connection.fetch("SELECT i4, i8, f, t, s, v FROM loaded")]

    second = (None, None, None, datetime(2025, 10, 1), "", None)  # noqa: DTZ001 - tables hold naive UTC
    assert opened.run(load()) == [(1, None, None, None, None, "a"), second]


def test_blocks_may_be_empty_and_alternate(opened: OpenConnection) -> None:
    """Blocks of two tables in any order, with different columns and some without rows, are all loaded."""
    blocks = [
        typed_rows({"i4": np.arange(3)}),
        typed_rows({"i4": np.arange(0)}),
        typed_rows({"s": ["a"]}, "inserted"),
        typed_rows({"v": ["b"], "i4": np.array([7])}),
    ]

    async def load() -> tuple[Any, list[Any], list[Any]]:
        for table in ("loaded", "inserted"):
            await opened.connection.execute(f"TRUNCATE {table}")
        counts = await copy_in(opened.connection, blocks)
        loaded = [tuple(row) for row in await opened.connection.fetch("SELECT i4, v FROM loaded")]
        return counts, loaded, [tuple(row) for row in await opened.connection.fetch("SELECT s FROM inserted")]

    assert opened.run(load()) == ({"loaded": 4, "inserted": 1}, [(0, None), (1, None), (2, None), (7, "b")], [("a",)])


def test_a_block_larger_than_one_message_is_loaded(opened: OpenConnection) -> None:
    """Texts of a thousand different lengths, several hundred kilobytes, are split into chunks and loaded unchanged."""
    texts = ["é" * n for n in range(1_000)]

    async def load() -> list[Any]:
        await opened.connection.execute("TRUNCATE loaded")
        await copy_in(opened.connection, [typed_rows({"s": texts})])
        return [text for (text,) in await opened.connection.fetch("SELECT s FROM loaded")]

    assert opened.run(load()) == texts


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        (
            ["a", "b\0"],
            "text",
            "cannot load loaded.x as text: a text contains the character NUL, which PostgreSQL cannot store; correct the rows",
        ),
        (["\ud800"], "text", "cannot load loaded.x as text: 'utf-8' codec can't encode .* surrogates not allowed; correct"),
        ([1, 2], "text", "cannot load loaded.x as text: .*int.*; correct"),
        (
            np.array([1, 2**31]),
            "int4",
            "cannot load loaded.x as int4: 2147483648 is not between -2147483648 and 2147483647; correct",
        ),
        (np.array([-(2**15) - 1]), "int2", "cannot load loaded.x as int2: -32769 is not between"),
        ([2**63], "int8", "cannot load loaded.x as int8: 9223372036854775808 is not between"),
        (np.array([2.0**63]), "int8", r"cannot load loaded.x as int8: 9\.22\d+e\+18 is not between"),
        (np.array([np.inf]), "int8", "cannot load loaded.x as int8: inf is not between"),
        (np.array([0.5]), "int4", "cannot load loaded.x as int4: a number is not an integer"),
        (np.array([1]), "bool", "cannot load loaded.x as bool: its values are int64"),
        (["yes"], "float8", "cannot load loaded.x as float8: its values are <U3"),
        (
            np.array(["-9999-01-01"], "datetime64[us]"),
            "timestamp",
            "cannot load loaded.x as timestamp: a time is before 4714-11-24 BC",
        ),
        (["{}"], "box", "cannot load loaded.x of type box; use one of int2, .*"),
        ([Decimal("NaN")], "numeric", "cannot load loaded.x as numeric: NaN is not a finite number; correct"),
        (["odd"], "uuid", "cannot load loaded.x as uuid: badly formed hexadecimal UUID string; correct"),
    ],
)
def test_an_invalid_value_is_one_line(column: Any, kind: str, message: str) -> None:
    """The message names table and column, and the problem."""
    with pytest.raises(UsageError, match=f"^{message}") as refusal:
        encode(typed_rows({"x": column}), {"x": kind})
    assert "\n" not in str(refusal.value)


def test_an_unknown_column_is_named_with_the_known_ones() -> None:
    """A block with a column that the table lacks is refused."""
    with pytest.raises(UsageError, match=r"^unknown column loaded\.y; choose from x, z$"):
        encode(typed_rows({"x": [1], "y": [1]}), {"x": "int4", "z": "int4"})


def test_columns_of_different_length_are_refused() -> None:
    """All columns of a block have to have the same length."""
    with pytest.raises(UsageError, match=r"^loaded\.y has 2 values for 3 rows; "):
        encode(typed_rows({"x": np.arange(3), "y": ["a", "b"]}), {"x": "int4", "y": "text"})
