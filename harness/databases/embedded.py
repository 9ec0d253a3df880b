"""Databases that are files of an engine inside the process: the common part of SQLite and Turso.

Both have SQLite's file format and its write-ahead log, a file next to the database. A copy of the database file alone would miss
the transactions in the log, so a checkpoint writes them back first.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from harness.databases.interface import DEFAULT_OPTIONS, SHARED_PREFIX, ConnectionOptions, Migration, RowBlock
from harness.databases.load_sqlite import load_sqlite
from harness.errors import UsageError
from harness.scenario import Setting

BEGIN_OPTION = "sqlite_begin"
"""Execution option with the statement that begins a connection's transactions, such as "BEGIN IMMEDIATE" for a writer."""

FOLDER_ADVICE = "free disk space there or choose another folder"

_SIDECARS = ("-wal", "-shm", "-journal")


class FileDatabases(ABC):
    """A setting's databases, each a file `NAME.db` in its folder; those named `shared-…` are in the run's shared folder."""

    driver: ClassVar[str]
    """SQLAlchemy's name of the asyncio driver, for instances."""

    migrator: ClassVar[str]
    """SQLAlchemy's name of the synchronous driver, for migrations."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def path(self, name: str) -> Path:
        """Return the path of a database, which need not exist."""
        folder = self._setting.shared if name.startswith(SHARED_PREFIX) else self._setting.folder
        return folder / f"{name}.db"

    def exists(self, name: str) -> bool:
        """Return whether there is such a database; a file gets its name when it is complete."""
        return self.path(name).is_file()

    def fill(self, name: str, metadata: MetaData, blocks: Iterable[RowBlock]) -> dict[str, int]:
        """Create a database with these tables and rows; return the number of rows by table. SQLite writes it for both engines.

        It has no statistics for the query planner: neither engine gathers them without ANALYZE.

        Raises:
            UsageError: it exists or cannot be written, the disk is full, or the rows do not match the tables.
        """
        return load_sqlite(self.path(name), metadata, blocks, analyse=False)

    def copy(self, source: str, target: str) -> None:
        """Replace `target` by a copy of `source`, after a checkpoint of the source.

        Raises:
            UsageError: there is no such source, it is in use, or the copy cannot be written.
        """
        if has_log(self.path(source)):
            self.checkpoint(source)
        restore(self.path(source), self.path(target))

    def migrate(self, name: str, migration: Migration) -> None:
        """Execute a migration with the engine itself, in one transaction.

        Raises:
            UsageError: there is no such database.
        """
        engine = create_engine(URL.create(self.migrator, database=str(self.existing_path(name))), poolclass=NullPool)
        event.listen(engine, "connect", disable_driver_transactions)
        emit_begin(engine, "BEGIN")
        with engine.begin() as connection:
            migration(connection)
        self.checkpoint(name)

    def rename(self, name: str, to: str) -> None:
        """Rename a database without open connections; one that has the new name is replaced.

        Raises:
            UsageError: there is no such database, it is in use, or the folder cannot be written.
        """
        old, new = self.existing_path(name), self.path(to)
        if has_log(old):
            self.checkpoint(name)
        move(old, new)
        remove(old)

    def remove(self, name: str) -> None:
        """Delete a database with its log; a missing one is not an error.

        Raises:
            UsageError: a file cannot be deleted.
        """
        remove(self.path(name))

    def url(self, name: str) -> URL:
        """Return the URL for an engine that the caller creates and passes to `configure`."""
        return URL.create(self.driver, database=str(self.path(name).absolute()))

    def existing_path(self, name: str) -> Path:
        """Return the path of an existing database.

        Raises:
            UsageError: there is none; both engines would create an empty one.
        """
        path = self.path(name)
        if not path.is_file():
            raise UsageError(f"there is no database {path}; fill it or copy one there first")
        return path

    @abstractmethod
    def checkpoint(self, name: str) -> None:
        """Write the log of a database back into its file.

        Raises:
            UsageError: there is no such database, it is still in use, or the disk is full.
        """

    @abstractmethod
    def configure(self, engine: AsyncEngine, options: ConnectionOptions = DEFAULT_OPTIONS) -> None:
        """Set the PRAGMAs of every connection of an engine created for `url`, and the statement that begins its transactions."""

    @abstractmethod
    def open(self, name: str, options: ConnectionOptions = DEFAULT_OPTIONS) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open a connection pool and close it at the end.

        Raises:
            UsageError: there is no such database.
        """

    @abstractmethod
    def open_undo(self, name: str) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open one connection with foreign keys unchecked, whose transactions the driver begins.

        Raises:
            UsageError: there is no such database.
        """

    @abstractmethod
    async def settings(self, engine: AsyncEngine) -> Mapping[str, str]:
        """Return versions, the effective PRAGMAs of a connection, and the pool, for the run record."""


def emit_begin(engine: Engine, statement: str) -> None:
    """Let SQLAlchemy begin an engine's transactions with this statement: the drivers begin none before a SAVEPOINT."""
    engine.update_execution_options(**{BEGIN_OPTION: statement})
    event.listen(engine, "begin", _begin)


def restore(snapshot: Path, target: Path) -> Path:
    """Replace the database `target`, including its log, by a copy of `snapshot`; return `target`.

    No connection may have `target` open: it would continue with the deleted file.

    Raises:
        UsageError: there is no such snapshot, it has a log, or the copy cannot be written.
    """
    if not snapshot.is_file():
        raise UsageError(f"there is no snapshot {snapshot}; create it first")
    if has_log(snapshot):
        raise UsageError(f"{snapshot} has a log and is not the whole database; write the log back with checkpoint() first")
    partial = target.with_name(f".{target.name}.partial")
    with usage_errors(target, f"restore {snapshot} to"):
        try:
            shutil.copyfile(snapshot, partial)
            move(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    return target


def move(source: Path, target: Path) -> None:
    """Rename a database without a log; remove `target` and its log first, which would be replayed into the new file.

    Raises:
        UsageError: a file cannot be renamed or deleted.
    """
    remove(target)
    with usage_errors(target, f"rename {source} to"):
        source.replace(target)


def remove(path: Path) -> None:
    """Delete a database with its log and shared memory; missing files are not an error.

    Raises:
        UsageError: a file cannot be deleted.
    """
    with usage_errors(path, "remove"):
        for file in (path, *_sidecars(path)):
            file.unlink(missing_ok=True)


def has_log(path: Path) -> bool:
    """Return whether a database has a log with content, so that its file alone is not the whole database."""
    return any(side.exists() and side.stat().st_size for side in _sidecars(path))


@contextmanager
def usage_errors(path: Path, action: str) -> Iterator[None]:
    """Convert errors of the file system into a UsageError that names the file and the next step."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot {action} {path}: {error.strerror or error}; {FOLDER_ADVICE}") from error


def _sidecars(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _SIDECARS]


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()[BEGIN_OPTION])


def disable_driver_transactions(connection: Any, _record: object) -> None:
    """Let a connection's driver begin no transaction: SQLAlchemy begins them, as on every other engine."""
    connection.isolation_level = None
