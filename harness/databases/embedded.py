"""Databases that are files of an engine inside the process: the common part of SQLite and Turso.

Both have SQLite's file format and its write-ahead log, a file next to the database. A copy of the database file alone would miss
the transactions in the log, so a checkpoint writes them back first. Left to itself the driver begins no transaction before a
SAVEPOINT, so that rows released from one survive the outer ROLLBACK. Here SQLAlchemy emits BEGIN, and a rollback undoes everything.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from sqlalchemy import URL, Engine, MetaData, create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import NullPool

from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions, Databases, Migration, RowBlock, client_facts, open_pool
from harness.databases.load_sqlite import load_sqlite
from harness.errors import UsageError
from harness.runtime.cloning import clone
from harness.runtime.snapshot_cache import CacheSlot
from harness.scenario import Setting

BEGIN_OPTION = "sqlite_begin"
"""Execution option with the statement that begins a connection's transactions, such as "BEGIN IMMEDIATE" for a writer."""

BUSY_TIMEOUT_MS = 5_000
CACHE_KIB = 64 * 1024
"""Page cache of one connection."""

_FILE = ("auto_vacuum", "encoding", "journal_mode", "journal_size_limit", "page_count", "page_size", "wal_autocheckpoint")
_MEMORY = ("cache_size", "cache_spill", "mmap_size", "secure_delete", "temp_store", "threads")
_ACCESS = ("busy_timeout", "locking_mode", "query_only", "read_uncommitted", "synchronous")
PRAGMAS = sorted((*_FILE, *_MEMORY, *_ACCESS, "automatic_index", "foreign_keys", "recursive_triggers"))
"""The PRAGMAs in the run record, of those that an engine knows."""

_FOLDER_ADVICE = "free disk space there or choose another folder"
_LOCK_WAIT_MS = 1_000


class FileDatabases(Databases):
    """A setting's databases, each a file `NAME.db` in its folder; those named `shared-…` are in the run's shared folder."""

    driver: ClassVar[str]
    """SQLAlchemy's name of the asyncio driver, for instances."""
    migrator: ClassVar[str]
    """SQLAlchemy's name of the synchronous driver, for migrations."""
    dbapi: ClassVar[ModuleType]
    """The synchronous driver's module."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    @abstractmethod
    async def versions(self, connection: AsyncConnection) -> dict[str, str]:
        """Return the versions of the engine and its driver, for the run record."""

    def path(self, name: str) -> Path:
        """Return the path of a database, which need not exist."""
        folder = self._setting.shared if self.is_shared(name) else self._setting.folder
        return folder / f"{name}.db"

    def existing_path(self, name: str) -> Path:
        """Return the path of an existing database; UsageError if there is none, since both engines would create an empty one."""
        path = self.path(name)
        if not path.is_file():
            raise UsageError(f"there is no database {path}; fill it or copy one there first")
        return path

    def _snapshot(self, name: str) -> Path:
        """Return the path of a database that is only copied: a link to a file in the snapshot cache, which no engine opens."""
        return self.path(name).with_suffix(".snapshot")

    def exists(self, name: str) -> bool:
        """Return whether there is such a database; a file gets its name when it is complete."""
        return self.path(name).is_file() or self._snapshot(name).is_file()

    def fill(self, name: str, metadata: MetaData, blocks: Iterable[RowBlock]) -> dict[str, int]:
        """Create a database with SQLite, for both engines; without statistics, which neither gathers without ANALYZE."""
        return load_sqlite(self.path(name), metadata, blocks, analyse=False)

    def copy(self, source: str, target: str) -> None:
        """Replace `target`, including its log, by a copy of `source`, after a checkpoint of the source."""
        old, new = self._snapshot(source), self.path(target)
        if not old.is_file():
            old = self.existing_path(source)
            if has_log(old):
                self.checkpoint(source)
        partial = new.with_name(f".{new.name}.partial")
        with _usage_errors(new, f"copy {old} to"):
            try:
                clone(old, partial)
                _remove(new)  # its log would be replayed into the new file
                partial.replace(new)
            finally:
                partial.unlink(missing_ok=True)

    def migrate(self, name: str, migration: Migration) -> None:
        """Execute a migration with the engine itself, in one transaction."""
        engine = create_engine(URL.create(self.migrator, database=str(self.existing_path(name))), poolclass=NullPool)
        event.listen(engine, "connect", disable_driver_transactions)
        emit_begin(engine, "BEGIN")
        with engine.begin() as connection:
            migration(connection)
        self.checkpoint(name)

    def rename(self, name: str, to: str) -> None:
        """Rename a database without open connections; one that has the new name is replaced."""
        old, new = self.existing_path(name), self.path(to)
        if has_log(old):
            self.checkpoint(name)
        with _usage_errors(new, f"rename {old} to"):
            _remove(new)
            old.replace(new)
            _remove(old)

    def checkpoint(self, name: str) -> None:
        """Write the log of a database back into its file."""
        path = self.existing_path(name)
        try:
            with closing(self.dbapi.connect(str(path), isolation_level=None)) as connection:
                connection.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT_MS}")
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except Exception as error:
            # Some of Turso's errors are not DB-API classes; they are recognised by their module.
            if type(error).__module__.partition(".")[0] != self.dbapi.__name__:
                raise
            advice = f"close its connections, {_FOLDER_ADVICE}"
            raise UsageError(f"cannot write the log back into {path}: {error}; {advice}") from error
        if busy or has_log(path):
            raise UsageError(f"{path} is still in use; close its connections before copying it")

    def remove(self, name: str) -> None:
        """Delete a database with its log; a missing one is not an error."""
        with _usage_errors(self.path(name), "remove"):
            _remove(self.path(name))
            self._snapshot(name).unlink(missing_ok=True)

    def restore(self, name: str, slot: CacheSlot) -> str | None:
        """Create a snapshot from the cache; return its note, None if the cache does not have it."""
        return slot.restore(self._snapshot(name))

    def keep(self, name: str, slot: CacheSlot, note: str) -> None:
        """Move a database into the cache, if there is one, and turn it into a snapshot."""
        path = self.existing_path(name)
        with _usage_errors(path, "replace"):
            if slot.store(path, self._snapshot(name), note):
                _remove(path)  # its log, which is empty

    def url(self, name: str) -> URL:
        """Return the URL for an engine that the caller creates and passes to `configure`."""
        return URL.create(self.driver, database=str(self.path(name).absolute()))

    def open(self, name: str, options: ConnectionOptions = DEFAULT_OPTIONS) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open a connection pool and close it at the end."""
        self.existing_path(name)
        return open_pool(self.url(name), options, self.configure)

    async def settings(self, engine: AsyncEngine) -> dict[str, str]:
        """Return versions, the effective PRAGMAs of a connection, and the pool, for the run record."""
        async with engine.connect() as connection:
            described = await self.versions(connection)
            for name in PRAGMAS:
                result = await connection.exec_driver_sql(f"PRAGMA {name}")
                if result.returns_rows:
                    described[f"PRAGMA {name}"] = str(result.scalar_one_or_none())
        described["begin"] = str(engine.sync_engine.get_execution_options().get(BEGIN_OPTION, "left to the driver"))
        return described | client_facts(engine)


def set_up(engine: AsyncEngine, options: ConnectionOptions, *, small_cache_kib: int | None, **others: object) -> None:
    """Set the same PRAGMAs on every connection of any engine, so that all have the same durability; then those in `others`.

    SQLAlchemy begins the transactions, unless the connections are for undoing.
    """
    pragmas: dict[str, object] = {"busy_timeout": BUSY_TIMEOUT_MS}  # first, so that a change of the journal mode waits for its lock
    pragmas |= {"foreign_keys": int(not options.undo), "synchronous": "NORMAL", "temp_store": "MEMORY", **others}
    if cache_kib := small_cache_kib if options.small_cache else CACHE_KIB:
        pragmas["cache_size"] = -cache_kib
    script = "".join(f"PRAGMA {name}={value};" for name, value in pragmas.items())

    def connected(connection: Any, _record: object) -> None:
        connection.run_async(lambda driver: driver.executescript(script))  # one hop to the driver's thread for all of them

    event.listen(engine.sync_engine, "connect", connected)
    if not options.undo:
        emit_begin(engine.sync_engine, "BEGIN IMMEDIATE" if options.write_lock_first else "BEGIN")


def disable_driver_transactions(connection: Any, _record: object) -> None:
    """Let the driver of a new connection begin no transaction; a listener for `connect`, for drivers that would."""
    connection.isolation_level = None


def emit_begin(engine: Engine, statement: str) -> None:
    """Let SQLAlchemy begin an engine's transactions with this statement: the drivers begin none before a SAVEPOINT."""
    engine.update_execution_options(**{BEGIN_OPTION: statement})
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(connection.get_execution_options()[BEGIN_OPTION]))


def has_log(path: Path) -> bool:
    """Return whether a database has a log with content, so that its file alone is not the whole database."""
    return any(side.exists() and side.stat().st_size for side in _sidecars(path))


def _remove(path: Path) -> None:
    for file in (path, *_sidecars(path)):
        file.unlink(missing_ok=True)


@contextmanager
def _usage_errors(path: Path, action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot {action} {path}: {error.strerror or error}; {_FOLDER_ADVICE}") from error


def _sidecars(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal")]
