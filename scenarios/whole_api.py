"""The review's summary: the whole service behind its API, with all recommendations at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import datasets
from fixtures.api import facts as api_facts
from fixtures.api import faults as api_faults
from fixtures.api.answers import comparable, left_behind
from fixtures.api.instance import CLIENTS, ApiAnswer, ApiInstance, check, open_instance
from fixtures.api.mix import DECK, IN_WORDS
from fixtures.api.requests import ApiRequest, deck, held
from fixtures.requests import Key
from fixtures.store import dataset, prepare
from harness.databases.snapshot_cache import kept
from harness.errors import NotMeasurableError
from harness.results.load import CapacityKind
from harness.scenario import Arm, Case, Group, Prepared, Scenario, Server, Setting, demonstrates
from harness.servers import redis
from harness.servers.servers import processes, with_cache
from harness.stats.intervals import median, percentiles
from harness.verdicts.capacity import times_the_capacity
from harness.verdicts.measures import latency, less_time, speedup
from harness.verdicts.promise import Promise, at_least, at_most, cut, measured, times
from harness.verdicts.rates import share_of
from service.migrations import levels
from service.switches import Level, Switches

BATCH = 25
"""Requests in an operation: an eighth of a deck, so that eight of them hold the mix exactly."""

SMALLER = 3
"""Batches for a figure that needs few: the median, and a statement's time."""

HISTORY_DECKS = 100
"""Decks before the first that is measured: what came within the shortest lifetime, five minutes, at 67 requests a second."""

HISTORY_STREAM = 2**24 - 3
"""The history is everybody's: its stream is no case's."""

FACTS_FROM, COUNTED_DECKS, FACTS_PROCESSES = 8, 4, 2
FAULT_DECKS = 4

LOAD_DECKS = 2
"""Decks of a stream of single requests under load, before it begins again."""

SHARED = "requests at once share one connection to SQLite, on which writes beside reads fail (see the findings)"
SAYS_S2, SAYS_S4 = "95th percentile at most 150 ms", "1000 connections instead of 100"
SAYS_S5 = "hit rate at least 80 %"


@dataclass(frozen=True)
class ApiWork:
    """What a case does: requests, sent by several clients at once. `alone` is one of many under load, on a cache that lives on."""

    requests: tuple[ApiRequest, ...]
    alone: bool = False


@dataclass(frozen=True)
class ApiOutcome:
    """The requests as they were sent, their answers in the same order, and the mean time of a statement, where it is asked for."""

    requests: Sequence[ApiRequest]
    answers: Sequence[ApiAnswer]
    statement_ns: float | None = None


class WholeApi(Scenario[ApiInstance]):
    """The whole service over HTTP, all recommendations at once.

    Each arm is a process of the service of its own (one uvicorn worker), on another core than its clients where there is one, on
    its own rows with its own indexes, engine and Redis at the distance of the run; clients reach it on this machine, on kept
    connections, eight at once, each asking as soon as it is answered. The mix of two hundred requests: 120 prompts, 38 newest
    pages, 8 lists with evaluations, 8 deep pages, 10 lists of templates, 6 statistics, 6 inserts, 3 bulk inserts of 20 to 500
    prompts and a bulk change, the popular asked for most. A request's time is its client's, waiting behind others included; an
    operation's is the mean of its requests, or the median or 95th percentile where a promise is about that. Caches are as a
    history of twenty thousand requests left them, and what an operation wrote is taken back after it. How long a statement takes
    is counted inside the service, in all arms alike. On SQLite the service as proposed is timed on reads alone: on its one shared
    connection what is written meanwhile fails. Under load an operation is one request of the mix, its cache lives on, and what it
    wrote is taken back when its block is over.
    """

    arms = {
        "baseline": "the service of today",
        "proposed": Arm("all of the review's recommendations, repaired so far that they run", as_written=True),
        "optimised": "all recommendations done right",
    }
    groups = (
        Group("mix", f"{BATCH} requests of the mix by {CLIENTS} clients: the mean of their times", uncounted=True),
        Group("mix_p50", f"{BATCH} requests of the mix by {CLIENTS} clients: the median", uncounted=True, load=False),
        Group("mix_p95", f"{DECK} requests of the mix by {CLIENTS} clients: the 95th percentile", uncounted=True, load=False),
        Group(
            "statements",
            f"{BATCH} requests of the mix by {CLIENTS} clients: the mean time of a statement",
            uncounted=True,
            load=False,
        ),
        Group("reads", f"{BATCH} reads of the mix by {CLIENTS} clients: the mean", secondary=True, uncounted=True, load=False),
        Group(
            "writes",
            f"the ten writes among {DECK} requests, by {CLIENTS} clients: the mean",
            secondary=True,
            uncounted=True,
            load=False,
        ),
    )
    engines = ("sqlite", "postgres")
    promises = (
        Promise("S1", "median request ten times faster", times(10), speedup("mix_p50"), part="ratio"),
        Promise("S1", "median request at most 20 ms", at_most(20, "ms"), latency("mix_p50"), part=f"{CLIENTS} clients at once"),
        Promise("S2", SAYS_S2, at_most(150, "ms"), latency("mix_p95"), part=f"{CLIENTS} clients at once"),
        Promise("S2", "95th percentile from 500 to 150 ms", times(500 / 150), speedup("mix_p95"), part="ratio"),
        Promise("S3", "a statement's mean time from 80 to 30 ms", cut(0.62), less_time("statements")),
        Promise("S4", SAYS_S4, times(10), times_the_capacity(CapacityKind.USERS), part="users at once"),
        Promise("S4", SAYS_S4, measured("×"), times_the_capacity(CapacityKind.RATE), part="requests a second"),
        Promise(
            "S4", "failed requests", measured("share"), share_of("failed_requests", "requests"), part=f"{CLIENTS} clients at once"
        ),
        Promise("S5", SAYS_S5, at_least(0.8, "share"), share_of("hits", "lookups"), part="of what is looked up"),
        Promise("S5", SAYS_S5, measured("share"), share_of("hits", "counted_requests"), part="of all requests"),
        Promise("S6", "30–41 % less memory", cut(0.3, 0.41), api_facts.peak_memory_cut()),
    )
    busy = True
    switches = {
        "pools": "connections kept, sized for the server, warmed up",
        "async_queries": "waiting for a server on the event loop, for SQLite in threads",
        "caching": "the process's memory before Redis",
        "indexes": "composite, covering and partial indexes",
        "loading": "evaluations in one more statement instead of fifty",
        "bulk": "bulk writes by executemany and one UPDATE",
        "transactions": "one transaction a request, tried again after a conflict",
        "streaming": "pages by key instead of by offset",
        "monitoring": "metrics of requests, statements and the pool, which cost time",
    }

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start Redis, and the engine, where it is a server."""
        return with_cache(setting)

    def prepare(self, setting: Setting) -> Prepared:
        """Load all tables; each arm has the indexes of its level."""
        migrations = {"proposed": levels.upgrade_proposed, "optimised": levels.upgrade_optimised}
        made = asyncio.run(prepare(setting, datasets.TABLES, migrations))
        _warm(setting)
        return replace(made, engine_settings={**made.engine_settings, **redis.facts(setting.servers["redis"].near)})

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return batches and whole decks of the mix, and its reads and writes alone."""
        return [
            Case(group, f"{group} {number}", ApiWork(tuple(requests)))
            for group, operations in _operations(dataset(setting), setting.stream).items()
            for number, requests in enumerate(operations, start=1)
        ]

    def load_cases(self, setting: Setting) -> Sequence[Case]:
        """Return single requests of the mix, of some decks of the stream."""
        requests = self._decks(setting, 0, LOAD_DECKS)
        return [
            Case(IN_WORDS[r.kind], f"{r.kind} {number}", ApiWork((r,), alone=True)) for number, r in enumerate(requests, start=1)
        ]

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[ApiInstance]:
        """Start the service on the arm's own copy, and fill its cache as the history left it."""
        return open_instance(arm, Switches.all(Level(arm)), setting, _warm(setting))

    def open_switched(self, on: AbstractSet[str], setting: Setting) -> AbstractAsyncContextManager[ApiInstance]:
        """Start the service with these switches done right and the others as today, sparing with connections, and with few clients.

        Raises:
            ValueError: there is no such switch.
        """
        unknown = sorted(on - set(self.switches))
        if unknown:
            raise ValueError(f"no switch named {unknown[0]!r}; known: {', '.join(self.switches)}")
        switches = replace(Switches.all(Level.BASELINE), **dict.fromkeys(on, Level.OPTIMISED))
        return open_instance(switches.indexes.value, switches, setting, _warm(setting), few=True)

    async def run(self, instance: ApiInstance, case: Case) -> Any:
        """Send the requests."""
        requests = case.args.requests
        if instance.shares_connection and any(request.writes for request in requests):
            raise NotMeasurableError(SHARED)
        if case.args.alone:
            sent = [instance.unlike_others(request) for request in requests]
            answers = [await instance.ask(request) for request in sent]
            check(sent, answers)
            return ApiOutcome(sent, answers)
        before = await instance.counts() if case.group == "statements" else None
        answers = await instance.send(requests)
        check(requests, answers)
        if before is None:
            return ApiOutcome(requests, answers)
        after = await instance.counts()
        return ApiOutcome(
            requests, answers, (after["statements_ns"] - before["statements_ns"]) / (after["statements"] - before["statements"])
        )

    def own_ns(self, case: Case, answer: Any) -> int | None:
        """Return the group's figure: mean, median or 95th percentile of the requests' times, or the mean time of a statement."""
        if case.group == "statements":
            return int(answer.statement_ns)
        times_ns = [each.latency_ns for each in answer.answers]
        if case.group == "mix_p50":
            return round(median(times_ns))
        if case.group == "mix_p95":
            p95_ns = percentiles(times_ns)["95"]
            assert p95_ns is not None, f"{len(times_ns)} requests are too few for a 95th percentile"
            return round(p95_ns)
        return round(fmean(times_ns))

    def normalise(self, case: Case, answer: Any) -> Any:
        """Return what the answers say, where it does not depend on what others of them change."""
        return comparable(case.args.requests, answer.answers)

    async def state(self, instance: ApiInstance, case: Case) -> Any:
        """Return what was written, as the rows have it and as the service answers: nothing old may be left in its cache."""
        return await left_behind(instance, case.args.requests)

    async def reset(self, instance: ApiInstance, case: Case, answer: Any) -> None:
        """Take back what was written, and bring back the cache. Many users at once share a cache that lives on: see `settle`."""
        if case.args.alone:
            instance.put_off(answer.requests)
        else:
            await instance.restore(answer.requests)

    async def settle(self, instance: ApiInstance) -> None:
        """Take back what was written under load."""
        await instance.settle()

    def targets(self, instance: ApiInstance) -> Mapping[str, int]:
        """Return the service's process, and those of the servers behind it that run here."""
        return {"service": instance.service.pid, **processes(instance.store.setting.servers)}

    async def counts(self, instance: ApiInstance) -> Mapping[str, float]:
        """Return the service's statements, what its cache did, and the time that requests wait for connections and have them."""
        found = await instance.counts()
        counts = {
            "statements": found["statements"],
            "ms in statements": found["statements_ns"] / 1e6,
            "ms waiting for a connection": found["waits_ns"] / 1e6,
        }
        if "held_ns" in found:
            counts["ms with a connection"] = found["held_ns"] / 1e6
        if "lookups" in found:
            counts |= {"cache lookups": found["lookups"], "cache hits": found["lookups"] - found["loads"]}
        return counts

    async def facts(self, instance: ApiInstance) -> Mapping[str, float]:
        """Return how often the cache hits, what fails, and what memory the process takes, over many requests."""
        setting = instance.store.setting
        services, decks = (1, 2) if setting.quick else (FACTS_PROCESSES, COUNTED_DECKS)
        first, more = self._decks(setting, FACTS_FROM, 1), self._decks(setting, FACTS_FROM + 1, decks - 1)
        return await api_facts.under_load(instance, first, more, _asked(first + more) & _history(setting), services)

    @demonstrates(
        "on SQLite all requests at once share one connection and its transaction: what is written while others read fails"
    )
    async def fails_writes(self, instance: ApiInstance, cases: Sequence[Case]) -> str:
        """Create prompts while others read."""
        del cases
        requests = self._decks(instance.store.setting, FACTS_FROM, FAULT_DECKS)
        return await api_faults.fails_writes(instance, [r for r in requests if r.kind in {"create", "newest"}])

    @demonstrates("the bulk insert is an upsert by id alone: it replaces another user's prompt, which the service of today refuses")
    async def replaces_others(self, instance: ApiInstance, cases: Sequence[Case]) -> str:
        """Insert a prompt with the id of another user's."""
        change = next(r for r in self._decks(instance.store.setting, 0, 1) if r.kind == "bulk_change")
        del cases
        return await api_faults.replaces_others(instance, change.changes[0].id, "somebody else")

    def _decks(self, setting: Setting, first: int, number: int) -> list[ApiRequest]:
        return [r for each in range(first, first + number) for r in deck(dataset(setting), setting.stream, each)]


def _operations(rows: datasets.Dataset, stream: int) -> Mapping[str, Sequence[Sequence[ApiRequest]]]:
    """Return what each group's cases send."""
    first, whole, other = (deck(rows, stream, number) for number in range(3))
    batches = [first[start : start + BATCH] for start in range(0, DECK, BATCH)]
    reads, writes = ([request for request in other if request.writes == writing] for writing in (False, True))
    return {
        "mix": batches,
        "mix_p50": batches[:SMALLER],
        "mix_p95": [whole],
        "statements": batches[SMALLER : 2 * SMALLER],
        "reads": [reads[:BATCH], reads[BATCH : 2 * BATCH]],
        "writes": [writes],
    }


def _warm(setting: Setting) -> AbstractSet[Key]:
    """Return what the cases ask for of that which the history left in the cache; made once a run."""

    def make() -> AbstractSet[Key]:
        operations = _operations(dataset(setting), setting.stream).values()
        return _asked([request for each in operations for requests in each for request in requests]) & _history(setting)

    return kept(setting, f"warm-{setting.stream}", make)


def _asked(requests: Sequence[ApiRequest]) -> AbstractSet[Key]:
    return {key for request in requests for key in request.keys}


def _history(setting: Setting) -> frozenset[Key]:
    """Return what the history leaves in a cache; made once a run."""
    return kept(setting, "history", lambda: held(dataset(setting), HISTORY_STREAM, HISTORY_DECKS))
