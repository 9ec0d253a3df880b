"""Counting over several engines: what each does is counted once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.databases.engines import sqlite
from harness.probes.together import together
from harness.scenario import Probe


async def counted(probes: Sequence[Probe], *used: AsyncEngine) -> Mapping[str, float]:
    """Return what the only probe counts of one statement on each engine."""
    (probe,) = probes
    async with probe:
        for engine in used:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1 UNION SELECT 2"))
    return probe.counts()


def test_counts_of_different_engines_are_added(tmp_path: Path) -> None:
    """A statement on each is two statements and four rows, and twice the work of one; the next use starts from zero."""

    async def run() -> list[Mapping[str, float]]:
        path = tmp_path / "two.db"
        async with sqlite.engine(path) as one, sqlite.engine(path) as other:
            probes = together(one, other)
            return [await counted(probes, one, other), await counted(probes, other)]

    both, single = asyncio.run(run())
    assert (both["statements"], both["rows"]) == (2, 4)
    assert both == {name: 2 * count for name, count in single.items()}


def test_an_engine_that_shares_a_pool_is_counted_once(tmp_path: Path) -> None:
    """An engine with other options is the same engine to whoever counts."""

    async def run() -> Mapping[str, float]:
        async with sqlite.engine(tmp_path / "one.db") as engine:
            other = engine.execution_options(logging_token="reader")
            return await counted(together(engine, other), engine, other)

    assert asyncio.run(run())["statements"] == 2
