"""Fails under load."""

from contextlib import asynccontextmanager

from harness import Case, Group, Promise, Scenario, speedup, times


class Fails(Scenario):
    """The optimised arm refuses at once when it is asked often."""

    arms = {"baseline": "works", "optimised": "refuses after 50"}
    groups = [Group("g", "ask")]
    promises = [Promise("E1", "faster", times(1.1), speedup("g"))]

    def cases(self, setting):
        return [Case("g", f"n {n}", n) for n in range(5)]

    @asynccontextmanager
    async def open(self, arm, setting):
        yield {"arm": arm, "n": 0}

    async def run(self, instance, case):
        instance["n"] += 1
        if instance["arm"] == "optimised" and instance["n"] > 50:
            raise ConnectionRefusedError("pool exhausted")
        sum(range(3000))
        return case.args
