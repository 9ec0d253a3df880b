"""Nan."""

from contextlib import asynccontextmanager

from harness import Case, Group, Promise, Scenario, speedup, times


class Nan(Scenario):
    """The average of no rows is NaN in both arms."""

    arms = {"baseline": "a", "optimised": "b"}
    groups = [Group("g", "average")]
    promises = [Promise("A1", "faster", times(1.1), speedup("g"))]

    def cases(self, setting):
        return [Case("g", f"n {n}", n) for n in range(5)]

    @asynccontextmanager
    async def open(self, arm, setting):
        yield arm

    async def run(self, instance, case):
        return {"mean": float("nan"), "n": case.args}
