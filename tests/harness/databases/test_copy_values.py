"""Single values in PostgreSQL's binary format: what the server reads is what was given."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from harness.databases.copy_values import BINARY
from harness.databases.load_postgres import copy_in
from harness.databases.postgres_server import connect

KINDS = ("bytea", "date", "interval", "jsonb", "numeric", "time", "uuid")
COLUMNS = {**{kind: kind for kind in KINDS}, "real": "real", "mood": "mood"}
VALUES = {
    "bytea": st.binary(max_size=9),
    "date": st.dates(),
    "interval": st.timedeltas(timedelta(days=-99_999), timedelta(days=99_999)),
    "jsonb": st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=7)
    | st.sampled_from([Decimal(0), Decimal("1E+9"), Decimal("-0.00001"), Decimal(10000), Decimal("12345678.9")]),
    "time": st.times(),
    "uuid": st.uuids(),
    "real": st.sampled_from([0.0, 0.5, -2.25]),
    "mood": st.sampled_from(["glad", "sad"]),
}


@dataclass(frozen=True)
class ColumnValues:
    """Rows of one table, column by column."""

    table: str
    columns: Mapping[str, list[Any]]
    rows: int


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.tuples(*(st.none() | VALUES[name] for name in COLUMNS)), min_size=1, max_size=5))
def test_the_server_reads_what_was_given(postgres_url: str, rows: list[tuple[Any, ...]]) -> None:
    """Every type has its values and NULL; an enum takes its labels."""
    given_values = {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}
    as_json = [None if value is None else json.dumps(value) for value in given_values["jsonb"]]
    block = ColumnValues("kinds", {**given_values, "jsonb": as_json}, len(rows))

    async def loaded() -> list[asyncpg.Record]:
        async with connect(make_url(postgres_url)) as connection, connection.transaction():
            await connection.execute("DROP TYPE IF EXISTS mood CASCADE; CREATE TYPE mood AS ENUM ('glad', 'sad')")
            await connection.execute(
                f"CREATE TEMP TABLE kinds ({', '.join(f'{n} {k}' for n, k in COLUMNS.items())}) ON COMMIT DROP"
            )
            await copy_in(connection, [block])
            found: list[asyncpg.Record] = await connection.fetch("SELECT * FROM kinds")
            await connection.execute("DROP TABLE kinds; DROP TYPE mood")
            return found

    found = [dict(row) for row in asyncio.run(loaded())]
    for name, values in given_values.items():
        read = [row[name] if name != "jsonb" or row[name] is None else json.loads(row[name]) for row in found]
        assert read == values


def test_every_type_has_a_function() -> None:
    """Those of the columns of usual applications."""
    assert set(KINDS) | {"json"} == BINARY.keys()
    assert BINARY["json"]("{}") == b"{}"
    assert BINARY["date"](date(2000, 1, 2)) == bytes([0, 0, 0, 1])
    assert BINARY["time"](time(0, 0, 0, 5)) == bytes([*[0] * 7, 5])
    assert BINARY["uuid"](str(UUID(int=1))) == bytes([*[0] * 15, 1])
