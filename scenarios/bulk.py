"""The review's sixth recommendation: Core inserts in batches, and bulk updates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from functools import lru_cache
from itertools import islice
from statistics import fmean
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

import datasets
from fixtures.store import ENGINES, SMALL_CACHE, Store, dataset, open_store, prepare
from harness.probes.ping import ping
from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.probes.work import work
from harness.results.run import Statement
from harness.scenario import Arm, Case, Group, Prepared, Probe, Scenario, Server, Setting, demonstrates
from harness.servers.lifecycle import servers
from harness.verdicts.measures import combine, latency, memory_cut, shown, speedup, verified
from harness.verdicts.promise import Promise, at_most, cut, times, works
from service import bulk
from service.loading import KEYS_PER_STATEMENT, chunks
from service.models import Base

TABLES = ("prompts",)
PROMPTS = Base.metadata.tables["prompts"]
MANY, THOUSAND, FEW = 10_000, 1_000, 100
STREAMS = 8
"""Streams of new rows for each stream of cases, so that no two cases insert the same id."""

AT = datetime(2025, 10, 2, 3, 4, 5, 678_901)  # noqa: DTZ001 - the service keeps UTC without a zone
CANNOT_RUN = "the bulk insert cannot run as written: the generic insert() has no on_conflict_do_update"

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


class Bulk(Scenario[Store]):
    """Many rows in few statements.

    Inserting, upserting, changing the status of and soft-deleting many prompts. The baseline goes through ORM objects one by one.
    As written, the review's insert raises before it sends anything; the proposed arm has the smallest change that makes it run, the
    dialect's own insert, and keeps its thousand rows after one VALUES. Done right: executemany, and ids in one variable. Every arm
    commits once, so all are equally durable, and leaves the same rows behind.
    """

    arms = {
        "baseline": "ORM objects, add_all and one commit",
        "proposed": Arm("VALUES with a thousand rows, repaired to run; UPDATE with an IN list", as_written=True),
        "optimised": "executemany; UPDATE with the ids in one variable",
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
            "insert and upsert, bulk status update and bulk soft delete work",
            works(),
            combine([shown(CANNOT_RUN), verified("set_status_100"), verified("soft_delete_100")], fmean),
            part="as written",
            arms=("proposed",),
        ),
        Promise(
            "B4",
            "insert and upsert, bulk status update and bulk soft delete work",
            works(),
            verified("insert_10000", "upsert_100", "set_status_100", "soft_delete_100"),
            part="once it runs",
        ),
    )
    engines = ENGINES

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the engine, where it is a server."""
        return servers(setting)

    def prepare(self, setting: Setting) -> Prepared:
        """Load prompts."""
        return asyncio.run(prepare(setting, TABLES, {}))

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return rows and ids to write; every stream's rows are its own."""
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

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[Store]:
        """Open the arm's own copy."""
        return open_store(setting, arm, SMALL_CACHE)

    async def run(self, instance: Store, case: Case) -> int:
        """Write as the arm does."""
        async with instance.sessions() as session:
            return await OPERATIONS[case.group][instance.arm](session, case.args)

    async def state(self, instance: Store, case: Case) -> Any:
        """Read back what was written."""
        found: list[Any] = []
        async with instance.undo.connect() as connection:
            for ids in chunks(sorted(_ids(case)), KEYS_PER_STATEMENT):
                found += await connection.execute(select(PROMPTS).where(PROMPTS.c.id.in_(ids)))
        return sorted(tuple(row) for row in found)

    async def reset(self, instance: Store, case: Case, answer: int) -> None:
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

    async def ping(self, instance: Store) -> int:
        """Ask the database for nothing."""
        return await ping(instance.engine)

    def probes(self, instance: Store) -> Sequence[Probe]:
        """Count statements, rows and the engine's work."""
        return work(instance.engine)

    async def statements(self, instance: Store, case: Case) -> Sequence[Statement]:
        """Return the statements, with plans where there are any."""
        async with Statements(instance.engine) as sent:
            await self.run(instance, case)
        await self.reset(instance, case, 0)
        return await plans(instance.engine, sent.sent(), arm=instance.arm, group=case.group)

    @demonstrates(CANNOT_RUN)
    async def generic_insert(self, instance: Store, cases: Sequence[Case]) -> str:
        """Insert as written."""
        rows = next(case.args for case in cases if case.group == "insert_100")
        async with instance.sessions() as session:
            try:
                await bulk.insert_as_written(session, rows)
            except AttributeError as error:
                return f"AttributeError: {error}"
        raise AssertionError("it inserted")


@lru_cache(maxsize=1)
def _rows_to_change(rows: datasets.Dataset) -> Mapping[str, Mapping[str, Any]]:
    """Return the first prompts of the data set by id, as they were loaded: those that are upserted, archived and deleted."""
    return {row["id"]: row for row in islice(datasets.rows(rows, "prompts"), 2 * FEW)}


def _ids(case: Case) -> list[str]:
    return [item if isinstance(item, str) else item["id"] for item in case.args]
