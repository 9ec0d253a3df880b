"""SQLite in a file, through aiosqlite: real transactions, the same settings on every connection, checkpoints and copies."""

import re
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from importlib import metadata
from pathlib import Path
from typing import ClassVar

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from harness.databases import embedded
from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions, open_pool
from harness.errors import UsageError

EMBEDDED = True

SMALL_CACHE_KIB = 2 * 1024
"""SQLite's default page cache."""

_RECORDED_OPTIONS = re.compile(
    "ENABLE_(DBSTAT_VTAB|STAT4)|MAX_(SQL_LENGTH|VARIABLE_NUMBER)|OMIT_LOOKASIDE|SECURE_DELETE|THREADSAFE"
)
"""The compile options in the run record: those that affect limits, plans or speed."""


class SqliteDatabases(embedded.FileDatabases):
    """A setting's SQLite files."""

    driver: ClassVar = "sqlite+aiosqlite"
    migrator: ClassVar = "sqlite+pysqlite"
    dbapi: ClassVar = sqlite3

    @staticmethod
    def configure(engine: AsyncEngine, options: ConnectionOptions = DEFAULT_OPTIONS) -> None:
        """Set up the connections of an engine created for `url`; a read-only one has `mode=ro` in its URL."""
        # The journal mode is a property of the file, which a read-only connection cannot change.
        journal = {} if engine.url.query.get("mode") == "ro" else {"journal_mode": "WAL"}
        embedded.set_up(engine, options, small_cache_kib=SMALL_CACHE_KIB, **journal)
        if not options.undo:
            event.listen(engine.sync_engine, "connect", embedded.disable_driver_transactions)

    @staticmethod
    def version() -> str:
        """Return SQLite's source and compile options."""
        with closing(sqlite3.connect(":memory:")) as connection:
            (source,) = connection.execute("SELECT sqlite_source_id()").fetchone()
            return f"{source} {' '.join(sorted(option for (option,) in connection.execute('PRAGMA compile_options')))}"

    async def versions(self, connection: AsyncConnection) -> dict[str, str]:
        """Return SQLite's version, source and compile options, and the mode of the connection."""
        options = sorted((await connection.exec_driver_sql("PRAGMA compile_options")).scalars())
        return {
            "sqlite": sqlite3.sqlite_version,
            "sqlite source": str((await connection.exec_driver_sql("SELECT sqlite_source_id()")).scalar_one()),
            "sqlite compile options": ", ".join(filter(_RECORDED_OPTIONS.match, options)),
            "aiosqlite": metadata.version("aiosqlite"),
            "mode": str(connection.engine.url.query.get("mode", "rwc")),
        }


databases = SqliteDatabases


def engine(path: Path, options: ConnectionOptions = DEFAULT_OPTIONS) -> AbstractAsyncContextManager[AsyncEngine]:
    """Open a connection pool to the database in `path`, created if missing; close it at the end. UsageError without the folder."""
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for the database {path.name}; create it or choose another")
    url = URL.create(SqliteDatabases.driver, database=str(path.absolute()))
    return open_pool(url, options, SqliteDatabases.configure)
