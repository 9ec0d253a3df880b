"""The composite indexes: the gaps of the proposed ones, and the plans with the optimised ones."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Dialect, make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateIndex

from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.results.run import Statement
from service import prompts
from service.migrations import composite_indexes
from service.migrations.composite_indexes import MISLEADING
from service.models import Base
from service.sessions import sessionmaker

SQLITE: Dialect = make_url("sqlite+aiosqlite://").get_dialect()()
POSTGRESQL: Dialect = make_url("postgresql+asyncpg://").get_dialect()()

OnEngine = Callable[..., Any]

READS: dict[str, Callable[..., Any]] = {
    "active": lambda session: prompts.active_prompts(session, "ann"),
    "best": lambda session: prompts.best_evaluations(session, "p0444"),
    "results": lambda session: prompts.results(session, "e00-p0037", passed=False),
    "templates": lambda session: prompts.top_templates(session, "b"),
    "analysis": prompts.evaluation_analysis,
    "newest": lambda session: prompts.newest_evaluations(session, "openai", "big"),
}


async def plan(engine: AsyncEngine, read: str) -> Statement:
    """Return the plan of a read's only statement."""
    async with Statements(engine) as probe, sessionmaker(engine)() as session:
        await READS[read](session)
    (statement,) = await plans(engine, probe.sent(), arm="any", group=read)
    return statement


async def index_names(engine: AsyncEngine) -> set[str]:
    """Return the names of the indexes created by a statement."""
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
        return set(rows.scalars())


def test_proposed_predicate_is_lost_on_sqlite() -> None:
    """As written, the proposed partial index is silently a full one on SQLite; on PostgreSQL it is partial."""
    index = composite_indexes.proposed()[0]
    assert "WHERE" not in str(CreateIndex(index).compile(dialect=SQLITE))
    assert str(CreateIndex(index).compile(dialect=POSTGRESQL)).endswith("WHERE deleted_at IS NULL")


def test_optimised_predicates_hold_on_both_dialects() -> None:
    """The optimised indexes are partial on SQLite and on PostgreSQL."""
    for dialect in (SQLITE, POSTGRESQL):
        made = [str(CreateIndex(i).compile(dialect=dialect)) for i in composite_indexes.optimised(dialect.name)]
        assert [sql.partition(" WHERE ")[2] for sql in made if " WHERE " in sql] == [
            "deleted_at IS NULL",
            "status = 'completed' AND overall_score IS NOT NULL",
        ]


def test_best_first_is_written_for_each_dialect() -> None:
    """PostgreSQL needs NULLS LAST; SQLite sorts so by itself and refuses the keyword."""
    ddl = {
        dialect.name: str(CreateIndex(composite_indexes.optimised(dialect.name)[1]).compile(dialect=dialect))
        for dialect in (SQLITE, POSTGRESQL)
    }
    assert "overall_score DESC NULLS LAST" in ddl["postgresql"]
    assert "overall_score DESC, id" in ddl["sqlite"]


@pytest.mark.parametrize("read", READS)
def test_optimised_reads_need_no_sort_of_rows(on_engine: OnEngine, read: str) -> None:
    """With the optimised indexes no read scans a table, and only a ranking by mean and ties in score are sorted."""

    async def planned(engine: AsyncEngine) -> Statement:
        async with engine.begin() as connection:
            await connection.run_sync(composite_indexes.upgrade_optimised)
        return await plan(engine, read)

    found = on_engine(planned)
    assert found.uses_index
    assert not found.scans_table
    sorts = [line for line in found.plan if "TEMP B-TREE" in line]
    allowed = {"analysis": ["USE TEMP B-TREE FOR ORDER BY"], "results": ["USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"]}
    assert sorts == allowed.get(read, [])


def test_statistics_make_the_baseline_prefer_the_wrong_index(on_engine: OnEngine) -> None:
    """After ANALYZE, SQLite looks for a user's prompts among all live ones, with the index on deleted_at."""

    async def planned(engine: AsyncEngine) -> Statement:
        async with engine.begin() as connection:
            # As many users as deleted prompts suffice; here the statistics are set directly.
            await connection.exec_driver_sql("UPDATE sqlite_stat1 SET stat = '10000 13' WHERE idx = 'idx_prompts_deleted_at'")
            await connection.exec_driver_sql("UPDATE sqlite_stat1 SET stat = '10000 51' WHERE idx = 'idx_prompts_user_id'")
            await connection.exec_driver_sql("ANALYZE sqlite_schema")
        return await plan(engine, "active")

    assert "idx_prompts_deleted_at" in on_engine(planned).plan[0]


def test_upgrades_do_not_change_the_shared_metadata(on_engine: OnEngine) -> None:
    """After both upgrades `create_all` still creates the baseline's twelve indexes and no other."""
    before = {index.name for table in Base.metadata.tables.values() for index in table.indexes}

    async def upgraded(engine: AsyncEngine) -> set[str]:
        for upgrade in (composite_indexes.upgrade_proposed, composite_indexes.upgrade_optimised, composite_indexes.upgrade_keyset):
            async with engine.begin() as connection:
                await connection.run_sync(upgrade)
        return await index_names(engine)

    names = on_engine(upgraded)
    assert {index.name for table in Base.metadata.tables.values() for index in table.indexes} == before
    assert len(before) == 12
    assert before - names == {*composite_indexes.REDUNDANT, *MISLEADING}
    assert len(names - before) == 4 + 6 + 2
