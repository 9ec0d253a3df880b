"""A base class for scenarios of SQLAlchemy applications: databases on every engine, rows, snapshots, statements, plans and ping."""

import fcntl
import functools
import hashlib
import inspect
import itertools
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np

from harness.errors import UsageError, failed_import

try:
    from sqlalchemy import Connection, Engine, MetaData, create_engine, event
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
    from sqlalchemy.orm import Session, sessionmaker
    from sqlalchemy.pool import QueuePool
except ImportError as error:  # also of a name that SQLAlchemy before 2.0 does not have
    raise failed_import(error, "sql", "SqlScenario") from error

from harness.databases.application_rows import Rows, stored_blocks
from harness.databases.copies import borrowed_copy, temporary_copy
from harness.databases.drawn_counts import RowCounts
from harness.databases.drawn_rows import DrawnRows, GivenColumns
from harness.databases.embedded import disable_driver_transactions, emit_begin
from harness.databases.engines import engine_names
from harness.databases.interface import DEFAULT_OPTIONS, ConnectionOptions, Databases, RowBlock, databases
from harness.databases.snapshot_parts import filled_parts, migrated_parts
from harness.databases.synchronous import copy_pragmas, synchronous_url
from harness.probes.ping import ping, ping_synchronously
from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.probes.work import work
from harness.results.run import Statement
from harness.results.store import write_bytes
from harness.runnable import entered, resolved
from harness.scenario import Case, Prepared, Probe, Scenario, Server, Setting
from harness.servers.lifecycle import is_embedded, processes, servers
from harness.services import ServiceClient

SNAPSHOT = "snapshot"
"""Name of the fact, in the data's description, whether the filled database came from the snapshot cache."""
DDL = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:CREATE|ALTER|DROP|RENAME|TRUNCATE|ANALYZE|REINDEX|CLUSTER|COMMENT)\b",
    re.IGNORECASE | re.DOTALL,
)
"""How a statement begins that changes tables, indexes or their statistics."""
Migration = Callable[[Connection], object] | str | Sequence[str]
"""A function of a synchronous `Connection`, or SQL: one statement or several."""
Instance = TypeVar("Instance")
AnyEngine = TypeVar("AnyEngine", AsyncEngine, Engine)
Sessions = TypeVar("Sessions")

_copies = itertools.count()


@dataclass(frozen=True)
class SqlStore(Generic[AnyEngine, Sessions]):
    """One arm's own database, opened with SQLAlchemy."""

    arm: str
    """Name of the arm."""
    name: str
    """The database's name among `databases`."""
    engine: AnyEngine
    """A pool of connections, at the setting's RTT."""
    sessions: Sessions
    """Makes sessions on `engine`; objects stay readable after a commit."""
    undo: AnyEngine
    """One more connection, at no RTT, for `reset` and `state`; with asyncio it ignores foreign keys where the engine can."""
    databases: Databases
    """The databases of the setting's engine."""
    setting: Setting
    """The setting of the scenario."""
    app: Any = None
    """What the scenario's `application` returned."""

    @property
    def url(self) -> str:
        """The database's URL for `create_engine`, with its password and at the setting's RTT."""
        return synchronous_url(self.databases.url(self.name)).render_as_string(hide_password=False)

    @property
    def async_url(self) -> str:
        """The database's URL for `create_async_engine`, as `url`."""
        return self.databases.url(self.name).render_as_string(hide_password=False)


class SqlInstance(SqlStore[AsyncEngine, async_sessionmaker[AsyncSession]]):
    """One arm's own database, opened with SQLAlchemy's asyncio engine."""


class SyncSqlInstance(SqlStore[Engine, sessionmaker[Session]]):
    """One arm's own database, opened with SQLAlchemy's synchronous engine: for a scenario whose `run` is a plain function."""


class SqlScenario(Scenario[Instance], Generic[Instance]):
    """A scenario of a SQLAlchemy application, which declares its tables. The docstring of a subclass is its card.

    Each instance has its own database, restored from a snapshot: a `SqlInstance`, or a `SyncSqlInstance` where `run` is a plain
    `def`. All tables have rows, drawn by their types and constraints with foreign keys kept, unless `data` yields others. An
    application that makes its own engine is made by `application`. A subclass with another type of instance extends `open` with
    `database`, and keeps the database as the instance's `store`; if that instance has an `engine`, its statements are the ones that
    are counted and explained.

    Example:
        from shop import Base, Customer, Order, newest_orders

        from harness import Case, Group, Promise, SqlScenario, per, speedup, times

        class OrderIndex(SqlScenario):
            '''An index for a customer's newest orders.'''

            arms = {"baseline": "no index", "optimised": "an index on (customer_id, created_at)"}
            groups = [Group("newest", "a customer's ten newest orders")]
            promises = [Promise("O1", "ten times faster", times(10), speedup("newest"))]
            metadata = Base.metadata
            row_counts = {Customer: 100, Order: per(Customer, 500)}
            migrations = {"optimised": "CREATE INDEX newest_orders ON orders (customer_id, created_at)"}

            def cases(self, setting):
                return [Case("newest", f"customer {key}", key) for key in self.keys(setting, Customer)[:10]]

            async def run(self, instance, case):
                async with instance.sessions() as session:
                    return await newest_orders(session, case.args)
    """

    engines: ClassVar[Sequence[str]] = sorted(engine_names(), key=lambda name: (name != "sqlite", name))
    """The engines that the scenario supports; the first one, SQLite, is the default."""
    metadata: ClassVar[MetaData]
    """The tables. All of them are made, with their keys and indexes."""
    row_counts: ClassVar[RowCounts] = {}
    """Mapped class, `Table` or name → its number of rows at size `small`, or `per(Author, 8)`, or a function of the setting for a
    number that does not follow the size. Named tables have rows, and those that they must refer to; without any name all have. The
    number of one that is not named is 1,000, or five per row of the tables that it refers to, at most 25,000. The sizes `tiny`,
    `medium` and `large` have 0.1, 10 and 50 times the rows."""
    column_values: ClassVar[GivenColumns] = {}
    """Mapped attribute, `Column` or "table.column" → a list to draw from, or a function of a `random.Random` and the row's number
    from 1."""
    migrations: ClassVar[Mapping[str, Migration]] = {}
    """Arm → the change to its snapshot, such as an index. Arms with the same change share a snapshot."""
    connections: ClassVar[ConnectionOptions] = DEFAULT_OPTIONS
    """The settings of connections: pool size, overflow, pre-ping, page cache."""
    reusable: ClassVar[bool] = False
    """Whether `reset` restores the database. A server's copy, which takes long to make, may then serve one instance after another;
    which arm gets which of several equal copies depends on the order in which arms are opened."""
    data_version: ClassVar[str] = "1"
    """Part of the digest of the rows: to be changed with the rows of a seed, and with any file that `data` reads."""

    def data(self, setting: Setting) -> Iterable[Rows]:
        """Return the rows: a pure function of the setting's size, scale and seed. Parents come before their children.

        By default they are drawn for all tables, by `row_counts` and `column_values`. Other rows: yield (table, rows), where each
        row is a dictionary and all rows of a table have the same keys; values are converted as SQLAlchemy would. Or yield blocks of
        columns (`harness.databases.interface.RowBlock`), which are stored as they are.
        """
        return self._drawn(setting)

    def keys(self, setting: Setting, table: Any) -> Sequence[Any]:
        """Return the primary keys of a table's drawn rows, in their order: values, or tuples where a key has several columns.

        The table is a mapped class, a `Table` or a name. Integer keys count from 1.
        """
        return self._drawn(setting).keys(table)

    def values(self, setting: Setting, column: Any) -> Sequence[Any]:
        """Return the different values of a column of the drawn rows, without NULL: what can be looked for in `cases`.

        The column is a mapped attribute, a `Column`, or "table.column".
        """
        return self._drawn(setting).values(column)

    def application(self, database: Any) -> Any:
        """Return what `run` gets as `instance.app`: the user's application on the arm's `database`, which has `arm` and `url`.

        It may be asynchronous, a context manager that enters as the application, or a generator that yields it. If the application
        has an `engine`, that is disposed of at the end, and its statements are the ones that are counted and explained.

        Example:
            def application(self, database):
                return create_app(database.url, eager=database.arm == "optimised")
        """
        del database
        return None

    def data_name(self) -> str:
        """Return the name of the rows (letters, digits, `-`, `.`, `_`): scenarios with the same name share one filled database."""
        return _named(type(self))

    def block_digest(self, block: RowBlock) -> bytes:
        """Return the SHA-256 of a block of rows; the digest of all blocks is in the run record."""
        sha = hashlib.sha256(f"{block.table} {block.rows}".encode())
        for name, column in block.columns.items():
            sha.update(repr((name, column.tolist() if isinstance(column, np.ndarray) else list(column))).encode())
        return sha.digest()

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the engine, where it is a server."""
        return servers(setting)

    async def prepare(self, setting: Setting) -> Prepared:
        """Fill a database with the rows, and make a snapshot for every migration; what the run or the cache has is not made again.

        Raises UsageError if the rows do not fit the tables, the disk is full, or the working folder cannot be written.
        """
        found, base = databases(setting), self._base(setting)
        record, parts = setting.shared / f"{base}.json", self._parts(found, setting)
        with _locked(record):
            if record.exists():
                prepared = Prepared(**json.loads(record.read_text()))
            else:
                prepared = await self._prepared(found, base, parts, setting)
                write_bytes(record, json.dumps(asdict(replace(prepared, warnings=()))).encode())
        problems, changes = dict.fromkeys(prepared.warnings), dict[str, Sequence[str]]()
        for arm, migration in self.migrations.items():
            snapshot = self._snapshot(arm, setting)
            record = setting.shared / f"{snapshot}.json"
            with _locked(record):
                if not record.exists():
                    found.remove(snapshot)  # that of a process which was killed before it wrote the record
                    with found.slot(migrated_parts(parts, migration)) as slot:
                        note = found.restore(snapshot, slot)
                        if note is None:
                            partial, executed = f"{snapshot}-partial", list[str]()
                            found.copy(base, partial)
                            found.migrate(partial, functools.partial(_execute, migration, executed))
                            found.rename(partial, snapshot)
                            note = json.dumps(executed)
                            found.keep(snapshot, slot, note)
                        problems |= dict.fromkeys(slot.problems)
                    write_bytes(record, note.encode())
                changes[arm] = json.loads(record.read_text())
        return replace(prepared, warnings=tuple(problems), changes=changes)

    def open(self, arm: str, setting: Setting) -> Any:
        """Open the arm's own copy: synchronously where `run` is a plain function."""
        run = type(self).run
        is_synchronous = run is not Scenario.run and not inspect.iscoroutinefunction(run)
        return self._with_application(self.sync_database(arm, setting) if is_synchronous else self.database(arm, setting))

    @asynccontextmanager
    async def _with_application(self, opened: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
        async with opened as database, AsyncExitStack() as stack:
            app = await entered(stack, await resolved(self.application(database)))
            engine = getattr(app, "engine", None)
            if engine is not database.engine and isinstance(engine, AsyncEngine | Engine):
                stack.push_async_callback(_dispose, engine)
            yield database if app is None else replace(database, app=app)

    @asynccontextmanager
    async def database(self, arm: str, setting: Setting, options: ConnectionOptions | None = None) -> AsyncIterator[SqlInstance]:
        """Open the arm's own copy for asyncio, and remove it at the end; `options` go before `connections`.

        Raises UsageError if the scenario was not prepared, or the disk is full.
        """
        found = databases(setting)
        with self._copy(found, arm, setting) as name:
            async with found.open(name, options or self.connections) as engine, found.open_undo(name) as undo:
                yield SqlInstance(arm, name, engine, async_sessionmaker(engine, expire_on_commit=False), undo, found, setting)

    @asynccontextmanager
    async def sync_database(
        self, arm: str, setting: Setting, options: ConnectionOptions | None = None
    ) -> AsyncIterator[SyncSqlInstance]:
        """Open the arm's own copy with synchronous engines; otherwise as `database` does.

        Raises NotMeasurableError if the engine's synchronous driver is not installed.
        """
        found, options = databases(setting), options or self.connections
        with self._copy(found, arm, setting) as name, ExitStack() as stack:
            async with found.open(name, options) as model, found.open_undo(name) as undo_model:
                engine = await _synchronous(model, options)
                stack.callback(engine.dispose)
                undo = await _synchronous(undo_model, ConnectionOptions(pool_size=1))
                stack.callback(undo.dispose)
            yield SyncSqlInstance(arm, name, engine, sessionmaker(engine, expire_on_commit=False), undo, found, setting)

    def targets(self, instance: Instance) -> Mapping[str, int]:
        """Return the database server's process, where it runs on this machine, and that of a service that `application` made."""
        app = getattr(instance, "app", None)
        own = app.targets() if isinstance(app, ServiceClient) else {}
        return {**own, **processes(_store(instance).setting.servers)}

    def ping(self, instance: Instance) -> object:
        """Send `SELECT 1`."""
        engine = _store(instance).engine
        return ping(engine) if isinstance(engine, AsyncEngine) else ping_synchronously(engine)

    def probes(self, instance: Instance) -> Sequence[Probe]:
        """Count statements, rows and the engine's work; of a service that `application` made, the statements and rows."""
        app = getattr(instance, "app", None)
        return app.probes() if isinstance(app, ServiceClient) else work(_engine(instance))

    async def statements(self, instance: Instance, case: Case) -> Sequence[Statement]:
        """Run the case once, reset it, and return its statements with their plans, where they have any."""
        async with Statements(_engine(instance)) as sent:
            answer = await resolved(self.run(instance, case))
        await resolved(self.reset(instance, case, answer))
        return await plans(_engine(instance), sent.sent(), arm=_store(instance).arm, group=case.group)

    def _drawn(self, setting: Setting) -> DrawnRows:
        self._require_metadata()
        return DrawnRows(self.metadata, setting, self.row_counts, self.column_values)

    def _require_metadata(self) -> None:
        if not hasattr(self, "metadata"):
            raise TypeError(f"{type(self).__name__} must declare metadata: the MetaData of its tables")
        if not self.metadata.tables:
            raise UsageError(f"the metadata of {type(self).__name__} has no tables; import the modules that define them")

    def _parts(self, found: Databases, setting: Setting) -> Mapping[str, str] | None:
        """Return all that the filled database depends on; None if that is not known, or only in part."""
        self._require_metadata()
        deciding = ("data", "data_name", "block_digest")
        functions = [getattr(method, "__func__", method) for method in (getattr(self, name) for name in deciding)]
        classes = [c for c in type(self).__mro__ if issubclass(c, SqlScenario) and c is not SqlScenario]
        own = {*deciding, "row_counts", "column_values"}
        lowest = next((place for place, c in enumerate(classes) if own & vars(c).keys()), 0)
        named = type(self).data_name is not SqlScenario.data_name  # the classes below the name have the same rows
        return filled_parts(
            found,
            setting,
            name=self.data_name(),
            data_version=self.data_version,
            metadata=self.metadata,
            attributes={name: value for name, value in vars(self).items() if name not in {"metadata", "migrations"}},
            makers=[*classes[lowest if named else 0 :], *functions],
        )

    async def _prepared(self, found: Databases, base: str, parts: Mapping[str, str] | None, setting: Setting) -> Prepared:
        """Restore the filled database from the snapshot cache, or fill and keep it."""
        with found.slot(parts) as slot:
            note = found.restore(base, slot)
            if note is not None:
                prepared = Prepared(**json.loads(note))
                return replace(prepared, dataset={**prepared.dataset, SNAPSHOT: "from the cache"}, warnings=tuple(slot.problems))
            dataset = self._fill(found, base, setting)
            async with found.open(base) as engine:
                prepared = Prepared(dataset, dict(await found.settings(engine)))
            found.checkpoint(base)
            found.keep(base, slot, json.dumps(asdict(prepared)))
            return replace(prepared, dataset={**dataset, SNAPSHOT: "filled by this run"}, warnings=tuple(slot.problems))

    def _base(self, setting: Setting) -> str:
        return f"shared-{setting.size}-{setting.scale:g}-{setting.seed}-{self.data_name()}"

    def _snapshot(self, arm: str, setting: Setting) -> str:
        base, migration = self._base(setting), self.migrations.get(arm)
        if migration is None:
            return base
        if not callable(migration):
            return f"{base}-sql-{_short(repr(migration))}"
        if isinstance(migration, FunctionType) and migration.__name__.isidentifier() and not migration.__closure__:
            return f"{base}-{_named(migration)}"
        return f"{base}-{_named(type(self))}-{arm}"  # others may have the same name and do something else

    def _copy(self, found: Databases, arm: str, setting: Setting) -> AbstractContextManager[str]:
        snapshot = self._snapshot(arm, setting)
        if self.reusable and setting.resets and not is_embedded(setting.engine):
            return borrowed_copy(found, snapshot, setting.folder)
        return temporary_copy(found, snapshot, f"{arm}-{os.getpid()}-{next(_copies)}")

    def _fill(self, found: Databases, base: str, setting: Setting) -> dict[str, str | int]:
        """Fill a database; return the digest of its rows and their number by table."""
        sha, loaded = hashlib.sha256(f"generator {self.data_version}".encode()), dict[str, None]()

        def seen(block: RowBlock) -> None:
            sha.update(self.block_digest(block))
            loaded[block.table] = None

        dialect = found.url(base).get_dialect()()
        try:
            counts = found.fill(base, self.metadata, stored_blocks(self.metadata, self.data(setting), dialect, seen))
        except UsageError as error:
            if type(self).data is SqlScenario.data and "correct the rows" in str(error):
                raise UsageError(f"{error}: give values that fit in column_values of {type(self).__name__}") from error
            raise
        described: dict[str, str | int] = {"digest": sha.hexdigest(), "size": setting.size, "seed": setting.seed}
        return described | {"scale": str(setting.scale), **{f"rows of {table}": counts[table] for table in loaded}}


def _store(instance: Any) -> SqlInstance | SyncSqlInstance:
    """Return the database of an instance, which is one or has one as its `store`."""
    return cast("SqlInstance | SyncSqlInstance", instance if isinstance(instance, SqlStore) else instance.store)


def _engine(instance: Any) -> Any:
    """Return the engine whose statements are counted: that of the application, the instance's own, or that of its database."""
    found = getattr(getattr(instance, "app", None), "engine", None)
    if isinstance(found, AsyncEngine | Engine):
        return found
    return instance.engine if hasattr(instance, "engine") else _store(instance).engine


async def _dispose(engine: AsyncEngine | Engine) -> None:
    await resolved(engine.dispose())


async def _synchronous(model: AsyncEngine, options: ConnectionOptions) -> Engine:
    """Make a synchronous engine for the database of an asyncio one, with its connections set up alike."""
    engine = create_engine(
        synchronous_url(model.url),
        poolclass=QueuePool,
        pool_size=options.pool_size,
        max_overflow=options.max_overflow,
        pool_timeout=options.pool_timeout_s,
        pool_pre_ping=options.pool_pre_ping,
    )
    await copy_pragmas(engine, model)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", disable_driver_transactions)
        emit_begin(engine, "BEGIN IMMEDIATE" if options.write_lock_first else "BEGIN")
    return engine


def _execute(migration: Migration, executed: list[str], connection: Connection) -> None:
    """Execute a migration; add each of its DDL statements to `executed`, once."""

    @event.listens_for(connection, "before_cursor_execute")
    def add(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if DDL.match(statement) and statement.strip() not in executed:
            executed.append(statement.strip())

    if callable(migration):
        migration(connection)
        return
    for statement in [migration] if isinstance(migration, str) else migration:
        connection.exec_driver_sql(statement)


def _named(what: type | FunctionType) -> str:
    """Return a name that differs between classes or functions that differ, and is the same in every process."""
    file = getattr(sys.modules.get(what.__module__), "__file__", "")
    return f"{what.__name__}-{_short(f'{file}:{what.__qualname__}')}"


def _short(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:8]


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Keep other scenarios, which prepare at the same time, from filling or copying the same database."""
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
