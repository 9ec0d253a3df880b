"""PostgreSQL through asyncpg: filled by COPY, copied as a template, reached at the setting's distance.

A run's databases are all called `<namespace>.<name>`, where the namespace is the database that the server's URL names. On a server
of the person's own it is a new one; it and what is called after it is dropped at the end, and nothing else is touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL, MetaData, NullPool, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from harness.databases.databases import DEFAULTS, Change, ConnectionOptions
from harness.databases.load_postgres import load_postgres
from harness.databases.postgres_connection import connected, finish, refusing
from harness.databases.rows import RowBlock
from harness.errors import UsageError
from harness.scenario import Setting
from harness.servers.postgres_server import SETTINGS, URL_VARIABLE, given, started

EMBEDDED = False

APPLICATION = "harness"
"""What the run's connections call themselves in pg_stat_activity."""

_SHARED = "shared-"
_PARTIAL = ".partial"
_NAME_BYTES = 63
_HAS_STRATEGIES = (15,)

_RECORDED = """
SELECT name, current_setting(name) AS value FROM pg_settings
WHERE name = ANY($1) OR name IN ('block_size', 'data_checksums', 'server_encoding', 'wal_level')
   OR (source NOT IN ('default', 'override', 'client', 'session') AND setting IS DISTINCT FROM boot_val
       AND category ~ '^(Autovacuum|Lock Management|Query Tuning|Resource Usage|Write-Ahead Log / (Settings|Checkpoints))')
ORDER BY name
"""


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Yield the URL of a server: the one that HARNESS_POSTGRES_URL names, or one started here, with its log in `folder`.

    Raises:
        NotMeasurableError: none is named, and none can be started here.
        UsageError: the one named does not answer or may not be used, or the one here does not start.
    """
    named = os.environ.get(URL_VARIABLE)
    with _namespace(given(named)) if named else started(folder) as url:
        yield url.render_as_string(hide_password=False)


@contextmanager
def _namespace(url: URL) -> Iterator[URL]:
    """Make a database whose name nobody else has, and drop it at the end with all that are called after it."""
    name = f"harness-{secrets.token_hex(4)}"
    with refusing("make a database", url):
        finish(_execute(url, f"CREATE DATABASE {_quoted(name)}"))
    try:
        yield url.set(database=name)
    except BaseException:
        with contextlib.suppress(UsageError):  # what went wrong first is what is told
            _drop_namespace(url, name)
        raise
    _drop_namespace(url, name)


def _drop_namespace(url: URL, name: str) -> None:
    async def drop() -> None:
        async with connected(url) as connection:
            ours = "SELECT datname FROM pg_database WHERE datname = $1 OR starts_with(datname, $1 || '.') ORDER BY datname DESC"
            for (each,) in await connection.fetch(ours, name):
                await connection.execute(_drop(each))

    with refusing(f"drop the databases called {name}", url):
        finish(drop())


def databases(setting: Setting) -> PostgresDatabases:
    """Return the databases of a setting on the server that it holds.

    Raises:
        UsageError: the setting holds none.
    """
    if "postgres" not in setting.servers:
        raise UsageError("the setting holds no PostgreSQL server; let the scenario's `servers` start it")
    held = setting.servers["postgres"]
    return PostgresDatabases(make_url(held.near), make_url(held.far), setting.folder)


@dataclass(frozen=True)
class PostgresDatabases:
    """The databases of one run on one server; see `harness.databases.databases.Databases`. `near` and `far` name the namespace."""

    near: URL
    far: URL
    folder: Path

    def exists(self, name: str) -> bool:
        """Say whether there is such a database, complete."""

        async def ask() -> bool:
            async with connected(self.near) as connection:
                return bool(await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", self._full(name)))

        with refusing(f"look for the database {name}", self.near):
            return finish(ask())

    def fill(self, name: str, metadata: MetaData, blocks: Iterable[RowBlock]) -> dict[str, int]:
        """Make a database of these tables and rows, with the tables' indexes; return its rows by table.

        Raises:
            UsageError: it is there already, the disk is full, or the rows do not fit the tables.
        """
        if self.exists(name):
            raise UsageError(f"the database {name} is there already; remove it or name another")

        async def make() -> dict[str, int]:
            partial = self._full(name) + _PARTIAL
            # A template of its own, so that text sorts the same on every server.
            fresh = f"CREATE DATABASE {_quoted(partial)} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
            await _execute(self.near, _drop(partial), fresh)
            try:
                rows = await load_postgres(self.near.set(database=partial), metadata, blocks)
                await _execute(self.near, _rename(partial, self._full(name)))
            except BaseException:
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await _execute(self.near, _drop(partial))
                raise
            return rows

        with refusing(f"fill the database {name}", self.near):
            return finish(make())

    def copy(self, source: str, target: str) -> None:
        """Make `target` a copy of `source`, in place of what it was. Nobody may be connected to either.

        Raises:
            UsageError: there is no such source, it is in use, or the disk is full.
        """

        async def make() -> None:
            async with connected(self.near) as connection:
                await connection.execute(_drop(self._full(target)))
                # Of the two ways, copying files is as fast for a small database and faster for a large one, and it leaves nothing
                # to be written to disk afterwards, while pairs are timed. It is the only way before PostgreSQL 15.
                strategy = " STRATEGY file_copy" if connection.get_server_version() >= _HAS_STRATEGIES else ""
                made = f"CREATE DATABASE {_quoted(self._full(target))} TEMPLATE {_quoted(self._full(source))}{strategy}"
                await connection.execute(made)

        with refusing(f"copy the database {source} to {target}", self.near):
            finish(make())

    def migrate(self, name: str, change: Change) -> None:
        """Change a database's schema on a plain synchronous connection, in a transaction of its own."""

        async def make() -> None:
            engine = create_async_engine(self.near.set(database=self._full(name)), poolclass=NullPool)
            try:
                async with engine.begin() as connection:
                    await connection.run_sync(change)
            finally:
                await engine.dispose()

        finish(make())

    def rename(self, name: str, to: str) -> None:
        """Give a database that nobody is connected to another name, in one step.

        Raises:
            UsageError: there is no such database, it is in use, or there is one of the other name.
        """
        with refusing(f"rename the database {name} to {to}", self.near):
            finish(_execute(self.near, _rename(self._full(name), self._full(to))))

    def rest(self, name: str) -> None:
        """Do nothing: a server's database can be copied once nobody is connected to it."""

    def remove(self, name: str) -> None:
        """Delete a database, whoever has left a connection to it open; a missing one is fine."""
        with refusing(f"remove the database {name}", self.near):
            finish(_execute(self.near, _drop(self._full(name))))

    def url(self, name: str) -> URL:
        """Return the database's address at the setting's distance."""
        return self.far.set(database=self._full(name))

    def configure(self, engine: AsyncEngine, options: ConnectionOptions = DEFAULTS) -> None:
        """Do nothing: what a connection needs is the server's to say."""

    @asynccontextmanager
    async def open(self, name: str, options: ConnectionOptions = DEFAULTS) -> AsyncIterator[AsyncEngine]:
        """Open a pool of connections to a database, at the setting's distance, and close them all at the end."""
        async with _opened(self.url(name), options) as engine:
            yield engine

    @asynccontextmanager
    async def open_undo(self, name: str) -> AsyncIterator[AsyncEngine]:
        """Open one connection at no distance, foreign keys unchecked where the server lets its user say so."""
        async with _opened(self.near.set(database=self._full(name)), ConnectionOptions(pool_size=1)) as engine:
            event.listen(engine.sync_engine, "connect", _unchecked)
            yield engine

    async def settings(self, engine: AsyncEngine) -> dict[str, str]:
        """Return versions, the server settings that matter to speed, and the pool, for the run record."""
        return await settings(engine)

    def _full(self, name: str) -> str:
        """Return a name that no other scenario's database has, and that PostgreSQL does not cut."""
        whose = "" if name.startswith(_SHARED) else str(self.folder)
        ending = f"-{hashlib.sha256(f'{whose}/{name}'.encode()).hexdigest()[:10]}"
        beginning = f"{self.near.database}.{name}"
        return beginning[: _NAME_BYTES - len(ending) - len(_PARTIAL)] + ending


async def settings(engine: AsyncEngine) -> dict[str, str]:
    """Return versions, the server settings that matter to speed, and the pool, for the run record.

    Of the server's settings there are those that `SETTINGS` chooses, and those about work and memory that differ from the default.
    The others may hold paths and secrets.
    """
    async with engine.connect() as connection:
        full = str((await connection.exec_driver_sql("SELECT version()")).scalar_one())
        rows = (await connection.exec_driver_sql(_RECORDED, (list(SETTINGS),))).all()
    pool = engine.sync_engine.pool
    described = {"pool": type(pool).__name__}
    if isinstance(pool, QueuePool):
        overflow = pool._max_overflow  # noqa: SLF001 - it has no public name
        described |= {"pool size": str(pool.size()), "pool overflow": str(overflow)}
    return {
        "postgresql": full,
        **{f"setting {name}": value for name, value in rows},
        "asyncpg": version("asyncpg"),
        "sqlalchemy": version("sqlalchemy"),
        "python": platform.python_version(),
        **described,
    }


@asynccontextmanager
async def _opened(url: URL, options: ConnectionOptions) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=options.pool_size,
        max_overflow=options.max_overflow,
        pool_timeout=options.pool_timeout_s,
        pool_pre_ping=options.pool_pre_ping,
        connect_args={"server_settings": {"application_name": APPLICATION}},
    )
    try:
        yield engine
    finally:
        await engine.dispose()


def _unchecked(connection: Any, _record: object) -> None:
    """Let triggers rest on a new connection, those that check foreign keys among them: the superuser's right, or a granted one."""

    async def rest(driver: asyncpg.Connection) -> None:
        with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
            await driver.execute("SET session_replication_role = replica")

    connection.run_async(rest)


async def _execute(url: URL, *statements: str) -> None:
    async with connected(url) as connection:
        for statement in statements:
            await connection.execute(statement)


def _drop(name: str) -> str:
    return f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)"


def _rename(name: str, to: str) -> str:
    return f"ALTER DATABASE {_quoted(name)} RENAME TO {_quoted(to)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
