"""Rows as an application has them: dictionaries, of which blocks of columns are made with the values that a dialect stores."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Dialect, MetaData, Table

from harness.databases.interface import RowBlock
from harness.errors import UsageError, describe
from harness.suggestions import choose_from

BLOCK_ROWS = 10_000
"""Rows that are loaded at a time, of those that come as dictionaries."""
Rows = RowBlock | tuple[str, Iterable[Mapping[str, Any]]]
"""Rows of one table: its name with one dictionary per row, or a block of columns."""


@dataclass(frozen=True)
class ApplicationRows:
    """Some rows of one table, column by column."""

    table: str
    columns: Mapping[str, Sequence[Any] | np.ndarray[Any, Any]]
    rows: int


def stored_blocks(
    metadata: MetaData, rows: Iterable[Rows], dialect: Dialect, seen: Callable[[RowBlock], object]
) -> Iterator[RowBlock]:
    """Yield blocks to store: those of columns as they are, and rows with their values converted; each is `seen` before."""
    for some in rows:
        if not isinstance(some, tuple):
            seen(some)
            yield some
        elif (table := metadata.tables.get(some[0])) is not None:
            for block in _blocks(table, some[1]):
                seen(block)
                yield _converted(table, block, dialect)
        else:
            known = ", ".join(metadata.tables)
            raise UsageError(f"data() yields rows of an unknown table {some[0]!r}; choose from {known}")


def _blocks(table: Table, rows: Iterable[Mapping[str, Any]]) -> Iterator[ApplicationRows]:
    """Yield blocks of rows that came as dictionaries, their values as the application has them."""
    left, known = iter(rows), [column.name for column in table.columns]
    while some := list(itertools.islice(left, BLOCK_ROWS)):
        names = list(some[0])
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"{table} has no column {unknown[0]!r}; {choose_from(unknown[0], known)}")
        for row in some:
            if row.keys() != some[0].keys():
                raise UsageError(f"rows of {table} have different columns: {names} and {list(row)}; give every row the same")
        yield ApplicationRows(table.key, {name: [row[name] for row in some] for name in names}, len(some))


def _converted(table: Table, block: ApplicationRows, dialect: Dialect) -> ApplicationRows:
    """Return a block with values as a dialect hands them to its driver."""
    columns: dict[str, Sequence[Any] | np.ndarray[Any, Any]] = {}
    kinds = {column.name: column.type for column in table.columns}
    for name, values in block.columns.items():
        process = kinds[name].dialect_impl(dialect).bind_processor(dialect)
        try:
            found = list(values) if process is None else [process(value) for value in values]
        except Exception as error:  # a type of the user may raise anything
            shown = type(kinds[name]).__name__
            raise UsageError(
                f"a value of {table.key}.{name} cannot be stored as {shown}: {describe(error)}; give it values of that type, by "
                "column_values or data()"
            ) from error
        is_time = any(isinstance(value, datetime) for value in found)
        columns[name] = np.array([_utc(value) for value in found], "datetime64[us]") if is_time else found
    return replace(block, columns=columns)


def _utc(value: datetime | None) -> datetime | None:
    return value.astimezone(UTC).replace(tzinfo=None) if value is not None and value.tzinfo else value
