"""A filled database for tests of an application: its tables, with drawn rows, on any engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine

from harness.databases.application_rows import stored_blocks
from harness.databases.drawn_counts import RowCounts
from harness.databases.drawn_rows import DrawnRows, GivenColumns
from harness.databases.interface import Databases, databases
from harness.databases.synchronous import synchronous_url
from harness.scenario import Setting

_numbers = count()


@dataclass(frozen=True)
class FilledDatabase:
    """A database with rows. Its URLs have the password."""

    databases: Databases
    name: str
    rows: DrawnRows

    @property
    def async_url(self) -> str:
        """The URL with the driver for asyncio, for `create_async_engine`."""
        return self.databases.url(self.name).render_as_string(hide_password=False)

    @property
    def url(self) -> str:
        """The URL with the synchronous driver, for `create_engine`."""
        return synchronous_url(self.databases.url(self.name)).render_as_string(hide_password=False)

    @cached_property
    def engine(self) -> Engine:
        """A synchronous engine, which is disposed of at the end."""
        return create_engine(self.url)

    def keys(self, table: Any) -> Sequence[Any]:
        """Return the primary keys of the rows of a table, which is a mapped class, a `Table` or a name."""
        return self.rows.keys(table)


@contextmanager
def filled_database(
    setting: Setting, metadata: MetaData, row_counts: RowCounts | None = None, column_values: GivenColumns | None = None
) -> Iterator[FilledDatabase]:
    """Create a database with the tables and drawn rows, as those of a `SqlScenario`; yield it, and remove it at the end."""
    found, name = databases(setting), f"filled-{next(_numbers)}"
    rows = DrawnRows(metadata, setting, row_counts or {}, column_values or {})
    found.fill(name, metadata, stored_blocks(metadata, rows, found.url(name).get_dialect()(), lambda _: None))
    filled = FilledDatabase(found, name, rows)
    try:
        yield filled
    finally:
        if "engine" in vars(filled):
            filled.engine.dispose()
        found.remove(name)
