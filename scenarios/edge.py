"""The review's ninth recommendation: answer at an edge near the client."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from statistics import fmean
from typing import Any

from fixtures.edges import topology as edges
from fixtures.edges.facts import back_after, figures, replica_lag
from fixtures.edges.faults import NOT_SENT, EdgeFaults
from fixtures.edges.instance import EdgeInstance, open_instance, title_of
from fixtures.edges.traffic import IN_WORDS, SAMPLED, Ask, asks, samples, writable
from fixtures.requests import AT
from fixtures.store import RemotePromptScenario, dataset
from harness import Arm, Case, Group, NotMeasurableError, Prepared, Promise, Server, Setting, share_of
from harness.servers.lifecycle import processes
from harness.verdicts.measures import count, latency, speedup
from harness.verdicts.promise import at_least, at_most, measured, times, works
from service.edges.api import NewTitle
from service.edges.regions import REGIONS

WRITERS = ("ap-northeast", "ap-southeast", "eu-west")
FOLDER = "edges"
PRIMARY = "primary"
LOAD_READS = 2_000  # reads of a stream under load, before it begins again
WRITTEN, AT_REST = NewTitle("Another title", AT), NewTitle("Title at rest", AT)

WORKER_AS_WRITTEN = "the review's worker with its cache, in front of its application with an engine for every request"
CLAIM_E1, CLAIM_E2 = "mean latency worldwide 100 → 20 ms", "Asia to the US 300 → 50 ms"
CLAIM_E3, CLAIM_E4 = "edge cache hit rate at least 70 %", "health check and fail-over"
OWN_WRITES, READ_BACK = "a writer reads what it wrote", "a write, read back at once (not in the review)"


class Edges(EdgeFaults, RemotePromptScenario[EdgeInstance]):
    """An edge in every region instead of one region for all.

    Clients in Virginia, Ireland, Tokyo and Singapore read prompts and their own lists, twenty at a time in the proportion of their
    numbers; the figure is the mean of their latencies. Every region is a separate server with a copy of the data that follows the
    primary in Virginia, and the RTTs between them are those between four of Microsoft's data centres. Connections are kept open, so
    that a request costs one round trip: without that, every remote request takes several times as long, in every arm. The proposal
    is tested at its best: its worker and its application run in every region. With an application in one region only, as its
    FastAPI part reads, each statement would go from there to the edge nearest to the client. It has the smallest repair that makes
    it run. It still answers a write from its cache, so it is skipped where something is written. Optimised: a router by measured
    RTT, a cache that keeps no user's own answers and drops what a write has changed, and no older data for a client that has
    written. On Turso the copies are its embedded replicas, behind its sync server, which handles one request at a time; an edge's
    death is tested on SQLite. Under load an operation is one client's read, and caches are kept.
    """

    arms = {
        "baseline": "one region: all clients connect to Virginia",
        "proposed": Arm(WORKER_AS_WRITTEN, as_written=True),
        "optimised": "a router by measured RTT, in front of edges with a replica and a cache that follow the primary",
    }
    groups = (
        Group("population", "twenty clients of four regions read, the mean latency of one", uncounted=True),
        Group("asia", "twelve clients in Tokyo and Singapore read, the mean latency of one", uncounted=True),
        Group("write_read", "a remote client changes a title and reads it", uncounted=True, skip={"proposed": NOT_SENT}),
    )
    engines = ("sqlite", "turso")
    promises = (
        Promise("E1", CLAIM_E1, times(5), speedup("population"), "times faster"),
        Promise("E1", CLAIM_E1, at_most(20, "ms"), latency("population"), "20 ms"),
        Promise("E2", CLAIM_E2, times(6), speedup("asia"), "times faster"),
        Promise("E2", CLAIM_E2, at_most(50, "ms"), latency("asia"), "50 ms"),
        Promise("E3", CLAIM_E3, at_least(0.7, "share"), share_of("hits", "reads"), "all reads"),
        Promise("E3", CLAIM_E3, at_least(0.7, "share"), share_of("public_hits", "public_reads"), "reads that may be shared"),
        Promise("E3", OWN_WRITES, at_most(0, "reads"), count("own_writes_unseen", ""), "own writes (not in the review)"),
        Promise("E4", CLAIM_E4, works(), count("recovered", ""), "clients of a dead edge are served again"),
        Promise("E4", CLAIM_E4, measured("share"), share_of("failed_requests", "requests_after_kill"), "failed requests"),
        Promise("E4", CLAIM_E4, measured("s"), back_after, "until no request is disturbed"),
        Promise("E4", "nothing lost", at_most(0, "writes"), count("lost_writes", ""), "lost writes"),
        Promise("E4", "age of a replica's data", measured("ms"), replica_lag, "replica lag", ("optimised",)),
        Promise("E4", READ_BACK, measured("×"), speedup("write_read"), "write and read", ("optimised",)),
    )
    waits_to_open = True
    tables = ("prompts",)
    migrations = {PRIMARY: edges.migrate}

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the nodes of four regions and the proxies between them.

        NotMeasurableError if an RTT was requested, though the regions have fixed ones; or Turso's replicas have no sync server.
        """
        if setting.rtt_ms:
            raise NotMeasurableError("the regions have fixed RTTs; run it with --rtt 0")
        return edges.start_regions(setting.folder / FOLDER, turso=setting.engine == "turso")

    async def prepare(self, setting: Setting) -> Prepared:
        """Load the prompts, give every node its copy, and wait until all answer."""
        made = await super().prepare(setting)
        async with self.database(PRIMARY, setting) as store:
            await edges.fill(store, setting.folder / FOLDER)
        return replace(made, engine_settings={**made.engine_settings, **edges.facts(turso=edges.SYNC in setting.servers)})

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

    def self_reported_ns(self, case: Case, answer: Any) -> int | None:
        """Return the mean latency of a sample's clients."""
        return None if case.group == "write_read" else round(fmean(reply.latency_ns for reply in answer))

    def normalise(self, case: Case, answer: Any) -> Any:
        """Return the clients' answers, or the title that was read."""
        return title_of(answer.body) if case.group == "write_read" else [(reply.status, reply.body) for reply in answer]

    async def state(self, instance: EdgeInstance, case: Case) -> Any:
        """Return the title at the origin."""
        return await instance.title_at_origin(case.args[1]) if case.group == "write_read" else None

    async def reset(self, instance: EdgeInstance, case: Case, _answer: Any) -> None:
        """Restore the title, or restore the caches to what the history left in them."""
        if case.group == "write_read":
            _, prompt_id, user_id = case.args
            await instance.retitle_at_origin(prompt_id, user_id, AT_REST)
        elif not isinstance(case.args, Ask):
            await instance.restore(case.args)

    def targets(self, instance: EdgeInstance) -> Mapping[str, int]:
        """Return the nodes of the regions."""
        return processes({f"edge {region}": instance.servers[region] for region in REGIONS})

    async def counts(self, instance: EdgeInstance) -> Mapping[str, float]:
        """Return lookups in the arm's caches, and hits."""
        return await instance.counts()

    async def facts(self, instance: EdgeInstance) -> Mapping[str, float]:
        """Return hits over many requests, whether own writes are read, and the effects of an edge's death."""
        # An edge's death does not depend on the engine, and is tested where the edge that dies can have its own copy of the file.
        return await figures(instance, kills=edges.SYNC not in instance.servers)
