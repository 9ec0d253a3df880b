"""The number of rows of each table: as declared, per row of another table, or by default from the tables that it refers to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import MetaData, Table

from harness.errors import UsageError
from harness.scenario import Setting
from harness.suggestions import choose_from

SHARES = {"tiny": 0.1, "small": 1.0, "medium": 10.0, "large": 50.0}
"""Size → its number of rows, relative to that of `small`."""
ROWS = 1_000
"""Rows of a table that refers to no other one."""
CHILDREN = 5
"""Rows of a table that refers to others, per row of the largest of these."""
MOST_ROWS = 25_000
"""Limit of the rows of a table whose number is not declared."""


@dataclass(frozen=True)
class RowsPer:
    """A number of rows per row of another table; `per` makes it."""

    parent: Any
    rows: float


def per(parent: Any, rows: float) -> RowsPer:
    """Return a number of rows per row of a table, which is a mapped class, a `Table` or a name.

    The rows are spread evenly over those of the other table.

    Example:
        row_counts = {Author: 50, Post: per(Author, 8), Comment: per(Post, 5)}
    """
    return RowsPer(parent, rows)


RowCount = int | RowsPer | Callable[[Setting], int]
"""A number of rows at size `small`, one per row of another table, or a function of the setting for one of its own."""
RowCounts = Mapping[Any, RowCount]
"""Mapped class, `Table` or name of a table → its number of rows."""


@dataclass
class RowNumbers:
    """The numbers of rows of a metadata's tables at a setting's size."""

    metadata: MetaData
    setting: Setting
    declared: RowCounts
    capacity: Callable[[Table], int | None]
    """Table → the number of rows at which its unique columns have no value left; it asks for the numbers of other tables."""
    _found: dict[Table, int] = field(default_factory=dict)
    _visited: list[Table] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._by_table = {table_of(self.metadata, named, "row_counts"): count for named, count in self.declared.items()}

    @cached_property
    def _needed(self) -> set[Table]:
        """The tables that have rows: all, or, where some are named, these and those that their rows must refer to."""
        found = set[Table]()
        left = list(self._by_table or self.metadata.tables.values())
        left += [parent for table in self._by_table if (parent := self.per(table)) is not None]
        while left:
            table = left.pop()
            if table not in found:
                found.add(table)
                left += required(table)
        return found

    def per(self, table: Table) -> Table | None:
        """Return the table over whose rows those of a table are spread evenly."""
        count = self._by_table.get(table)
        return table_of(self.metadata, count.parent, "row_counts") if isinstance(count, RowsPer) else None

    def of(self, table: Table) -> int:
        """Return the number of rows of a table; 0 while it is asked for by itself, through tables that refer to each other."""
        if table not in self._found:
            if table in self._visited:
                if self.per(table) is not None:
                    raise UsageError(f"row_counts of {table.key} is circular; give a number to one of the tables")
                return 0
            self._visited.append(table)
            try:
                self._found[table] = self._of(table)
            finally:
                self._visited.pop()
        return self._found[table]

    def _of(self, table: Table) -> int:
        count = self._by_table.get(table)
        if callable(count):
            found: Any = count(self.setting)
            if isinstance(found, bool) or not isinstance(found, int) or found < 0:
                raise UsageError(f"row_counts of {table.key} gives {found!r}; return a number of rows from 0")
            return found
        share = SHARES[self.setting.size] * self.setting.scale
        if count is not None:
            parent = self.per(table)
            wanted = count.rows * self.of(parent) if parent is not None else count * share  # type: ignore[union-attr, operator]
            if wanted < 0:
                raise UsageError(f"row_counts of {table.key} is negative; give a number of rows from 0")
            return max(1, round(wanted)) if wanted else 0
        if table not in self._needed:
            return 0
        certain = required(table)
        parents = [
            self.of(each)
            for each in referred(table)
            if each not in self._visited and (each in certain or table not in _reached(each))  # not around a circle
        ]
        number = min(CHILDREN * max(parents), max(1, round(MOST_ROWS * share))) if parents else max(1, round(ROWS * share))
        capacity = self.capacity(table)
        return number if capacity is None else min(number, capacity)


def referred(table: Table) -> list[Table]:
    """Return the tables that a table refers to."""
    return sorted({key.referred_table for key in table.foreign_key_constraints}, key=lambda each: each.key)


def required(table: Table) -> set[Table]:
    """Return the tables that each row of a table must refer to."""
    keys = [key for key in table.foreign_key_constraints if not all(column.nullable for column in key.columns)]
    return {key.referred_table for key in keys}


def _reached(table: Table) -> set[Table]:
    """Return the tables that a table refers to, and those that these refer to."""
    found, left = set[Table](), [table]
    while left:
        for each in referred(left.pop()):
            if each not in found:
                found.add(each)
                left.append(each)
    return found


def table_of(metadata: MetaData, named: Any, attribute: str) -> Table:
    """Return a table by its name, or by the class that is mapped to it; `attribute` is where the user names it."""
    known = metadata.tables
    if isinstance(named, str):
        if named not in known:
            raise UsageError(f"{attribute} names an unknown table {named!r}; {choose_from(named, known)}")
        return known[named]
    table = getattr(named, "__table__", named)
    if not isinstance(table, Table) or known.get(table.key) is not table:
        shown = getattr(named, "__name__", f"{named!r:.60}")
        raise UsageError(f"{attribute} names {shown}, which is not a table of the scenario's metadata; {choose_from(shown, known)}")
    return table
