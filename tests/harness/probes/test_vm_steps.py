"""Virtual-machine steps are exact, repeatable, and those of the operation only."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.errors import UsageError
from harness.probes.vm_steps import VmSteps

OnEngine = Callable[..., Any]

SCAN = "SELECT count(*), sum(age) FROM pet WHERE age % 3 = 1"


async def steps(engine: AsyncEngine, *statements: str, at_once: bool = False) -> float:
    """Count the steps of some statements, each on a separate connection."""

    async def send(statement: str) -> None:
        async with engine.begin() as connection:
            await connection.execute(text(statement))

    async with VmSteps(engine) as probe:
        if at_once:
            await asyncio.gather(*map(send, statements))
        else:
            for statement in statements:
                await send(statement)
    return probe.counts()["vm_steps"]


def test_steps_repeat_exactly(on_engine: OnEngine) -> None:
    """The same reads, and writes that are rolled back, take the same steps ten times."""
    work = (SCAN, "INSERT INTO owner VALUES ('x', 'x')", "DELETE FROM owner WHERE id = 'x'", SCAN)

    async def ten(engine: AsyncEngine) -> list[float]:
        return [await steps(engine, *work) for _ in range(10)]

    counts = on_engine(ten)
    assert counts[0] > 1000
    assert len(set(counts)) == 1


def test_steps_equal_sqlites_own_count(on_engine: OnEngine) -> None:
    """The count equals SQLite's own statement counter, where the build has it."""

    async def both(engine: AsyncEngine) -> tuple[float, Any]:
        async with engine.connect() as connection:
            options = set((await connection.exec_driver_sql("PRAGMA compile_options")).scalars())
            if "ENABLE_STMTVTAB" not in options:
                pytest.skip("this SQLite was built without sqlite_stmt")
            await connection.exec_driver_sql(SCAN)
            own = (await connection.exec_driver_sql("SELECT nstep FROM sqlite_stmt WHERE sql = ?", (SCAN,))).scalar_one()
        control = await steps(engine)
        return await steps(engine, SCAN) - control, own

    counted, own = on_engine(both)
    # BEGIN and COMMIT are programs as well, of five and three steps at most.
    assert own < counted <= own + 8


def test_concurrent_connections_lose_no_step(on_engine: OnEngine) -> None:
    """Four connections in four threads count the same as one after the other."""

    async def both(engine: AsyncEngine) -> tuple[float, float]:
        return await steps(engine, *[SCAN] * 4), await steps(engine, *[SCAN] * 4, at_once=True)

    one_by_one, at_once = on_engine(both)
    assert one_by_one == at_once


def test_opening_a_connection_is_not_counted(on_engine: OnEngine) -> None:
    """Neither PRAGMAs nor reading the schema count, for any number of indexes."""

    async def counts(engine: AsyncEngine) -> list[float]:
        found = [await steps(engine, "SELECT 1")]
        async with engine.begin() as connection:
            for number in range(30):
                await connection.execute(text(f"CREATE INDEX more_{number} ON owner (name)"))
        return [*found, await steps(engine, "SELECT 1"), await steps(engine)]

    before, after, nothing = on_engine(counts)
    assert before == after
    assert nothing == 0


def test_nothing_is_counted_after_the_probe(on_engine: OnEngine) -> None:
    """The count does not change, new connections have no handler, and an operation may dispose of the engine."""

    async def counts(engine: AsyncEngine) -> tuple[float, float, bool]:
        probe = VmSteps(engine)
        async with probe:
            await engine.dispose()
            async with engine.connect() as connection:
                await connection.execute(text(SCAN))
        first = probe.counts()["vm_steps"]
        async with engine.connect() as connection:
            await connection.execute(text(SCAN))
        listening = probe._watch in list(engine.sync_engine.pool.dispatch.connect)
        return first, probe.counts()["vm_steps"], listening

    first, later, listening = on_engine(counts)
    assert first == later > 1000
    assert not listening


def test_a_connection_in_use_is_refused(on_engine: OnEngine) -> None:
    """A connection checked out before would not be counted, so the probe raises an error with the next step."""

    async def enter(engine: AsyncEngine) -> None:
        async with engine.connect():
            with pytest.raises(UsageError, match="close the instance's sessions"):
                async with VmSteps(engine):
                    pass

    on_engine(enter)


def test_a_synchronous_engines_steps_are_counted(on_engine: OnEngine) -> None:
    """They repeat, there are several per row read, and nothing is counted afterwards."""

    async def work(engine: AsyncEngine) -> list[float]:
        blocking = create_engine(engine.url.set(drivername="sqlite"))
        found = []
        for _ in range(2):
            async with VmSteps(blocking) as probe:
                with blocking.begin() as connection:
                    connection.execute(text(SCAN))
            counted = probe.counts()["vm_steps"]
            with blocking.begin() as connection:
                connection.execute(text(SCAN))
            assert probe.counts()["vm_steps"] == counted
            found.append(counted)
        blocking.dispose()
        return found

    first, second = on_engine(work)
    assert first == second > 400
