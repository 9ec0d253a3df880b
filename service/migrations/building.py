"""Building and dropping indexes without leaving a trace in the metadata that the baseline is made from."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Index, MetaData, Table, text
from sqlalchemy.schema import DropIndex

from service.models import Base

MISLEADING = ("idx_prompts_deleted_at",)
"""Indexes that the planner takes for better than they are. Nearly all prompts share `deleted_at IS NULL`, but the statistics
hold an average over distinct times of deletion: SQLite expects a dozen rows, prefers this index even to the primary key's,
and reads every live prompt of every user."""


def detached(name: str) -> Table:
    """Return a copy of one of the service's tables, without its indexes, for new indexes to refer to.

    An Index becomes a part of the table it names, so one on the shared table would be made by every later `create_all`.
    """
    copy = Base.metadata.tables[name].to_metadata(MetaData())
    copy.indexes.clear()
    return copy


def build(connection: Connection, indexes: Iterable[Index]) -> None:
    """Create the indexes."""
    for index in indexes:
        index.create(connection)


def drop(connection: Connection, names: Iterable[str]) -> None:
    """Drop indexes by name; one that is gone already is fine."""
    for name in names:
        connection.execute(DropIndex(Index(name), if_exists=True))


def analyse(connection: Connection) -> None:
    """Gather statistics: without them the planner guesses which of two indexes is the narrower. SQLite never does it unasked."""
    connection.execute(text("ANALYZE"))
