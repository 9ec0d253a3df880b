"""Seeded values for the columns of foreign tables, as expressions of Python: readable, deterministic and with foreign keys kept."""

import re
from collections.abc import Iterable, Mapping, Sequence

from harness.init.findings import ColumnFact, TableFact
from harness.init.templating import quoted


class NoValueError(Exception):
    """A column for which no value is known; the message names it."""


DATETIME = ("UTC", "date", "datetime", "time", "timedelta")
"""Names of the module `datetime` that expressions use."""
KINDS = frozenset(
    {"integer", "boolean", "float", "decimal", "datetime", "date", "time", "interval", "enum", "json", "bytes", "uuid", "text"}
)
"""Kinds of columns that have a value."""
SHORT_TEXT = 20
"""The length of a text from which it can hold the column's name and a number."""


def required_tables(tables: Mapping[str, TableFact], wanted: Sequence[str]) -> list[TableFact]:
    """Return the wanted tables and those that their rows must refer to, in the order of `tables`."""
    found, left = set[str](), list(wanted)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [c.table for c in tables[name].columns if c.table in tables and not c.nullable]
    return [table for name, table in tables.items() if name in found]


def has_own_row_each(table: TableFact) -> bool:
    """Return whether a table has at most one row for each row that it refers to."""
    return any(column.table and (column.unique or column is table.key) for column in table.columns)


def require_values(tables: Iterable[TableFact]) -> None:
    """Raise NoValueError if a column of the tables needs a value and none is known for its type."""
    for table in tables:
        for column in table.columns:
            if not (column.nullable or column.made or column.table or _is_known(column)):
                raise NoValueError(f"{table.name}.{column.name} has the type {column.kind}, for which no value is known")


def row(tables: Mapping[str, TableFact], table: TableFact, before: Sequence[str]) -> dict[str, str]:
    """Return column → an expression in `n`, the row's number from 1, `count`, the rows of other tables, and `draw`, a `Random`.

    `before` are the tables that have rows already; keys of other tables are None. A column of an unknown kind is
    left out; NoValueError if it needs a value.
    """
    keys = [column.name for column in table.columns if column.primary_key]
    together = [keys, *([name for name in names if _is_narrow(table.column(name))] for names in table.unique)]
    places = {name: place for group in together if len(group) > 1 for place, name in enumerate(group)}
    found: dict[str, str] = {}
    for column in table.columns:
        if (column.made and not column.primary_key) or (column.nullable and not _is_known(column) and not column.table):
            continue  # the database has a value, or NULL
        is_key = column.primary_key or column.unique or bool(column.table) or column.name in places
        if column.table == table.name:
            found[column.name] = "None" if column.nullable else value(column, "n", is_key=True, where=table.name)
        elif column.table and column.table not in before:
            if not column.nullable:
                raise NoValueError(f"{table.name}.{column.name} refers to {column.table}, which has no rows yet")
            found[column.name] = "None"
        else:
            number = _number(column, places.get(column.name))
            found[column.name] = value(_target(tables, column), number, is_key=is_key, where=table.name)
    return found


def _number(column: ColumnFact, place: int | None) -> str:
    """Return the number that a value depends on: of columns that are unique together, each has one digit of the row's number."""
    if place is not None:
        return "1 + (n - 1) % count" if place == 0 else f"1 + (n - 1) // count{f'**{place}' if place > 1 else ''} % count"
    return "draw.randint(1, count)" if column.table and not column.primary_key and not column.unique else "n"


def _target(tables: Mapping[str, TableFact], column: ColumnFact) -> ColumnFact:
    """Return the column that has the same values: the one that a foreign key ends at."""
    seen = set[tuple[str, str]]()
    while column.table in tables and (column.table, column.column) not in seen:
        seen.add((column.table, column.column))
        target = tables[column.table]
        found = target.column(column.column) if column.column else target.key
        if found is None:
            break
        column = found
    return column


def _is_narrow(column: ColumnFact) -> bool:
    return bool(column.table) or column.kind in {"integer", "boolean", "enum"}


def _is_known(column: ColumnFact) -> bool:
    return column.kind in KINDS and (column.kind != "enum" or bool(column.choices))


def value(column: ColumnFact, number: str, *, is_key: bool, where: str) -> str:
    """Return the expression of a column's value; that of a key depends on `number` alone."""
    n = number if number.isidentifier() else f"({number})"
    simple = {
        "integer": number if is_key else "draw.randrange(1_000)",
        "boolean": f"{n} % 2 == 0",
        "float": f"{n} / 8",
        "decimal": f"Decimal({n} % 10_000) / 100",
        "datetime": f"datetime(2025, 1, 1{', tzinfo=UTC' if column.zoned else ''}) + timedelta(minutes={number})",
        "date": f"date(2025, 1, 1) + timedelta(days={n} % 365)",
        "time": f"time({n} % 24)",
        "interval": f"timedelta(seconds={number})",
        "enum": f"draw.choice([{', '.join(map(quoted, column.choices))}])",
        "json": f'{{"n": {number}}}',
        "bytes": f"str({number}).encode()",
        "uuid": f"UUID(int={number})",
        "text": _text(column, number),
    }
    if _is_known(column):
        return simple[column.kind]
    raise NoValueError(f"{where}.{column.name} has the type {column.kind}, for which no value is known")


def _text(column: ColumnFact, number: str) -> str:
    if not column.length or column.length >= len(column.name) + SHORT_TEXT:
        return f'f"{column.name} {{{number}}}"'
    return f"str({number})[-{column.length}:]"


def imports_of(expressions: Iterable[str]) -> list[str]:
    """Return the imports that expressions need."""
    text = " ".join(expressions)
    found = [f"from datetime import {', '.join(used)}"] if (used := [n for n in DATETIME if _uses(text, n)]) else []
    more = {"Decimal": "from decimal import Decimal", "UUID": "from uuid import UUID"}
    return found + [line for name, line in more.items() if _uses(text, name)]


def _uses(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b" + ("" if name == "UTC" else r"\("), text) is not None
