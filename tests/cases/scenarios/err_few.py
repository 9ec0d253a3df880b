"""Errors that only a variable brings."""

import asyncio
import os
from contextlib import asynccontextmanager

from harness import Case, Group, Promise, Scenario, speedup, times


class ErrFew(Scenario):
    """Half of the operations fail in the new version."""

    arms = {"baseline": "a", "optimised": "b"}
    groups = [Group("g", "ask")]
    promises = [Promise("E9", "faster", times(1.1), speedup("g"))]

    def cases(self, setting):
        return [Case("g", f"n {n}", n) for n in range(20)]

    @asynccontextmanager
    async def open(self, arm, setting):
        yield {"n": 0}

    async def run(self, instance, case):
        instance["n"] += 1
        if os.environ.get("ERR") and instance["n"] > 60 and instance["n"] % 25 == 0:
            raise ConnectionResetError("reset by peer")
        await asyncio.sleep(0.004 if not os.environ.get("ERR") else 0.0015)
        return case.args
