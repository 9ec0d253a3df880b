"""The stopwatch times the statements that it is asked to, and only while it is entered."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import event, text

from harness.databases.engines import sqlite
from harness.probes.statement_times import StatementTimes
from harness.runtime.clock import FakeClock


def test_it_stands_next_to_the_driver(tmp_path: Path) -> None:
    """What another listener does, before or after it, is outside of the time; what is no read is not timed."""
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
