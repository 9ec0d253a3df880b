"""The review's sixth recommendation: Core inserts in batches, and bulk updates."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from statistics import fmean
from typing import Any, NamedTuple

from sqlalchemy import insert

import datasets
from fixtures.requests import AT
from fixtures.rows import PROMPTS, delete_rows, stored
from fixtures.store import SMALL_CACHE, PromptScenario, by_arm, dataset, first_args
from harness import Arm, Case, Group, Promise, Setting, SqlInstance, demonstrates
from harness.verdicts.measures import combine, latency, memory_cut, shown, speedup, verified
from harness.verdicts.promise import at_most, cut, times, works
from service import bulk

MANY, THOUSAND, FEW = 10_000, 1_000, 100
STREAMS = 8  # streams of new rows for each stream of cases, so that no two cases insert the same id
CLAIM_B4 = "insert and upsert, bulk status update and bulk soft delete work"
CANNOT_RUN = "the bulk insert cannot run as written: the generic insert() has no on_conflict_do_update"
AS_WRITTEN = combine([shown(CANNOT_RUN), verified("set_status_100"), verified("soft_delete_100")], fmean)
ONCE_IT_RUNS = verified("insert_10000", "upsert_100", "set_status_100", "soft_delete_100")

Techniques = Mapping[str, Callable[..., Awaitable[int]]]
INSERTS: Techniques = by_arm(bulk.insert_baseline, bulk.insert_repaired, bulk.insert_optimised)
UPSERTS: Techniques = by_arm(bulk.upsert_baseline, bulk.upsert_repaired, bulk.upsert_optimised)
STATUS: Techniques = by_arm(bulk.set_status_baseline, bulk.set_status_proposed, bulk.set_status_optimised)
DELETES: Techniques = by_arm(bulk.soft_delete_baseline, bulk.soft_delete_proposed, bulk.soft_delete_optimised)
OPERATIONS: Mapping[str, tuple[Techniques, Sequence[Any]]] = {
    "insert_10000": (INSERTS, ()),
    "insert_1000": (INSERTS, ()),
    "insert_100": (INSERTS, ()),
    "upsert_100": (UPSERTS, ()),
    "set_status_100": (STATUS, ("archived", AT)),
    "soft_delete_100": (DELETES, (AT,)),
}
"""Group → its techniques by arm, and their arguments after the rows or ids."""


class Written(NamedTuple):
    """Input of a case: rows to write, or the ids of rows to change."""

    values: Sequence[Any]
    """The rows or ids."""
    originals: Sequence[Mapping[str, Any]] = ()
    """The rows that are there before, as they were loaded."""

    @property
    def ids(self) -> list[str]:
        """The ids of all rows."""
        return [item if isinstance(item, str) else item["id"] for item in self.values]


class Bulk(PromptScenario[SqlInstance]):
    """Many rows in few statements.

    Inserting, upserting, changing the status of and soft-deleting many prompts. The baseline handles ORM objects one by one. As
    written, the review's insert raises before it sends anything; the proposed arm has the smallest change that makes it run, the
    dialect's insert(), and keeps its thousand rows after one VALUES. Optimised: executemany, and all ids in one bound parameter.
    Every arm commits once, so that all are equally durable, and leaves the same rows behind.
    """

    arms = {
        "baseline": "ORM objects, add_all and one commit",
        "proposed": Arm("VALUES with a thousand rows, repaired to run; UPDATE with an IN list", as_written=True),
        "optimised": "executemany; UPDATE with all ids in one bound parameter",
    }
    groups = (
        Group("insert_10000", "insert 10 000 prompts", slow=True, uncounted=True, load=False),
        Group("insert_1000", "insert 1 000 prompts", uncounted=True, load=False),
        Group("insert_100", "insert 100 prompts", secondary=True),
        Group("upsert_100", "upsert 100 prompts, half of which exist", secondary=True, load=False),
        Group("set_status_100", "archive 100 prompts", secondary=True, load=False),
        Group("soft_delete_100", "soft-delete 100 prompts, some of which are deleted already", secondary=True, load=False),
    )
    promises = (
        Promise("B1", "bulk insert 5–10× faster", times(5, 10), speedup("insert_1000"), part="1 000 rows"),
        Promise("B1", "bulk insert 5–10× faster", times(5, 10), speedup("insert_10000"), part="10 000 rows"),
        Promise("B2", "10 000 rows within 5 s", at_most(5, "s"), latency("insert_10000", "s")),
        Promise("B3", "50 % less memory for the insert", cut(0.5), memory_cut("insert_10000")),
        Promise("B4", CLAIM_B4, works(), AS_WRITTEN, part="as written", arms=("proposed",)),
        Promise("B4", CLAIM_B4, works(), ONCE_IT_RUNS, part="once it runs"),
    )
    tables = ("prompts",)
    connections = SMALL_CACHE

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return rows and ids to write; different streams write different rows."""
        rows = dataset(setting)
        first = setting.stream * STREAMS
        fresh = datasets.prompts_to_insert(rows, first, MANY)
        there = list(islice(datasets.rows(rows, "prompts"), 2 * FEW))
        known = [dict(row, content=row["content"] + " again") for row in there[: FEW // 2]]
        few = [Written(datasets.prompts_to_insert(rows, first + i, FEW)) for i in range(1, STREAMS)]
        return [
            Case("insert_10000", "insert 10000", Written(fresh)),
            Case("insert_1000", "insert 1000", Written(fresh[:THOUSAND])),
            *(Case("insert_100", f"insert 100, {i}", written) for i, written in enumerate(few, start=1)),
            Case("upsert_100", "upsert 100", Written([*known, *fresh[: FEW // 2]], there[: FEW // 2])),
            Case("set_status_100", "archive 100", Written([row["id"] for row in there[:FEW]], there[:FEW])),
            Case("soft_delete_100", "delete 100", Written([row["id"] for row in there[-FEW:]], there[-FEW:])),
        ]

    async def run(self, instance: SqlInstance, case: Case) -> int:
        """Write as the arm does."""
        async with instance.sessions() as session:
            techniques, more = OPERATIONS[case.group]
            return await techniques[instance.arm](session, case.args.values, *more)

    async def state(self, instance: SqlInstance, case: Case) -> Any:
        """Read back what was written."""
        return await stored(instance.undo, "prompts", case.args.ids)

    async def reset(self, instance: SqlInstance, case: Case, _answer: int) -> None:
        """Put the rows that were written back as they were."""
        await delete_rows(instance.undo, "prompts", case.args.ids)
        if case.args.originals:
            async with instance.undo.begin() as connection:
                await connection.execute(insert(PROMPTS), case.args.originals)

    @demonstrates(CANNOT_RUN)
    async def generic_insert(self, instance: SqlInstance, cases: Sequence[Case]) -> str:
        """Insert as written."""
        async with instance.sessions() as session:
            try:
                await bulk.insert_as_written(session, first_args(cases, "insert_100").values)
            except AttributeError as error:
                return f"AttributeError: {error}"
        raise AssertionError("it inserted")
