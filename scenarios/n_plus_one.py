"""The review's fifth recommendation: eager loading and a DataLoader instead of N+1 statements."""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
from fixtures.n_plus_one import DataLoaderFaults
from fixtures.store import PromptScenario, by_arm, dataset
from harness import Arm, Case, Group, Promise, Setting, SqlInstance, at_most, count, cut, fewer, speedup, times
from service import loading
from service.migrations import composite_indexes

USERS = 4  # the busiest users: few enough that even the smallest data set has fifty prompts for each
KEYS, BATCHES = 50, 16
CLAIM_N3 = "DataLoader: N statements become 2–3"

LISTS: Mapping[str, Any] = by_arm(
    loading.with_evaluations_one_by_one, loading.with_evaluations_proposed, loading.with_evaluations_optimised
)
LOADS: Mapping[str, Mapping[str, Any]] = {
    "prompts_by_id": by_arm(loading.prompts_one_by_one, loading.prompts_repaired, loading.prompts_gathered),
    "prompts_in_turn": {"baseline": loading.prompts_one_by_one, "optimised": loading.prompts_sequential},
}


class NPlusOne(DataLoaderFaults, PromptScenario[SqlInstance]):
    """Two statements instead of N+1.

    A page of a user's fifty newest prompts, each with its completed evaluations; and fifty prompts by id, as a GraphQL server would
    request them. The baseline sends one statement for each. The review fetches all evaluations with one IN list, as ORM objects,
    and adds a hand-made DataLoader. As written, neither its `load` nor its batch function returns the right rows; it is tested
    through `load_many` with a batch function that keeps the order of the keys. Optimised: only the columns needed, as rows, and a
    DataLoader that gathers the keys of one event loop iteration. Every arm has the optimised indexes, so that only the statements
    differ.
    """

    arms = {
        "baseline": "one statement for the list and one more for every row",
        "proposed": Arm("a second statement for all rows, as ORM objects", as_written=True),
        "optimised": "a second statement for the columns needed, as rows",
    }
    groups = (
        Group("prompts_with_evaluations", "a user's fifty newest prompts, each with its completed evaluations"),
        Group("prompts_by_id", f"{KEYS} prompts by id, all requested at the same time", secondary=True),
        Group(
            "prompts_in_turn",
            f"{KEYS} prompts by id, each awaited before the next is requested",
            secondary=True,
            skip={"proposed": "the `load` of the hand-made DataLoader returns None"},
        ),
    )
    promises = (
        Promise("N1", "51 statements become 2, 96 % fewer", cut(0.96), fewer("statements", "prompts_with_evaluations")),
        Promise("N2", "response time 10–20× faster", times(10, 20), speedup("prompts_with_evaluations")),
        Promise("N3", CLAIM_N3, at_most(3, "statements"), count("statements", "prompts_by_id"), part="requested concurrently"),
        Promise("N3", CLAIM_N3, at_most(3, "statements"), count("statements", "prompts_in_turn"), part="requested in sequence"),
    )
    tables = ("prompts", "evaluations")
    migrations = dict.fromkeys(arms, composite_indexes.upgrade_optimised)
    reusable = True

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the busiest users, and batches of ids as busy users request them."""
        rows = dataset(setting)
        ids = datasets.prompt_ids(rows, setting.stream, KEYS * BATCHES)
        batches = [ids[first : first + KEYS] for first in range(0, len(ids), KEYS)]
        users = enumerate(datasets.heavy_users(rows, USERS), start=1)
        return [
            *(Case("prompts_with_evaluations", f"user {rank}", user) for rank, user in users),
            *(Case(group, f"{group} {i}", batch) for group in LOADS for i, batch in enumerate(batches)),
        ]

    async def run(self, instance: SqlInstance, case: Case) -> Any:
        """Load as the arm does."""
        if case.group in LOADS:
            return await LOADS[case.group][instance.arm](instance.sessions, case.args)
        async with instance.sessions() as session:
            return await LISTS[instance.arm](session, case.args)
