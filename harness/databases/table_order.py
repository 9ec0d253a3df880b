"""The order of tables: those first that others refer to."""

from sqlalchemy import MetaData, Table
from sqlalchemy.sql.ddl import sort_tables_and_constraints


def in_order(metadata: MetaData) -> list[Table]:
    """Return the tables, parents first; of tables that refer to each other in some order, without SQLAlchemy's warning about that.

    Raises SQLAlchemyError if a foreign key names a table that the metadata does not have.
    """
    by_name = sorted(metadata.tables.values(), key=lambda table: table.key)
    ordered = sort_tables_and_constraints(by_name)  # type: ignore[no-untyped-call]  # it has no annotations
    return [table for table, _ in ordered if table is not None]
