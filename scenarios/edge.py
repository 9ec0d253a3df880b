"""The review's ninth recommendation: answer at an edge near the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
from sqlalchemy import Connection

from fixtures.edges import facts as edge_facts
from fixtures.edges import faults as edge_faults
from fixtures.edges import topology as edges
from fixtures.edges.facts import AT, title_of
from fixtures.edges.instance import EdgeInstance, open_instance
from fixtures.edges.outage import AFTER_S, outage
from fixtures.edges.topology import spread
from fixtures.edges.traffic import IN_WORDS, SAMPLED, Ask, asks, samples, writable
from fixtures.store import dataset, open_store, prepare
from harness.errors import NotMeasurableError
from harness.results.run import ScenarioResult
from harness.scenario import Arm, Case, Group, Prepared, Scenario, Server, Setting, demonstrates
from harness.servers.servers import processes
from harness.verdicts.measures import count, exact_figure, latency, speedup
from harness.verdicts.promise import Estimate, Promise, at_least, at_most, measured, times, works
from harness.verdicts.rates import share_of
from service.edges import replication
from service.edges.api import NewTitle
from service.edges.regions import REGIONS
from service.migrations import composite_indexes

WRITERS = ("ap-northeast", "ap-southeast", "eu-west")
FOLDER = "edges"
PRIMARY = "primary"
TABLES = ("prompts",)
LOAD_READS = 2_000
"""Reads of a stream under load, before it begins again."""

WRITTEN, AT_REST = NewTitle("Another title", AT), NewTitle("Title at rest", AT)

SAYS_E1, SAYS_E2 = "mean latency worldwide 100 → 20 ms", "Asia to the US 300 → 50 ms"
SAYS_E3, SAYS_E4 = "edge cache hit rate at least 70 %", "health check and fail-over"
NOT_SENT = "a write to an address that is in the cache is answered from there with 200, and never sent"


def back_after(result: ScenarioResult, arm: str) -> Estimate:
    """Seconds from the kill to the end of the last request that it disturbed."""
    if not exact_figure(result, arm, "", "recovered").value:
        raise NotMeasurableError(f"requests still fail when the watch ends, {AFTER_S:g} s after the kill")
    return Estimate(exact_figure(result, arm, "", "disturbed_s").value, exact=True)


def lag(result: ScenarioResult, arm: str) -> Estimate:
    """Milliseconds from a change's commit in the primary to its commit in the furthest tried replica, in the median."""
    longest_ms = exact_figure(result, arm, "", "longest_replica_lag_ms").value
    return Estimate(exact_figure(result, arm, "", "replica_lag_ms").value, note=f"{longest_ms:.0f} ms at most")


class Edges(Scenario[EdgeInstance]):
    """An edge in every region in place of one region for all.

    Clients in Virginia, Ireland, Tokyo and Singapore read prompts and their own lists, twenty at a time in the proportion of their
    numbers; what counts is the mean of their latencies. Every region is a server of its own with a copy of the data that follows
    the primary in Virginia, and the ways between are as long as between four of Microsoft's data centres. Connections are kept
    open, so that a request costs one round trip: without that, all that is far away takes several times as long, in every arm.
    The proposal is taken at its best: its worker and its application run in every region. With an application in one region only,
    as its FastAPI part reads, each statement would go from there to the edge nearest to the client. It is repaired just so far
    that it runs. It still answers a write from its cache, so it sits out where something is written. Done right: a router by
    measured round trips, a cache that keeps nothing of anybody's own and drops what a write has changed, and a client that has
    written is never answered from older data. On Turso the copies are its embedded replicas, behind its own sync server, which
    answers one at a time; an edge's death is tried on SQLite. Under load an operation is one client's read, and caches live on.
    """

    arms = {
        "baseline": "one region: everybody goes to Virginia",
        "proposed": Arm(
            "the review's worker with its cache, before its application with an engine for every request", as_written=True
        ),
        "optimised": "a router by measured distance, before edges with a replica and a cache that follow the primary",
    }
    groups = (
        Group("population", "twenty clients of four regions read, the mean latency of one", uncounted=True),
        Group("asia", "twelve clients in Tokyo and Singapore read, the mean latency of one", uncounted=True),
        Group(
            "write_read", "a client far from the primary changes a title and reads it", uncounted=True, skip={"proposed": NOT_SENT}
        ),
    )
    engines = ("sqlite", "turso")
    promises = (
        Promise("E1", SAYS_E1, times(5), speedup("population"), "times faster"),
        Promise("E1", SAYS_E1, at_most(20, "ms"), latency("population"), "20 ms"),
        Promise("E2", SAYS_E2, times(6), speedup("asia"), "times faster"),
        Promise("E2", SAYS_E2, at_most(50, "ms"), latency("asia"), "50 ms"),
        Promise("E3", SAYS_E3, at_least(0.7, "share"), share_of("hits", "reads"), "all reads"),
        Promise("E3", SAYS_E3, at_least(0.7, "share"), share_of("public_hits", "public_reads"), "reads that may be shared"),
        Promise(
            "E3",
            "a writer reads what it wrote",
            at_most(0, "reads"),
            count("own_writes_unseen", ""),
            "own writes (not in the review)",
        ),
        Promise("E4", SAYS_E4, works(), count("recovered", ""), "clients of a dead edge are served again"),
        Promise("E4", SAYS_E4, measured("share"), share_of("failed_requests", "requests_after_kill"), "failed requests"),
        Promise("E4", SAYS_E4, measured("s"), back_after, "until nobody notices any more"),
        Promise("E4", "nothing lost", at_most(0, "writes"), count("lost_writes", ""), "lost writes"),
        Promise("E4", "age of a replica's data", measured("ms"), lag, "replica lag", ("optimised",)),
        Promise(
            "E4",
            "a write, read back at once (not in the review)",
            measured("×"),
            speedup("write_read"),
            "write and read",
            ("optimised",),
        ),
    )

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the nodes of four regions and the ways between.

        Raises:
            NotMeasurableError: a round-trip time was asked for, and regions are as far apart as they are; or Turso's replicas have
                no sync server.
        """
        if setting.rtt_ms:
            raise NotMeasurableError("the regions have their own distances; see it at --rtt 0")
        return edges.instance(setting.folder / FOLDER, turso=setting.engine == "turso")

    def prepare(self, setting: Setting) -> Prepared:
        """Load the prompts, give every node its copy, and wait until all answer."""
        return asyncio.run(_prepare(setting))

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return samples of clients, and prompts that are written."""
        rows = dataset(setting)
        written = writable(rows, setting.stream, len(WRITERS))
        return [
            *(Case(name, f"{name} {i}", s) for name in SAMPLED for i, s in enumerate(samples(rows, setting.stream, name), 1)),
            *(Case("write_read", f"write from {r}", (r, *pair)) for r, pair in zip(WRITERS, written.items(), strict=True)),
        ]

    def load_cases(self, setting: Setting) -> Sequence[Case]:
        """Return reads by single clients, of regions in the proportion of their numbers."""
        reads = asks(dataset(setting), setting.stream, LOAD_READS)
        return [Case(IN_WORDS[ask.region], f"read {number}", ask) for number, ask in enumerate(reads, start=1)]

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[EdgeInstance]:
        """Open the arm's clients; its caches hold what the history left there."""
        rows = dataset(setting)
        async with open_instance(arm, setting.servers, rows, setting.folder / FOLDER) as instance:
            await instance.restore(ask for name in SAMPLED for sample in samples(rows, setting.stream, name) for ask in sample)
            yield instance

    async def run(self, instance: EdgeInstance, case: Case) -> Any:
        """Read as the clients of a sample or as one of many, or write and read as one."""
        if isinstance(case.args, Ask):
            return [await instance.one(case.args)]
        if case.group != "write_read":
            return await instance.together(case.args)
        region, prompt_id, user_id = case.args
        written = await instance.front.write(region, prompt_id, user_id, WRITTEN)
        return await instance.front.read(Ask(region, f"/prompts/{prompt_id}"), written.version)

    def own_ns(self, case: Case, answer: Any) -> int | None:
        """Return the mean latency of a sample's clients."""
        return None if case.group == "write_read" else round(fmean(reply.latency_ns for reply in answer))

    def normalise(self, case: Case, answer: Any) -> Any:
        """Return what the clients got, or the title that was read."""
        return title_of(answer.body) if case.group == "write_read" else [(reply.status, reply.body) for reply in answer]

    async def state(self, instance: EdgeInstance, case: Case) -> Any:
        """Return the title at the origin."""
        return title_of((await instance.near("GET", f"/prompts/{case.args[1]}")).content) if case.group == "write_read" else None

    async def reset(self, instance: EdgeInstance, case: Case, answer: Any) -> None:
        """Take the title back, or bring the caches back to what the history left in them."""
        del answer
        if case.group == "write_read":
            _, prompt_id, user_id = case.args
            await instance.near("PUT", f"/prompts/{prompt_id}", user_id, msgspec.json.encode(AT_REST))
        elif not isinstance(case.args, Ask):
            await instance.restore(case.args)

    def targets(self, instance: EdgeInstance) -> Mapping[str, int]:
        """Return the nodes of the regions."""
        return processes({f"edge {region}": instance.servers[region] for region in REGIONS})

    async def counts(self, instance: EdgeInstance) -> Mapping[str, float]:
        """Return lookups in the arm's caches, and hits."""
        return await instance.counts()

    async def facts(self, instance: EdgeInstance) -> Mapping[str, float]:
        """Return what the caches answer over many requests, whether own writes are read, and what an edge's death does."""
        found = {**edge_facts.hit_counts(instance.arm, instance.rows), **await edge_facts.own_writes(instance)}
        # An edge's death is not the engine's: it is tried where a doomed edge can have a copy of a file of its own.
        return found if edges.SYNC in instance.servers else {**found, **await outage(instance)}

    @demonstrates("`create_async_engine` knows no dialect `libsql`: the session that the router is for cannot be made")
    async def no_dialect(self, instance: EdgeInstance, cases: Sequence[Case]) -> str:
        """Make the engine as written."""
        del instance, cases
        return edge_faults.no_dialect()

    @demonstrates("the secret stands in the connection's URL, where logs and errors show it")
    async def secret_in_url(self, instance: EdgeInstance, cases: Sequence[Case]) -> str:
        """Make the URL as written."""
        del instance, cases
        return edge_faults.secret_in_url()

    @demonstrates("an engine is made for every request and never disposed of")
    async def engine_for_every_request(self, instance: EdgeInstance, cases: Sequence[Case]) -> str:
        """Read through the application, and count engines."""
        return await edge_faults.engine_for_every_request(instance, _sample(cases))

    @demonstrates("the shared cache keeps answers that are somebody's own, and gives them to anybody")
    async def answers_others(self, instance: EdgeInstance, cases: Sequence[Case]) -> str:
        """Ask for somebody's list as somebody else."""
        return await edge_faults.answers_others(instance, next(ask for ask in _sample(cases) if ask.user))

    @demonstrates(NOT_SENT)
    async def write_not_sent(self, instance: EdgeInstance, cases: Sequence[Case]) -> str:
        """Write to an address that has just been read."""
        del cases
        return await edge_faults.write_not_sent(instance)

    @demonstrates("errors are kept for five minutes like any answer")
    async def keeps_errors(self, instance: EdgeInstance, cases: Sequence[Case]) -> str:
        """Ask several times for what is not there."""
        del cases
        return await edge_faults.keeps_errors(instance)

    @demonstrates("all of Asia is one place, and who is neither in Asia, Europe nor the US is in Virginia")
    async def asia_is_one_place(self, instance: EdgeInstance, cases: Sequence[Case]) -> str:
        """Locate a client in Singapore."""
        del instance, cases
        return edge_faults.asia_is_one_place()

    @demonstrates("whoever sends the header is believed to be where it says")
    async def believes_the_header(self, instance: EdgeInstance, cases: Sequence[Case]) -> str:
        """Claim an address."""
        del cases
        return edge_faults.believes_the_header(instance)

    @demonstrates("the health check asks one edge after another, and no router asks it")
    async def checks_one_after_another(self, instance: EdgeInstance, cases: Sequence[Case]) -> str:
        """Check edges that do not answer."""
        del instance, cases
        return await edge_faults.checks_one_after_another()


async def _prepare(setting: Setting) -> Prepared:
    made = await prepare(setting, TABLES, {PRIMARY: _migrate})
    async with open_store(setting, PRIMARY) as store:
        primary, folder = Path(str(store.databases.url(store.name).database)), setting.folder / FOLDER
        if edges.SYNC in setting.servers:
            await edges.spread_synced(primary, folder, setting.servers)
        else:
            spread(primary, folder)
    await edges.ready(setting.servers)
    return replace(made, engine_settings={**made.engine_settings, **edges.facts(turso=edges.SYNC in setting.servers)})


def _migrate(connection: Connection) -> None:
    composite_indexes.upgrade_optimised(connection)
    replication.upgrade(connection)


def _sample(cases: Sequence[Case]) -> Sequence[Ask]:
    return next(case.args for case in cases if case.group == "population")
