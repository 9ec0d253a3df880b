"""Creating and dropping indexes without changing the metadata that the baseline is created from."""

from collections.abc import Iterable

from sqlalchemy import Connection, Index, MetaData, Table, text
from sqlalchemy.schema import DropIndex

from service.models import Base

MISLEADING = ("idx_prompts_deleted_at",)
"""Indexes that the planner overestimates. Nearly all prompts have `deleted_at IS NULL`, but the statistics hold an average over the
distinct deletion times: SQLite expects a dozen rows, prefers this index even to the primary key's, and reads every live prompt of
every user."""


def detached(name: str) -> Table:
    """Return a copy of one of the service's tables, without its indexes, as the target of new indexes.

    An Index becomes part of the table that it names, so an index on the shared table would be created by every later `create_all`.
    """
    copy = Base.metadata.tables[name].to_metadata(MetaData())
    copy.indexes.clear()
    return copy


def build(connection: Connection, indexes: Iterable[Index]) -> None:
    """Create the indexes."""
    for index in indexes:
        index.create(connection)


def drop(connection: Connection, names: Iterable[str]) -> None:
    """Drop indexes by name; a missing index is ignored."""
    for name in names:
        connection.execute(DropIndex(Index(name), if_exists=True))


def analyse(connection: Connection) -> None:
    """Gather statistics: without them the planner guesses which of two indexes is narrower. SQLite never gathers them by itself."""
    connection.execute(text("ANALYZE"))
