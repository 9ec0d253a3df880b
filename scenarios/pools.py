"""The review's first recommendation: connection pools by environment."""

from collections.abc import AsyncIterator, Mapping, Sequence

import datasets
from fixtures.pools import WORKERS, PoolFaults, between_bursts, pool_figures, pooled, read_at_once
from fixtures.store import SelfTimedScenario, TimedAnswer, dataset, p95_ns
from harness import Arm, Case, Group, Probe, Promise, Scenario, Setting, SqlInstance
from harness.probes.pool import PoolUse
from harness.runtime.clock import MonotonicClock
from harness.verdicts.measures import count, less_time, speedup
from harness.verdicts.promise import at_least, cut, measured, works

READS = 3  # reads that each worker sends one after another: together enough waits for a 95th percentile
SINGLES = 16
P95_OF_WAITS = f"the 95th percentile of the waits for a connection, {WORKERS} workers with {READS} reads each"
CLAIM_P3 = "settings for local, staging and production construct"


class ConnectionPools(PoolFaults, SelfTimedScenario[SqlInstance]):
    """Connections that are open before a request arrives.

    Eighty concurrent requests on fewer connections: the time that they wait for one. A wait ends when the connection can be used,
    so opening and pinging it is part of it. The baseline has one setting for all environments, keeps a third of its connections
    open and pings before every use. The review sets sizes by environment; its settings for production are tested without the
    keyword that SQLAlchemy does not know, and on SQLite and Turso too, where as written all tasks would share one connection.
    Optimised: as many connections as this process may have of the server's, all of them kept open, the last used first, pinged only
    after a pause; where the database is in the process, a small pool without pings. Every arm sends the same reads in the same
    transactions. A pool is brought to its state between bursts before each of them and emptied after it; neither is timed.
    """

    arms = {
        "baseline": "10 connections and 20 overflow in every environment, a ping before every use",
        "proposed": Arm("production: 20 connections and 40 overflow, a ping before every use, last used first", as_written=True),
        "optimised": "a fixed number for the engine, opened beforehand, last used first, a ping only after a pause",
    }
    groups = (
        Group("wait", P95_OF_WAITS, uncounted=True, load=False),
        Group("burst", f"{WORKERS} requests that arrive at the same time, until the last is answered", uncounted=True, load=False),
        Group("one_request", "one request at a time"),
    )
    promises = (
        Promise("P1", "80 % less wait for a connection", cut(0.8), less_time("wait"), part="p95 of the wait"),
        Promise("P1", "a burst is answered sooner (not in the review)", measured("×"), speedup("burst"), part="burst"),
        Promise("P1", "a request is answered sooner (not in the review)", measured("×"), speedup("one_request"), part="alone"),
        Promise("P2", "at least 90 % of connections used again", at_least(0.9, "share"), count("reuse_share", "")),
        Promise("P3", CLAIM_P3, works(), count("environments_as_written", ""), part="as written", arms=("proposed",)),
        Promise("P3", CLAIM_P3, works(), count("environments", ""), part="once it runs"),
    )
    tables = ("prompts",)
    reusable = True
    ping = Scenario.ping  # none: it would use a connection of the pool between two bursts

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the prompts that each worker reads, by popularity."""
        ids = datasets.prompt_ids(dataset(setting), setting.stream, WORKERS * READS)
        return [
            Case("wait", "wait", [ids[w::WORKERS] for w in range(WORKERS)]),
            Case("burst", "burst", [[prompt_id] for prompt_id in ids[:WORKERS]]),
            *(Case("one_request", f"request {i}", [[prompt_id]]) for i, prompt_id in enumerate(ids[:SINGLES])),
        ]

    async def open(self, arm: str, setting: Setting) -> AsyncIterator[SqlInstance]:
        """Open the arm's own copy, and the pool that it has in production."""
        async with self.database(arm, setting) as store, pooled(store) as instance:
            yield instance

    async def run(self, instance: SqlInstance, case: Case) -> TimedAnswer:
        """Let the case's workers read, each its prompts one after another."""
        if case.group == "one_request":
            return TimedAnswer(await read_at_once(instance.engine, case.args))
        clock = MonotonicClock()
        async with between_bursts(instance.engine), PoolUse(instance.engine) as use:
            started_ns = clock.now_ns()
            rows = await read_at_once(instance.engine, case.args)
            took_ns = clock.now_ns() - started_ns
        return TimedAnswer(rows, round(p95_ns(use.waits_ns)) if case.group == "wait" else took_ns)

    def probes(self, instance: SqlInstance) -> Sequence[Probe]:
        """Count statements, rows, the engine's work, checkouts and connects."""
        return (*super().probes(instance), PoolUse(instance.engine))

    async def facts(self, instance: SqlInstance) -> Mapping[str, float]:
        """Return the behaviour of the pool over several bursts, and the share of environments whose engines work."""
        return await pool_figures(instance)
