"""Engine made at import."""

import tempfile
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from harness import Case, Group, Promise, Scenario, speedup, times

ENGINE = create_async_engine("sqlite+aiosqlite:///" + tempfile.mkdtemp() + "/module.db")


class ModuleEngine(Scenario):
    """One engine for the whole program, made when the module is imported."""

    arms = {"baseline": "two statements", "optimised": "one statement"}
    groups = [Group("g", "ask")]
    promises = [Promise("ME", "faster", times(1.2), speedup("g"))]

    def cases(self, setting):
        return [Case("g", f"n {n}", n) for n in range(3)]

    @asynccontextmanager
    async def open(self, arm, setting):
        yield arm

    async def run(self, instance, case):
        async with ENGINE.connect() as c:
            if instance == "baseline":
                await c.execute(text("select 1"))
            return (await c.execute(text("select :n"), {"n": case.args})).scalar()
