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
import platform
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import turso
from sqlalchemy import event
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from turso.sqlalchemy.dialect import AioTursoDialect, AsyncAdapt_turso_dbapi

from harness.databases import embedded
from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions, pool_settings
from harness.errors import UsageError
from harness.scenario import Setting

EMBEDDED = True

PRAGMAS = (
    "auto_vacuum",
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "encoding",
    "foreign_keys",
    "journal_mode",
    "locking_mode",
    "page_count",
    "page_size",
    "query_only",
    "synchronous",
    "temp_store",
)
"""The PRAGMAs in the run record, of those that Turso knows."""

BUSY_TIMEOUT_MS = 5_000
CACHE_KIB = 64 * 1024
"""The same as for SQLite."""


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
    """A setting's Turso files. SQLite fills them, Turso executes migrations."""

    driver, migrator = "sqlite+aioturso", "sqlite+turso"

    def checkpoint(self, name: str) -> None:
        """Write the log back into the file; an empty log stays next to it.

        Raises:
            UsageError: there is no such database, it is still in use, or the disk is full.
        """
        path = self.existing_path(name)
        with _usage_errors(path), closing(turso.connect(str(path), isolation_level=None)) as connection:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy or embedded.has_log(path):
            raise UsageError(f"{path} is still in use; close its connections before copying it")

    def configure(self, engine: AsyncEngine, options: ConnectionOptions = DEFAULT_OPTIONS) -> None:
        """Set the PRAGMAs of every connection of an engine created for `url`, and the statement that begins its transactions."""
        set_pragmas(engine, foreign_keys=True, small_cache=options.small_cache)
        embedded.emit_begin(engine.sync_engine, "BEGIN IMMEDIATE" if options.write_lock_first else "BEGIN")

    @asynccontextmanager
    async def open(self, name: str, options: ConnectionOptions = DEFAULT_OPTIONS) -> AsyncIterator[AsyncEngine]:
        """Open a connection pool and close it at the end.

        Raises:
            UsageError: there is no such database.
        """
        made = self._engine(name, options)
        self.configure(made, options)
        try:
            yield made
        finally:
            await made.dispose()

    @asynccontextmanager
    async def open_undo(self, name: str) -> AsyncIterator[AsyncEngine]:
        """Open one connection with foreign keys unchecked, whose transactions the driver begins.

        Raises:
            UsageError: there is no such database.
        """
        made = self._engine(name, ConnectionOptions(pool_size=1))
        set_pragmas(made, foreign_keys=False, small_cache=False)
        try:
            yield made
        finally:
            await made.dispose()

    async def settings(self, engine: AsyncEngine) -> Mapping[str, str]:
        """Return versions, the effective PRAGMAs of a connection, and the pool, for the run record."""
        pragmas = {}
        async with engine.connect() as connection:
            for name in PRAGMAS:
                result = await connection.exec_driver_sql(f"PRAGMA {name}")
                pragmas[f"PRAGMA {name}"] = str(result.scalar_one_or_none() if result.returns_rows else None)
            source = str((await connection.exec_driver_sql("SELECT sqlite_source_id()")).scalar_one())
        return {
            "turso": version("pyturso"),
            "turso source": source,
            "turso follows sqlite": turso.sqlite_version,
            **pragmas,
            "begin": str(engine.sync_engine.get_execution_options().get(embedded.BEGIN_OPTION, "left to the driver")),
            "sqlalchemy": version("sqlalchemy"),
            "python": platform.python_version(),
            **pool_settings(engine),
        }

    def _engine(self, name: str, options: ConnectionOptions) -> AsyncEngine:
        self.existing_path(name)
        return create_async_engine(
            self.url(name),
            poolclass=AsyncAdaptedQueuePool,
            pool_size=options.pool_size,
            max_overflow=options.max_overflow,
            pool_timeout=options.pool_timeout_s,
            pool_pre_ping=options.pool_pre_ping,
        )


def databases(setting: Setting) -> TursoDatabases:
    """Return the databases of a setting."""
    return TursoDatabases(setting)


def set_pragmas(engine: AsyncEngine, *, foreign_keys: bool, small_cache: bool) -> None:
    """Set the same PRAGMAs on every connection as for SQLite, so that both engines have the same durability."""
    pragmas = {
        "busy_timeout": BUSY_TIMEOUT_MS,
        "synchronous": "NORMAL",
        "foreign_keys": int(foreign_keys),
        "temp_store": "MEMORY",
    }
    if not small_cache:
        pragmas["cache_size"] = -CACHE_KIB
    script = "".join(f"PRAGMA {name}={value};" for name, value in pragmas.items())

    def connected(connection: Any, _record: object) -> None:
        connection.run_async(lambda driver: driver.executescript(script))  # one hop to the driver's thread for all of them

    event.listen(engine.sync_engine, "connect", connected)


@contextmanager
def _usage_errors(path: Path) -> Iterator[None]:
    """Convert the driver's errors into a UsageError that names the file and the next step."""
    try:
        yield
    except Exception as error:
        # Some errors of the engine are not DB-API classes; they are recognised by their module.
        if type(error).__module__.partition(".")[0] != turso.__name__:
            raise
        raise UsageError(
            f"cannot write the log back into {path}: {error}; close its connections, {embedded.FOLDER_ADVICE}"
        ) from error
