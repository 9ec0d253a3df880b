"""The PostgreSQL engine: databases by name, whole or not there, each scenario's own; a person's own server stays as it was."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
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
from harness.databases.postgres_connection import connect, run_coroutine
from harness.databases.postgres_server import SETTINGS, URL_VARIABLE
from harness.errors import UsageError
from harness.scenario import Server, Setting

TABLES = MetaData()
Table("parents", TABLES, Column("id", Integer, primary_key=True))
Table("children", TABLES, Column("id", Integer, primary_key=True), Column("parent_id", ForeignKey("parents.id")))


@dataclass(frozen=True)
class Rows:
    """A block for tests."""

    table: str
    columns: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))


PARENTS = Rows("parents", {"id": np.arange(5)})


def setting(url: str, folder: Path) -> Setting:
    """Return a scenario's setting on a server."""
    return Setting(folder, folder.parent, engine="postgres", servers={"postgres": Server(url, url)})


@pytest.fixture(scope="module")
def whole(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresDatabases]:
    """Yield a scenario's databases; `base` is filled and stays as it is."""
    found = databases(setting(postgres_url, tmp_path_factory.mktemp("scenario")))
    found.fill("base", TABLES, [PARENTS])
    yield found
    found.remove("base")


@pytest.fixture
def found(whole: PostgresDatabases) -> Iterator[PostgresDatabases]:
    """Yield the same; what a test makes is removed."""
    yield whole
    for name in ("copy", "other"):
        whole.remove(name)


def ask(url: Any, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Return a query's rows."""

    async def asked() -> list[tuple[Any, ...]]:
        async with connect(make_url(url)) as connection:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]

    return asyncio.run(asked())


def parents(found: PostgresDatabases, name: str) -> Any:
    """Count a database's parents."""
    return ask(found.url(name), "SELECT count(*) FROM parents")[0][0]


def all_databases(url: str) -> set[str]:
    """Return the names of all databases on a server."""
    return {name for (name,) in ask(url, "SELECT datname FROM pg_database")}


def test_the_protocol_is_fulfilled(found: PostgresDatabases) -> None:
    """What the stores ask of an engine is all there, as mypy sees it, too."""
    protocol: Databases = found
    assert protocol.exists("base")


def test_a_database_is_filled_copied_renamed_and_removed(found: PostgresDatabases) -> None:
    """A copy has the source's rows and takes the place of what was called so; names come and go; removing is repeatable."""
    assert not found.exists("copy")
    found.copy("base", "copy")
    ask(found.url("copy"), "INSERT INTO parents VALUES (100)")
    assert (parents(found, "copy"), parents(found, "base")) == (6, 5)
    found.copy("base", "copy")
    assert parents(found, "copy") == 5
    found.rename("copy", "other")
    found.checkpoint("other")
    assert [found.exists(name) for name in ("base", "copy", "other")] == [True, False, True]
    for _ in range(2):
        found.remove("other")
    assert not found.exists("other")


def test_scenarios_share_what_is_called_so(found: PostgresDatabases, tmp_path: Path) -> None:
    """Two scenarios may use one name for databases of their own; one that begins with `shared-` is the same for both."""
    neighbour = replace(found, folder=tmp_path / "neighbour")
    assert not neighbour.exists("base")
    assert neighbour.url("shared-base") == found.url("shared-base") != found.url("base")


def test_long_names_stay_apart(found: PostgresDatabases) -> None:
    """Names longer than PostgreSQL's differ although they begin alike, and none is cut by the server."""
    for namespace in ("postgres", "harness-01234567"):
        long = replace(found, direct_url=found.direct_url.set(database=namespace))
        names = [f"shared-medium-0.0625-123456789-evaluations-prompts-test_results-{n}" for n in range(2)]
        full = [str(long.url(name).database) for name in names]
        assert full[0] != full[1]
        assert all(name.startswith(f"{namespace}.shared-") for name in full)
        assert max(len(f"{name}.partial".encode()) for name in full) == 63


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        (
            [PARENTS, PARENTS],
            r"cannot fill the database other at 127\.0\.0\.1:\d+: .* is duplicated\..*; correct the rows, which do not",
        ),
        ([Rows("parents", {"id": [2**31]})], r"cannot load parents\.id as int4: 2147483648 is not between"),
    ],
)
def test_what_cannot_be_filled_is_not_there(found: PostgresDatabases, blocks: list[Rows], says: str) -> None:
    """Rows that do not fit are told in a line, and nothing by the name, nor half of it, stays."""
    near = found.direct_url.render_as_string(hide_password=False)
    before = all_databases(near)
    with pytest.raises(UsageError, match=f"^{says}") as refusal:
        found.fill("other", TABLES, blocks)
    assert "\n" not in str(refusal.value)
    assert all_databases(near) == before


def test_a_server_lost_while_filling_is_one_line(found: PostgresDatabases) -> None:
    """When the connection ends in the middle, the line says so, soon, and no half of a database stays."""
    near = found.direct_url.render_as_string(hide_password=False)
    before = all_databases(near)

    async def end_the_others() -> None:
        async with connect(found.direct_url) as connection:
            await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE '%.partial'")

    def blocks() -> Iterator[Rows]:
        for n in range(1_000):
            if n == 5:
                run_coroutine(end_the_others())
            yield Rows("parents", {"id": np.arange(n * 1_000, (n + 1) * 1_000)})

    with pytest.raises(UsageError, match=r"^cannot fill the database other at .*connection.*; see the server's log$"):
        found.fill("other", TABLES, blocks())
    assert all_databases(near) == before


def test_a_filled_database_is_not_filled_again(found: PostgresDatabases) -> None:
    """One that is there is refused and stays as it is."""
    with pytest.raises(UsageError, match=r"^the database base exists already; remove it or choose another name$"):
        found.fill("base", TABLES, [])
    assert parents(found, "base") == 5


def test_what_is_missing_or_taken_is_named(found: PostgresDatabases) -> None:
    """A source that is not there, and a new name that is taken, are told with the next step."""
    with pytest.raises(UsageError, match=r"^cannot copy the database nothing to copy at .* does not exist; create it first$"):
        found.copy("nothing", "copy")
    with pytest.raises(UsageError, match=r"^cannot rename the database nothing to copy at .* does not exist; create it first$"):
        found.rename("nothing", "copy")
    found.copy("base", "copy")
    with pytest.raises(UsageError, match=r"^cannot rename the database copy to base at .* already exists; remove it, or choose"):
        found.rename("copy", "base")


@pytest.mark.slow
def test_a_source_in_use_is_named(found: PostgresDatabases) -> None:
    """While somebody is connected to the source, which the server waits for, it cannot be copied; the line says what to close."""

    async def in_use() -> None:
        async with connect(found.url("base")):
            with pytest.raises(UsageError, match=r"being accessed by other users.*; close its connections first$"):
                found.copy("base", "copy")

    asyncio.run(in_use())


def test_a_database_left_open_can_be_removed(found: PostgresDatabases) -> None:
    """Whoever leaves a connection open loses it."""

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


def fail_half_way(connection: Connection) -> None:
    """Change the schema, and fail."""
    add_column(connection)
    raise ZeroDivisionError


def columns(found: PostgresDatabases, name: str) -> list[Any]:
    """Return the columns of parents."""
    sql = "SELECT attname FROM pg_attribute WHERE attrelid = 'parents'::regclass AND attnum > 0"
    return [column for (column,) in ask(found.url(name), sql)]


def test_a_change_of_schema_is_all_or_nothing(found: PostgresDatabases) -> None:
    """A change that fails leaves the schema as it was; one that works stays."""
    found.copy("base", "copy")
    with pytest.raises(ZeroDivisionError):
        found.migrate("copy", fail_half_way)
    assert columns(found, "copy") == ["id"]
    found.migrate("copy", add_column)
    assert columns(found, "copy") == ["id", "name"]


def test_all_this_can_be_done_while_an_event_loop_runs(found: PostgresDatabases) -> None:
    """Called from a coroutine, each does its work before it returns."""

    async def everything() -> list[bool]:
        found.copy("base", "copy")
        found.migrate("copy", add_column)
        found.fill("other", TABLES, [PARENTS])
        there = [found.exists("copy"), found.exists("other")]
        found.remove("copy")
        return [*there, found.exists("copy")]

    assert asyncio.run(everything()) == [True, True, False]


def on(opened: Any, check: Callable[[AsyncEngine], Any]) -> Any:
    """Run a check on an engine."""

    async def checked() -> Any:
        async with opened as engine:
            return await check(engine)

    return asyncio.run(checked())


async def who_and_where(engine: AsyncEngine) -> tuple[Any, ...]:
    """Return what the server knows of a connection."""
    async with engine.connect() as connection:
        return tuple((await connection.execute(text("SELECT current_setting('application_name'), inet_server_port()"))).one())


def test_instances_are_opened_far_and_undone_near(found: PostgresDatabases) -> None:
    """An engine goes by the far address and says who it is, with the pool asked for; the second way in goes by the near one."""
    lengthened = replace(found, client_url=found.client_url.set(port=1))
    assert lengthened.url("base").port == 1
    with pytest.raises(OSError):  # noqa: PT011 - whichever word the system has for nobody listening
        on(lengthened.open("base"), who_and_where)
    assert on(lengthened.open_undo("base"), who_and_where) == (postgres.APPLICATION, found.direct_url.port)

    async def pool(engine: AsyncEngine) -> tuple[Any, ...]:
        held = engine.sync_engine.pool
        assert isinstance(held, AsyncAdaptedQueuePool)
        return held.size(), held._max_overflow, held._timeout, held._pre_ping

    assert on(found.open("base", ConnectionOptions(3, 2, 1.5, pool_pre_ping=True)), pool) == (3, 2, 1.5, True)
    assert on(found.open_undo("base"), pool)[:2] == (1, 0)


async def insert_orphan(engine: AsyncEngine) -> None:
    """Insert a child without a parent."""
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO children VALUES (1, 99)"))


def test_foreign_keys_are_checked_but_for_taking_back(found: PostgresDatabases) -> None:
    """An instance's writes obey foreign keys; the second way in, which puts rows back in any order, need not."""
    found.copy("base", "copy")
    with pytest.raises(IntegrityError, match="children_parent_id_fkey"):
        on(found.open("copy"), insert_orphan)
    on(found.open_undo("copy"), insert_orphan)
    assert ask(found.url("copy"), "SELECT id FROM children") == [(1,)]


def test_engines_of_somebody_elses_making_are_left_alone(found: PostgresDatabases) -> None:
    """An engine made for the address needs nothing more, and works."""

    async def made() -> Any:
        engine = create_async_engine(found.url("base"), poolclass=NullPool)
        found.configure(engine)
        async with engine.connect() as connection:
            return (await connection.execute(text("SELECT count(*) FROM parents"))).scalar_one()

    assert asyncio.run(made()) == 5


def test_the_record_names_versions_settings_and_pool(found: PostgresDatabases) -> None:
    """What a reader needs to repeat a run is there, every setting that was chosen among it, and no path, address or password."""
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
def guest(postgres_url: str) -> Iterator[str]:
    """Yield the address of a person's own server and of a user who may create databases and nothing else; `theirs` is theirs."""
    ask(postgres_url, "CREATE ROLE harness_owner LOGIN CREATEDB PASSWORD 'swordfish'")
    ask(postgres_url, "CREATE DATABASE theirs OWNER harness_owner")
    url = make_url(postgres_url).set(username="harness_owner", password="swordfish", database="theirs")
    yield url.render_as_string(hide_password=False)
    ask(postgres_url, "DROP DATABASE theirs")
    ask(postgres_url, "DROP ROLE harness_owner")


def test_a_persons_own_server_is_left_as_it_was(
    guest: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is made there is called after the run and dropped at its end, left open or not; nothing else is touched."""
    monkeypatch.setenv(URL_VARIABLE, guest)
    before = all_databases(postgres_url)
    with server(tmp_path) as url:
        namespace = str(make_url(url).database)
        found = databases(setting(url, tmp_path))
        found.fill("shared-base", TABLES, [PARENTS])
        found.copy("shared-base", "copy")
        made = all_databases(postgres_url) - before
        assert len(made) == 3
        assert all(name == namespace or name.startswith(f"{namespace}.") for name in made)
        on(found.open("copy"), who_and_where)
        with pytest.raises(IntegrityError):  # this user may not leave foreign keys unchecked, so they are checked
            on(found.open_undo("copy"), insert_orphan)
    assert all_databases(postgres_url) == before
    assert ask(guest, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]


def test_a_failure_leaves_a_persons_own_server_as_it_was(
    guest: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception passes through, and the run's databases are dropped; two runs at once do not see each other's."""
    monkeypatch.setenv(URL_VARIABLE, guest)
    before = all_databases(postgres_url)
    with server(tmp_path) as other:
        with contextlib.suppress(ZeroDivisionError), server(tmp_path) as url:
            databases(setting(url, tmp_path)).fill("base", TABLES, [PARENTS])
            assert not databases(setting(other, tmp_path)).exists("base")
            raise ZeroDivisionError
        assert all_databases(postgres_url) - before == {str(make_url(other).database)}
    assert all_databases(postgres_url) == before
