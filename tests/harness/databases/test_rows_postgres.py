"""The encoder: byte for byte what PostgreSQL's manual says, and what the server makes of it is what a plain insert makes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from harness.databases.load_postgres import copy_in, encode
from harness.databases.postgres_connection import connect
from harness.errors import UsageError

EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - PostgreSQL's timestamps without a zone count from here
TYPES = {"i2": "int2", "i4": "int4", "i8": "int8", "f": "float8", "b": "bool", "t": "timestamp", "s": "text", "v": "varchar"}


@dataclass(frozen=True)
class Rows:
    """A block for tests."""

    columns: Mapping[str, Any]
    table: str = "ours"

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))


def integers(bits: int) -> st.SearchStrategy[int]:
    """Return all integers of that many bits."""
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


# Unicode without NUL, which PostgreSQL cannot store, and without halves of surrogate pairs, which no encoding can.
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
    """Return rows as columns: arrays where NumPy has a NULL of its own or none is needed, lists elsewhere."""
    i2, i4, i8, f, b, t, s, v = zip(*rows, strict=True)
    return Rows(
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
    """Return one field, made as the manual says, one value at a time."""
    if value is None:
        return struct.pack(">i", -1)
    if kind in {"text", "varchar"}:
        data = str.encode(value)
    elif kind == "timestamp":
        past = value - EPOCH
        data = struct.pack(">q", (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds)
    else:
        data = struct.pack({"int2": ">h", "int4": ">i", "int8": ">q", "float8": ">d", "bool": ">?"}[kind], value)
    return struct.pack(">i", len(data)) + data


@given(ROWS)
def test_a_block_is_encoded_as_the_manual_says(rows: list[tuple[Any, ...]]) -> None:
    """All columns at once give the bytes that one value at a time gives."""
    one_by_one = b"".join(struct.pack(">h", len(row)) + b"".join(map(field, TYPES.values(), row)) for row in rows)
    assert bytes(encode(block_of(rows), TYPES)) == one_by_one


class Talk:
    """A connection that lives as long as its event loop, for tests that ask a server many things."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._opened = connect(make_url(url))
        self.connection: asyncpg.Connection = self._runner.run(self._opened.__aenter__())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine."""
        return self._runner.run(work)

    def close(self) -> None:
        """Close the connection and its loop."""
        self._runner.run(self._opened.__aexit__(None, None, None))
        self._runner.close()


@pytest.fixture(scope="module")
def talk(postgres_url: str) -> Iterator[Talk]:
    """Yield a connection with two tables of one column each type, `ours` and `theirs`."""
    talk = Talk(postgres_url)
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    for table in ("ours", "theirs"):
        talk.run(talk.connection.execute(f"CREATE TEMP TABLE {table} ({columns})"))
    yield talk
    talk.close()


@settings(max_examples=50)
@given(ROWS)
def test_the_server_reads_what_a_plain_insert_gives_it(talk: Talk, rows: list[tuple[Any, ...]]) -> None:
    """Random rows loaded as blocks are, in their order, those that the driver inserts one by one."""

    async def both() -> tuple[list[Any], list[Any]]:
        for table in ("ours", "theirs"):
            await talk.connection.execute(f"TRUNCATE {table}")
        assert await copy_in(talk.connection, [block_of(rows)]) == {"ours": len(rows)}
        await talk.connection.executemany("INSERT INTO theirs VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", rows)
        ours, theirs = [await talk.connection.fetch(f"SELECT {table}::text FROM {table}") for table in ("ours", "theirs")]
        return ours, theirs

    ours, theirs = talk.run(both())
    assert ours == theirs


def test_null_is_what_each_kind_of_column_says_it_is(talk: Talk) -> None:
    """NaN among floats, NaT among times and None in a list become NULL; in a column of numbers NaN stands for none as well."""
    block = Rows(
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
        await talk.connection.execute("TRUNCATE ours")
        await copy_in(talk.connection, [block])
        return [tuple(row) for row in await talk.connection.fetch("SELECT i4, i8, f, t, s, v FROM ours")]

    second = (None, None, None, datetime(2025, 10, 1), "", None)  # noqa: DTZ001 - tables hold naive UTC
    assert talk.run(load()) == [(1, None, None, None, None, "a"), second]


def test_blocks_may_be_empty_and_take_turns(talk: Talk) -> None:
    """Blocks of two tables in any order, with different columns and no rows among them, all arrive."""
    blocks = [
        Rows({"i4": np.arange(3)}),
        Rows({"i4": np.arange(0)}),
        Rows({"s": ["a"]}, "theirs"),
        Rows({"v": ["b"], "i4": np.array([7])}),
    ]

    async def load() -> tuple[Any, list[Any], list[Any]]:
        for table in ("ours", "theirs"):
            await talk.connection.execute(f"TRUNCATE {table}")
        counts = await copy_in(talk.connection, blocks)
        ours = [tuple(row) for row in await talk.connection.fetch("SELECT i4, v FROM ours")]
        return counts, ours, [tuple(row) for row in await talk.connection.fetch("SELECT s FROM theirs")]

    assert talk.run(load()) == ({"ours": 4, "theirs": 1}, [(0, None), (1, None), (2, None), (7, "b")], [("a",)])


def test_a_block_larger_than_one_message_arrives_whole(talk: Talk) -> None:
    """Texts of a thousand different lengths, several hundred kilobytes, are cut into pieces and put together again."""
    texts = ["é" * n for n in range(1_000)]

    async def load() -> list[Any]:
        await talk.connection.execute("TRUNCATE ours")
        await copy_in(talk.connection, [Rows({"s": texts})])
        return [text for (text,) in await talk.connection.fetch("SELECT s FROM ours")]

    assert talk.run(load()) == texts


@pytest.mark.parametrize(
    ("column", "kind", "says"),
    [
        (
            ["a", "b\0"],
            "text",
            "ours.x cannot be text: a text holds the character NUL, which PostgreSQL cannot store; mend the rows",
        ),
        (["\ud800"], "text", "ours.x cannot be text: 'utf-8' codec can't encode .* surrogates not allowed; mend"),
        ([1, 2], "text", "ours.x cannot be text: .*int.*; mend"),
        (np.array([1, 2**31]), "int4", "ours.x cannot be int4: 2147483648 is outside -2147483648 … 2147483647; mend"),
        (np.array([-(2**15) - 1]), "int2", "ours.x cannot be int2: -32769 is outside"),
        ([2**63], "int8", "ours.x cannot be int8: 9223372036854775808 is outside"),
        (np.array([2.0**63]), "int8", r"ours.x cannot be int8: 9\.22\d+e\+18 is outside"),
        (np.array([np.inf]), "int8", "ours.x cannot be int8: inf is outside"),
        (np.array([0.5]), "int4", "ours.x cannot be int4: a number is not whole"),
        (np.array([1]), "bool", "ours.x cannot be bool: its values are int64"),
        (["yes"], "float8", "ours.x cannot be float8: its values are <U3"),
        (np.array(["-9999-01-01"], "datetime64[us]"), "timestamp", "ours.x cannot be timestamp: a time is before 4714-11-24 BC"),
        (["{}"], "jsonb", "ours.x is of type jsonb, and only int2, .* can be loaded"),
    ],
)
def test_a_value_that_does_not_fit_is_one_line(column: Any, kind: str, says: str) -> None:
    """The line names table and column, and says what is wrong."""
    with pytest.raises(UsageError, match=f"^{says}") as refusal:
        encode(Rows({"x": column}), {"x": kind})
    assert "\n" not in str(refusal.value)


def test_an_unknown_column_is_named_with_those_there_are() -> None:
    """A block with a column that the table lacks is refused."""
    with pytest.raises(UsageError, match=r"^no column named 'y' in ours, which has x, z; name one of them in the block$"):
        encode(Rows({"x": [1], "y": [1]}), {"x": "int4", "z": "int4"})


def test_columns_of_different_length_are_refused() -> None:
    """A block whose columns do not have one length is no block."""
    with pytest.raises(UsageError, match=r"^ours\.y has 2 values for 3 rows; "):
        encode(Rows({"x": np.arange(3), "y": ["a", "b"]}), {"x": "int4", "y": "text"})
