"""The review's third recommendation: a cache of several layers in front of the database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from functools import lru_cache
from statistics import fmean
from typing import Any

import datasets
from fixtures.caching import facts as caching_facts
from fixtures.caching import faults as caching_faults
from fixtures.caching import history as caching_history
from fixtures.caching.instance import CacheWork, CachingInstance, OneClient, open_instance, plain
from fixtures.requests import READS, CatalogueRequest, Key, owners, read, requests, send
from fixtures.store import ENGINES, dataset, prepare
from harness.probes.cache import Counters
from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.probes.work import work
from harness.results.run import Statement
from harness.scenario import Arm, Case, Group, Prepared, Probe, Scenario, Server, Setting, demonstrates
from harness.servers import redis
from harness.servers.lifecycle import processes, with_cache
from harness.verdicts.measures import combine, count, fewer, shown, slowdown, speedup
from harness.verdicts.promise import Claim, Measure, Promise, at_least, at_most, cut, measured, times, works
from harness.verdicts.rates import share_of
from service.catalogue import DatabaseCatalogue
from service.migrations import composite_indexes
from service.sessions import sessionmaker

SEQUENCE, SEQUENCES = 10, 4
SINGLES, HOT, HOT_READS, UPDATES = 12, 3, 10, 8
READERS = 50
MEASURED = {0: 600, 5: 250, 20: 100, 50: 100}
"""Percentage of writes → requests over which statements and hits are counted: as many as tell its hit rate from 80 %."""

PERCENTS = tuple(MEASURED)
QUICK_SHARE = 5
"""A first look counts this many times fewer."""

SAYS_C3, SAYS_C4 = "hit rate at least 80 %", "writes clear what they change"
KEYS_OF_OTHERS = "a key holds the salted hash of its arguments, the session's address among them: nobody else ever finds it"
DELETES_NOTHING = "an update deletes keys that were never written, and leaves the old answers in the cache"
ANSWERS_REPR = "what comes out of the cache is not what went in: an ORM object comes back as its repr"


def _part(percent: int) -> str:
    return f"{percent} % writes" if percent else "no writes"


def _by_writes(promise: str, says: str, claim: Claim, measure: Callable[[int], Measure]) -> list[Promise]:
    """Return a promise in parts, one for each share of writes."""
    return [Promise(promise, says, claim, measure(percent), part=_part(percent)) for percent in PERCENTS]


def _place(percent: int) -> str:
    return f"{percent}-percent"


USUAL, WRITING, COLD = _place(5), _place(50), "cold"


class RedisCaching(Scenario[CachingInstance]):
    """A cache of two layers in front of the database.

    Five kinds of reads and the writes that change them, as busy users send them, after a history of twenty thousand requests of
    which nothing has expired. As written, the review's cache never hits across sessions, and answers with reprs when it does; the
    proposed arm is repaired just so far that it caches: the arguments stand in the key, as its own deletes expect, and rows are
    stored instead of objects. Done right: the process's memory before Redis, one reader a key, nothing filled that a write has
    overtaken, lifetimes spread, and the database when Redis does not answer. Before every operation the process's memory is
    empty, since it forgets in a second. Statistics may be as old as their lifetime, so they are not compared after a write.
    Every arm has the indexes done right.
    """

    arms = {
        "baseline": "every read goes to the database",
        "proposed": Arm("the review's Redis cache, repaired so far that it caches", as_written=True),
        "optimised": "the process's memory before Redis, protected against stampedes and stale refills",
    }
    groups = (
        Group("prompt", "one prompt"),
        Group("user_prompts", "a user's newest active prompts"),
        Group("evaluation", "an evaluation with its test results"),
        Group("templates", "a category's most used templates"),
        Group("statistics", "the best-scoring prompts, over all evaluations"),
        Group("hot_prompt", f"a popular prompt, {HOT_READS} times in a row", load=False),
        *(Group(f"requests_{n}", f"{SEQUENCE} requests in a row, {n} % of them writes", load=False) for n in PERCENTS),
        Group("update", "another title for a prompt", load=False),
        Group("stampede", f"{READERS} readers at once of one answer that is in no cache", secondary=True, load=False),
    )
    engines = ENGINES
    promises = (
        *_by_writes("C1", "60–80 % less load on the database", cut(0.6, 0.8), lambda p: fewer(f"statements_a_request_{p}", "")),
        Promise("C1", "statements of a stampede", measured("statements"), count("statements", "stampede"), part="stampede"),
        Promise("C2", "P50 ten times faster", times(10), speedup(*READS), part="the five reads"),
        Promise("C2", "P50 ten times faster", times(10), speedup("hot_prompt"), part="a popular prompt"),
        *_by_writes("C2", "ten times faster", times(10), lambda p: speedup(f"requests_{p}")),
        Promise("C2", "slower updates (a cost, not in the review)", measured("×"), slowdown("update"), part="update"),
        *_by_writes("C3", SAYS_C3, at_least(0.8, "share"), lambda p: share_of(f"hits_{p}", f"lookups_{p}")),
        Promise(
            "C3", SAYS_C3, at_least(0.8, "share"), share_of("hits_as_written", "lookups_as_written"), "as written", ("proposed",)
        ),
        Promise("C4", "lifetimes by type of data", works(), count("lifetimes_right", ""), part="lifetimes"),
        Promise("C4", SAYS_C4, works(), count("invalidations_right", ""), part="invalidation"),
        Promise("C4", SAYS_C4, works(), combine([shown(DELETES_NOTHING), shown(ANSWERS_REPR)], fmean), "as written", ("proposed",)),
        Promise("C4", "no stale read", at_most(0, "stale reads"), count("stale_reads", ""), part="stale reads"),
        Promise(
            "C4",
            "no stale read, once calls share a client",
            at_most(0, "stale reads"),
            count("stale_reads_with_one_client", ""),
            part="stale reads, one client",
            arms=("proposed",),
        ),
    )

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start Redis, and the engine, where it is a server."""
        return with_cache(setting)

    def prepare(self, setting: Setting) -> Prepared:
        """Load all tables; every arm has the good indexes, so that only the cache differs."""
        caching_history.make(setting, PERCENTS)
        made = asyncio.run(prepare(setting, datasets.TABLES, dict.fromkeys(self.arms, composite_indexes.upgrade_optimised)))
        return replace(made, engine_settings={**made.engine_settings, **redis.facts(setting.servers["redis"].direct_url)})

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the requests that follow the history."""
        rows, stream = dataset(setting), setting.stream
        usual = _following(rows, stream, 5)
        asked = Counter(request.keys[0] for request in usual if request.method == "prompt")
        updates = [request for request in _following(rows, stream, 50) if request.method == "update_prompt"]
        users = datasets.heavy_users(rows, HOT)
        found = {
            **{kind: [CacheWork(USUAL, stream, (r,)) for r in usual if r.method == kind][:SINGLES] for kind in READS},
            "hot_prompt": [CacheWork(USUAL, stream, (read(key),) * HOT_READS) for key, _ in asked.most_common(HOT)],
            **{f"requests_{percent}": list(_sequences(rows, stream, percent)) for percent in PERCENTS},
            "update": [CacheWork(WRITING, stream, (update,)) for update in updates[:UPDATES]],
            "stampede": [CacheWork(COLD, stream, (read(("user_prompts", user)),) * READERS, at_once=True) for user in users],
        }
        return [Case(group, f"{group} {i}", w) for group, works_ in found.items() for i, w in enumerate(works_, start=1)]

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[CachingInstance]:
        """Open the arm's own copy, and fill its caches as the histories left them."""
        asked: dict[str, set[Key]] = {place: set() for place in (*map(_place, PERCENTS), COLD)}
        sent: list[CatalogueRequest] = []
        for case in self.cases(setting):
            asked[case.args.place] |= {key for request in case.args.requests for key in request.keys}
            sent += case.args.requests
        warm = {_place(percent): asked[_place(percent)] & caching_history.kept(setting, percent) for percent in PERCENTS}
        return open_instance(arm, setting, sent, {**warm, COLD: ()})

    async def run(self, instance: CachingInstance, case: Case) -> Any:
        """Send the requests."""
        catalogue = instance.places[case.args.place].front.catalogue
        if case.args.at_once:
            return await asyncio.gather(*(send(catalogue, request) for request in case.args.requests))
        return [await send(catalogue, request) for request in case.args.requests]

    def normalise(self, case: Case, answer: Any) -> Any:
        """Return tuples, with times as text; statistics are left out where something was written, since they may be old."""
        sent = case.args.requests
        old = any(request.writes for request in sent)
        return [None if old and request.method == "statistics" else plain(a) for request, a in zip(sent, answer, strict=True)]

    async def state(self, instance: CachingInstance, case: Case) -> Any:
        """Return what was written as the rows have it, and as the arm has it: nothing old may be left in its cache."""
        if not any(request.writes for request in case.args.requests):
            return None
        keys = sorted({key for request in case.args.requests for key in request.keys if key[0] != "statistics"})
        ways = (DatabaseCatalogue(sessionmaker(instance.store.undo)), instance.places[case.args.place].front.catalogue)
        return [[plain(await send(way, read(key))) for key in keys] for way in ways]

    async def reset(self, instance: CachingInstance, case: Case, answer: Any) -> None:
        """Put back the rows, and what Redis held; empty the process's memory. Many users at once share a cache that lives on."""
        del answer
        if case.args.stream != instance.store.setting.stream:
            await instance.places[case.args.place].tidy()
            return
        if any(request.writes for request in case.args.requests):
            await instance.originals.restore(case.args.requests)
        await instance.places[case.args.place].restore(case.args.requests)

    def targets(self, instance: CachingInstance) -> Mapping[str, int]:
        """Return the servers of the run, where they run here."""
        return processes(instance.store.setting.servers)

    def probes(self, instance: CachingInstance) -> Sequence[Probe]:
        """Count statements, rows, the engine's work, and what the cache did."""
        return (*work(instance.store.engine), Counters(instance.counts))

    async def statements(self, instance: CachingInstance, case: Case) -> Sequence[Statement]:
        """Return the statements that still go to the database, with their plans."""
        async with Statements(instance.store.engine) as sent:
            await self.run(instance, case)
        await self.reset(instance, case, None)
        return await plans(instance.store.engine, sent.sent(), arm=instance.arm, group=case.group)

    async def facts(self, instance: CachingInstance) -> Mapping[str, float]:
        """Return what the cache does over many requests; at a distance, only what distance changes: how fresh it is."""
        rows = dataset(instance.store.setting)
        prompt_ids = datasets.prompt_ids(rows, instance.store.setting.stream, READERS)
        found = {} if instance.store.setting.rtt_ms else await self._counted(instance, prompt_ids)
        users = owners(rows, frozenset(prompt_ids[:HOT]))
        found.update(await caching_facts.freshness(instance, users))
        found["stale_reads_with_one_client"] = found["stale_reads"]
        if instance.arm == "proposed":
            found["stale_reads_with_one_client"] = (await caching_facts.freshness(instance, users, OneClient))["stale_reads"]
        return found

    async def _counted(self, instance: CachingInstance, prompt_ids: Sequence[str]) -> dict[str, float]:
        """Return what distance does not change: statements and hits over many requests, lifetimes, what writes clear."""
        setting = instance.store.setting
        rows = dataset(setting)
        found: dict[str, float] = {}
        for percent in PERCENTS:
            measured = MEASURED[percent] // (QUICK_SHARE if setting.quick else 1)
            following = _following(rows, setting.stream, percent)[:measured]
            counted = await caching_facts.traffic(instance, caching_history.kept(setting, percent), following)
            found |= {f"{name}_{percent}": value for name, value in counted.items()}
        if instance.arm == "proposed":
            found.update({f"{name}_as_written": n for name, n in (await caching_facts.as_written(instance, prompt_ids)).items()})
        found["lifetimes_right"] = await caching_facts.lifetimes(instance, _following(rows, setting.stream, 5))
        found["invalidations_right"] = await caching_facts.invalidations(instance, _following(rows, setting.stream, 50))
        return found

    @demonstrates(KEYS_OF_OTHERS)
    async def keys_of_others(self, instance: CachingInstance, cases: Sequence[Case]) -> str:
        """Make the key of one call in two processes, and with two sessions."""
        return await caching_faults.keys_of_others(instance, _update(cases)[0])

    @demonstrates(DELETES_NOTHING)
    async def deletes_nothing(self, instance: CachingInstance, cases: Sequence[Case]) -> str:
        """Update a prompt that is in the cache."""
        return await caching_faults.deletes_nothing(instance, _update(cases)[0])

    @demonstrates(ANSWERS_REPR)
    async def answers_repr(self, instance: CachingInstance, cases: Sequence[Case]) -> str:
        """Read a prompt twice in one session."""
        return await caching_faults.answers_repr(instance, _update(cases)[0])

    @demonstrates("json.dumps(default=str) stores times as text, and nothing makes times of them again")
    async def times_become_text(self, instance: CachingInstance, cases: Sequence[Case]) -> str:
        """Read a prompt twice through the repaired cache."""
        return await caching_faults.times_become_text(instance, _update(cases)[0])

    @demonstrates("what is falsy never hits: a row that is not there is asked for in the database for ever")
    async def misses_nothing(self, instance: CachingInstance, cases: Sequence[Case]) -> str:
        """Ask again and again for a prompt that is not there."""
        del cases
        return await caching_faults.misses_nothing(instance)

    @demonstrates("every update calls KEYS, which walks all keys of the database while every other client waits")
    async def walks_all_keys(self, instance: CachingInstance, cases: Sequence[Case]) -> str:
        """Update a prompt beside keys that have nothing to do with it."""
        return await caching_faults.walks_all_keys(instance, *_update(cases))

    @demonstrates("every call makes a client of its own, and with it a new connection")
    async def connects_every_time(self, instance: CachingInstance, cases: Sequence[Case]) -> str:
        """Read what is in the cache."""
        return await caching_faults.connects_every_time(instance, _update(cases)[0])

    @demonstrates("nothing keeps readers of one missing answer from all asking the database at once")
    async def stampedes(self, instance: CachingInstance, cases: Sequence[Case]) -> str:
        """Let many read at once what is not in the cache."""
        return await caching_faults.stampedes(instance, _update(cases)[0], READERS)

    @demonstrates("a reader that read the row before an update stores it after the update's delete: the old answer stays")
    async def refills_with_old(self, instance: CachingInstance, cases: Sequence[Case]) -> str:
        """Update a prompt while a reader is between the database and Redis."""
        return await caching_faults.refills_with_old(instance, *_update(cases))


def _update(cases: Sequence[Case]) -> tuple[str, str]:
    """Return a prompt that is updated, and its user."""
    prompt_id, user_id, *_ = next(case.args.requests[0].arguments for case in cases if case.group == "update")
    return prompt_id, user_id


def _sequences(rows: datasets.Dataset, stream: int, percent: int) -> Iterator[CacheWork]:
    following = _following(rows, stream, percent)
    for start in range(0, SEQUENCE * SEQUENCES, SEQUENCE):
        yield CacheWork(_place(percent), stream, tuple(following[start : start + SEQUENCE]))


@lru_cache(maxsize=2 * len(PERCENTS))
def _following(rows: datasets.Dataset, stream: int, percent: int) -> Sequence[CatalogueRequest]:
    """Return the requests that are measured: those that follow the history."""
    return requests(rows, stream, max(MEASURED.values()), percent)
