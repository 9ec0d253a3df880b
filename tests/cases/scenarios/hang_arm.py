"""Hang."""

import asyncio
from contextlib import asynccontextmanager

from harness import Case, Group, Promise, Scenario, speedup, times


class Hang(Scenario):
    """One arm never answers."""

    arms = {"baseline": "answers", "optimised": "waits for a lock that nobody gives back"}
    groups = [Group("g", "does it answer?")]
    promises = [Promise("H1", "faster", times(1.1), speedup("g"))]

    def cases(self, setting):
        return [Case("g", f"n {n}", n) for n in range(5)]

    @asynccontextmanager
    async def open(self, arm, setting):
        yield arm

    async def run(self, instance, case):
        if instance == "optimised":
            await asyncio.Event().wait()
        return case.args
