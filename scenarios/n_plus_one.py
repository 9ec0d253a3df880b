"""The review's fifth recommendation: eager loading and a DataLoader in place of N+1 statements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

import datasets
from fixtures.store import ENGINES, Store, dataset, open_store, prepare
from harness.probes.ping import ping
from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.probes.work import work
from harness.results.run import Statement
from harness.scenario import Arm, Case, Group, Prepared, Probe, Scenario, Server, Setting, demonstrates
from harness.servers.lifecycle import processes, servers
from harness.verdicts.measures import count, fewer, speedup
from harness.verdicts.promise import Promise, at_most, cut, times
from service import dataloader, loading
from service.migrations import composite_indexes

TABLES = ("prompts", "evaluations")
USERS = 4
"""So few users that even the smallest data set has fifty prompts for each."""

KEYS = 50
BATCHES = 16
SAYS_N3 = "DataLoader: N statements become 2–3"

LISTS: Mapping[str, Callable[[Any, str], Awaitable[Any]]] = {
    "baseline": loading.with_evaluations_one_by_one,
    "proposed": loading.with_evaluations_proposed,
    "optimised": loading.with_evaluations_optimised,
}
BY_ID: Mapping[str, Callable[[Any, Sequence[str]], Awaitable[Any]]] = {
    "baseline": dataloader.prompts_one_by_one,
    "proposed": dataloader.prompts_repaired,
    "optimised": dataloader.prompts_gathered,
}
IN_TURN: Mapping[str, Callable[[Any, Sequence[str]], Awaitable[Any]]] = {
    "baseline": dataloader.prompts_one_by_one,
    "optimised": dataloader.prompts_sequential,
}
GROUPED = {"prompts_by_id": BY_ID, "prompts_in_turn": IN_TURN}


class NPlusOne(Scenario[Store]):
    """Two statements in place of N+1.

    A page of a user's fifty newest prompts, each with its completed evaluations; and fifty prompts by id, as a GraphQL layer would
    ask for them. The baseline sends a statement for each. The review fetches all evaluations with one IN list, as ORM objects, and
    adds a hand-made DataLoader, tried here through its `load_many` with a batch function that keeps the keys' order, because as
    written neither `load` nor the batch function answers right. Done right: only the columns needed, as rows, and a DataLoader
    that gathers the keys of one turn of the event loop. Every arm has the indexes done right, so that only the statements differ.
    """

    arms = {
        "baseline": "one statement for the list, one more for every row",
        "proposed": Arm("a second statement for all rows, as ORM objects", as_written=True),
        "optimised": "a second statement for the columns needed, as rows",
    }
    groups = (
        Group("prompts_with_evaluations", "a user's fifty newest prompts, each with its completed evaluations"),
        Group(
            "prompts_by_id",
            f"{KEYS} prompts by id, asked for at the same time, through a DataLoader where there is one",
            secondary=True,
        ),
        Group(
            "prompts_in_turn",
            f"{KEYS} prompts by id, each awaited before the next is asked for",
            secondary=True,
            skip={"proposed": "the hand-made DataLoader's load answers None"},
        ),
    )
    engines = ENGINES
    promises = (
        Promise("N1", "51 statements become 2, 96 % fewer", cut(0.96), fewer("statements", "prompts_with_evaluations")),
        Promise("N2", "response time 10–20× faster", times(10, 20), speedup("prompts_with_evaluations")),
        Promise("N3", SAYS_N3, at_most(3, "statements"), count("statements", "prompts_by_id"), part="asked for at once"),
        Promise("N3", SAYS_N3, at_most(3, "statements"), count("statements", "prompts_in_turn"), part="asked for in turn"),
    )

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the engine, where it is a server."""
        return servers(setting)

    def prepare(self, setting: Setting) -> Prepared:
        """Load prompts and evaluations; every arm has the good indexes, so that only the statements differ."""
        return asyncio.run(prepare(setting, TABLES, dict.fromkeys(self.arms, composite_indexes.upgrade_optimised)))

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the busiest users, and batches of ids as busy users ask for them."""
        rows = dataset(setting)
        users = datasets.heavy_users(rows, USERS)
        ids = datasets.prompt_ids(rows, setting.stream, KEYS * BATCHES)
        return [
            *(Case("prompts_with_evaluations", f"user {rank}", user) for rank, user in enumerate(users, start=1)),
            *(
                Case(group, f"{group} {i}", ids[i * KEYS : (i + 1) * KEYS])
                for group in ("prompts_by_id", "prompts_in_turn")
                for i in range(BATCHES)
            ),
        ]

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[Store]:
        """Open the arm's own copy."""
        return open_store(setting, arm, restored=True)

    async def run(self, instance: Store, case: Case) -> Any:
        """Load as the arm does."""
        if case.group in GROUPED:
            return await GROUPED[case.group][instance.arm](instance.sessions, case.args)
        async with instance.sessions() as session:
            return await LISTS[instance.arm](session, case.args)

    def targets(self, instance: Store) -> Mapping[str, int]:
        """Return the servers of the run, where they run here."""
        return processes(instance.setting.servers)

    async def ping(self, instance: Store) -> int:
        """Ask the database for nothing."""
        return await ping(instance.engine)

    def probes(self, instance: Store) -> Sequence[Probe]:
        """Count statements, rows and the engine's work."""
        return work(instance.engine)

    async def statements(self, instance: Store, case: Case) -> Sequence[Statement]:
        """Return the statements and their plans."""
        async with Statements(instance.engine) as sent:
            await self.run(instance, case)
        return await plans(instance.engine, sent.sent(), arm=instance.arm, group=case.group)

    @demonstrates("the hand-made DataLoader's `load` answers None until a hundred keys are waiting")
    async def load_answers_none(self, instance: Store, cases: Sequence[Case]) -> str:
        """Ask for fifty keys one after another."""
        keys = next(case.args for case in cases if case.group == "prompts_by_id")
        loader = dataloader.ReviewDataLoader[str, Any](lambda batch: dataloader.prompts_repaired(instance.sessions, batch))
        answers = [await loader.load(key) for key in keys]
        nothing = sum(answer is None for answer in answers)
        assert nothing, "every key was answered"
        return f"{nothing} of {len(keys)} prompts that exist came back as None"

    @demonstrates("the review's batch function pairs keys with rows in the database's order: callers get other keys' rows")
    async def rows_of_other_keys(self, instance: Store, cases: Sequence[Case]) -> str:
        """Ask for fifty keys at once and compare ids."""
        keys = next(case.args for case in cases if case.group == "prompts_by_id")
        answers = await dataloader.prompts_as_written(instance.sessions, keys)
        wrong = sum(answer is None or answer[0] != key for key, answer in zip(keys, answers, strict=True))
        assert wrong, "every key got its own row"
        return f"{wrong} of {len(keys)} keys got another prompt, or none"
