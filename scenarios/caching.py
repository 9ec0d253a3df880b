"""The review's third recommendation: a cache of several layers in front of the database."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

import datasets
from fixtures.caching import instance as cached
from fixtures.caching.facts import figures
from fixtures.caching.faults import ANSWERS_REPR, DELETES_NOTHING, READERS, CacheFaults
from fixtures.caching.instance import COLD, MEASURED, SEQUENCE, CacheWork, CachingInstance
from fixtures.requests import READS, read, send
from fixtures.store import WithRedis, dataset
from harness import Arm, Case, Group, Prepared, Probe, Promise, Scenario, Setting, share_of
from harness.probes.cache import Counters
from harness.verdicts.measures import combine, count, fewer, shown, slowdown, speedup
from harness.verdicts.promise import Claim, Measure, at_least, at_most, cut, measured, times, works
from service.catalogue import DatabaseCatalogue
from service.migrations import composite_indexes
from service.sessions import sessionmaker

SINGLES, HOT, HOT_READS, UPDATES = 12, 3, 10, 8
CLAIM_C3, CLAIM_C4 = "hit rate at least 80 %", "writes clear what they change"
ONE_CLIENT, STALE_WITH_ONE = "no stale read, once calls share a client", count("stale_reads_with_one_client", "")
HITS_AS_WRITTEN = share_of("hits_as_written", "lookups_as_written")
CLEARED_AS_WRITTEN = combine([shown(DELETES_NOTHING), shown(ANSWERS_REPR)], fmean)


def _by_writes(promise: str, claim: str, threshold: Claim, measure: Callable[[int], Measure]) -> list[Promise]:
    """Return a promise in parts, one for each percentage of writes."""
    parts = {percent: f"{percent} % writes" if percent else "no writes" for percent in MEASURED}
    return [Promise(promise, claim, threshold, measure(percent), part=part) for percent, part in parts.items()]


USUAL, WRITING = cached.place(5), cached.place(50)


class RedisCaching(CacheFaults, WithRedis[CachingInstance]):
    """A cache of two layers in front of the database.

    Five kinds of reads and the writes that change them, as busy users send them, after a history of twenty thousand requests of
    which nothing has expired. As written, the review's cache never hits across sessions, and returns reprs when it does; the
    proposed arm has the smallest repair that makes it cache: the arguments are in the key, as its deletes expect, and rows are
    stored instead of objects. Optimised: the process's memory before Redis, one reader per key, no refill with a value that a write
    has replaced, spread lifetimes, and the database when Redis does not answer. Before every operation the process's memory is
    empty, since it keeps a value for a second only. Statistics may be as old as their lifetime, so they are not compared after a
    write. Every arm has the optimised indexes.
    """

    arms = {
        "baseline": "every read goes to the database",
        "proposed": Arm("the review's Redis cache, with the smallest repair that makes it cache", as_written=True),
        "optimised": "the process's memory before Redis, protected against stampedes and stale refills",
    }
    groups = (
        Group("prompt", "one prompt"),
        Group("user_prompts", "a user's newest active prompts"),
        Group("evaluation", "an evaluation with its test results"),
        Group("templates", "a category's most used templates"),
        Group("statistics", "the best-scoring prompts, over all evaluations"),
        Group("hot_prompt", f"a popular prompt, {HOT_READS} times in a row", load=False),
        *(Group(f"requests_{n}", f"{SEQUENCE} requests in a row, {n} % of them writes", load=False) for n in MEASURED),
        Group("update", "another title for a prompt", load=False),
        Group("stampede", f"{READERS} concurrent readers of one answer that is in no cache", secondary=True, load=False),
    )
    promises = (
        *_by_writes("C1", "60–80 % less load on the database", cut(0.6, 0.8), lambda p: fewer(f"statements_per_request_{p}", "")),
        Promise("C1", "statements of a stampede", measured("statements"), count("statements", "stampede"), part="stampede"),
        Promise("C2", "P50 ten times faster", times(10), speedup(*READS), part="the five reads"),
        Promise("C2", "P50 ten times faster", times(10), speedup("hot_prompt"), part="a popular prompt"),
        *_by_writes("C2", "ten times faster", times(10), lambda p: speedup(f"requests_{p}")),
        Promise("C2", "slower updates (a cost, not in the review)", measured("×"), slowdown("update"), part="update"),
        *_by_writes("C3", CLAIM_C3, at_least(0.8, "share"), lambda p: share_of(f"hits_{p}", f"lookups_{p}")),
        Promise("C3", CLAIM_C3, at_least(0.8, "share"), HITS_AS_WRITTEN, "as written", ("proposed",)),
        Promise("C4", "lifetimes by type of data", works(), count("lifetimes_right", ""), part="lifetimes"),
        Promise("C4", CLAIM_C4, works(), count("invalidations_right", ""), part="invalidation"),
        Promise("C4", CLAIM_C4, works(), CLEARED_AS_WRITTEN, "as written", ("proposed",)),
        Promise("C4", "no stale read", at_most(0, "stale reads"), count("stale_reads", ""), part="stale reads"),
        Promise("C4", ONE_CLIENT, at_most(0, "stale reads"), STALE_WITH_ONE, "stale reads, one client", ("proposed",)),
    )
    migrations = dict.fromkeys(arms, composite_indexes.upgrade_optimised)
    reusable = True
    ping = Scenario.ping  # none: most operations do not reach the database

    async def prepare(self, setting: Setting) -> Prepared:
        """Load all tables, and make the histories."""
        for percent in MEASURED:
            cached.kept(setting, percent)
        return await super().prepare(setting)

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the requests that follow the history."""
        rows, stream = dataset(setting), setting.stream
        usual = cached.following(rows, stream, 5)
        asked = Counter(request.keys[0] for request in usual if request.method == "prompt")
        updates = [request for request in cached.following(rows, stream, 50) if request.method == "update_prompt"]
        users = datasets.heavy_users(rows, HOT)
        found = {
            **{kind: [CacheWork(USUAL, stream, (r,)) for r in usual if r.method == kind][:SINGLES] for kind in READS},
            "hot_prompt": [CacheWork(USUAL, stream, (read(key),) * HOT_READS) for key, _ in asked.most_common(HOT)],
            **{f"requests_{percent}": list(cached.sequences(rows, stream, percent)) for percent in MEASURED},
            "update": [CacheWork(WRITING, stream, (update,)) for update in updates[:UPDATES]],
            "stampede": [CacheWork(COLD, stream, (read(("user_prompts", user)),) * READERS, at_once=True) for user in users],
        }
        return [Case(group, f"{group} {i}", w) for group, works_ in found.items() for i, w in enumerate(works_, start=1)]

    async def open(self, arm: str, setting: Setting) -> AsyncIterator[CachingInstance]:
        """Open the arm's own copy, and fill its caches as the histories left them."""
        cases = self.cases(setting)
        sent, warm = [r for case in cases for r in case.args.requests], cached.warm_keys(cases, setting)
        async with self.database(arm, setting) as store, cached.open_instance(store, sent, warm) as instance:
            yield instance

    async def run(self, instance: CachingInstance, case: Case) -> Any:
        """Send the requests."""
        catalogue = instance.places[case.args.place].front.catalogue
        if case.args.at_once:
            return await asyncio.gather(*(send(catalogue, request) for request in case.args.requests))
        return [await send(catalogue, request) for request in case.args.requests]

    def normalise(self, case: Case, answer: Any) -> Any:
        """Return tuples, with times as text; statistics may be old after a write, and are then left out."""
        work: CacheWork = case.args
        answered = zip(work.requests, answer, strict=True)
        return [None if work.writes and request.method == "statistics" else cached.plain(found) for request, found in answered]

    async def state(self, instance: CachingInstance, case: Case) -> Any:
        """Return what was written, from the rows and from the arm: nothing old may be left in its cache."""
        if not case.args.writes:
            return None
        keys = sorted(key for key in case.args.keys if key[0] != "statistics")
        ways = (DatabaseCatalogue(sessionmaker(instance.store.undo)), instance.places[case.args.place].front.catalogue)
        return [[cached.plain(await send(way, read(key))) for key in keys] for way in ways]

    async def reset(self, instance: CachingInstance, case: Case, _answer: Any) -> None:
        """Restore the rows and Redis, and empty the process's memory. Under load, concurrent users share a cache that is kept."""
        here = instance.places[case.args.place]
        if case.args.stream != instance.store.setting.stream:
            await here.front.tidy()
            return
        if case.args.writes:
            await instance.originals.restore(case.args.requests)
        await here.restore(case.args.requests)

    def probes(self, instance: CachingInstance) -> Sequence[Probe]:
        """Count statements, rows, the engine's work, and the cache's lookups and hits."""
        return (*super().probes(instance), Counters(instance.counts))

    async def facts(self, instance: CachingInstance) -> Mapping[str, float]:
        """Return the figures of the cache over many requests."""
        return await figures(instance)
