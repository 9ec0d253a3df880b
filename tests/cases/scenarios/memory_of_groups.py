"""Memory of groups."""

import asyncio
import sys
from contextlib import asynccontextmanager

from harness import Arm, Case, Group, Scenario


class MemoryOfGroups(Scenario):
    """One group adds thirty megabytes, one fails where memory is measured, and an arm cannot do two of them."""

    arms = {"baseline": "does all of them", "optimised": Arm("cannot do two of them", as_written=True)}
    groups = [
        Group("measured_only", "fails when the memory is measured"),
        Group("skipped", "left out for an arm", skip={"optimised": "it has none"}),
        Group("as_written", "raises on an arm"),
        Group("large", "hold 30 MB"),
    ]

    def cases(self, setting):
        return [Case(group.name, group.name, None) for group in self.groups]

    @asynccontextmanager
    async def open(self, arm, setting):
        yield arm

    async def run(self, instance, case):
        await asyncio.sleep(0)
        if case.group == "measured_only" and _measures_memory():
            raise RuntimeError("it fails only when memory is measured")
        if case.group == "as_written" and instance == "optimised":
            raise RuntimeError("not as written")
        return len(bytearray(b"x" * 30_000_000)) if case.group == "large" else 1


def _measures_memory():
    return "harness.bench.memory" in sys.modules
