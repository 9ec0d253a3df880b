"""The PostgreSQL engine: databases by name, complete or absent, separate per scenario; the user's server is left unchanged."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import pytest
from sqlalchemy import Column, Connection, ForeignKey, Integer, MetaData, Table, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from harness.databases.engines import postgres
from harness.databases.engines.postgres import PostgresDatabases, databases, server
from harness.databases.interface import ConnectionOptions, Databases
from harness.databases.postgres_server import SETTINGS, URL_VARIABLE, connect, run_coroutine
from harness.errors import UsageError
from harness.scenario import Server, Setting
from tests.harness.databases.blocks import Rows

TABLES = MetaData()
Table("parents", TABLES, Column("id", Integer, primary_key=True))
Table("children", TABLES, Column("id", Integer, primary_key=True), Column("parent_id", ForeignKey("parents.id")))


PARENTS = Rows("parents", {"id": np.arange(5)})


def setting(url: str, folder: Path) -> Setting:
    """Return a scenario's setting on a server."""
    return Setting(folder, folder.parent, engine="postgres", servers={"postgres": Server(url, url)})


@pytest.fixture(scope="module")
def whole(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresDatabases]:
    """Yield a scenario's databases; `base` is filled and does not change."""
    found = databases(setting(postgres_url, tmp_path_factory.mktemp("scenario")))
    found.fill("base", TABLES, [PARENTS])
    yield found
    found.remove("base")


@pytest.fixture
def found(whole: PostgresDatabases) -> Iterator[PostgresDatabases]:
    """Yield the same databases; those that a test creates are removed."""
    yield whole
    for name in ("copy", "other"):
        whole.remove(name)


def query(url: Any, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Return a query's rows."""

    async def fetched() -> list[tuple[Any, ...]]:
        async with connect(make_url(url)) as connection:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]

    return asyncio.run(fetched())


def parents(found: PostgresDatabases, name: str) -> Any:
    """Return the number of a database's parents."""
    return query(found.url(name), "SELECT count(*) FROM parents")[0][0]


def all_databases(url: str) -> set[str]:
    """Return the names of all databases on a server."""
    return {name for (name,) in query(url, "SELECT datname FROM pg_database")}


def test_the_interface_is_implemented(found: PostgresDatabases) -> None:
    """The engine has all methods of the interface, as mypy checks."""
    protocol: Databases = found
    assert protocol.exists("base")


def test_a_database_is_filled_copied_renamed_and_removed(found: PostgresDatabases) -> None:
    """A copy replaces its target with the source's rows; a rename moves it; removing is repeatable."""
    assert not found.exists("copy")
    found.copy("base", "copy")
    query(found.url("copy"), "INSERT INTO parents VALUES (100)")
    assert (parents(found, "copy"), parents(found, "base")) == (6, 5)
    found.copy("base", "copy")
    assert parents(found, "copy") == 5
    found.rename("copy", "other")
    found.checkpoint("other")
    assert [found.exists(name) for name in ("base", "copy", "other")] == [True, False, True]
    for _ in range(2):
        found.remove("other")
    assert not found.exists("other")


def test_only_shared_databases_are_the_same_for_all_scenarios(found: PostgresDatabases, tmp_path: Path) -> None:
    """Two scenarios may use one name for separate databases; a name that begins with `shared-` is the same for both."""
    neighbour = replace(found, folder=tmp_path / "neighbour")
    assert not neighbour.exists("base")
    assert neighbour.url("shared-base") == found.url("shared-base") != found.url("base")


def test_long_names_stay_distinct(found: PostgresDatabases) -> None:
    """Names longer than PostgreSQL's limit differ although they begin alike, and the server truncates none."""
    for namespace in ("postgres", "harness-01234567"):
        long = replace(found, direct_url=found.direct_url.set(database=namespace))
        names = [f"shared-medium-0.0625-123456789-evaluations-prompts-test_results-{n}" for n in range(2)]
        full = [str(long.url(name).database) for name in names]
        assert full[0] != full[1]
        assert all(name.startswith(f"{namespace}.shared-") for name in full)
        assert max(len(f"{name}.partial".encode()) for name in full) == 63


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (
            [PARENTS, PARENTS],
            r"cannot fill the database other at 127\.0\.0\.1:\d+: .* is duplicated\..*; correct the rows, which do not",
        ),
        ([Rows("parents", {"id": [2**31]})], r"cannot load parents\.id as int4: 2147483648 is not between"),
    ],
)
def test_a_failed_fill_leaves_nothing(found: PostgresDatabases, blocks: list[Rows], message: str) -> None:
    """Invalid rows are a one-line error, and neither the database nor a partial one remains."""
    url = found.direct_url.render_as_string(hide_password=False)
    before = all_databases(url)
    with pytest.raises(UsageError, match=f"^{message}") as refusal:
        found.fill("other", TABLES, blocks)
    assert "\n" not in str(refusal.value)
    assert all_databases(url) == before


def test_a_connection_lost_while_filling_is_one_line(found: PostgresDatabases) -> None:
    """The message names the lost connection, and no partial database remains."""
    url = found.direct_url.render_as_string(hide_password=False)
    before = all_databases(url)

    async def end_other_connections() -> None:
        async with connect(found.direct_url) as connection:
            await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE '%.partial'")

    def blocks() -> Iterator[Rows]:
        for n in range(1_000):
            if n == 5:
                run_coroutine(end_other_connections())
            yield Rows("parents", {"id": np.arange(n * 1_000, (n + 1) * 1_000)})

    with pytest.raises(UsageError, match=r"^cannot fill the database other at .*connection.*; see the server's log$"):
        found.fill("other", TABLES, blocks())
    assert all_databases(url) == before


def test_a_filled_database_is_not_filled_again(found: PostgresDatabases) -> None:
    """An existing database is refused and not changed."""
    with pytest.raises(UsageError, match=r"^the database base exists already; remove it or choose another name$"):
        found.fill("base", TABLES, [])
    assert parents(found, "base") == 5


def test_a_missing_source_and_a_taken_name_are_named(found: PostgresDatabases) -> None:
    """A missing source and a new name that is taken are named with the next step."""
    with pytest.raises(UsageError, match=r"^cannot copy the database nothing to copy at .* does not exist; create it first$"):
        found.copy("nothing", "copy")
    with pytest.raises(UsageError, match=r"^cannot rename the database nothing to copy at .* does not exist; create it first$"):
        found.rename("nothing", "copy")
    found.copy("base", "copy")
    with pytest.raises(UsageError, match=r"^cannot rename the database copy to base at .* already exists; remove it, or choose"):
        found.rename("copy", "base")


@pytest.mark.slow
def test_a_source_in_use_is_named(found: PostgresDatabases) -> None:
    """A source with an open connection cannot be copied; the message asks to close it."""

    async def in_use() -> None:
        async with connect(found.url("base")):
            with pytest.raises(UsageError, match=r"being accessed by other users.*; close its connections first$"):
                found.copy("base", "copy")

    asyncio.run(in_use())


def test_a_database_with_open_connections_can_be_removed(found: PostgresDatabases) -> None:
    """The open connection is closed."""

    async def left_open() -> None:
        found.copy("base", "copy")
        async with connect(found.url("copy")) as connection:
            found.remove("copy")
            with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
                await connection.fetchval("SELECT 1")

    asyncio.run(left_open())


def add_column(connection: Connection) -> None:
    """Change the schema."""
    connection.execute(text("ALTER TABLE parents ADD COLUMN name text"))


def migrate_and_fail(connection: Connection) -> None:
    """Change the schema, then fail."""
    add_column(connection)
    raise ZeroDivisionError


def columns(found: PostgresDatabases, name: str) -> list[Any]:
    """Return the columns of parents."""
    sql = "SELECT attname FROM pg_attribute WHERE attrelid = 'parents'::regclass AND attnum > 0"
    return [column for (column,) in query(found.url(name), sql)]


def test_a_migration_is_all_or_nothing(found: PostgresDatabases) -> None:
    """A migration that fails leaves the schema unchanged; one that works stays."""
    found.copy("base", "copy")
    with pytest.raises(ZeroDivisionError):
        found.migrate("copy", migrate_and_fail)
    assert columns(found, "copy") == ["id"]
    found.migrate("copy", add_column)
    assert columns(found, "copy") == ["id", "name"]


def test_everything_works_within_a_running_event_loop(found: PostgresDatabases) -> None:
    """Called from a coroutine, each method does its work before it returns."""

    async def everything() -> list[bool]:
        found.copy("base", "copy")
        found.migrate("copy", add_column)
        found.fill("other", TABLES, [PARENTS])
        existing = [found.exists("copy"), found.exists("other")]
        found.remove("copy")
        return [*existing, found.exists("copy")]

    assert asyncio.run(everything()) == [True, True, False]


def on(opened: Any, check: Callable[[AsyncEngine], Any]) -> Any:
    """Run a check on an engine."""

    async def checked() -> Any:
        async with opened as engine:
            return await check(engine)

    return asyncio.run(checked())


async def name_and_port(engine: AsyncEngine) -> tuple[Any, ...]:
    """Return a connection's application name and the server's port."""
    async with engine.connect() as connection:
        return tuple((await connection.execute(text("SELECT current_setting('application_name'), inet_server_port()"))).one())


def test_instances_connect_through_the_latency_and_undo_does_not(found: PostgresDatabases) -> None:
    """An engine uses the client URL, a name and the configured pool; the undo connection uses the direct URL."""
    delayed = replace(found, client_url=found.client_url.set(port=1))
    assert delayed.url("base").port == 1
    with pytest.raises(OSError):  # noqa: PT011 - the system's error for a closed port varies
        on(delayed.open("base"), name_and_port)
    assert on(delayed.open_undo("base"), name_and_port) == (postgres.APPLICATION, found.direct_url.port)

    async def pool(engine: AsyncEngine) -> tuple[Any, ...]:
        used = engine.sync_engine.pool
        assert isinstance(used, AsyncAdaptedQueuePool)
        return used.size(), used._max_overflow, used._timeout, used._pre_ping

    assert on(found.open("base", ConnectionOptions(3, 2, 1.5, pool_pre_ping=True)), pool) == (3, 2, 1.5, True)
    assert on(found.open_undo("base"), pool)[:2] == (1, 0)


async def insert_orphan(engine: AsyncEngine) -> None:
    """Insert a child without a parent."""
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO children VALUES (1, 99)"))


def test_foreign_keys_are_checked_except_for_undo(found: PostgresDatabases) -> None:
    """An instance's writes obey foreign keys; the undo connection, which restores rows in any order, need not."""
    found.copy("base", "copy")
    with pytest.raises(IntegrityError, match="children_parent_id_fkey"):
        on(found.open("copy"), insert_orphan)
    on(found.open_undo("copy"), insert_orphan)
    assert query(found.url("copy"), "SELECT id FROM children") == [(1,)]


def test_a_callers_engine_needs_no_configuration(found: PostgresDatabases) -> None:
    """An engine that the caller creates for the URL works without further set-up."""

    async def made() -> Any:
        engine = create_async_engine(found.url("base"), poolclass=NullPool)
        found.configure(engine)
        async with engine.connect() as connection:
            return (await connection.execute(text("SELECT count(*) FROM parents"))).scalar_one()

    assert asyncio.run(made()) == 5


def test_the_record_contains_versions_settings_and_pool(found: PostgresDatabases) -> None:
    """The settings contain all that a repetition needs, every chosen server setting included, and no path, address or password."""
    record = on(found.open("base", ConnectionOptions(pool_size=3, max_overflow=2)), found.settings)
    assert record["postgresql"].startswith("PostgreSQL ")
    assert {"asyncpg", "sqlalchemy", "python", "setting wal_level", "setting block_size"} <= set(record)
    assert {f"setting {name}" for name in SETTINGS} <= set(record)
    assert (record["pool"], record["pool size"], record["pool overflow"]) == ("AsyncAdaptedQueuePool", "3", "2")
    assert all(isinstance(value, str) for value in record.values())
    everything = repr(record)
    assert not any(part in everything for part in ("harness-postgres-", str(found.direct_url.port), str(found.direct_url.password)))


def test_a_setting_without_a_server_is_refused(tmp_path: Path) -> None:
    """Databases need the server that the scenario's `servers` started."""
    with pytest.raises(UsageError, match=r"^the setting has no PostgreSQL server; start it in the scenario's `servers`$"):
        databases(Setting(tmp_path, tmp_path, engine="postgres"))


@pytest.fixture
def external(postgres_url: str) -> Iterator[str]:
    """Yield the URL of a user's server, for a user who may create databases and nothing else, with a database `existing`."""
    query(postgres_url, "CREATE ROLE harness_owner LOGIN CREATEDB PASSWORD 'swordfish'")
    query(postgres_url, "CREATE DATABASE existing OWNER harness_owner")
    url = make_url(postgres_url).set(username="harness_owner", password="swordfish", database="existing")
    yield url.render_as_string(hide_password=False)
    query(postgres_url, "DROP DATABASE existing")
    query(postgres_url, "DROP ROLE harness_owner")


def test_the_users_server_is_left_unchanged(
    external: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All databases created there have the run's prefix and are dropped at its end, even if open; nothing else changes."""
    monkeypatch.setenv(URL_VARIABLE, external)
    before = all_databases(postgres_url)
    with server(tmp_path) as url:
        namespace = str(make_url(url).database)
        found = databases(setting(url, tmp_path))
        found.fill("shared-base", TABLES, [PARENTS])
        found.copy("shared-base", "copy")
        made = all_databases(postgres_url) - before
        assert len(made) == 3
        assert all(name == namespace or name.startswith(f"{namespace}.") for name in made)
        on(found.open("copy"), name_and_port)
        with pytest.raises(IntegrityError):  # this user has no right to disable foreign keys, so they are checked
            on(found.open_undo("copy"), insert_orphan)
    assert all_databases(postgres_url) == before
    assert query(external, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]


def test_a_failure_leaves_the_users_server_unchanged(
    external: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception passes through, and the run's databases are dropped; concurrent runs do not see each other's databases."""
    monkeypatch.setenv(URL_VARIABLE, external)
    before = all_databases(postgres_url)
    with server(tmp_path) as other:
        with contextlib.suppress(ZeroDivisionError), server(tmp_path) as url:
            databases(setting(url, tmp_path)).fill("base", TABLES, [PARENTS])
            assert not databases(setting(other, tmp_path)).exists("base")
            raise ZeroDivisionError
        assert all_databases(postgres_url) - before == {str(make_url(other).database)}
    assert all_databases(postgres_url) == before
