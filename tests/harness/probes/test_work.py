"""Work counts of several engines are added up, and engines with a common pool count once."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.databases.engines import sqlite
from harness.probes.work import work
from harness.scenario import Probe


async def counted(probes: Sequence[Probe], *used: AsyncEngine) -> Mapping[str, float]:
    """Return the counts of the only probe for one statement per engine."""
    (probe,) = probes
    async with probe:
        for engine in used:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1 UNION SELECT 2"))
    return probe.counts()


def test_counts_of_different_engines_are_added(tmp_path: Path) -> None:
    """One statement per engine is two statements, four rows and twice the work of one; the next use starts from zero."""

    async def run() -> list[Mapping[str, float]]:
        path = tmp_path / "two.db"
        async with sqlite.engine(path) as one, sqlite.engine(path) as other:
            probes = work(one, other)
            return [await counted(probes, one, other), await counted(probes, other)]

    both, single = asyncio.run(run())
    assert (both["statements"], both["rows"]) == (2, 4)
    assert both == {name: 2 * count for name, count in single.items()}


def test_engines_with_a_common_pool_count_once(tmp_path: Path) -> None:
    """An engine with other execution options has the same pool, so a statement is counted once."""

    async def run() -> Mapping[str, float]:
        async with sqlite.engine(tmp_path / "one.db") as engine:
            other = engine.execution_options(logging_token="reader")
            return await counted(work(engine, other), engine, other)

    assert asyncio.run(run())["statements"] == 2
