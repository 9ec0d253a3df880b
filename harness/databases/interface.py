"""The interface that every database engine implements: one engine's databases in one run, by name."""

import platform
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
from sqlalchemy import URL, Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from harness.databases.engines import load_engine
from harness.runtime.snapshot_cache import CacheSlot, cache_slot
from harness.scenario import Setting

Migration = Callable[[Connection], None]
"""A schema change, executed on a synchronous connection."""


class RowBlock(Protocol):
    """Some rows of one table, as columns of equal length.

    A column is a NumPy array of numbers, booleans or datetime64, or a sequence of values that the sqlite3 driver accepts. NULL is
    None, NaN in an array of floats, NaT in an array of times.
    """

    @property
    def table(self) -> str:
        """Name of the table."""

    @property
    def columns(self) -> Mapping[str, Sequence[Any] | np.ndarray[Any, Any]]:
        """Columns by name."""

    @property
    def rows(self) -> int:
        """Number of rows."""


@dataclass(frozen=True)
class ConnectionOptions:
    """Options of an instance's connection pool, for any engine; the first four are SQLAlchemy's."""

    pool_size: int = 5
    max_overflow: int = 0
    pool_timeout_s: float = 30.0
    pool_pre_ping: bool = False
    small_cache: bool = False
    """Whether an embedded engine keeps its own default page cache, for scenarios that measure memory."""
    write_lock_first: bool = False
    """Whether an embedded engine's transactions begin with the write lock (BEGIN IMMEDIATE). Servers have no such lock."""
    undo: bool = False
    """Whether foreign keys are unchecked, and an embedded engine's driver begins transactions; see `Databases.open_undo`."""


DEFAULT_OPTIONS = ConnectionOptions()


class Databases(ABC):
    """One engine's databases in one run. Names are short: letters, digits, dashes and dots.

    A database whose name begins with `shared-` belongs to the whole run; any other belongs to the scenario (`setting.folder`).

    Raises:
        UsageError: by any method: a database is missing, exists already or is in use, rows do not match its tables, or the disk is
            full. The message has the next step.
    """

    @staticmethod
    def is_shared(name: str) -> bool:
        """Return whether a database belongs to the whole run."""
        return name.startswith("shared-")

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Return whether there is such a database, completely filled."""

    @abstractmethod
    def fill(self, name: str, metadata: MetaData, blocks: Iterable[RowBlock]) -> dict[str, int]:
        """Create a database with these tables, their indexes and rows by bulk load; return the number of rows by table."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Replace `target` by a copy of `source`. Neither may have open connections."""

    @abstractmethod
    def migrate(self, name: str, migration: Migration) -> None:
        """Execute a migration on a synchronous connection, in one transaction."""

    @abstractmethod
    def rename(self, name: str, to: str) -> None:
        """Rename a database without open connections, atomically."""

    @abstractmethod
    def checkpoint(self, name: str) -> None:
        """Prepare a database for copying after it was open: an embedded engine writes its log back into the file."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Delete a database; a missing one is not an error."""

    @abstractmethod
    def version(self) -> str:
        """Return the exact version of the engine and of all that decides on the content of its files, for the snapshot cache."""

    def slot(self, parts: Mapping[str, str] | None) -> AbstractContextManager[CacheSlot]:
        """Return the place in the snapshot cache of a database that depends on these parts; one without a cache for None."""
        return cache_slot(parts)

    @abstractmethod
    def restore(self, name: str, slot: CacheSlot) -> str | None:
        """Create a database, which is only copied from then on, from the snapshot cache; return its note, None if it has none."""

    @abstractmethod
    def keep(self, name: str, slot: CacheSlot, note: str) -> None:
        """Keep a database, which is only copied from then on, in the snapshot cache, with a note."""

    @abstractmethod
    def url(self, name: str) -> URL:
        """Return the URL with the asyncio driver, through the network latency of the setting; see `configure`."""

    @abstractmethod
    def configure(self, engine: AsyncEngine, options: ConnectionOptions = DEFAULT_OPTIONS) -> None:
        """Add the listeners that this kind of database needs, such as PRAGMAs and BEGIN, to an engine created for `url`."""

    @abstractmethod
    def open(self, name: str, options: ConnectionOptions = DEFAULT_OPTIONS) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open a connection pool through the network latency of the setting; close it at the end."""

    def open_undo(self, name: str) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open one connection for undoing what an operation wrote: without network latency, foreign keys unchecked."""
        return self.open(name, ConnectionOptions(pool_size=1, undo=True))

    @abstractmethod
    async def settings(self, engine: AsyncEngine) -> dict[str, str]:
        """Return the engine's versions and effective settings, for the run record."""


def databases(setting: Setting) -> Databases:
    """Return the databases of a setting's engine; UsageError if there is no such engine, or its driver is not installed."""
    found: Databases = load_engine(setting.engine).databases(setting)
    return found


@asynccontextmanager
async def open_pool(
    url: URL, options: ConnectionOptions, configure: Callable[[AsyncEngine, ConnectionOptions], object], **arguments: Any
) -> AsyncIterator[AsyncEngine]:
    """Open a connection pool with these options and more `arguments` of SQLAlchemy's, configure it, and close it at the end."""
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=options.pool_size,
        max_overflow=options.max_overflow,
        pool_timeout=options.pool_timeout_s,
        pool_pre_ping=options.pool_pre_ping,
        **arguments,
    )
    configure(engine, options)
    try:
        yield engine
    finally:
        await engine.dispose()


def client_facts(engine: AsyncEngine) -> dict[str, str]:
    """Return the versions of SQLAlchemy and Python, and the class and size of an engine's pool, for the run record."""
    pool = engine.sync_engine.pool
    described = {"sqlalchemy": version("sqlalchemy"), "python": platform.python_version(), "pool": type(pool).__name__}
    if isinstance(pool, QueuePool):
        overflow = pool._max_overflow  # noqa: SLF001 - it has no public name
        described |= {"pool size": str(pool.size()), "pool overflow": str(overflow)}
    return described
