"""Where a list is searched again and again."""

from contextlib import asynccontextmanager

from harness import Case, Group, Promise, Scenario, speedup, times


class Membership(Scenario):
    """Look a number up in a set instead of in a list."""

    arms = {"baseline": "a list", "optimised": "a set"}
    groups = [Group("lookup", "is this number there?")]
    promises = [Promise("X1", "lookups ten times faster", times(10), speedup("lookup"))]

    def cases(self, setting):
        return [Case("lookup", f"number {n}", n) for n in range(900, 910)]

    @asynccontextmanager
    async def open(self, arm, setting):
        yield list(range(1000)) if arm == "baseline" else set(range(1000))

    async def run(self, instance, case):
        return case.args in instance
