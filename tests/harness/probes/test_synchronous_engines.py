"""Every probe accepts synchronous engines, and counts on them what it counts with asyncio."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from harness.errors import UsageError
from harness.probes.counted import CountedWork
from harness.probes.index_bytes import stored_bytes
from harness.probes.plans import plans
from harness.probes.pool import PoolUse
from harness.probes.statement_times import StatementTimes
from harness.probes.statements import Statements
from harness.probes.work import work

SCHEMA = (
    "DROP TABLE IF EXISTS synchronous_pet",
    "CREATE TABLE synchronous_pet (id INTEGER PRIMARY KEY, owner INTEGER)",
    "CREATE INDEX synchronous_pet_owner ON synchronous_pet (owner)",
)
QUERY = text("SELECT id FROM synchronous_pet WHERE owner = :owner ORDER BY id")


@pytest.fixture(params=["sqlite", "postgresql"])
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Engine, Callable[[], AsyncEngine]]]:
    """Yield a synchronous engine of a filled database, and a function that makes one with asyncio."""
    if request.param == "sqlite":
        urls = [f"sqlite:///{tmp_path / 'pets.db'}", f"sqlite+aiosqlite:///{tmp_path / 'pets.db'}"]
    else:
        url = request.getfixturevalue("postgres_url")
        urls = [url.replace("+asyncpg", "+psycopg"), url]
    engine = create_engine(urls[0])
    with engine.begin() as connection:
        for statement in SCHEMA:
            connection.exec_driver_sql(statement)
        connection.execute(
            text("INSERT INTO synchronous_pet VALUES (:id, :owner)"), [{"id": n, "owner": n % 20} for n in range(2_000)]
        )
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql("ANALYZE")
    yield engine, lambda: create_async_engine(urls[1])
    with engine.begin() as connection:
        connection.exec_driver_sql(SCHEMA[0])
    engine.dispose()


def query(engine: Engine) -> list[Any]:
    """Read the pets of an owner."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(QUERY, {"owner": 7})]


async def counts(engine: Engine | AsyncEngine) -> dict[str, float]:
    """Return all counts of the query, after it was sent once."""
    found = {}
    for _ in range(2):
        probes = work(engine)
        for probe in probes:
            await probe.__aenter__()
        if isinstance(engine, Engine):
            query(engine)
        else:
            async with engine.connect() as connection:
                (await connection.execute(QUERY, {"owner": 7})).all()
        for probe in reversed(probes):
            await probe.__aexit__(None, None, None)
        found = {metric: value for probe in probes for metric, value in probe.counts().items()}
    return found


def test_work_is_counted_alike(engines: tuple[Engine, Callable[[], AsyncEngine]]) -> None:
    """Statements, rows, VM steps, blocks and buffers are those of an engine with asyncio."""
    engine, with_asyncio = engines

    async def both() -> tuple[dict[str, float], dict[str, float]]:
        other = with_asyncio()
        try:
            return await counts(engine), await counts(other)
        finally:
            await other.dispose()

    found, expected = asyncio.run(both())
    assert found == expected
    assert found["rows"] == 100
    own = {"vm_steps"} if engine.dialect.name == "sqlite" else {"query_buffers", "blocks"}
    assert own <= found.keys()
    assert all(found[metric] > 0 for metric in own)


def test_other_probes_accept_it(engines: tuple[Engine, Callable[[], AsyncEngine]]) -> None:
    """Plans, the use of the pool, times of statements and sizes."""
    engine, _ = engines

    async def tried() -> Any:
        async with PoolUse(engine) as use, StatementTimes(engine) as times, Statements(engine) as sent:
            query(engine)
        return use.counts(), len(times.took_ns), await plans(engine, sent.sent(), arm="a", group="g"), await stored_bytes(engine)

    used, timed, (statement,), stored = asyncio.run(tried())
    assert (used["checkouts"], timed) == (1, 1)
    assert statement.uses_index
    assert stored.indexes["synchronous_pet_owner"] > 0
    assert stored.tables["synchronous_pet"] > 0


def test_a_block_of_code_is_counted_without_asyncio(engines: tuple[Engine, Callable[[], AsyncEngine]]) -> None:
    """`with` for a synchronous engine, `async with` for the other; `with` for that one is refused with what to write."""
    engine, with_asyncio = engines
    with CountedWork(engine) as counted:
        query(engine)
        query(engine)
    assert (counted["statements"], counted["rows"]) == (2, 200)
    assert [statement.count for statement in counted.sent] == [2]
    assert "'statements': 2" in repr(counted)
    assert len(counted) == len(list(counted)) > 2
    with pytest.raises(KeyError):
        counted["unknown"]

    async def both() -> None:
        other = with_asyncio()
        async with CountedWork(engine, other, engine) as together, other.connect() as connection:
            (await connection.execute(QUERY, {"owner": 7})).all()
            query(engine)
        assert together["statements"] == 2
        with pytest.raises(UsageError, match="is counted by `async with`"), CountedWork(other):
            pass
        await other.dispose()

    asyncio.run(both())
