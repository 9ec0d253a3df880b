"""Rows for all tables of a foreign application: drawn by the types and constraints of its `MetaData`, with foreign keys kept.

Keys come first. Of every foreign key and every unique column it is decided which row refers to which, by numbers of rows alone;
their values follow from the numbers, so that tables may refer to each other, or to themselves. All other columns are drawn block by
block.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

from sqlalchemy import Column, ForeignKeyConstraint, MetaData, Table, UniqueConstraint
from sqlalchemy.exc import SQLAlchemyError

from harness.databases.default_schema import require_default_schema
from harness.databases.discriminators import Discriminator, discriminators
from harness.databases.drawn_counts import RowCounts, RowNumbers, table_of
from harness.databases.drawn_values import NULL_SHARE, ColumnValues, GivenValues, Limits, is_left_out, limits_of
from harness.databases.table_order import in_order
from harness.errors import UsageError
from harness.scenario import Setting
from harness.suggestions import choose_from

BLOCK_ROWS = 10_000
"""Rows whose values are drawn at a time."""

GivenColumns = Mapping[Any, GivenValues]
"""Mapped attribute, `Column` or "table.column" → the user's values."""
Numbers = Sequence[int | None]
"""The number of the value of each row; None for NULL."""


@dataclass(frozen=True, eq=False)
class _Unit:
    """Columns of a table whose values go together: those that a foreign key fills, or a single one that is unique."""

    columns: Sequence[Column[Any]]
    key: ForeignKeyConstraint | None = None
    shared: Sequence[Column[Any]] = ()
    """Columns of the foreign key that another one fills."""
    is_given: bool = False
    """Whether a function of the user's gives the values."""

    @property
    def is_nullable(self) -> bool:
        """Whether all of its columns may be NULL."""
        return all(column.nullable for column in self.columns)


class DrawnRows:
    """The rows of all tables of a metadata at a setting's size and seed."""

    def __init__(self, metadata: MetaData, setting: Setting, counts: RowCounts, values: GivenColumns) -> None:
        """Raise UsageError for a table or a column that does not exist, in `counts` and `values`, or that a foreign key names.

        Raise it also for a table of another schema, and for rows of which it is not known of which mapped class they are.
        """
        require_default_schema(metadata)
        self._metadata, self._seed = metadata, setting.seed
        try:
            self._tables = in_order(metadata)
        except SQLAlchemyError as error:
            raise UsageError(f"{error}; import the modules of all tables into the scenario") from error
        self._referenced = defaultdict[Table, list[tuple[Column[Any], ...]]](list)
        for table in self._tables:
            for key in _foreign_keys(table):
                self._referenced[key.referred_table].append(tuple(element.column for element in key.elements))
        self._given = {self._column(named): given for named, given in values.items()}
        hierarchies = [each for each in discriminators(metadata) if each.column not in self._given]
        self._given |= {each.column: each.identities for each in hierarchies}
        self._numbers = RowNumbers(metadata, setting, counts, self._capacity)
        self._units_of: dict[Table, list[_Unit]] = {}
        self._plans: dict[Table, dict[_Unit, Numbers]] = {}
        self._drawn: dict[Column[Any], ColumnValues] = {}
        self._values: dict[Column[Any], list[Any]] = {}
        self._asked: list[Column[Any]] = []
        for each in hierarchies:
            self._require_class(each)

    def __iter__(self) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
        """Yield each table's key and rows: parents first, where tables do not refer to each other."""
        for table in self._tables:
            if self.count(table):
                yield table.key, self._rows(table)

    def count(self, named: Any) -> int:
        """Return the number of rows of a table, which is a mapped class, a `Table` or a name."""
        return self._numbers.of(table_of(self._metadata, named, "count()"))

    def keys(self, named: Any) -> list[Any]:
        """Return the primary keys of a table's rows, in their order: values, or tuples where a key has several columns."""
        columns = [self._column_values(column) for column in table_of(self._metadata, named, "keys()").primary_key.columns]
        return list(columns[0]) if len(columns) == 1 else list(zip(*columns, strict=True))

    def values(self, named: Any) -> list[Any]:
        """Return the different values of a column in the order of the rows, without NULL."""
        column = self._column(named, "values()")
        if any(column in unit.columns for unit in self._units(column.table)):
            found = self._column_values(column)
        elif column not in self._given and is_left_out(column):
            raise UsageError(f"the database fills {column.table.key}.{column.name}, so that its values are not known")
        else:
            drawn, count = self._new(column), self.count(column.table)
            blocks = (drawn.drawn(first, min(BLOCK_ROWS, count - first)) for first in range(0, count, BLOCK_ROWS))
            found = [value for block in blocks for value in block]
        present = [value for value in found if value is not None]
        return list(dict.fromkeys(present)) if all(isinstance(value, Hashable) for value in present[:1]) else present

    def _require_class(self, hierarchy: Discriminator) -> None:
        """Raise UsageError if rows of a hierarchy would be of no mapped class: those of joined tables are not matched."""
        column, filled = hierarchy.column, [table.key for table in hierarchy.joined if self._numbers.of(table)]
        if self._numbers.of(column.table) and (filled or not hierarchy.identities):
            joined = ", ".join(filled or [table.key for table in hierarchy.joined])
            remedy = "set their row_counts to 0, or yield the rows of all of them" if hierarchy.identities else "yield all rows"
            raise UsageError(
                f"{column.table.key}.{column.name} says of which class a row is, and rows are not drawn to match joined tables "
                f"({joined}); {remedy} from data()"
            )

    def _column(self, named: Any, attribute: str = "column_values") -> Column[Any]:
        known = {f"{table.key}.{column.name}": column for table in self._tables for column in table.columns}
        if isinstance(named, str):
            if named not in known:
                table = table_of(self._metadata, named.rpartition(".")[0], attribute)
                own = [name for name, column in known.items() if column.table is table]
                raise UsageError(f"{attribute} names an unknown column {named!r}; {choose_from(named, own)}")
            return known[named]
        (column, *_) = getattr(getattr(named, "property", None), "columns", [named])
        if column not in set(known.values()):
            raise UsageError(f"{attribute} names {named}, which is not a column of the scenario's metadata")
        return cast("Column[Any]", column)

    def _of(self, column: Column[Any]) -> ColumnValues:
        if column not in self._drawn:
            self._drawn[column] = self._new(column)
        return self._drawn[column]

    def _new(self, column: Column[Any]) -> ColumnValues:
        limits = limits_of(column.table).get(column.name, Limits())
        return ColumnValues(column, str(self._seed), limits, self._given.get(column))

    def _units(self, table: Table) -> list[_Unit]:
        """Return the units of a table: foreign keys, the one with the most columns first, and other unique columns."""
        if table not in self._units_of:
            found, owned = list[_Unit](), set[Column[Any]]()
            for key in _foreign_keys(table):
                columns = [each for each in key.columns if each not in owned and each not in self._given]
                shared = [each for each in key.columns if each in owned]
                if columns:
                    found.append(_Unit(columns, key, shared))
                    owned.update(columns)
            for unique in self._unique_sets(table):
                for column in unique:
                    if column not in owned:
                        found.append(_Unit([column], is_given=callable(self._given.get(column))))
                        owned.add(column)
            self._units_of[table] = found
        return self._units_of[table]

    def _unique_sets(self, table: Table) -> list[tuple[Column[Any], ...]]:
        """Return the columns that are unique together: those of fewest columns first."""
        found = [tuple(table.primary_key.columns), *self._referenced[table]]
        found += [tuple(each.columns) for each in table.constraints if isinstance(each, UniqueConstraint)]
        found += [tuple(each.columns) for each in table.indexes if each.unique and len(each.columns) == len(each.expressions)]
        ordered = sorted(dict.fromkeys(filter(None, found)), key=lambda unique: (len(unique), [c.name for c in unique]))
        return [each for each in ordered if not all(is_left_out(column) for column in each)]

    def _of_set(self, unique: Sequence[Column[Any]]) -> list[_Unit]:
        return [unit for unit in self._units(unique[0].table) if not set(unit.columns).isdisjoint(unique)]

    def _domain(self, unit: _Unit) -> int | None:
        """Return the number of different values of a unit; None if there are enough."""
        if unit.key is not None:
            return self._numbers.of(unit.key.referred_table)
        return None if unit.is_given else self._of(unit.columns[0]).domain

    def _capacity(self, table: Table) -> int | None:
        """Return the number of rows at which a unique set has no value left; None if there is no limit."""
        found = []
        for unique in self._unique_sets(table):
            units = self._of_set(unique)
            if not any(unit.shared or (unit.key is not None and unit.key.referred_table is table) for unit in units):
                domains = [self._domain(unit) for unit in units]
                found += [] if None in domains or 0 in domains else [prod(filter(None, domains))]
        return min(found, default=None)

    def _plan(self, table: Table) -> dict[_Unit, Numbers]:
        """Return the numbers of the values of each unit that no other one restricts."""
        if table not in self._plans:
            count, units = self.count(table), self._units(table)
            done: dict[_Unit, Numbers] = {unit: range(count) for unit in units if unit.is_given}
            for unique in self._unique_sets(table):
                free = [unit for unit in self._of_set(unique) if unit not in done and not unit.shared]
                others = [unit for unit in self._of_set(unique) if unit in done]
                if free:
                    free.sort(key=lambda unit: (unit.key is None, not self._is_even(unit), self._domain(unit) is None))
                    self._number(table, free, [done[unit] for unit in others], done)
            for unit in units:
                if unit not in done and not unit.shared:
                    done[unit] = self._referring(table, unit)
            self._plans[table] = done
        return self._plans[table]

    def _is_even(self, unit: _Unit) -> bool:
        return unit.key is not None and unit.key.referred_table is self._numbers.per(unit.columns[0].table)

    def _number(self, table: Table, free: Sequence[_Unit], others: Sequence[Numbers], done: dict[_Unit, Numbers]) -> None:
        """Number the values of units so that they, with others that are numbered already, are unique together."""
        count, draw = self.count(table), self._random(*free)
        before = list(zip(*others, strict=True)) if others else [()] * count
        left, seen = [0] * count, Counter[Numbers]()
        for row, values in enumerate(before):
            left[row] = seen[values]
            seen[values] += 1
        for unit in free:
            domain = self._domain(unit)
            if domain is None:
                done[unit], left = left, [0] * count
            elif not domain:
                self._require_rows(unit)
                done[unit] = [None] * count
            else:  # beginning elsewhere for each of the values before, or all would have the same few
                starts: dict[Numbers, int] = {(): 0}
                for values in before:
                    if values not in starts:
                        starts[values] = draw.randrange(domain)
                done[unit] = [(number + starts[values]) % domain for number, values in zip(left, before, strict=True)]
                left = [number // domain for number in left]
            before = [(*values, number) for values, number in zip(before, done[unit], strict=True)]
        if any(left):
            names = ", ".join(column.name for unit in free for column in unit.columns)
            raise UsageError(
                f"{table.key} cannot have {count:,} rows, because {names} must be unique; lower its row_counts, or raise those of "
                "the tables that it refers to"
            )

    def _referring(self, table: Table, unit: _Unit) -> Numbers:
        """Return the number of the row that each row refers to."""
        assert unit.key is not None
        count, draw, parents = self.count(table), self._random(unit), self._domain(unit) or 0
        if not parents:
            self._require_rows(unit)
            return [None] * count
        if self._is_even(unit):
            return [number % parents for number in range(count)]
        if unit.key.referred_table is table:  # a tree
            found: list[int | None] = [draw.randrange(max(1, number)) for number in range(count)]
            found[0] = None if unit.is_nullable else 0
        else:
            found = list(draw.choices(range(parents), k=count))
        return [None if unit.is_nullable and draw.random() < NULL_SHARE else number for number in found]

    def _require_rows(self, unit: _Unit) -> None:
        assert unit.key is not None
        if not unit.is_nullable:
            table, column = unit.columns[0].table.key, unit.columns[0].name
            raise UsageError(
                f"{table}.{column} refers to {unit.key.referred_table.key}, which has no rows; give it some in row_counts"
            )

    def _random(self, *units: _Unit) -> random.Random:
        names = " ".join(f"{column.table.key}.{column.name}" for unit in units for column in unit.columns)
        return random.Random(f"{self._seed}/{names}/keys")  # noqa: S311 - rows have to be reproducible

    def _column_values(self, column: Column[Any]) -> list[Any]:
        """Return the values of a column of a unit, by row."""
        if column not in self._values:
            if column in self._asked:
                names = " → ".join(f"{each.table.key}.{each.name}" for each in [*self._asked[self._asked.index(column) :], column])
                raise UsageError(f"keys refer to each other: {names}; give values for one of them in column_values")
            self._asked.append(column)
            unit = next(each for each in self._units(column.table) if column in each.columns)
            if unit.key is None:
                values, numbers = self._of(column), self._plan(column.table)[unit]
                self._values[column] = [values.numbered(number or 0) for number in numbers]
            else:
                numbers = self._matching(unit) if unit.shared else self._plan(column.table)[unit]
                parent = self._column_values(_referred(unit.key, column))
                self._values[column] = [None if number is None else parent[number] for number in numbers]
            self._asked.pop()
        return self._values[column]

    def _matching(self, unit: _Unit) -> Numbers:
        """Return the number of the row that each row refers to: one that fits the columns that another foreign key fills."""
        assert unit.key is not None
        table, key = unit.columns[0].table, unit.key
        if unit not in self._plan(table):
            draw, places = self._random(unit), defaultdict[tuple[Any, ...], list[int]](list)
            parents = zip(*(self._column_values(_referred(key, column)) for column in unit.shared), strict=True)
            for number, values in enumerate(parents):
                places[values].append(number)
            found: list[int | None] = []
            for values in zip(*(self._column_values(column) for column in unit.shared), strict=True):
                if not places[values] and not unit.is_nullable:
                    shown = ", ".join(f"{column.name} {value!r}" for column, value in zip(unit.shared, values, strict=True))
                    raise UsageError(
                        f"{table.key}.{unit.columns[0].name}: no row of {key.referred_table.key} has {shown}; raise its row_counts"
                    )
                found.append(draw.choice(places[values]) if places[values] else None)
            self._plans[table][unit] = found
        return self._plans[table][unit]

    def _rows(self, table: Table) -> Iterator[dict[str, Any]]:
        keyed = {column: self._column_values(column) for unit in self._units(table) for column in unit.columns}
        self._require_unique(table, keyed)
        plain = [column for column in table.columns if column not in keyed and (column in self._given or not is_left_out(column))]
        names = [column.name for column in (*keyed, *plain)]
        values = [self._of(column) for column in plain]
        for first in range(0, self.count(table), BLOCK_ROWS):
            size = min(BLOCK_ROWS, self.count(table) - first)
            keys = [each[first : first + size] for each in keyed.values()]
            for row in zip(*keys, *(each.drawn(first, size) for each in values), strict=True):
                yield dict(zip(names, row, strict=True))

    def _require_unique(self, table: Table, keyed: Mapping[Column[Any], Sequence[Any]]) -> None:
        for unique in self._unique_sets(table):
            rows = [row for row in zip(*(keyed[column] for column in unique), strict=True) if None not in row]
            if len(set(rows)) < len(rows):
                (twice, number), *_ = Counter(rows).most_common(1)
                names, shown = ", ".join(column.name for column in unique), ", ".join(map(repr, twice))
                raise UsageError(
                    f"{number} rows of {table.key} have the same {names}, which must be unique: {shown:.60}; give other values in "
                    "column_values"
                )


def _foreign_keys(table: Table) -> list[ForeignKeyConstraint]:
    return sorted(table.foreign_key_constraints, key=lambda key: (-len(key.columns), [column.name for column in key.columns]))


def _referred(key: ForeignKeyConstraint, column: Column[Any]) -> Column[Any]:
    return next(element.column for element in key.elements if element.parent is column)
