"""Seeded values for foreign tables: every foreign key is kept, every unique column is unique, and SQLite accepts the rows."""

import random
import sqlite3
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.init.findings import ColumnFact, TableFact
from harness.init.values import NoValueError, has_own_row_each, imports_of, required_tables, row

NAMES = {"UTC": UTC, "date": date, "datetime": datetime, "time": time, "timedelta": timedelta, "Decimal": Decimal, "UUID": UUID}
COUNT = 20
KEY = ColumnFact("id", "integer", nullable=False, primary_key=True)


def rows(tables: dict[str, TableFact], table: TableFact, before: list[str], number: int = COUNT) -> list[dict[str, object]]:
    """Return the rows that the expressions make."""
    found, draw = row(tables, table, before), random.Random(0)
    return [
        {name: eval(expression, {**NAMES, "draw": draw, "count": COUNT, "n": n}) for name, expression in found.items()}
        for n in range(1, number + 1)
    ]


@pytest.mark.parametrize(
    "kind",
    ["integer", "text", "boolean", "float", "decimal", "datetime", "date", "time", "interval", "json", "bytes", "uuid"],
)
@pytest.mark.parametrize("unique", [False, True])
def test_every_kind_has_a_value(kind: str, *, unique: bool) -> None:
    """Its expression can be evaluated with the imports that are named; unique ones differ."""
    table = TableFact("t", [KEY, ColumnFact("value", kind, nullable=False, unique=unique, zoned=True)])
    found = [each["value"] for each in rows({"t": table}, table, [])]
    if unique and kind in {"integer", "text", "decimal", "datetime", "uuid", "bytes", "interval"}:
        assert len(set(found)) == COUNT
    namespace: dict[str, object] = {"draw": random.Random(0), "count": COUNT, "n": 3}
    expression = row({"t": table}, table, [])["value"]
    for line in imports_of([expression]):
        exec(line, namespace)
    eval(expression, namespace)


def test_a_kind_without_a_value_is_left_out_or_named() -> None:
    """A column that may be NULL is; another one cannot be filled."""
    table = TableFact("t", [KEY, ColumnFact("place", "Geometry")])
    assert list(row({"t": table}, table, [])) == ["id"]
    table = TableFact("t", [KEY, ColumnFact("place", "Geometry", nullable=False)])
    with pytest.raises(NoValueError, match=r"^t\.place has the type Geometry, for which no value is known$"):
        row({"t": table}, table, [])


def test_values_of_the_database_are_left_out() -> None:
    """Defaults of the server, computed and identity columns are not given."""
    table = TableFact("t", [KEY, ColumnFact("made_at", "datetime", nullable=False, made=True)])
    assert list(row({"t": table}, table, [])) == ["id"]


@given(
    st.sampled_from(["integer", "text", "uuid"]),
    st.lists(st.sampled_from(["drawn", "unique", "nullable", "digit"]), min_size=1, max_size=3),
    st.integers(0, 8),
)
def test_foreign_keys_are_kept(kind: str, forms: list[str], length: int) -> None:
    """Whatever the kind of the key and the form of the reference, each refers to a row; unique ones to different rows."""
    parent = TableFact("parent", [ColumnFact("code", kind, nullable=False, primary_key=True, length=length and length + 2)])
    columns = [
        ColumnFact(
            f"c{place}", kind, nullable=form == "nullable", unique=form == "unique", primary_key=form == "digit",
            table="parent", column="code", length=length and length + 2,
        )
        for place, form in enumerate(forms)
    ]  # fmt: skip
    own = [] if "digit" in forms else [KEY]
    child = TableFact("child", [*own, *columns])
    tables = {"parent": parent, "child": child}
    known = {each["code"] for each in rows(tables, parent, [])}
    number = COUNT if has_own_row_each(child) or forms.count("digit") < 2 else COUNT * COUNT
    found = rows(tables, child, ["parent"], number)
    for column in columns:
        values = [each[column.name] for each in found]
        assert set(values) <= known
        if column.unique:
            assert len(set(values)) == len(values)
    keys = [tuple(each[column.name] for column in child.columns if column.primary_key) for each in found]
    assert len(set(keys)) == len(keys)


def test_columns_that_are_unique_together() -> None:
    """Pairs of foreign keys do not repeat."""
    parent = TableFact("a", [KEY])
    pair = [ColumnFact(name, "integer", nullable=False, table="a", column="id") for name in ("left", "right")]
    table = TableFact("b", [KEY, *pair], unique=[["left", "right"]])
    found = rows({"a": parent, "b": table}, table, ["a"], COUNT * COUNT)
    assert len({(each["left"], each["right"]) for each in found}) == COUNT * COUNT


def test_references_to_itself_and_to_later_tables() -> None:
    """They are NULL where that is possible; a row refers to itself otherwise."""
    itself = ColumnFact("boss", "integer", nullable=False, table="t", column="id")
    later = ColumnFact("best", "integer", table="u", column="id")
    tables = {"t": TableFact("t", [KEY, itself, later]), "u": TableFact("u", [KEY])}
    assert row(tables, tables["t"], []) == {"id": "n", "boss": "n", "best": "None"}
    must = TableFact("t", [KEY, ColumnFact("best", "integer", nullable=False, table="u", column="id")])
    with pytest.raises(NoValueError, match=r"t\.best refers to u, which has no rows yet"):
        row({**tables, "t": must}, must, [])


def test_required_tables_are_those_that_rows_need() -> None:
    """A reference that may be NULL needs no rows elsewhere; the order is that of the tables."""
    a, b = TableFact("a", [KEY]), TableFact("b", [KEY])
    c = TableFact("c", [KEY, ColumnFact("a", "integer", nullable=False, table="a"), ColumnFact("b", "integer", table="b")])
    tables = {"a": a, "b": b, "c": c}
    assert [table.name for table in required_tables(tables, ["c"])] == ["a", "c"]
    assert [table.name for table in required_tables(tables, ["c", "b"])] == ["a", "b", "c"]


def test_short_texts_stay_within_their_length() -> None:
    """SQLite does not check it, other databases do."""
    table = TableFact("t", [KEY, ColumnFact("code", "text", nullable=False, length=3)])
    with sqlite3.connect(":memory:") as connection:
        assert all(len(str(each["code"])) <= 3 for each in rows({"t": table}, table, [], 20))
        connection.execute("SELECT 1")
