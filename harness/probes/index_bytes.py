"""What indexes cost on disk: the bytes of every index and table of a database, where the engine can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.databases.databases import Databases
from harness.errors import NotMeasurableError

# SQLite's own tables, such as the schema and the statistics, are left out; the index behind a primary key is an index.
_SQLITE = """
SELECT kept.type, kept.name, stored.pgsize
FROM dbstat('main', 1) AS stored JOIN sqlite_schema AS kept ON kept.name = stored.name
WHERE kept.name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' AND kept.name <> 'sqlite_sequence'
ORDER BY kept.name
"""

_POSTGRESQL = """
SELECT CASE relkind WHEN 'i' THEN 'index' ELSE 'table' END, relname,
       CASE relkind WHEN 'i' THEN pg_relation_size(oid) ELSE pg_table_size(oid) END
FROM pg_class WHERE relkind IN ('i', 'r') AND relnamespace = current_schema()::regnamespace
ORDER BY relname
"""


@dataclass(frozen=True)
class StoredBytes:
    """Whole pages in bytes, by name. Indexes include those of primary keys, a PostgreSQL table what it keeps apart (TOAST)."""

    indexes: Mapping[str, int]
    tables: Mapping[str, int]

    @property
    def index_bytes(self) -> int:
        """Bytes of all indexes."""
        return sum(self.indexes.values())

    @property
    def table_bytes(self) -> int:
        """Bytes of all tables without their indexes."""
        return sum(self.tables.values())


async def database_bytes(found: Databases, name: str) -> int:
    """Return the bytes of a database's tables and indexes.

    Raises:
        NotMeasurableError: the engine cannot tell.
    """
    async with found.open(name) as engine:
        stored = await stored_bytes(engine)
    return stored.index_bytes + stored.table_bytes


async def stored_bytes(engine: AsyncEngine) -> StoredBytes:
    """Return the bytes of every index and table.

    Raises:
        NotMeasurableError: the engine cannot tell: Turso, and a SQLite that was built without dbstat.
    """
    async with engine.connect() as connection:
        try:
            rows = (await connection.exec_driver_sql(_POSTGRESQL if engine.dialect.name == "postgresql" else _SQLITE)).all()
        except DatabaseError as error:
            if "dbstat" not in str(error.orig):
                raise
            raise NotMeasurableError("bytes of index: this engine has no dbstat table") from error
    return StoredBytes(
        indexes={name: size for kind, name, size in rows if kind == "index"},
        tables={name: size for kind, name, size in rows if kind == "table"},
    )
