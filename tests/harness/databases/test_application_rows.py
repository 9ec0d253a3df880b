"""Rows of an application: values as a dialect stores them, and one line for those that it cannot."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import JSON, Column, DateTime, Enum, Integer, MetaData, Table, TypeDecorator
from sqlalchemy.dialects import sqlite

from harness.databases.application_rows import ApplicationRows, stored_blocks
from harness.databases.interface import RowBlock
from harness.errors import UsageError


class Even(TypeDecorator[int]):
    """A type of the application that refuses odd numbers."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> int | None:
        """Return an even number."""
        if value is not None and value % 2:
            raise ValueError(f"{value} is odd")
        return value


METADATA = MetaData()
Table(
    "things",
    METADATA,
    Column("id", Integer, key="number", primary_key=True),
    Column("even", Even),
    Column("extra", JSON),
    Column("at", DateTime(timezone=True)),
    Column("kind", Enum("a", "b")),
)


def stored(*rows: Any) -> tuple[list[RowBlock], list[RowBlock]]:
    """Return the blocks to store, and those that were seen before."""
    seen: list[RowBlock] = []
    return list(stored_blocks(METADATA, rows, sqlite.dialect(), seen.append)), seen


def test_values_are_those_of_the_dialect() -> None:
    """Columns have the names of the database; types convert their values, and blocks of columns pass unchanged."""
    at = datetime(2025, 1, 1, 12, tzinfo=UTC)
    block = ApplicationRows("things", {"id": [3]}, 1)
    blocks, seen = stored(("things", [{"id": 1, "even": 2, "extra": {"a": 1}, "at": at, "kind": "b"}]), block)
    assert {name: list(values) for name, values in blocks[0].columns.items()} == {
        "id": [1],
        "even": [2],
        "extra": ['{"a": 1}'],
        "at": ["2025-01-01 12:00:00.000000"],
        "kind": ["b"],
    }
    assert seen[0].columns["extra"] == [{"a": 1}]
    assert blocks[1] is seen[1] is block


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"id": 1, "even": 3},
            "a value of things.even cannot be stored as Even: ValueError: 3 is odd; give it values of that type",
        ),
        ({"id": 1, "extra": {1, 2}}, "a value of things.extra cannot be stored as JSON: TypeError: "),
        ({"number": 1}, "things has no column 'number'; choose from id, even, extra, at, kind"),
    ],
)
def test_a_value_that_cannot_be_stored_is_named(row: dict[str, Any], message: str) -> None:
    """One line with the table, the column and the type's own reason."""
    with pytest.raises(UsageError) as refused:
        stored(("things", [row]))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
