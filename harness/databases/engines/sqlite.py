"""SQLite in a file, through aiosqlite: real transactions, the same settings on every connection, checkpoints and copies.

Left to itself the driver begins no transaction before a SAVEPOINT, so that rows released from one survive the outer ROLLBACK. Here
SQLAlchemy emits BEGIN, and a rollback undoes everything.
"""

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
from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions, pool_settings
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
"""The PRAGMAs in the run record."""

COMPILE_OPTIONS = (
    "ENABLE_DBSTAT_VTAB",
    "ENABLE_STAT4",
    "MAX_SQL_LENGTH",
    "MAX_VARIABLE_NUMBER",
    "OMIT_LOOKASIDE",
    "SECURE_DELETE",
    "THREADSAFE",
)
"""The compile options in the run record: those that affect limits, plans or speed."""

SMALL_CACHE_KIB = 2 * 1024
"""SQLite's default page cache."""

_LOCK_WAIT_S = 1.0


@dataclass(frozen=True)
class SqliteOptions:
    """Options of the connections to a file and of their pool. The first six are PRAGMAs."""

    journal_mode: str = "WAL"
    synchronous: str = "NORMAL"
    busy_timeout_ms: int = 5_000
    foreign_keys: bool = True
    cache_size_kib: int = 64 * 1024
    """Page cache of one connection."""

    temp_store: str = "MEMORY"
    begin: str | None = "BEGIN"
    """Statement that begins a transaction; "BEGIN IMMEDIATE" takes the write lock at once, None leaves that to the driver."""

    pool_size: int = 5
    """Connections that the pool keeps open."""

    max_overflow: int = 0
    """Connections that the pool may open in addition."""

    pool_timeout_s: float = 30.0
    """Seconds that a checkout waits for a free connection."""

    pool_pre_ping: bool = False
    """Whether each checkout tests its connection first."""

    def script(self, *, read_only: bool) -> str:
        """Return the statements that set up one connection."""
        pragmas = {
            "busy_timeout": self.busy_timeout_ms,  # first, so that a change of the journal mode waits for its lock
            "journal_mode": self.journal_mode,
            "synchronous": self.synchronous,
            "foreign_keys": int(self.foreign_keys),
            "cache_size": -self.cache_size_kib,
            "temp_store": self.temp_store,
        }
        if read_only:
            del pragmas["journal_mode"]  # a property of the file, which a read-only connection cannot change
        return "".join(f"PRAGMA {name}={value};" for name, value in pragmas.items())


DEFAULTS = SqliteOptions()
"""Well-tuned options for a service on one file."""


@asynccontextmanager
async def engine(path: Path, options: SqliteOptions = DEFAULTS, *, read_only: bool = False) -> AsyncIterator[AsyncEngine]:
    """Open a connection pool to the database in `path`, created if it is missing; close it at the end.

    Raises:
        UsageError: there is no such folder, or no such file to open read-only.
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
    _configure(made, options, read_only=read_only)
    try:
        yield made
    finally:
        await made.dispose()


def _configure(engine: AsyncEngine, options: SqliteOptions, *, read_only: bool) -> None:
    script = options.script(read_only=read_only)

    def set_up(connection: Any, _record: object) -> None:
        if options.begin:
            connection.isolation_level = None  # the driver begins no transaction
        connection.run_async(lambda driver: driver.executescript(script))  # one hop to the driver's thread for all of them

    event.listen(engine.sync_engine, "connect", set_up)
    if options.begin:
        embedded.emit_begin(engine.sync_engine, options.begin)


def _check(path: Path, *, read_only: bool) -> None:
    if read_only and not path.is_file():
        raise UsageError(f"there is no database {path}; create it before opening it read-only")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for the database {path.name}; create it or choose another")


def _url(path: Path, *, read_only: bool) -> URL:
    if not read_only:
        return URL.create("sqlite+aiosqlite", database=str(path.absolute()))
    return URL.create("sqlite+aiosqlite", database=path.absolute().as_uri(), query={"mode": "ro", "uri": "true"})


async def settings(engine: AsyncEngine) -> dict[str, str]:
    """Return versions, compile options, the effective PRAGMAs of a connection, and the pool, for the run record."""
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
        **pool_settings(engine),
    }


def checkpoint(path: Path) -> Path:
    """Write the write-ahead log back into the database file, so that the file alone is the whole database; return its path.

    Raises:
        UsageError: there is no such database, it is still in use, or the disk is full.
    """
    if not path.is_file():
        raise UsageError(f"there is no database {path} to checkpoint; create it first")
    with (
        _usage_errors(path, "write the log back into"),
        closing(sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None)) as connection,
    ):
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy or embedded.has_log(path):
        raise UsageError(f"{path} is still in use; close its connections before the checkpoint")
    return path


class SqliteDatabases(embedded.FileDatabases):
    """A setting's SQLite files."""

    driver, migrator = "sqlite+aiosqlite", "sqlite+pysqlite"

    def checkpoint(self, name: str) -> None:
        """Write the log back into the file; see `checkpoint`."""
        checkpoint(self.path(name))

    def configure(self, engine: AsyncEngine, options: ConnectionOptions = DEFAULT_OPTIONS) -> None:
        """Set up the connections that an engine for `url` opens; a read-only one has `mode=ro` in its URL."""
        _configure(engine, _sqlite_options(options), read_only=engine.url.query.get("mode") == "ro")

    def open(self, name: str, options: ConnectionOptions = DEFAULT_OPTIONS) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open a connection pool; see `engine`."""
        return engine(self.existing_path(name), _sqlite_options(options))

    def open_undo(self, name: str) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open one connection with foreign keys unchecked, whose transactions the driver begins."""
        return engine(self.existing_path(name), SqliteOptions(begin=None, foreign_keys=False, pool_size=1))

    async def settings(self, engine: AsyncEngine) -> Mapping[str, str]:
        """Return versions, compile options, PRAGMAs and the pool; see `settings`."""
        return await settings(engine)


def databases(setting: Setting) -> SqliteDatabases:
    """Return the databases of a setting."""
    return SqliteDatabases(setting)


def _sqlite_options(options: ConnectionOptions) -> SqliteOptions:
    return SqliteOptions(
        cache_size_kib=SMALL_CACHE_KIB if options.small_cache else DEFAULTS.cache_size_kib,
        begin="BEGIN IMMEDIATE" if options.write_lock_first else "BEGIN",
        pool_size=options.pool_size,
        max_overflow=options.max_overflow,
        pool_timeout_s=options.pool_timeout_s,
        pool_pre_ping=options.pool_pre_ping,
    )


@contextmanager
def _usage_errors(path: Path, action: str) -> Iterator[None]:
    """Convert errors of the driver and the file system into a UsageError that names the file and the next step."""
    try:
        with embedded.usage_errors(path, action):
            yield
    except sqlite3.Error as error:
        raise UsageError(f"cannot {action} {path}: {error}; close its connections, {embedded.FOLDER_ADVICE}") from error
