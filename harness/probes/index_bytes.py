"""Size on disk of every index and table of a database."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.databases.interface import Databases
from harness.errors import NotMeasurableError
from harness.probes.connecting import connected

# SQLite's own tables, such as the schema and the statistics, are left out; the index behind a primary key is an index.
_SQLITE = """
SELECT object.type, object.name, stored.pgsize
FROM dbstat('main', 1) AS stored JOIN sqlite_schema AS object ON object.name = stored.name
WHERE object.name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' AND object.name <> 'sqlite_sequence'
ORDER BY object.name
"""

_POSTGRESQL = """
SELECT CASE relkind WHEN 'i' THEN 'index' ELSE 'table' END, relname,
       CASE relkind WHEN 'i' THEN pg_relation_size(oid) ELSE pg_table_size(oid) END
FROM pg_class WHERE relkind IN ('i', 'r') AND relnamespace = current_schema()::regnamespace
ORDER BY relname
"""


@dataclass(frozen=True)
class StoredBytes:
    """Sizes in bytes, in whole pages."""

    indexes: Mapping[str, int]
    """Size of each index by name, those of primary keys included."""
    tables: Mapping[str, int]
    """Size of each table by name, in PostgreSQL with its TOAST table."""

    @property
    def index_bytes(self) -> int:
        """Size of all indexes."""
        return sum(self.indexes.values())


async def database_bytes(found: Databases, name: str) -> int:
    """Return the size of a database's tables and indexes in bytes; errors as for `stored_bytes`."""
    async with found.open(name) as engine:
        stored = await stored_bytes(engine)
    return stored.index_bytes + sum(stored.tables.values())


async def stored_bytes(engine: AsyncEngine | Engine) -> StoredBytes:
    """Return the size of every index and table.

    Raises:
        NotMeasurableError: the engine does not report sizes: Turso, and a SQLite built without dbstat.
    """
    return await connected(engine, _stored_bytes)


def _stored_bytes(connection: Connection) -> StoredBytes:
    sizes: dict[str, dict[str, int]] = {"index": {}, "table": {}}
    try:
        rows = connection.exec_driver_sql(_POSTGRESQL if connection.dialect.name == "postgresql" else _SQLITE)
    except DatabaseError as error:
        if "dbstat" not in str(error.orig):
            raise
        advice = "use a SQLite built with it, or PostgreSQL"
        raise NotMeasurableError(f"index sizes: this engine has no dbstat table; {advice}") from error
    for kind, name, size in rows:
        sizes[kind][name] = size
    return StoredBytes(sizes["index"], sizes["table"])
