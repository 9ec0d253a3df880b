"""SQLite in a file, through aiosqlite: real transactions, the same settings on every connection, snapshots and copies.

The driver's own transaction handling starts no transaction before a SAVEPOINT, so that rows released from one survive
the outer ROLLBACK. Here SQLAlchemy says BEGIN itself, and a rollback takes everything back.
"""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from harness.databases import embedded
from harness.databases.databases import DEFAULTS as FOR_ANY_ENGINE
from harness.databases.databases import ConnectionOptions as AnyOptions
from harness.errors import UsageError
from harness.scenario import Setting

EMBEDDED = True
BEGIN_OPTION = embedded.BEGIN_OPTION
restore = embedded.restore
remove = embedded.remove

PRAGMAS = (
    "auto_vacuum",
    "automatic_index",
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "encoding",
    "foreign_keys",
    "journal_mode",
    "journal_size_limit",
    "locking_mode",
    "mmap_size",
    "page_count",
    "page_size",
    "query_only",
    "read_uncommitted",
    "recursive_triggers",
    "secure_delete",
    "synchronous",
    "temp_store",
    "threads",
    "wal_autocheckpoint",
)
"""The PRAGMAs whose effect a reader of the record must know."""

COMPILE_OPTIONS = (
    "ENABLE_DBSTAT_VTAB",
    "ENABLE_STAT4",
    "MAX_SQL_LENGTH",
    "MAX_VARIABLE_NUMBER",
    "OMIT_LOOKASIDE",
    "SECURE_DELETE",
    "THREADSAFE",
)
"""The compile options that change what a statement may do or how its plan is chosen."""

SMALL_CACHE_KIB = 2 * 1024
"""The page cache that a build of SQLite has by default."""

_LOCK_WAIT_S = 1.0


@dataclass(frozen=True)
class SqliteOptions:
    """How every connection to the file is set up.

    `begin` is the statement that opens a transaction: "BEGIN", or "BEGIN IMMEDIATE" to take the write lock at once; None
    leaves transactions to the driver. `cache_size_kib` is the page cache of one connection. `pool_timeout_s` is how long
    a checkout waits for a free connection.
    """

    journal_mode: str = "WAL"
    synchronous: str = "NORMAL"
    busy_timeout_ms: int = 5_000
    foreign_keys: bool = True
    cache_size_kib: int = 64 * 1024
    temp_store: str = "MEMORY"
    begin: str | None = "BEGIN"
    pool_size: int = 5
    max_overflow: int = 0
    pool_timeout_s: float = 30.0
    pool_pre_ping: bool = False

    def script(self, *, read_only: bool) -> str:
        """Return the statements that set up one connection."""
        pragmas = {
            "busy_timeout": self.busy_timeout_ms,  # first, so that a change of journal mode waits for its lock
            "journal_mode": self.journal_mode,
            "synchronous": self.synchronous,
            "foreign_keys": int(self.foreign_keys),
            "cache_size": -self.cache_size_kib,
            "temp_store": self.temp_store,
        }
        if read_only:
            del pragmas["journal_mode"]  # a property of the file, which a reader may not change
        return "".join(f"PRAGMA {name}={value};" for name, value in pragmas.items())


DEFAULTS = SqliteOptions()
"""A good engineer's settings for a service on one file."""


@asynccontextmanager
async def engine(path: Path, options: SqliteOptions = DEFAULTS, *, read_only: bool = False) -> AsyncIterator[AsyncEngine]:
    """Open a pool of connections to the database in `path`, made if it is missing; close them all at the end.

    Raises:
        UsageError: there is no such folder, or no such file to read.
    """
    _check(path, read_only=read_only)
    made = create_async_engine(
        _url(path, read_only=read_only),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=options.pool_size,
        max_overflow=options.max_overflow,
        pool_timeout=options.pool_timeout_s,
        pool_pre_ping=options.pool_pre_ping,
    )
    _set_up(made, options, read_only=read_only)
    try:
        yield made
    finally:
        await made.dispose()


def _set_up(engine: AsyncEngine, options: SqliteOptions, *, read_only: bool) -> None:
    script = options.script(read_only=read_only)

    def set_up(connection: Any, _record: object) -> None:
        if options.begin:
            connection.isolation_level = None  # the driver keeps out of transactions
        connection.run_async(lambda driver: driver.executescript(script))  # one hop to the driver's thread for all

    event.listen(engine.sync_engine, "connect", set_up)
    if options.begin:
        embedded.begins(engine.sync_engine, options.begin)


def _check(path: Path, *, read_only: bool) -> None:
    if read_only and not path.is_file():
        raise UsageError(f"no database {path}; make it before opening it read-only")
    if not path.parent.is_dir():
        raise UsageError(f"no folder {path.parent} for the database {path.name}; make the folder, or name another")


def _url(path: Path, *, read_only: bool) -> URL:
    if not read_only:
        return URL.create("sqlite+aiosqlite", database=str(path.absolute()))
    return URL.create("sqlite+aiosqlite", database=path.absolute().as_uri(), query={"mode": "ro", "uri": "true"})


async def settings(engine: AsyncEngine) -> dict[str, str]:
    """Return versions, compile options, the PRAGMAs in effect on a connection, and the pool, for the run record."""
    async with engine.connect() as connection:
        options = {text for (text,) in await connection.exec_driver_sql("PRAGMA compile_options")}
        pragmas = {}
        for name in PRAGMAS:
            value = (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one_or_none()
            pragmas[f"PRAGMA {name}"] = str(value)
        source = str((await connection.exec_driver_sql("SELECT sqlite_source_id()")).scalar_one())
    known = dict(text.partition("=")[::2] for text in options)
    return {
        "sqlite": sqlite3.sqlite_version,
        "sqlite source": source,
        "sqlite compile options": ", ".join(
            f"{name}={known[name]}" if known[name] else name for name in COMPILE_OPTIONS if name in known
        ),
        **pragmas,
        "mode": str(engine.url.query.get("mode", "rwc")),
        "begin": str(engine.sync_engine.get_execution_options().get(BEGIN_OPTION, "left to the driver")),
        "aiosqlite": version("aiosqlite"),
        "sqlalchemy": version("sqlalchemy"),
        "python": platform.python_version(),
        **embedded.pool_settings(engine),
    }


def snapshot(path: Path) -> Path:
    """Fold what is still in the write-ahead log into the database file, so that the file alone is the whole; return it.

    Raises:
        UsageError: there is no such database, it is still in use, or the disk is full.
    """
    if not path.is_file():
        raise UsageError(f"no database {path} to take a snapshot of; make it first")
    with (
        _refusing(path, "fold the log into"),
        closing(sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None)) as connection,
    ):
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy or embedded.has_log(path):
        raise UsageError(f"{path} is still in use; close its connections before taking the snapshot")
    return path


class SqliteDatabases(embedded.FileDatabases):
    """A setting's SQLite files."""

    driver, migrator = "sqlite+aiosqlite", "sqlite+pysqlite"

    def rest(self, name: str) -> None:
        """Fold the log in; see `snapshot`."""
        snapshot(self.path(name))

    def configure(self, engine: AsyncEngine, options: AnyOptions = FOR_ANY_ENGINE) -> None:
        """Set up the connections that an engine for `url` opens; one that can only read has `mode=ro` in its URL."""
        _set_up(engine, _own(options), read_only=engine.url.query.get("mode") == "ro")

    def open(self, name: str, options: AnyOptions = FOR_ANY_ENGINE) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open a pool of connections; see `engine`."""
        return engine(self.there(name), _own(options))

    def open_undo(self, name: str) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open one connection with foreign keys unchecked, whose transactions are left to the driver."""
        return engine(self.there(name), SqliteOptions(begin=None, foreign_keys=False, pool_size=1))

    async def settings(self, engine: AsyncEngine) -> Mapping[str, str]:
        """Return versions, compile options, PRAGMAs and the pool; see `settings`."""
        return await settings(engine)


def databases(setting: Setting) -> SqliteDatabases:
    """Return the databases of a setting."""
    return SqliteDatabases(setting)


def _own(options: AnyOptions) -> SqliteOptions:
    return SqliteOptions(
        cache_size_kib=SMALL_CACHE_KIB if options.small_cache else DEFAULTS.cache_size_kib,
        begin="BEGIN IMMEDIATE" if options.write_lock_first else "BEGIN",
        pool_size=options.pool_size,
        max_overflow=options.max_overflow,
        pool_timeout_s=options.pool_timeout_s,
        pool_pre_ping=options.pool_pre_ping,
    )


@contextmanager
def _refusing(path: Path, doing: str) -> Iterator[None]:
    """Turn what the disk or the driver says into one line that names the file."""
    try:
        with embedded.refusing(path, doing):
            yield
    except sqlite3.Error as error:
        raise UsageError(f"cannot {doing} {path}: {error}; close its connections, {embedded.FOLDER_ADVICE}") from error
