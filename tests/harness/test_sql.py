"""The base class for SQLAlchemy applications, with a small application that knows nothing of this project."""

import asyncio
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Connection,
    DateTime,
    Engine,
    ForeignKey,
    Index,
    MetaData,
    create_engine,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from harness import Case, Group, NotMeasurableError, Server, Setting, SqlInstance, SqlScenario, SyncSqlInstance, UsageError, per
from harness.bench.verify import verify
from harness.bench.work_counts import count
from harness.databases.application_rows import ApplicationRows
from harness.databases.engines import postgres
from harness.runnable import runnable
from harness.scenario import Prepared

CUSTOMERS, ORDERS = 20, 2_000
_scales = (1 / n for n in range(2, 1_000))
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


class Base(DeclarativeBase):
    """The tables of a shop."""


class Customer(Base):
    """A customer."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    active: Mapped[bool | None]


class Order(Base):
    """An order of a customer."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    created_at: Mapped[datetime]
    price: Mapped[float]


def newest_orders(customer_id: int) -> Any:
    """Return the query of a customer's ten newest orders."""
    return select(Order.id, Order.created_at).where(Order.customer_id == customer_id).order_by(Order.created_at.desc()).limit(10)


class Shop(SqlScenario[Any]):
    """An index for a customer's newest orders."""

    arms = {"baseline": "no index", "optimised": "an index on (customer_id, created_at)"}  # noqa: RUF012 - as scenarios declare them
    groups = [Group("newest", "a customer's ten newest orders")]  # noqa: RUF012
    metadata = Base.metadata
    migrations = {"optimised": "CREATE INDEX newest_orders ON orders (customer_id, created_at)"}  # noqa: RUF012

    def data(self, setting: Setting) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
        """Yield customers and their orders."""
        draw = random.Random(setting.seed)
        yield "customers", ({"id": n, "name": f"customer {n}", "active": [True, False, None][n % 3]} for n in range(CUSTOMERS))
        yield (
            "orders",
            (
                {
                    "id": n,
                    "customer_id": draw.randrange(CUSTOMERS),
                    "created_at": (FIRST + timedelta(minutes=n)).replace(tzinfo=None),
                    "price": round(100 * draw.random(), 2),
                }
                for n in range(ORDERS)
            ),
        )

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return a few customers."""
        return [Case("newest", f"customer {n}", n) for n in range(3)]


class AsyncShop(Shop):
    """The shop, asynchronously."""

    async def run(self, instance: SqlInstance, case: Case) -> Any:
        """Query in a session."""
        async with instance.sessions() as session:
            return [tuple(row) for row in await session.execute(newest_orders(case.args))]


class SyncShop(Shop):
    """The shop, synchronously."""

    def run(self, instance: SyncSqlInstance, case: Case) -> Any:
        """Query in a session."""
        with instance.sessions() as session:
            return [tuple(row) for row in session.execute(newest_orders(case.args))]


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """Return a setting with its folders."""
    (tmp_path / "own").mkdir()
    (tmp_path / "shared").mkdir()
    return Setting(tmp_path / "own", tmp_path / "shared", size="tiny")


@pytest.fixture(params=["sqlite", "turso", "postgres"])
def anywhere(request: pytest.FixtureRequest, setting: Setting) -> Setting:
    """Return a setting of every engine that can run here."""
    if request.param == "turso":
        pytest.importorskip("turso")
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        scale = next(_scales)  # part of the database's name, since all tests share a server
        return replace(setting, engine="postgres", scale=scale, servers={"postgres": Server(url, url)})
    return replace(setting, engine=request.param)


async def with_arms(shop: Shop, setting: Setting, check: Callable[..., Any]) -> Any:
    """Open both arms and run a check on them."""
    async with AsyncExitStack() as stack:
        scenario = runnable(shop)
        instances = {arm: await stack.enter_async_context(scenario.open(arm, setting)) for arm in scenario.arms}
        return await check(scenario, instances)


@pytest.mark.parametrize("shop", [AsyncShop(), SyncShop()])
def test_an_application_is_verified_counted_and_explained(shop: Shop, anywhere: Setting) -> None:
    """Both arms agree; statements are counted, and their plans differ by the arm's index; ping works."""
    prepared = runnable(shop).prepare(anywhere)
    assert {name: prepared.dataset[name] for name in ("rows of customers", "rows of orders")} == {
        "rows of customers": CUSTOMERS,
        "rows of orders": ORDERS,
    }
    assert prepared.engine_settings["sqlalchemy"]
    cases = shop.cases(anywhere)

    async def check(scenario: Any, instances: Any) -> dict[str, tuple[float, bool]]:
        assert (await verify(scenario, instances, cases)).cases == len(cases)
        found = {}
        for arm, instance in instances.items():
            assert await scenario.ping(instance) == 1
            counted = {c.metric: c.value for c in await count(scenario, arm, instance, cases[0], 1.0)}
            assert counted["rows"] == 10
            assert ("vm_steps" in counted) == (anywhere.engine == "sqlite")
            (statement,) = await scenario.statements(instance, cases[0])
            assert "newest_orders" in " ".join(statement.plan) or arm == "baseline"
            found[arm] = (counted["statements"], statement.uses_index)
        return found

    assert asyncio.run(with_arms(shop, anywhere, check)) == {"baseline": (1, False), "optimised": (1, True)}


@pytest.mark.parametrize("shop", [AsyncShop(), SyncShop()])
def test_the_rows_are_those_that_the_application_reads(shop: Shop, anywhere: Setting) -> None:
    """Text, numbers, flags, NULL and times come back from the ORM as they were yielded."""
    runnable(shop).prepare(anywhere)
    expected = {name: [tuple(row.values()) for row in rows] for name, rows in shop.data(anywhere)}

    def read(session: Session) -> dict[str, list[Any]]:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(table.c.id))]
            for table in Base.metadata.sorted_tables
        }

    async def check(_scenario: Any, instances: Any) -> Any:
        instance = instances["baseline"]
        if isinstance(instance, SyncSqlInstance):
            with instance.sessions() as session:
                return read(session)
        async with instance.sessions() as session:
            return await session.run_sync(read)

    assert asyncio.run(with_arms(shop, anywhere, check)) == expected


@pytest.mark.parametrize("shop", [AsyncShop(), SyncShop()])
def test_an_instance_has_a_copy_of_its_own(shop: Shop, setting: Setting) -> None:
    """Writes through `engine` and `undo` are seen by this instance alone, and its files are removed at the end."""
    runnable(shop).prepare(setting)

    async def check(_scenario: Any, instances: Any) -> list[int]:
        counts = []
        for instance in instances.values():
            is_sync = isinstance(instance, SyncSqlInstance)
            for engine, sql in ((instance.engine, "DELETE FROM orders"), (instance.undo, "DELETE FROM customers WHERE id > 0")):
                if is_sync:
                    with engine.begin() as connection:
                        connection.execute(text(sql))
                else:
                    async with engine.begin() as connection:
                        await connection.execute(text(sql))
            statement = select(Customer.id)
            if is_sync:
                with instance.sessions() as session:
                    counts.append(len(session.scalars(statement).all()))
            else:
                async with instance.sessions() as session:
                    counts.append(len((await session.scalars(statement)).all()))
            break
        return counts

    assert asyncio.run(with_arms(shop, setting, check)) == [1]
    assert not list(setting.folder.glob("*.db"))
    assert len(list(setting.shared.glob("*.snapshot"))) == 2

    async def rows(_scenario: Any, instances: Any) -> int:
        instance = instances["baseline"]
        if isinstance(instance, SyncSqlInstance):
            with instance.sessions() as session:
                return len(session.scalars(select(Order.id)).all())
        async with instance.sessions() as session:
            return len((await session.scalars(select(Order.id))).all())

    assert asyncio.run(with_arms(shop, setting, rows)) == ORDERS


def test_synchronous_transactions_begin_as_asynchronous_ones(setting: Setting) -> None:
    """A SELECT begins a transaction, and connections have the same PRAGMAs."""
    runnable(SyncShop()).prepare(setting)

    async def check(_scenario: Any, instances: Any) -> tuple[bool, int]:
        with instances["baseline"].engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            driver: Any = connection.connection.driver_connection
            return driver.in_transaction, connection.execute(text("PRAGMA foreign_keys")).scalar_one()

    assert asyncio.run(with_arms(SyncShop(), setting, check)) == (True, 1)


def test_the_digest_is_that_of_the_rows(setting: Setting, tmp_path: Path) -> None:
    """The same seed has the same digest, sync or async; another seed or version has another one."""
    digests = []
    for number, (shop, seed) in enumerate([(AsyncShop(), 0), (SyncShop(), 0), (AsyncShop(), 1)]):
        own = tmp_path / str(number)
        own.mkdir()
        digests.append(runnable(shop).prepare(Setting(own, own, size="tiny", seed=seed)).dataset["digest"])
    assert digests[0] == digests[1] != digests[2]
    newer = AsyncShop()
    newer.data_version = "2"  # type: ignore[misc]  # of this one, not of the class
    assert runnable(newer).prepare(setting).dataset["digest"] not in digests


def test_preparing_again_makes_nothing_twice(setting: Setting) -> None:
    """Files stay as they are, and the same figures are returned."""
    first = runnable(AsyncShop()).prepare(setting)
    before = {file: file.stat().st_mtime_ns for file in setting.shared.glob("*.snapshot")}
    assert before
    assert runnable(AsyncShop()).prepare(setting) == first
    assert {file: file.stat().st_mtime_ns for file in setting.shared.glob("*.snapshot")} == before


INDEX = "CREATE INDEX newest_orders ON orders (customer_id, created_at)"


def _add_index(connection: Connection) -> None:
    if connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'newest_orders'")) == 0:
        connection.execute(text(INDEX))


@pytest.mark.parametrize(
    "migration",
    [_add_index, [INDEX, "/* for\nlater */ create table more (x INTEGER)"]],
)
def test_a_migration_is_a_function_or_several_statements(setting: Setting, migration: Any) -> None:
    """Each gives the arm its index; arms with the same migration share a snapshot."""
    shop = AsyncShop()
    shop.migrations = {"optimised": migration, "baseline": migration}  # type: ignore[misc]  # of this one, not of the class
    changes = runnable(shop).prepare(setting).changes
    assert changes == dict.fromkeys(["optimised", "baseline"], [INDEX] if callable(migration) else migration)

    async def check(scenario: Any, instances: Any) -> list[bool]:
        return [(await scenario.statements(i, Case("newest", "", 1)))[0].uses_index for i in instances.values()]

    assert asyncio.run(with_arms(shop, setting, check)) == [True, True]
    assert len(list(setting.shared.glob("*.snapshot"))) == 2


def test_a_migration_that_was_cut_short_is_made_again(setting: Setting) -> None:
    """A process that was killed between the snapshot and its record leaves the first alone."""
    first = runnable(AsyncShop()).prepare(setting)
    (snapshot,) = [file for file in setting.shared.glob("*.snapshot") if "-sql-" in file.name]
    record = snapshot.with_suffix(".json")
    record.unlink()
    assert runnable(AsyncShop()).prepare(setting).changes == first.changes
    assert json.loads(record.read_text()) == first.changes["optimised"]


class Colour(Enum):
    """A closed set."""

    RED = "red"


def test_other_types_are_converted_as_sqlalchemy_does(setting: Setting) -> None:
    """An enum, JSON, a date and a time with a zone are stored as the application would store them."""

    class Other(DeclarativeBase):
        """Another application's tables."""

    class Thing(Other):
        """A thing."""

        __tablename__ = "things"
        id: Mapped[int] = mapped_column(primary_key=True)
        colour: Mapped[Colour]
        extra: Mapped[dict[str, Any]] = mapped_column(JSON)
        at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    class Things(SqlScenario[SqlInstance]):
        """Things."""

        metadata = Other.metadata

        def data(self, _setting: Setting) -> Iterator[Any]:
            """Yield a thing from a dictionary, and one from a block of columns."""
            yield "things", [{"id": 1, "colour": Colour.RED, "extra": {"a": [1]}, "at": FIRST}]
            columns: Any = {
                "id": np.array([2]),
                "colour": ["RED"],
                "extra": ["{}"],
                "at": np.array(["2025-01-01"], "datetime64[us]"),
            }
            yield ApplicationRows("things", columns, 1)

    async def read() -> list[Any]:
        await Things().prepare(setting)
        async with Things().database("baseline", setting) as store, store.sessions() as session:
            return [(t.colour, t.extra, t.at.replace(tzinfo=UTC)) for t in (await session.scalars(select(Thing))).all()]

    assert asyncio.run(read()) == [(Colour.RED, {"a": [1]}, FIRST), (Colour.RED, {}, FIRST)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("clients", [{"id": 1}]), "data() yields rows of an unknown table 'clients'; choose from customers, orders"),
        (("customers", [{"id": 1, "nick": "a"}]), "customers has no column 'nick'; choose from id, name, active"),
        (
            ("customers", [{"id": 1, "name": "a"}, {"id": 2}]),
            "rows of customers have different columns: ['id', 'name'] and ['id']; give every row the same",
        ),
        (("customers", [{"id": 1, "name": None}]), "NOT NULL constraint failed: customers.name"),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_name(setting: Setting, rows: Any, message: str) -> None:
    """The table and the column are in the one line, with what to choose from; nothing is left to be taken for the data."""
    shop = AsyncShop()
    shop.data = lambda _setting: [rows]  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(UsageError) as raised:
        runnable(shop).prepare(setting)
    assert message in str(raised.value)
    assert not list(setting.shared.glob("*.db"))


def test_migrations_without_a_name_are_kept_apart(setting: Setting) -> None:
    """Two lambdas of the same scenario have a snapshot each."""
    shop = AsyncShop()
    shop.migrations = {  # type: ignore[misc]  # of this one, not of the class
        "baseline": lambda connection: connection.exec_driver_sql("CREATE TABLE more (x INTEGER)"),
        "optimised": lambda connection: connection.execute(text("CREATE INDEX newest_orders ON orders (customer_id, created_at)")),
    }
    runnable(shop).prepare(setting)

    async def check(scenario: Any, instances: Any) -> list[bool]:
        return [(await scenario.statements(i, Case("newest", "", 1)))[0].uses_index for i in instances.values()]

    assert asyncio.run(with_arms(shop, setting, check)) == [False, True]


def test_what_is_missing_is_named(setting: Setting) -> None:
    """A scenario without tables is refused with the name of what it must declare, or with what to import."""

    class Empty(SqlScenario[SqlInstance]):
        """Nothing."""

    with pytest.raises(TypeError, match="Empty must declare metadata: the MetaData of its tables"):
        asyncio.run(Empty().prepare(setting))
    Empty.metadata = MetaData()
    with pytest.raises(UsageError, match="the metadata of Empty has no tables; import the modules that define them"):
        asyncio.run(Empty().prepare(setting))


def test_an_arm_needs_a_prepared_scenario(setting: Setting) -> None:
    """Without a snapshot there is no copy, and no empty database instead."""
    with pytest.raises(UsageError):
        asyncio.run(with_arms(AsyncShop(), setting, lambda *_: None))


def test_a_missing_synchronous_driver_is_a_reason(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine without one is not measured."""
    runnable(SyncShop()).prepare(setting)
    monkeypatch.setattr("harness.databases.synchronous.DRIVERS", {})
    with pytest.raises(NotMeasurableError, match=r"no synchronous driver is known for sqlite\+aiosqlite"):
        asyncio.run(with_arms(SyncShop(), setting, lambda *_: None))


def test_without_sqlalchemy_the_extra_is_named() -> None:
    """Importing `harness` works, and what needs SQLAlchemy fails in one line with the pip command."""
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "import harness\n"
        "from harness.errors import UsageError\n"
        "try:\n    harness.SqlScenario\nexcept UsageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "SqlScenario needs the package sqlalchemy; install it with: pip install 'advice-on-trial[sql]'\n"


class DrawnShop(Shop):
    """The shop with drawn rows, in an application that makes its own engine."""

    data = SqlScenario.data  # type: ignore[assignment]  # not the shop's own
    row_counts = {Customer: 30, Order: per(Customer, 20)}  # noqa: RUF012
    column_values = {Order.price: [1.5]}  # noqa: RUF012

    def application(self, database: SyncSqlInstance) -> Iterator[Any]:
        """Yield an application with an engine."""
        yield ShopApplication(create_engine(database.url))

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the first customers."""
        return [Case("newest", f"customer {key}", key) for key in self.keys(setting, Customer)[:2]]

    def run(self, instance: SyncSqlInstance, case: Case) -> Any:
        """Ask the application."""
        return instance.app.newest(case.args)


@dataclass
class ShopApplication:
    """A foreign application."""

    engine: Engine

    def newest(self, customer_id: int) -> Any:
        """Return a customer's newest orders."""
        with Session(self.engine) as session:
            return [tuple(row) for row in session.execute(newest_orders(customer_id))]


def test_an_application_of_its_own_is_made_counted_and_closed(anywhere: Setting) -> None:
    """Rows are drawn by size; its own engine is the one that is counted and explained, and is disposed of at the end."""
    shop = DrawnShop()
    prepared = runnable(shop).prepare(anywhere)
    numbers = {name: prepared.dataset[f"rows of {name}"] for name in ("customers", "orders")}
    share = anywhere.scale / 10
    assert numbers["customers"] == max(1, round(30 * share))
    assert numbers["orders"] == 20 * int(numbers["customers"])
    engines = []

    async def check(scenario: Any, instances: Any) -> None:
        cases = shop.cases(anywhere)
        assert (await verify(scenario, instances, cases)).cases == len(cases)
        for arm, instance in instances.items():
            engines.append(instance.app.engine)
            counted = {c.metric: c.value for c in await count(scenario, arm, instance, cases[0], 1.0)}
            assert (counted["statements"], counted["rows"]) == (1, 10)
            (statement,) = await scenario.statements(instance, cases[0])
            assert anywhere.engine == "postgres" or statement.uses_index == (arm == "optimised")  # it scans so few rows
            assert instance.engine.pool.checkedin() == 0
            assert instance.app.engine.pool.checkedin() > 0
            assert instance.async_url != instance.url

    asyncio.run(with_arms(shop, anywhere, check))
    assert [engine.pool.checkedin() for engine in engines] == [0, 0]


class CheckedTables(DeclarativeBase):
    """A table with a constraint that no drawn row fits."""


class Parcel(CheckedTables):
    """A parcel."""

    __tablename__ = "parcels"
    __table_args__ = (CheckConstraint("length(code) = 3", name="short_code"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]


class Parcels(SqlScenario[Any]):
    """Rows that break a constraint."""

    metadata = CheckedTables.metadata


class GoodParcels(Parcels):
    """Rows with values of the user's."""

    column_values = {Parcel.code: ["abc"]}  # noqa: RUF012


def test_drawn_rows_that_break_a_constraint_name_the_way_out(anywhere: Setting) -> None:
    """The message has the constraint and the attribute with which values are given; with them, the rows fit."""
    with pytest.raises(UsageError, match=r"short_code.*correct the rows.*: give values that fit in column_values of Parcels"):
        runnable(Parcels()).prepare(anywhere)
    assert runnable(GoodParcels()).prepare(anywhere).dataset["rows of parcels"]


def test_the_digest_of_drawn_rows_depends_on_what_is_declared(setting: Setting, tmp_path: Path) -> None:
    """On the seed, the size and the declarations, and on nothing else."""
    trials: list[tuple[Shop, dict[str, Any]]] = [
        (DrawnShop(), {}),
        (DrawnShop(), {}),
        (DrawnShop(), {"seed": 1}),
        (FewerOrders(), {}),
        (DrawnShop(), {"size": "small"}),
    ]
    digests = [runs(tmp_path / str(n), shop, **changes).dataset["digest"] for n, (shop, changes) in enumerate(trials)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


class FewerOrders(DrawnShop):
    """Fewer orders on the same tables."""

    row_counts = {Customer: 30, Order: per(Customer, 2)}  # noqa: RUF012


class OwnName(AsyncShop):
    """A shop whose rows have a name of their own."""

    def data_name(self) -> str:
        """Return the name."""
        return "own-shop"


class SameRows(OwnName):
    """Another scenario on the same rows."""

    groups = [Group("newest", "the same"), Group("other", "another one")]  # noqa: RUF012


class OtherVersion(OwnName):
    """Rows of another version."""

    data_version = "2"


class OtherTables(OwnName):
    """The same rows, in tables with an index more."""

    metadata = MetaData()


for _table in Base.metadata.sorted_tables:
    _table.to_metadata(OtherTables.metadata)
Index("more", OtherTables.metadata.tables["orders"].c.price)


def runs(folder: Path, shop: Shop, **changes: Any) -> Prepared:
    """Prepare a scenario in a new run."""
    (folder / "own").mkdir(parents=True)
    (folder / "shared").mkdir()
    return runnable(shop).prepare(replace(Setting(folder / "own", folder / "shared", size="tiny"), **changes))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an empty snapshot cache."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_later_run_restores_its_databases(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record has the same digest and settings, and says where the rows came from; so it does for another scenario."""
    first = runs(tmp_path / "1", OwnName())
    assert first.dataset["snapshot"] == "filled by this run"
    monkeypatch.setattr(SqlScenario, "_fill", None)
    second = runs(tmp_path / "2", SameRows())
    assert second.dataset == {**first.dataset, "snapshot": "from the cache"}
    assert second.engine_settings == first.engine_settings
    assert second.changes == first.changes != {}
    assert second.warnings == ()
    setting = Setting(tmp_path / "2" / "own", tmp_path / "2" / "shared", size="tiny")

    async def check(scenario: Any, instances: Any) -> list[int]:
        for instance in instances.values():  # a write that the cached file must not see
            async with instance.engine.begin() as connection:
                await connection.execute(text("DELETE FROM orders"))
        return [(await scenario.statements(i, Case("newest", "", 1)))[0].uses_index for i in instances.values()]

    assert asyncio.run(with_arms(SameRows(), setting, check)) == [False, True]
    assert runs(tmp_path / "3", OwnName()).warnings == ()


@pytest.mark.parametrize(
    ("shop", "changes"),
    [
        (OtherVersion(), {}),
        (OtherTables(), {}),
        (AsyncShop(), {}),
        (OwnName(), {"seed": 1}),
        (OwnName(), {"scale": 0.5}),
        (OwnName(), {"size": "small"}),
        (OwnName(), {"engine": "turso"}),
    ],
)
def test_other_rows_are_not_taken_from_the_cache(own_cache: Path, tmp_path: Path, shop: Shop, changes: dict[str, Any]) -> None:
    """Another version, schema, name, seed, scale, size or engine: the rows are made, once."""
    if "engine" in changes:
        pytest.importorskip("turso")
    runs(tmp_path / "1", OwnName())
    assert runs(tmp_path / "2", shop, **changes).dataset["snapshot"] == "filled by this run"
    assert runs(tmp_path / "3", shop, **changes).dataset["snapshot"] == "from the cache"


def test_only_the_migration_that_changed_is_executed_again(own_cache: Path, tmp_path: Path) -> None:
    """The rows come from the cache."""
    runs(tmp_path / "1", OwnName())
    before = len(list(own_cache.glob("*/payload")))
    shop = OwnName()
    shop.migrations = {"optimised": "CREATE INDEX other ON orders (created_at)"}  # type: ignore[misc]  # of this one
    assert runs(tmp_path / "2", shop).dataset["snapshot"] == "from the cache"
    assert len(list(own_cache.glob("*/payload"))) == before + 1


def test_rows_of_unknown_origin_are_not_kept(own_cache: Path, tmp_path: Path) -> None:
    """A class within a function may use its variables, and an object's attributes may be anything."""

    class Local(OwnName):
        """A shop within a function."""

        def data(self, setting: Setting) -> Any:
            """Return the rows."""
            return super().data(setting)

    changed = OwnName()
    changed.extra = object()  # type: ignore[attr-defined]
    replaced = OwnName()
    replaced.data = lambda setting: OwnName().data(setting)  # type: ignore[method-assign]
    for number, shop in enumerate((Local(), changed, replaced, Local())):
        assert runs(tmp_path / str(number), shop).dataset["snapshot"] == "filled by this run"
    assert not own_cache.exists()


@pytest.mark.parametrize("damage", ["cut", "edited"])
def test_a_damaged_snapshot_is_named_and_made_again(own_cache: Path, tmp_path: Path, damage: str) -> None:
    """The warning has the entry; rows and digest are those of the first run."""
    first = runs(tmp_path / "1", OwnName())
    for payload in own_cache.glob("*/payload"):
        payload.chmod(0o644)
        body = bytearray(payload.read_bytes())
        body[5_000] ^= 1
        payload.write_bytes(body[:-1] if damage == "cut" else body)
    second = runs(tmp_path / "2", OwnName())
    assert second.dataset == first.dataset
    assert len(second.warnings) == 2  # the rows, and the copy with the index
    assert all("(own-shop) is damaged: " in warning for warning in second.warnings)
    assert runs(tmp_path / "3", OwnName()).dataset["snapshot"] == "from the cache"


def test_a_cache_that_cannot_be_used_costs_nothing(own_cache: Path, tmp_path: Path) -> None:
    """A file in its place: the run has its rows, and one warning with the next step."""
    own_cache.write_text("")
    found = runs(tmp_path / "1", OwnName())
    assert found.dataset["snapshot"] == "filled by this run"
    (warning,) = found.warnings
    assert warning.endswith("make it readable and writable, or set HARNESS_CACHE to another folder or off")


def test_a_server_keeps_filled_databases_for_the_next_run(
    own_cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second run's server has them, and nothing of the first run's own; damaged data are named, and loaded again."""

    def run(name: str) -> str:
        (tmp_path / name).mkdir()
        try:
            with postgres.server(tmp_path / name) as url:
                server = {"postgres": Server(url, url)}
                dataset = runs(tmp_path / name / "run", OwnName(), engine="postgres", servers=server).dataset
                setting = Setting(
                    tmp_path / name / "run" / "own", tmp_path / name / "run" / "shared", "postgres", "tiny", servers=server
                )
                asyncio.run(with_arms(OwnName(), setting, lambda *_: asyncio.sleep(0)))
                return str(dataset["snapshot"])
        except NotMeasurableError as error:
            pytest.skip(str(error))

    assert [run("1"), run("2")] == ["filled by this run", "from the cache"]
    (data,) = own_cache.glob("*/payload")
    next(file for file in data.glob("base/*/*") if file.stat().st_size > 100_000).write_bytes(b"x")
    assert run("3") == "filled by this run"
    (problem,) = [each.getMessage() for each in caplog.records if "snapshot cache" in each.getMessage()]
    assert re.search(r"is damaged: base/\S+ has 1 instead of [\d,]+ bytes; it was deleted and is made again$", problem)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_a_scenario_file_runs_end_to_end(tmp_path: Path, kind: str) -> None:
    """`harness run` prepares, verifies, counts and times it, and the digest of its rows is in the record."""
    run = {
        "async": "    async def run(self, instance, case):\n        async with instance.sessions() as session:\n"
        "            return [tuple(row) for row in await session.execute(newest(case.args))]\n",
        "sync": "    def run(self, instance, case):\n        with instance.sessions() as session:\n"
        "            return [tuple(row) for row in session.execute(newest(case.args))]\n",
    }[kind]
    file = tmp_path / "order_index.py"
    file.write_text(SCENARIO + run)
    out = tmp_path / "run"
    command = [sys.executable, "-m", "harness", "run", str(file), "--quick", "--budget", "100", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    (result,) = json.loads((out / "run.json").read_text())["scenarios"]
    assert len(result["dataset"]["digest"]) == 64
    assert {s["arm"]: s["uses_index"] for s in result["statements"]} == {"baseline": False, "optimised": True}
    assert {c["value"] for c in result["work_counts"] if c["metric"] == "statements"} == {1}


SCENARIO = '''"""A foreign application's scenario."""

import random

from sqlalchemy import Column, Integer, MetaData, Table, select

from harness import Case, Group, Promise, SqlScenario, speedup, times

METADATA = MetaData()
ORDERS = Table("orders", METADATA, Column("id", Integer, primary_key=True), Column("customer_id", Integer), Column("at", Integer))


def newest(customer_id):
    return select(ORDERS).where(ORDERS.c.customer_id == customer_id).order_by(ORDERS.c.at.desc()).limit(10)


class OrderIndex(SqlScenario):
    """An index for a customer's newest orders."""

    arms = {"baseline": "no index", "optimised": "an index on (customer_id, at)"}
    groups = [Group("newest", "a customer's ten newest orders")]
    promises = [Promise("O1", "twice as fast", times(2), speedup("newest"))]
    metadata = METADATA
    migrations = {"optimised": "CREATE INDEX newest_orders ON orders (customer_id, at)"}

    def data(self, setting):
        draw = random.Random(setting.seed)
        yield "orders", ({"id": n, "customer_id": draw.randrange(100), "at": n} for n in range(20_000))

    def cases(self, setting):
        return [Case("newest", f"customer {n}", n) for n in range(10)]

'''
