"""The review's first recommendation: connection pools by environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.pool import StaticPool

import datasets
from fixtures.pools.bursts import between_bursts, kept, p95_ns, read_at_once
from fixtures.store import ENGINES, Store, dataset, open_store, prepare
from harness.errors import NotMeasurableError
from harness.probes.plans import plans
from harness.probes.pool import PoolUse
from harness.probes.statements import Statements
from harness.probes.work import work
from harness.results.run import Statement
from harness.runtime.clock import MonotonicClock
from harness.scenario import Arm, Case, Group, Prepared, Probe, Scenario, Server, Setting, demonstrates
from harness.servers.lifecycle import processes, servers
from harness.verdicts.measures import count, less_time, speedup
from harness.verdicts.promise import Promise, at_least, cut, measured, works
from service import pools
from service.models import Prompt
from service.pools import Environment

TABLES = ("prompts",)
WORKERS = 80
"""Requests at work at the same time: more than any arm has connections, and the same for all of them."""

READS = 3
"""Reads that each of them sends one after another: as many waits in all as a 95th percentile needs."""

BURSTS = 5
GAP_S = 0.02
"""Between two bursts, so that every connection is back before the next one."""

SINGLES = 16
UNKNOWN_KEYWORD = "the settings for production hold a keyword that SQLAlchemy does not know, and no engine is made"


class TimedBurst(NamedTuple):
    """What an operation answered, and the nanoseconds that count; None where the whole operation does."""

    rows: list[Any]
    own_ns: int | None = None


@dataclass(frozen=True)
class PoolsInstance:
    """An arm's engine with its settings for production."""

    arm: str
    store: Store
    engine: AsyncEngine


Make = Callable[[URL, Environment], AsyncEngine]
ENGINES_OF: Mapping[str, Make] = {
    "baseline": lambda url, _: pools.engine_baseline(url),
    "proposed": pools.engine_proposed,
    "optimised": lambda url, environment: pools.engine_optimised(url, pools.settings_for(environment, url, requests=WORKERS)),
}
AS_WRITTEN: Mapping[str, Make] = {**ENGINES_OF, "proposed": pools.engine_with_settings_as_written}


class ConnectionPools(Scenario[PoolsInstance]):
    """Connections that are there when a request comes.

    Eighty requests at work at once, on fewer connections: how long they wait for one. A wait ends when the connection can be used,
    so making it and pinging it are part of it. The baseline has one setting for everywhere, keeps a third of its connections open
    and pings before every use. The review sets sizes by environment; its settings for production are tried without the keyword that
    SQLAlchemy does not know, and on SQLite and Turso too, where as written all tasks would share one connection. Done right:
    as many connections as this process may have of the server's, all of them kept, the last used first, pinged after a pause only;
    where the database is in the process, a small pool without pings. Every arm sends the same reads in the same transactions. A
    pool is brought to its state between bursts before each of them and emptied after it; neither is timed.
    """

    arms = {
        "baseline": "10 connections and 20 more in need, the same everywhere, a ping before every use",
        "proposed": Arm(
            "production: 20 connections and 40 more in need, a ping before every use, last used first", as_written=True
        ),
        "optimised": "a fixed number for the engine, opened beforehand, last used first, no ping but after a pause",
    }
    groups = (
        Group(
            "wait",
            f"the 95th percentile of the waits for a connection, {WORKERS} workers with {READS} reads each",
            uncounted=True,
            load=False,
        ),
        Group("burst", f"{WORKERS} requests that come at the same moment, until the last is answered", uncounted=True, load=False),
        Group("one_request", "one request while nobody else asks"),
    )
    engines = ENGINES
    promises = (
        Promise("P1", "80 % less wait for a connection", cut(0.8), less_time("wait"), part="p95 of the wait"),
        Promise("P1", "a burst is answered sooner (not in the review)", measured("×"), speedup("burst"), part="burst"),
        Promise("P1", "a request is answered sooner (not in the review)", measured("×"), speedup("one_request"), part="alone"),
        Promise("P2", "at least 90 % of connections used again", at_least(0.9, "share"), count("reuse_share", "")),
        Promise(
            "P3",
            "settings for local, staging and production construct",
            works(),
            count("environments_as_written", ""),
            part="as written",
            arms=("proposed",),
        ),
        Promise(
            "P3", "settings for local, staging and production construct", works(), count("environments", ""), part="once it runs"
        ),
    )

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the engine, where it is a server."""
        return servers(setting)

    def prepare(self, setting: Setting) -> Prepared:
        """Load prompts."""
        return asyncio.run(prepare(setting, TABLES, {}))

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the prompts that each worker asks for, by popularity."""
        ids = datasets.prompt_ids(dataset(setting), setting.stream, WORKERS * READS)
        return [
            Case("wait", "wait", [ids[w::WORKERS] for w in range(WORKERS)]),
            Case("burst", "burst", [[prompt_id] for prompt_id in ids[:WORKERS]]),
            *(Case("one_request", f"request {i}", [[prompt_id]]) for i, prompt_id in enumerate(ids[:SINGLES])),
        ]

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[PoolsInstance]:
        """Open the arm's own copy, and the pool that it has in production."""
        async with open_store(setting, arm, restored=True) as store:
            engine = ENGINES_OF[arm](store.databases.url(store.name), Environment.PRODUCTION)
            store.databases.configure(engine)
            try:
                yield PoolsInstance(arm, store, engine)
            finally:
                await engine.dispose()

    async def run(self, instance: PoolsInstance, case: Case) -> TimedBurst:
        """Let the case's workers read, each of them its prompts one after another."""
        if case.group == "one_request":
            return TimedBurst(await read_at_once(instance.engine, case.args))
        clock = MonotonicClock()
        async with between_bursts(instance.engine), PoolUse(instance.engine) as use:
            started_ns = clock.now_ns()
            rows = await read_at_once(instance.engine, case.args)
            took_ns = clock.now_ns() - started_ns
        return TimedBurst(rows, p95_ns(use.waits_ns) if case.group == "wait" else took_ns)

    def own_ns(self, case: Case, answer: TimedBurst) -> int | None:
        """Return the time that counts: a wait, or a burst without the preparation of its pool."""
        del case
        return answer.own_ns

    def normalise(self, case: Case, answer: TimedBurst) -> Any:
        """Compare the rows."""
        del case
        return answer.rows

    def targets(self, instance: PoolsInstance) -> Mapping[str, int]:
        """Return the servers of the run, where they run here."""
        return processes(instance.store.setting.servers)

    def probes(self, instance: PoolsInstance) -> Sequence[Probe]:
        """Count statements, rows, the engine's work, checkouts and connects."""
        return (*work(instance.engine), PoolUse(instance.engine))

    async def statements(self, instance: PoolsInstance, case: Case) -> Sequence[Statement]:
        """Return the statement and its plan."""
        async with Statements(instance.engine) as sent:
            await self.run(instance, case)
        return await plans(instance.engine, sent.sent(), arm=instance.arm, group=case.group)

    async def facts(self, instance: PoolsInstance) -> Mapping[str, float]:
        """Return how a pool does over several bursts with gaps between them, and how many environments' engines can be used."""
        ids = datasets.prompt_ids(dataset(instance.store.setting), instance.store.setting.stream, WORKERS)
        async with between_bursts(instance.engine), PoolUse(instance.engine) as use:
            for _ in range(BURSTS):
                await read_at_once(instance.engine, [[prompt_id] for prompt_id in ids])
                await asyncio.sleep(GAP_S)
        counts = use.counts()
        return {
            "reuse_share": 1 - counts["connects"] / counts["checkouts"],
            "pool_wait_p95_ms": p95_ns(use.waits_ns) / 1e6,
            "checkouts_at_once": use.waiting_peak,
            "connections_at_once": kept(instance.engine) + use.overflow_peak,
            "environments": await _usable(instance.store, ENGINES_OF[instance.arm]),
            "environments_as_written": await _usable(instance.store, AS_WRITTEN[instance.arm]),
        }

    @demonstrates(UNKNOWN_KEYWORD)
    async def unknown_keyword(self, instance: PoolsInstance, cases: Sequence[Case]) -> str:
        """Make the engine for production as written."""
        del cases
        try:
            pools.engine_with_settings_as_written(instance.engine.url, Environment.PRODUCTION)
        except TypeError as error:
            return f"TypeError: {str(error).splitlines()[0]}"
        raise AssertionError("the engine was made")

    @demonstrates("every address of SQLite or Turso leads to one shared connection, in production too, and no setting is used")
    async def settings_not_used(self, instance: PoolsInstance, cases: Sequence[Case]) -> str:
        """Make every environment's engine as written, for an address that begins with sqlite+."""
        del cases
        url = _embedded(instance)
        kinds = {type(pools.engine_as_written(url, environment).pool).__name__ for environment in Environment}
        assert kinds == {StaticPool.__name__}, f"pools are of {', '.join(sorted(kinds))}"
        return f"for {url.drivername}:// the pool of {', '.join(Environment)} is a {StaticPool.__name__}, whatever its settings"

    @demonstrates("all tasks share SQLite's one connection, so that one task's ROLLBACK takes back what another has written")
    async def rollback_of_another(self, instance: PoolsInstance, cases: Sequence[Case]) -> str:
        """Write a row in one session; before it commits, roll another one back."""
        del cases
        engine = pools.engine_as_written(_embedded(instance), Environment.PRODUCTION)
        [row] = datasets.prompts_to_insert(dataset(instance.store.setting), 0, 1)
        try:
            async with AsyncSession(engine) as writer, AsyncSession(engine) as other:
                writer.add(Prompt(**row))
                await writer.flush()
                await other.scalar(select(Prompt.id).limit(1))
                await other.rollback()
                await writer.commit()
                kept = await writer.get(Prompt, row["id"], populate_existing=True)
        finally:
            await engine.dispose()
        assert kept is None, "the row is there"
        return "a row was written, another session rolled back, the first one committed without an error: the row is not there"

    @demonstrates("two processes with the settings for production want more connections than PostgreSQL grants")
    async def too_many_connections(self, instance: PoolsInstance, cases: Sequence[Case]) -> str:
        """Add up what two processes may open and ask the server what it grants."""
        del cases
        if instance.engine.dialect.name != "postgresql":
            raise NotMeasurableError("an engine in the process grants any number of connections")
        production = pools.PROPOSED[Environment.PRODUCTION]
        wanted = 2 * (production["pool_size"] + production["max_overflow"])
        granted = "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        async with instance.store.engine.connect() as connection:
            there: int = (await connection.exec_driver_sql(granted)).scalar_one()
        assert wanted > there, f"{wanted} of {there} connections are wanted"
        return f"two processes may open {wanted} connections, and the server grants {there}"


async def _usable(store: Store, make: Make) -> float:
    """Return the share of environments whose engine can be made and answers."""
    answered = 0
    for environment in Environment:
        try:
            engine = make(store.databases.url(store.name), environment)
        except TypeError:
            continue
        store.databases.configure(engine)
        async with engine.connect() as connection:
            answered += (await connection.execute(select(1))).scalar_one()
        await engine.dispose()
    return answered / len(Environment)


def _embedded(instance: PoolsInstance) -> URL:
    """Return the address of a database in the process.

    Raises:
        NotMeasurableError: the engine is a server.
    """
    url = instance.engine.url
    if url.get_dialect().name != "sqlite":
        raise NotMeasurableError("the review gives a server a pool of its own; this is about SQLite and Turso")
    return url
