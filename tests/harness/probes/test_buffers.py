"""Buffers of queries are exact, fewer with an index, and statements with effects are not executed again."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from harness.probes import buffers
from harness.probes.buffers import Buffers, is_read_only

SCHEMA = (
    "DROP SCHEMA IF EXISTS probed CASCADE",
    "CREATE SCHEMA probed",
    "CREATE TABLE probed.pet WITH (autovacuum_enabled = off) AS SELECT n AS id, n % 50 AS owner FROM generate_series(1, 20000) n",
)
OF_OWNER = text("SELECT id FROM probed.pet WHERE owner = :owner ORDER BY id LIMIT 5")


@pytest.mark.parametrize(
    ("sql", "mere"),
    [
        ("SELECT a FROM b WHERE c = $1", True),
        ("  with x as (select 1) select * from x", True),
        ("WITH gone AS (DELETE FROM b RETURNING a) SELECT a FROM gone", False),
        ("SELECT a FROM b FOR UPDATE", False),
        ("SELECT nextval('s')", False),
        ("SELECT pg_sleep(10)", False),
        ("UPDATE b SET a = 1", False),
        ("EXPLAIN SELECT 1", False),
    ],
)
def test_only_read_only_queries_are_executed_again(sql: str, mere: bool) -> None:
    """Statements that write, lock or call server functions are left out."""
    assert is_read_only(sql) is mere


def test_buffers_repeat_exactly_and_an_index_needs_fewer(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six counts are equal; both queries of an operation count; an operation with too many queries is not counted."""

    async def tried() -> tuple[list[float], float, float, dict[str, float]]:
        engine = create_async_engine(postgres_url)

        async def counted(times: int) -> dict[str, float]:
            async with Buffers(engine) as probe, engine.connect() as connection:
                for owner in range(times):
                    await connection.execute(OF_OWNER, {"owner": owner})
            return dict(probe.counts())

        try:
            async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                for statement in (*SCHEMA, "VACUUM (FREEZE, ANALYZE) probed.pet"):
                    await connection.exec_driver_sql(statement)
                without = [(await counted(1))["query_buffers"] for _ in range(6)]
                twice = (await counted(2))["query_buffers"]
                await connection.exec_driver_sql("CREATE INDEX ON probed.pet (owner, id)")
                await connection.exec_driver_sql("VACUUM (FREEZE, ANALYZE) probed.pet")
                indexed = (await counted(1))["query_buffers"]
                monkeypatch.setattr(buffers, "MAX_QUERIES", 1)
                too_many = await counted(2)
                await connection.exec_driver_sql(SCHEMA[0])
        finally:
            await engine.dispose()
        return without, twice, indexed, too_many

    without, twice, indexed, too_many = asyncio.run(tried())
    assert len(set(without)) == 1
    assert twice == 2 * without[0]
    assert 0 < indexed < without[0] / 10
    assert too_many == {}
