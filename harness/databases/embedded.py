"""Databases that are files, of an engine inside the process: found by name, copied, migrated, opened and removed.

What SQLite and Turso share. Both keep SQLite's file format and its write-ahead log, a file beside the database; what lies in the
log is missing from a copy of the database alone, so it is folded in first.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool, QueuePool

from harness.databases.databases import DEFAULTS, Change, ConnectionOptions
from harness.databases.rows import RowBlock, load_sqlite
from harness.errors import UsageError
from harness.scenario import Setting

BEGIN_OPTION = "sqlite_begin"
"""Execution option that overrides how one connection's transactions begin, such as "BEGIN IMMEDIATE" for a writer."""

FOLDER_ADVICE = "free some space there or name another folder"

_SIDECARS = ("-wal", "-shm", "-journal")
_SHARED = "shared-"


class FileDatabases(ABC):
    """A setting's databases, each a file `NAME.db` in its folder; those of the whole run, `shared-…`, in its shared folder."""

    driver: ClassVar[str]
    migrator: ClassVar[str]
    """SQLAlchemy's names of the asyncio driver that instances use, and of the synchronous one for migrations."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def path(self, name: str) -> Path:
        """Return where a database lies, or will."""
        folder = self._setting.shared if name.startswith(_SHARED) else self._setting.folder
        return folder / f"{name}.db"

    def exists(self, name: str) -> bool:
        """Say whether there is such a database; a file gets its name when it is complete."""
        return self.path(name).is_file()

    def fill(self, name: str, metadata: MetaData, blocks: Iterable[RowBlock]) -> dict[str, int]:
        """Make a database of these tables and rows, and count them by table. SQLite makes the file for both engines.

        It has no statistics for the planner: no engine gathers them unasked.

        Raises:
            UsageError: it is there already or cannot be written, the disk is full, or the rows do not fit the tables.
        """
        return load_sqlite(self.path(name), metadata, blocks, analyse=False)

    def copy(self, source: str, target: str) -> None:
        """Make `target` a copy of `source`, in place of what it was; what its log holds is folded in first.

        Raises:
            UsageError: there is no such source, it is in use, or the copy cannot be written.
        """
        if has_log(self.path(source)):
            self.rest(source)
        restore(self.path(source), self.path(target))

    def migrate(self, name: str, change: Change) -> None:
        """Change a database by the engine itself, in one transaction: all of the change, or nothing of it.

        Raises:
            UsageError: there is no such database.
        """
        engine = create_engine(URL.create(self.migrator, database=str(self.there(name))), poolclass=NullPool)
        event.listen(engine, "connect", _leave_transactions)
        begins(engine, "BEGIN")
        with engine.begin() as connection:
            change(connection)
        self.rest(name)

    def rename(self, name: str, to: str) -> None:
        """Give a database that nobody is connected to another name, in place of what had it.

        Raises:
            UsageError: there is no such database, it is in use, or the folder cannot be written.
        """
        old, new = self.there(name), self.path(to)
        if has_log(old):
            self.rest(name)
        put(old, new)
        remove(old)

    def remove(self, name: str) -> None:
        """Delete a database with its log; a missing one is fine.

        Raises:
            UsageError: a file cannot be deleted.
        """
        remove(self.path(name))

    def url(self, name: str) -> URL:
        """Return the address for an engine of somebody else's making, who then calls `configure` on it."""
        return URL.create(self.driver, database=str(self.path(name).absolute()))

    def there(self, name: str) -> Path:
        """Return where a database lies.

        Raises:
            UsageError: there is none; both engines would make an empty one.
        """
        path = self.path(name)
        if not path.is_file():
            raise UsageError(f"no database {path}; fill it, or copy one there, first")
        return path

    @abstractmethod
    def rest(self, name: str) -> None:
        """Fold what is in the log of a database into its file.

        Raises:
            UsageError: there is no such database, it is still in use, or the disk is full.
        """

    @abstractmethod
    def configure(self, engine: AsyncEngine, options: ConnectionOptions = DEFAULTS) -> None:
        """Set up every connection that an engine made for `url` will open, and say how its transactions begin."""

    @abstractmethod
    def open(self, name: str, options: ConnectionOptions = DEFAULTS) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open a pool of connections, and close them all at the end.

        Raises:
            UsageError: there is no such database.
        """

    @abstractmethod
    def open_undo(self, name: str) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open one connection with foreign keys unchecked, whose transactions are left to the driver.

        Raises:
            UsageError: there is no such database.
        """

    @abstractmethod
    async def settings(self, engine: AsyncEngine) -> Mapping[str, str]:
        """Return versions, the PRAGMAs in effect on a connection, and the pool, for the run record."""


def begins(engine: Engine, statement: str) -> None:
    """Let SQLAlchemy say how an engine's transactions begin, because the drivers begin none before a SAVEPOINT."""
    engine.update_execution_options(**{BEGIN_OPTION: statement})
    event.listen(engine, "begin", _begin)


def pool_settings(engine: AsyncEngine) -> dict[str, str]:
    """Return the kind and size of an engine's pool, for the run record."""
    pool = engine.sync_engine.pool
    described = {"pool": type(pool).__name__}
    if isinstance(pool, QueuePool):
        overflow = pool._max_overflow  # noqa: SLF001 - it has no public name
        described |= {"pool size": str(pool.size()), "pool overflow": str(overflow)}
    return described


def restore(snapshot: Path, target: Path) -> Path:
    """Put a fresh copy of `snapshot` in `target`'s place, nothing of the old database left; return it.

    No connection may have `target` open: it would go on with the file that is gone.

    Raises:
        UsageError: there is no such snapshot, it has a log of its own, or the copy cannot be written.
    """
    if not snapshot.is_file():
        raise UsageError(f"no snapshot {snapshot} to restore; make it first")
    if has_log(snapshot):
        raise UsageError(f"{snapshot} is not the whole database, a log lies beside it; fold it in with snapshot()")
    partial = target.with_name(f".{target.name}.partial")
    with refusing(target, f"restore {snapshot} to"):
        try:
            shutil.copyfile(snapshot, partial)
            put(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    return target


def put(whole: Path, target: Path) -> None:
    """Give a database without a log another name, nothing left of what had it: an old log would be replayed into it.

    Raises:
        UsageError: a file cannot be renamed or deleted.
    """
    remove(target)
    with refusing(target, f"rename {whole} to"):
        whole.replace(target)


def remove(path: Path) -> None:
    """Delete a database with its log and shared memory; missing files are fine.

    Raises:
        UsageError: a file cannot be deleted.
    """
    with refusing(path, "remove"):
        for file in (path, *_sidecars(path)):
            file.unlink(missing_ok=True)


def has_log(path: Path) -> bool:
    """Say whether something lies in a log beside a database, so that its file alone is not the whole."""
    return any(side.exists() and side.stat().st_size for side in _sidecars(path))


@contextmanager
def refusing(path: Path, doing: str) -> Iterator[None]:
    """Turn what the disk says into one line that names the file."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot {doing} {path}: {error.strerror or error}; {FOLDER_ADVICE}") from error


def _sidecars(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _SIDECARS]


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()[BEGIN_OPTION])


def _leave_transactions(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver keeps out of transactions
