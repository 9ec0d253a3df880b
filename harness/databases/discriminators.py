"""Columns that say of which mapped class a row is, in an inheritance hierarchy of SQLAlchemy's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.orm.mapper import Mapper, _all_registries  # SQLAlchemy has no public way from a metadata to its mappers


@dataclass(frozen=True)
class Discriminator:
    """The column of a hierarchy, and the values that it may have."""

    column: Column[Any]
    identities: Sequence[Any]
    """The values of the classes whose rows are in the column's own table alone."""
    joined: Sequence[Table]
    """The tables of the classes that have more columns in a table of their own."""


def discriminators(metadata: MetaData) -> Iterator[Discriminator]:
    """Yield the discriminator of each hierarchy of mapped classes whose base is in these tables, in the order of their columns."""
    found, columns = list[Discriminator](), {column for table in metadata.tables.values() for column in table.columns}
    for base in {mapper.base_mapper for registry in _all_registries() for mapper in registry.mappers}:
        column = base.polymorphic_on
        if isinstance(column, Column) and column in columns:  # not an expression, nor a column of a union of tables
            found.append(_discriminator(base, column))
    yield from sorted(found, key=lambda each: (each.column.table.key, each.column.name))


def _discriminator(base: Mapper[Any], column: Column[Any]) -> Discriminator:
    of_tables = {identity: mapper.local_table for identity, mapper in base.polymorphic_map.items()}
    own = sorted((identity for identity, table in of_tables.items() if table is column.table), key=repr)
    others = {table for mapper in base.self_and_descendants if isinstance(table := mapper.local_table, Table)} - {column.table}
    return Discriminator(column, own, sorted(others, key=lambda table: table.key))
