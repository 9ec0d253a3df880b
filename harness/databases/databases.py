"""An engine's databases in one run: made from rows, copied, migrated, opened and removed, by name.

Each module in `harness.databases.engines` is one engine. It says whether it is `EMBEDDED` (no server, no network), and has
`databases(setting)`; one with a server has `server(folder)`, a context manager that yields the server's URL.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import URL, Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.databases.rows import RowBlock
from harness.errors import UsageError
from harness.scenario import Setting

Change = Callable[[Connection], None]


@dataclass(frozen=True)
class ConnectionOptions:
    """How an instance's connections are set up, whatever the engine.

    `pool_timeout_s` is how long a checkout waits for a free connection. `small_cache` leaves an embedded engine its own default
    page cache, for scenarios with memory on trial. `write_lock_first` makes an embedded engine's transactions take the write lock
    when they begin (BEGIN IMMEDIATE); a server has no such lock.
    """

    pool_size: int = 5
    max_overflow: int = 0
    pool_timeout_s: float = 30.0
    pool_pre_ping: bool = False
    small_cache: bool = False
    write_lock_first: bool = False


DEFAULTS = ConnectionOptions()


class Databases(Protocol):
    """One engine's databases in one run. Names are short and made of letters, digits, dashes and dots.

    A name that begins with `shared-` is the whole run's; any other is the scenario's own (its `setting.folder`).
    """

    def exists(self, name: str) -> bool:
        """Say whether there is such a database, complete."""
        ...

    def fill(self, name: str, metadata: MetaData, blocks: Iterable[RowBlock]) -> dict[str, int]:
        """Make a database of these tables and rows, with the tables' indexes, as large loads do; return its rows by table.

        Raises:
            UsageError: it is there already, the disk is full, or the rows do not fit the tables.
        """
        ...

    def copy(self, source: str, target: str) -> None:
        """Make `target` a copy of `source`, in place of what it was. Nobody may be connected to either.

        Raises:
            UsageError: there is no such source, it is in use, or the disk is full.
        """
        ...

    def migrate(self, name: str, change: Change) -> None:
        """Change a database's schema on a plain synchronous connection, in a transaction of its own."""
        ...

    def rename(self, name: str, to: str) -> None:
        """Give a database that nobody is connected to another name, in one step."""
        ...

    def rest(self, name: str) -> None:
        """Bring a database that was open into a state that can be copied: an embedded engine folds its log in."""
        ...

    def remove(self, name: str) -> None:
        """Delete a database; a missing one is fine."""
        ...

    def url(self, name: str) -> URL:
        """Return the database's address at the setting's distance, with the async driver: for engines of somebody else's making."""
        ...

    def configure(self, engine: AsyncEngine, options: ConnectionOptions = DEFAULTS) -> None:
        """Give an engine made for `url` the listeners that this kind needs: an embedded one's PRAGMAs and BEGIN, for instance."""
        ...

    def open(self, name: str, options: ConnectionOptions = DEFAULTS) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open a pool of connections to a database, at the setting's distance, and close them all at the end."""
        ...

    def open_undo(self, name: str) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open a second way in for taking back what an operation wrote: one connection, at no distance, foreign keys unchecked."""
        ...

    async def settings(self, engine: AsyncEngine) -> Mapping[str, str]:
        """Return the engine's versions and settings in effect, for the run record."""
        ...


def databases(setting: Setting) -> Databases:
    """Return the databases of a setting's engine.

    Raises:
        UsageError: there is no such engine, or its driver is not installed.
    """
    try:
        module = importlib.import_module(f"harness.databases.engines.{setting.engine}")
    except ModuleNotFoundError as error:
        if error.name == f"harness.databases.engines.{setting.engine}":
            raise UsageError(f"no engine named {setting.engine!r}; `harness run --help` lists them") from error
        raise UsageError(f"{error.name} is not installed; install the extra `{setting.engine}` of this project") from error
    found: Databases = module.databases(setting)
    return found
