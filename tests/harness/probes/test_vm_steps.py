"""Virtual-machine steps: exact, repeatable, and only the operation's own."""

from __future__ import annotations

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
    """Count the steps of some statements, each on a connection of its own."""

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
    """The same reads and writes that undo themselves take the same steps, ten times over."""
    work = (SCAN, "INSERT INTO owner VALUES ('x', 'x')", "DELETE FROM owner WHERE id = 'x'", SCAN)

    async def ten(engine: AsyncEngine) -> list[float]:
        return [await steps(engine, *work) for _ in range(10)]

    counts = on_engine(ten)
    assert counts[0] > 1000
    assert len(set(counts)) == 1


def test_steps_are_sqlite_s_own_count(on_engine: OnEngine) -> None:
    """What is counted for a statement is what SQLite itself says about it, where it is built to say so."""

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


def test_connections_at_once_lose_no_step(on_engine: OnEngine) -> None:
    """Four connections stepping in four threads count what they count one after the other."""

    async def both(engine: AsyncEngine) -> tuple[float, float]:
        return await steps(engine, *[SCAN] * 4), await steps(engine, *[SCAN] * 4, at_once=True)

    one_by_one, at_once = on_engine(both)
    assert one_by_one == at_once


def test_opening_a_connection_is_not_counted(on_engine: OnEngine) -> None:
    """Neither the PRAGMAs nor reading the schema count, however many indexes it lists."""

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
    """Left, the probe's count stays, new connections have no handler, and an operation that disposes of the engine is fine."""

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
    """A connection that was checked out before would go uncounted, so the probe says what to do instead."""

    async def enter(engine: AsyncEngine) -> None:
        async with engine.connect():
            with pytest.raises(UsageError, match="close the instance's sessions"):
                async with VmSteps(engine):
                    pass

    on_engine(enter)


def test_a_synchronous_engines_steps_are_counted(on_engine: OnEngine) -> None:
    """They repeat, there are several for each row that is read, and nothing is counted afterwards."""

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
