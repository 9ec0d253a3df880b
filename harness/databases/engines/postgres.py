"""PostgreSQL through asyncpg: filled by COPY, copied as a template, reached through the network latency of the setting.

A run's databases are named `<namespace>.<name>`, where the namespace is the database in the server's URL. On the user's server it
is a new one; at the end it is dropped with all databases named after it, and nothing else on the server is changed.
"""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import asyncpg
from sqlalchemy import URL, MetaData, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions, Databases, Migration, RowBlock, client_facts, open_pool
from harness.databases.load_postgres import load_postgres
from harness.databases.postgres_server import SETTINGS, URL_VARIABLE, connect, external_url, local_server, run, run_coroutine
from harness.errors import UsageError
from harness.runtime.clock import utc_now
from harness.runtime.snapshot_cache import CacheSlot, cache_key
from harness.scenario import Setting

EMBEDDED = False

APPLICATION = "harness"
"""Name of the run's connections in pg_stat_activity."""

_PARTIAL = ".partial"
_NAME_BYTES = 63
_HAS_STRATEGIES = (15,)

# Other settings may contain paths and secrets.
_RECORDED = """
SELECT name, current_setting(name) AS value FROM pg_settings
WHERE name = ANY($1) OR name IN ('block_size', 'data_checksums', 'server_encoding', 'wal_level')
   OR (source NOT IN ('default', 'override', 'client', 'session') AND setting IS DISTINCT FROM boot_val
       AND category ~ '^(Autovacuum|Lock Management|Query Tuning|Resource Usage|Write-Ahead Log / (Settings|Checkpoints))')
ORDER BY name
"""


# The databases of a run and of earlier ones, with what was noted about those that can be used again.
_COMMENTS = """
SELECT datname, shobj_description(oid, 'pg_database') AS comment, pg_database_size(oid) AS size FROM pg_database
WHERE datname = $1 OR ($1::text IS NULL AND starts_with(datname, current_database() || '.'))
"""


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Yield the URL of a server: the one in HARNESS_POSTGRES_URL, or a local one with its log in `folder`.

    Raises:
        NotMeasurableError: the variable is not set, and no local server can be started.
        UsageError: the server in the variable does not reply or cannot be used, or the local one does not start.
    """
    external = os.environ.get(URL_VARIABLE)
    with _namespace(external_url(external)) if external else local_server(folder, _tidy) as url:
        yield url.render_as_string(hide_password=False)


@contextmanager
def _namespace(url: URL) -> Iterator[URL]:
    """Create a database with a unique name; at the end drop it and all databases named after it."""
    name = f"harness-{secrets.token_hex(4)}"
    run("create a database", url, _execute(url, f"CREATE DATABASE {_quoted(name)}"))
    try:
        yield url.set(database=name)
    except BaseException:
        with contextlib.suppress(UsageError):  # the first error is the one to report
            _drop_namespace(url, name)
        raise
    _drop_namespace(url, name)


def _drop_namespace(url: URL, name: str) -> None:
    query = "SELECT datname FROM pg_database WHERE datname = $1 OR starts_with(datname, $1 || '.') ORDER BY datname DESC"
    action = f"drop the databases named {name}"
    run(action, url, _execute(url, *(_drop(each) for (each,) in run(action, url, _fetch(url, query, name)))))


def _tidy(url: URL, limit: int) -> bool:
    """Leave the databases that later runs can use, and drop all others; return whether there are any.

    Those that were not used for longest are dropped, too, if all of them have more than `limit` bytes. False if that fails.
    """
    with contextlib.suppress(UsageError):
        return run("keep databases", url, _kept(url, limit))
    return False


async def _kept(url: URL, limit: int) -> bool:
    found = await _fetch(url, _COMMENTS, None)
    marked = {each["datname"]: json.loads(each["comment"]) for each in found if each["comment"]}
    statements, total, kept = [_drop(each["datname"]) for each in found if not each["comment"]], 0, 0
    sizes, now = {each["datname"]: each["size"] for each in found}, utc_now().isoformat()
    is_used = {name: name != _kept_name(url, comment["key"]) for name, comment in marked.items()}
    for name, comment in sorted(marked.items(), key=lambda item: now if is_used[item[0]] else item[1]["used_at"], reverse=True):
        total += sizes[name]
        if total > limit:
            statements.append(_drop(name))
            continue
        kept += 1
        if is_used[name]:
            to = _kept_name(url, comment["key"])
            statements += [_drop(to), _rename(name, to), _mark(to, {**comment, "used_at": now})]
    await _execute(url, *statements)
    return kept > 0


def _kept_name(url: URL, key: str) -> str:
    """Return the name of a database that waits for the next run."""
    return f"{url.database}.kept-{key}"


def databases(setting: Setting) -> "PostgresDatabases":
    """Return the databases of a setting on its server; UsageError if it has none."""
    if "postgres" not in setting.servers:
        raise UsageError("the setting has no PostgreSQL server; start it in the scenario's `servers`")
    server = setting.servers["postgres"]
    return PostgresDatabases(make_url(server.direct_url), make_url(server.url), setting.folder)


@dataclass(frozen=True)
class PostgresDatabases(Databases):
    """The databases of one run on one server."""

    direct_url: URL
    """URL of the server itself; its database is the namespace."""
    client_url: URL
    """The same through the network latency of the setting."""
    folder: Path
    """The scenario's folder, which keeps its databases apart from those of other scenarios."""

    def exists(self, name: str) -> bool:
        """Return whether there is such a database, completely filled."""
        query = _fetch(self.direct_url, "SELECT FROM pg_database WHERE datname = $1", self._full(name))
        return bool(run(f"look for the database {name}", self.direct_url, query))

    def fill(self, name: str, metadata: MetaData, blocks: Iterable[RowBlock]) -> dict[str, int]:
        """Create a database with these tables, their indexes and rows; return the number of rows by table."""
        if self.exists(name):
            raise UsageError(f"the database {name} exists already; remove it or choose another name")

        async def fill() -> dict[str, int]:
            partial = self._full(name) + _PARTIAL
            # From template0 and with a fixed collation, so that text sorts the same on every server.
            create = f"CREATE DATABASE {_quoted(partial)} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
            await _execute(self.direct_url, _drop(partial), create)
            try:
                rows = await load_postgres(self.direct_url.set(database=partial), metadata, blocks)
                await _execute(self.direct_url, _rename(partial, self._full(name)))
            except BaseException:
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await _execute(self.direct_url, _drop(partial))
                raise
            return rows

        return run(f"fill the database {name}", self.direct_url, fill())

    def copy(self, source: str, target: str) -> None:
        """Replace `target` by a copy of `source`. Neither may have open connections."""

        async def make() -> None:
            async with connect(self.direct_url) as connection:
                await connection.execute(_drop(self._full(target)))
                # Of the two strategies, copying files is as fast for a small database and faster for a large one, and it leaves
                # nothing to be written to disk later, while pairs are timed. Before PostgreSQL 15 it is the only one.
                strategy = " STRATEGY file_copy" if connection.get_server_version() >= _HAS_STRATEGIES else ""
                create = f"CREATE DATABASE {_quoted(self._full(target))} TEMPLATE {_quoted(self._full(source))}{strategy}"
                await connection.execute(create)

        run(f"copy the database {source} to {target}", self.direct_url, make())

    def migrate(self, name: str, migration: Migration) -> None:
        """Execute a migration on a synchronous connection, in one transaction."""

        async def make() -> None:
            async with open_pool(self._direct(name), DEFAULT_OPTIONS, self.configure) as engine, engine.begin() as connection:
                await connection.run_sync(migration)

        run_coroutine(make())

    def rename(self, name: str, to: str) -> None:
        """Rename a database without open connections, atomically; the new name may not be taken."""
        statement = _rename(self._full(name), self._full(to))
        run(f"rename the database {name} to {to}", self.direct_url, _execute(self.direct_url, statement))

    def checkpoint(self, name: str) -> None:
        """Do nothing: a server's database can be copied once it has no open connections."""

    def remove(self, name: str) -> None:
        """Delete a database, even with open connections; a missing one is not an error."""
        run(f"remove the database {name}", self.direct_url, _execute(self.direct_url, _drop(self._full(name))))

    def version(self) -> str:
        """Return the server's version."""
        return str(run("read the version", self.direct_url, _fetch(self.direct_url, "SELECT version()"))[0][0])

    def slot(self, parts: Mapping[str, str] | None) -> AbstractContextManager[CacheSlot]:
        """Return the identity of a database; the cache has the server's data as a whole."""
        return contextlib.nullcontext(CacheSlot(parts=parts or {}))

    def restore(self, name: str, slot: CacheSlot) -> str | None:
        """Rename a database that an earlier run on this server's data kept; return its note, None if there is none."""
        if not slot.parts:
            return None
        kept = _kept_name(self.direct_url, cache_key(slot.parts))

        async def find() -> str | None:
            for found in await _fetch(self.direct_url, _COMMENTS, kept):
                await _execute(self.direct_url, _rename(kept, self._full(name)))
                return str(json.loads(found["comment"])["note"])
            return None

        return run(f"restore the database {name}", self.direct_url, find())

    def keep(self, name: str, slot: CacheSlot, note: str) -> None:
        """Mark a database for later runs on this server's data."""
        if slot.parts:
            statement = _mark(self._full(name), {"key": cache_key(slot.parts), "note": note, "used_at": utc_now().isoformat()})
            run(f"mark the database {name}", self.direct_url, _execute(self.direct_url, statement))

    def url(self, name: str) -> URL:
        """Return the database's URL through the network latency of the setting."""
        return self.client_url.set(database=self._full(name))

    def configure(self, engine: AsyncEngine, options: ConnectionOptions = DEFAULT_OPTIONS) -> None:
        """Let foreign keys be unchecked for undoing, if the user has the right to that; otherwise the server's settings apply."""
        if options.undo:
            event.listen(engine.sync_engine, "connect", lambda connection, _record: connection.run_async(_disable_triggers))

    def open(self, name: str, options: ConnectionOptions = DEFAULT_OPTIONS) -> AbstractAsyncContextManager[AsyncEngine]:
        """Open a connection pool through the network latency of the setting, for undoing without it; close it at the end."""
        url = self._direct(name) if options.undo else self.url(name)
        return open_pool(url, options, self.configure, connect_args={"server_settings": {"application_name": APPLICATION}})

    async def settings(self, engine: AsyncEngine) -> dict[str, str]:
        """Return versions, the settings in `SETTINGS`, those of work and memory that differ from the default, and the pool."""
        async with engine.connect() as connection:
            full = str((await connection.exec_driver_sql("SELECT version()")).scalar_one())
            rows = (await connection.exec_driver_sql(_RECORDED, (list(SETTINGS),))).all()
        versions = {"postgresql": full, "asyncpg": metadata.version("asyncpg")}
        return versions | {f"setting {name}": value for name, value in rows} | client_facts(engine)

    def _direct(self, name: str) -> URL:
        return self.direct_url.set(database=self._full(name))

    def _full(self, name: str) -> str:
        """Return a name that is unique among the scenarios' databases and short enough for PostgreSQL."""
        owner = "" if self.is_shared(name) else str(self.folder)
        ending = f"-{hashlib.sha256(f'{owner}/{name}'.encode()).hexdigest()[:10]}"
        beginning = f"{self.direct_url.database}.{name}"
        return beginning[: _NAME_BYTES - len(ending) - len(_PARTIAL)] + ending


async def _disable_triggers(driver: asyncpg.Connection) -> None:
    """Disable triggers, including foreign-key checks, on a connection: a right of superusers that can also be granted."""
    with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
        await driver.execute("SET session_replication_role = replica")


async def _fetch(url: URL, query: str, *arguments: object) -> list[asyncpg.Record]:
    async with connect(url) as connection:
        return list(await connection.fetch(query, *arguments))


async def _execute(url: URL, *statements: str) -> None:
    async with connect(url) as connection:
        for statement in statements:
            await connection.execute(statement)


def _drop(name: str) -> str:
    return f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)"


def _rename(name: str, to: str) -> str:
    return f"ALTER DATABASE {_quoted(name)} RENAME TO {_quoted(to)}"


def _mark(name: str, comment: Mapping[str, str]) -> str:
    text = json.dumps(comment).replace("'", "''")
    return f"COMMENT ON DATABASE {_quoted(name)} IS '{text}'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
