"""Turso in a file, through its asyncio driver: another engine with SQLite's file format and SQL, still in beta.

Differences from SQLite, as observed with pyturso 0.8:

- Transactions are SQLite's. Left to itself the driver begins one only before INSERT, UPDATE, DELETE and REPLACE, so that rows
  released from a SAVEPOINT survive the outer rollback; here SQLAlchemy emits BEGIN. There is always a write-ahead log.
- One process at a time: a second one that opens the file gets "Locking error". The features requested in a URL are those of the
  process's first connection to the file.
- Of two writers the second waits for `busy_timeout`, which is zero unless set, and gets OperationalError "database is locked". A
  transaction that read before another one wrote can no longer write: "database snapshot is stale, rollback and retry the
  transaction", at once. That is an exception class of the driver and not a DB-API error; SQLAlchemy does not wrap it. Readers never
  wait.
- ANALYZE writes `sqlite_stat1` as SQLite does, with averages rounded up, and the planner uses it; there is no `sqlite_stat4`.
- No ATTACH unless the URL requests it (`experimental_features=attach`), no `dbstat`, no counter of virtual-machine steps. An
  unknown PRAGMA returns nothing.
"""

import asyncio
from importlib import metadata
from typing import Any, ClassVar

import turso
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from turso.sqlalchemy.dialect import AioTursoDialect, AsyncAdapt_turso_dbapi

from harness.databases import embedded
from harness.databases.engines.sqlite import SqliteDatabases
from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions

EMBEDDED = True


def _close(_dialect: SQLiteDialect_aiosqlite, connection: Any) -> None:
    # Shielded, because the driver does not close if the waiting task is cancelled once more.
    connection.run_async(lambda driver: asyncio.shield(driver.close()))


if not hasattr(AsyncAdapt_turso_dbapi, "has_stop"):
    # Turso's dialect is SQLAlchemy's dialect for aiosqlite with another driver. Since 2.0.46 that dialect checks whether the
    # driver's connections can be stopped, an attribute that Turso's lacks, and stops them when an operation is cancelled, which
    # they do not support: a cancelled writer would stay open forever and keep its lock. So they are closed like any other
    # connection.
    AsyncAdapt_turso_dbapi.has_stop = False  # type: ignore[attr-defined]  # the missing attribute
    AioTursoDialect.do_terminate = _close  # type: ignore[assignment]  # the inherited one is for aiosqlite


class TursoDatabases(embedded.FileDatabases):
    """A setting's Turso files. SQLite fills them, Turso executes migrations. An empty log stays next to a file."""

    driver: ClassVar = "sqlite+aioturso"
    migrator: ClassVar = "sqlite+turso"
    dbapi: ClassVar = turso

    @staticmethod
    def configure(engine: AsyncEngine, options: ConnectionOptions = DEFAULT_OPTIONS) -> None:
        """Set up the connections of an engine created for `url`."""
        embedded.set_up(engine, options, small_cache_kib=None)

    @staticmethod
    def version() -> str:
        """Return the versions of Turso, and of SQLite, which fills the files."""
        return f"turso {metadata.version('pyturso')}, filled by {SqliteDatabases.version()}"

    async def versions(self, connection: AsyncConnection) -> dict[str, str]:
        """Return Turso's version and source, and the version of SQLite that it follows."""
        source = str((await connection.exec_driver_sql("SELECT sqlite_source_id()")).scalar_one())
        return {"turso": metadata.version("pyturso"), "turso source": source, "turso follows sqlite": turso.sqlite_version}


databases = TursoDatabases
