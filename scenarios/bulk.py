"""The review's sixth recommendation: Core inserts in batches, and bulk updates."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from statistics import fmean
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

import datasets
from fixtures.bulk.faults import CANNOT_RUN, BulkFaults
from fixtures.store import SMALL_CACHE, PromptScenario, dataset
from harness import (
    Arm,
    Case,
    Group,
    Promise,
    Setting,
    SqlInstance,
    at_most,
    combine,
    cut,
    latency,
    memory_cut,
    shown,
    speedup,
    times,
    verified,
    works,
)
from service import bulk
from service.loading import KEYS_PER_STATEMENT, chunks
from service.models import Base

PROMPTS = Base.metadata.tables["prompts"]
MANY, THOUSAND, FEW = 10_000, 1_000, 100
STREAMS = 8
"""Streams of new rows for each stream of cases, so that no two cases insert the same id."""

AT = datetime(2025, 10, 2, 3, 4, 5, 678_901)  # noqa: DTZ001 - the service keeps UTC without a zone

CLAIM_B4 = "insert and upsert, bulk status update and bulk soft delete work"

Technique = Callable[[AsyncSession, Any], Awaitable[int]]
INSERTS: Mapping[str, Technique] = {
    "baseline": bulk.insert_baseline,
    "proposed": bulk.insert_repaired,
    "optimised": bulk.insert_optimised,
}
UPSERTS: Mapping[str, Technique] = {
    "baseline": bulk.upsert_baseline,
    "proposed": bulk.upsert_repaired,
    "optimised": bulk.upsert_optimised,
}
STATUS: Mapping[str, Technique] = {
    "baseline": lambda session, ids: bulk.set_status_baseline(session, ids, "archived", AT),
    "proposed": lambda session, ids: bulk.set_status_proposed(session, ids, "archived", AT),
    "optimised": lambda session, ids: bulk.set_status_optimised(session, ids, "archived", AT),
}
DELETES: Mapping[str, Technique] = {
    "baseline": lambda session, ids: bulk.soft_delete_baseline(session, ids, AT),
    "proposed": lambda session, ids: bulk.soft_delete_proposed(session, ids, AT),
    "optimised": lambda session, ids: bulk.soft_delete_optimised(session, ids, AT),
}
OPERATIONS: Mapping[str, Mapping[str, Technique]] = {
    "insert_10000": INSERTS,
    "insert_1000": INSERTS,
    "insert_100": INSERTS,
    "upsert_100": UPSERTS,
    "set_status_100": STATUS,
    "soft_delete_100": DELETES,
}


class Bulk(BulkFaults, PromptScenario[SqlInstance]):
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
        Group("insert_10000", "insert 10 000 prompts", slow=True, uncounted=True, memory=True, load=False),
        Group("insert_1000", "insert 1 000 prompts", uncounted=True, load=False),
        Group("insert_100", "insert 100 prompts", secondary=True, memory_warm_up=True),
        Group("upsert_100", "upsert 100 prompts, half of which exist", secondary=True, load=False),
        Group("set_status_100", "archive 100 prompts", secondary=True, load=False),
        Group("soft_delete_100", "soft-delete 100 prompts, some of which are deleted already", secondary=True, load=False),
    )
    promises = (
        Promise("B1", "bulk insert 5–10× faster", times(5, 10), speedup("insert_1000"), part="1 000 rows"),
        Promise("B1", "bulk insert 5–10× faster", times(5, 10), speedup("insert_10000"), part="10 000 rows"),
        Promise("B2", "10 000 rows within 5 s", at_most(5, "s"), latency("insert_10000", "s")),
        Promise("B3", "50 % less memory for the insert", cut(0.5), memory_cut("insert_10000")),
        Promise(
            "B4",
            CLAIM_B4,
            works(),
            combine([shown(CANNOT_RUN), verified("set_status_100"), verified("soft_delete_100")], fmean),
            part="as written",
            arms=("proposed",),
        ),
        Promise(
            "B4",
            CLAIM_B4,
            works(),
            verified("insert_10000", "upsert_100", "set_status_100", "soft_delete_100"),
            part="once it runs",
        ),
    )
    tables = ("prompts",)
    connections = SMALL_CACHE

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return rows and ids to write; different streams write different rows."""
        rows = dataset(setting)
        first = setting.stream * STREAMS
        fresh = datasets.prompts_to_insert(rows, first, MANY)
        there = _rows_to_change(rows)
        known = [dict(row, content=row["content"] + " again") for row in islice(there.values(), FEW // 2)]
        return [
            Case("insert_10000", "insert 10000", fresh),
            Case("insert_1000", "insert 1000", fresh[:THOUSAND]),
            *(Case("insert_100", f"insert 100, {i}", datasets.prompts_to_insert(rows, first + i, FEW)) for i in range(1, STREAMS)),
            Case("upsert_100", "upsert 100", [*known, *fresh[: FEW // 2]]),
            Case("set_status_100", "archive 100", list(there)[:FEW]),
            Case("soft_delete_100", "delete 100", list(there)[-FEW:]),
        ]

    async def run(self, instance: SqlInstance, case: Case) -> int:
        """Write as the arm does."""
        async with instance.sessions() as session:
            return await OPERATIONS[case.group][instance.arm](session, case.args)

    async def state(self, instance: SqlInstance, case: Case) -> Any:
        """Read back what was written."""
        found: list[Any] = []
        async with instance.undo.connect() as connection:
            for ids in chunks(sorted(_ids(case)), KEYS_PER_STATEMENT):
                found += await connection.execute(select(PROMPTS).where(PROMPTS.c.id.in_(ids)))
        return sorted(tuple(row) for row in found)

    async def reset(self, instance: SqlInstance, case: Case, answer: int) -> None:
        """Put the rows that were written back as they were."""
        del answer
        ids, before = _ids(case), _rows_to_change(dataset(instance.setting))
        async with instance.undo.connect() as connection:
            for some in chunks(ids, KEYS_PER_STATEMENT):
                await connection.execute(delete(PROMPTS).where(PROMPTS.c.id.in_(some)))
            original = [before[key] for key in ids if key in before]
            if original:
                await connection.execute(insert(PROMPTS), original)
            await connection.commit()


@lru_cache(maxsize=1)
def _rows_to_change(rows: datasets.Dataset) -> Mapping[str, Mapping[str, Any]]:
    """Return the first prompts of the data set by id, as they were loaded: those that are upserted, archived and deleted."""
    return {row["id"]: row for row in islice(datasets.rows(rows, "prompts"), 2 * FEW)}


def _ids(case: Case) -> list[str]:
    return [item if isinstance(item, str) else item["id"] for item in case.args]
