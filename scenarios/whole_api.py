"""The review's summary: the whole service behind its API, with all recommendations at once."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fixtures.api import work
from fixtures.api.faults import ApiFaults
from fixtures.api.instance import CLIENTS, ApiInstance, check, serve, shares_connection
from fixtures.api.requests import IN_WORDS
from fixtures.api.work import BATCH, ApiOutcome, ApiWork
from fixtures.store import RemotePromptScenario, WithRedis, dataset
from harness import (
    Arm,
    CapacityKind,
    Case,
    Group,
    LoadTest,
    NotMeasurableError,
    Prepared,
    Promise,
    Setting,
    response_time,
    share_of,
    speedup_under_load,
    times_the_capacity,
)
from harness.servers.lifecycle import processes
from harness.verdicts.measures import less_time
from harness.verdicts.promise import at_least, at_most, cut, measured, times
from service.migrations import composite_indexes
from service.switches import Level, Switches

LOAD_DECKS = 2  # decks of a stream of single requests under load, before it begins again
OF_THE_MIX = f"{BATCH} requests of the mix by {CLIENTS} clients"
SHARED = "concurrent requests share one connection to SQLite, on which writes during reads fail (see the findings)"
CLAIM_S2, CLAIM_S4 = "95th percentile at most 150 ms", "1000 connections instead of 100"
AT_ONCE = f"{CLIENTS} clients at once"
RATE_PER_S = 30  # requests of the mix per second that the baseline sustains on two cores
UNDER_LOAD = f"at {RATE_PER_S} requests per second"
CLAIM_S5 = "hit rate at least 80 %"


class WholeApi(ApiFaults, WithRedis[ApiInstance], RemotePromptScenario[ApiInstance]):
    """The whole service over HTTP, all recommendations at once.

    Each arm is a process of the service (one uvicorn worker), on another core than its clients where there is one, with its
    own rows, indexes and engine, and with Redis at the RTT of the run. Eight clients on this machine keep their connections,
    and each sends its next request as soon as the last one is answered. The mix of two hundred requests: 120 prompts, 38
    newest pages, 8 lists with evaluations, 8 deep pages, 10 lists of templates, 6 statistics, 6 inserts, 3 bulk inserts of 20
    to 500 prompts and a bulk change, the popular ones most often. They are dealt by kind to eight operations that are alike,
    of which every second one is timed. A request's time is measured by its client, with the wait behind others; an
    operation's is the mean of its requests. Caches are as a history of twenty thousand requests left them, and what an
    operation wrote is undone after it. The time of statements is measured inside the service, in all arms alike. On SQLite
    the service as proposed is timed on reads only: on its one shared connection, concurrent writes fail. Under load, where
    medians, 95th percentiles and capacities are measured, an operation is one request of the mix, its cache is kept, and what
    it wrote is undone at the end of its block.
    """

    arms = {
        "baseline": "the service without the recommendations",
        "proposed": Arm("all of the review's recommendations, with the smallest repairs that make them run", as_written=True),
        "optimised": "all recommendations, optimised",
    }
    groups = (
        Group("mix", f"{OF_THE_MIX}: the mean of their times", uncounted=True),
        Group("statements", f"{OF_THE_MIX}: the mean time of a statement", uncounted=True, load=False),
        Group("reads", f"{BATCH} reads of the mix by {CLIENTS} clients: the mean", secondary=True, uncounted=True, load=False),
        Group("writes", f"the ten writes of a deck by {CLIENTS} clients: the mean", secondary=True, uncounted=True, load=False),
    )
    engines = ("sqlite", "postgres")
    promises = (
        Promise("S1", "median request ten times faster", times(10), speedup_under_load("50"), part="ratio"),
        Promise("S1", "median request at most 20 ms", at_most(20, "ms"), response_time("50"), part=UNDER_LOAD),
        Promise("S2", CLAIM_S2, at_most(150, "ms"), response_time("95"), part=UNDER_LOAD),
        Promise("S2", "95th percentile from 500 to 150 ms", times(500 / 150), speedup_under_load("95"), part="ratio"),
        Promise("S3", "a statement's mean time from 80 to 30 ms", cut(0.62), less_time("statements")),
        Promise("S4", CLAIM_S4, times(10), times_the_capacity(CapacityKind.USERS), part="users at once"),
        Promise("S4", CLAIM_S4, measured("×"), times_the_capacity(CapacityKind.RATE), part="requests per second"),
        Promise("S4", "failed requests", measured("share"), share_of("failed_requests", "requests"), part=AT_ONCE),
        Promise("S5", CLAIM_S5, at_least(0.8, "share"), share_of("hits", "lookups"), part="of what is looked up"),
        Promise("S5", CLAIM_S5, measured("share"), share_of("hits", "counted_requests"), part="of all requests"),
        Promise("S6", "30–41 % less memory", cut(0.3, 0.41), work.peak_memory_cut),
    )
    load_test = LoadTest(RATE_PER_S, seconds=8.0, slo="p95 < 150ms, errors < 0.1%")
    migrations = {"proposed": composite_indexes.upgrade_proposed, "optimised": composite_indexes.upgrade_all}
    busy = True
    waits_to_open = True
    switches = {
        "pools": "connections kept, sized for the server, warmed up",
        "async_queries": "waiting for a server on the event loop, for SQLite in threads",
        "caching": "the process's memory before Redis",
        "indexes": "composite, covering and partial indexes",
        "loading": "evaluations in one more statement instead of fifty",
        "bulk": "bulk writes by executemany and one UPDATE",
        "transactions": "one transaction per request, retried after a conflict",
        "streaming": "pages by key instead of by offset",
        "monitoring": "metrics of requests, statements and the pool, which cost time",
    }

    async def prepare(self, setting: Setting) -> Prepared:
        """Load all tables, and make the history."""
        made = await super().prepare(setting)
        work.warm(setting)
        return made

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return batches and whole decks of the mix, and its reads and writes alone."""
        return [
            Case(group, f"{group} {number}", ApiWork(tuple(requests)))
            for group, of_cases in work.operations(dataset(setting), setting.stream).items()
            for number, requests in enumerate(of_cases, start=1)
        ]

    def load_cases(self, setting: Setting) -> Sequence[Case]:
        """Return single requests of the mix, of some decks of the stream."""
        requests = enumerate(work.decks(setting, 0, LOAD_DECKS), start=1)
        return [Case(IN_WORDS[r.kind], f"{r.kind} {number}", ApiWork((r,), alone=True)) for number, r in requests]

    async def open(self, arm: str, setting: Setting) -> AsyncIterator[ApiInstance]:
        """Start the service on the arm's own copy, and fill its cache as the history left it."""
        switches = Switches.all(Level(arm))
        async with self.database(arm, setting) as store, serve(store, switches, work.warm(setting)) as instance:
            yield instance

    async def open_switched(self, on: frozenset[str], setting: Setting) -> AsyncIterator[ApiInstance]:
        """Start the service with these switches optimised and the others as in the baseline, with few connections and clients.

        ValueError if a switch is unknown.
        """
        unknown = sorted(on - set(self.switches))
        if unknown:
            raise ValueError(f"unknown switch {unknown[0]!r}; choose from {', '.join(self.switches)}")
        switches = replace(Switches.all(Level.BASELINE), **dict.fromkeys(on, Level.OPTIMISED))
        arm = switches.indexes.value
        async with self.database(arm, setting) as store, serve(store, switches, work.warm(setting), few=True) as instance:
            yield instance

    async def run(self, instance: ApiInstance, case: Case) -> Any:
        """Send the requests."""
        requests = case.args.requests
        if shares_connection(instance.switches, instance.store.setting) and any(request.writes for request in requests):
            raise NotMeasurableError(SHARED)
        if case.args.alone:
            sent = [instance.with_free_ids(request) for request in requests]
            answers = [await instance.request(request) for request in sent]
            check(sent, answers)
            return ApiOutcome(sent, answers)
        before = await instance.counts() if case.group == "statements" else None
        answers = await instance.send(requests)
        check(requests, answers)
        if before is None:
            return ApiOutcome(requests, answers)
        after = await instance.counts()
        took_ns, number = (after[name] - before[name] for name in ("statements_ns", "statements"))
        return ApiOutcome(requests, answers, took_ns / number)

    def self_reported_ns(self, case: Case, answer: Any) -> int | None:
        """Return the group's figure: the mean of the requests' times, or of a statement's."""
        return work.figure_ns(case.group, answer)

    def normalise(self, case: Case, answer: Any) -> Any:
        """Return the answers, except those that depend on what other requests of the operation change."""
        return work.comparable(case.args.requests, answer.answers)

    async def state(self, instance: ApiInstance, case: Case) -> Any:
        """Return what was written, from the rows and from the service: nothing old may be left in its cache."""
        return await work.left_behind(instance, case.args.requests)

    async def reset(self, instance: ApiInstance, case: Case, answer: Any) -> None:
        """Undo what was written, and restore the cache. Under load, concurrent users share a cache that is kept: see `settle`."""
        if case.args.alone:
            instance.defer_undo(answer.requests)
        else:
            await instance.restore(answer.requests)

    async def settle(self, instance: ApiInstance) -> None:
        """Undo what was written under load."""
        await instance.settle()

    def targets(self, instance: ApiInstance) -> Mapping[str, int]:
        """Return the service's process, and those of the servers behind it that run here."""
        return {"service": instance.service.pid, **processes(instance.store.setting.servers)}

    async def counts(self, instance: ApiInstance) -> Mapping[str, float]:
        """Return the service's statements, its cache's lookups and hits, and the time of waits for connections and of their use."""
        return await work.watched_counts(instance)

    async def facts(self, instance: ApiInstance) -> Mapping[str, float]:
        """Return hits, failures and peak memory over many requests."""
        return await work.figures(instance)
