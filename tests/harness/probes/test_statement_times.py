"""Statements are timed at the driver, only the selected ones, and only while the probe is entered."""

import asyncio
from pathlib import Path

from sqlalchemy import event, text

from harness.databases.engines import sqlite
from harness.probes.statement_times import StatementTimes
from harness.runtime.clock import FakeClock


def test_it_times_the_driver_only(tmp_path: Path) -> None:
    """The time of other listeners is not included, and statements with other verbs are not timed."""
    clock = FakeClock()

    async def work() -> list[int]:
        async with sqlite.engine(tmp_path / "own.db") as engine:
            for name in ("before_cursor_execute", "after_cursor_execute"):
                event.listen(engine.sync_engine, name, lambda *_: clock.advance(1000))
            event.listen(engine.sync_engine, "do_execute", lambda *_: clock.advance(1000))
            async with StatementTimes(engine, clock=clock) as times, engine.connect() as connection:
                await connection.execute(text("CREATE TEMPORARY TABLE t (a)"))
                await connection.execute(text("SELECT a FROM t"))
                await connection.execute(text("WITH b AS (SELECT 1) SELECT * FROM b"))
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        return times.took_ns

    assert asyncio.run(work()) == [0, 0]
