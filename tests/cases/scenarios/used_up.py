"""State that is used up."""

from contextlib import asynccontextmanager

from harness import Case, Group, Promise, Scenario, speedup, times


class UsedUp(Scenario):
    """Soft-delete all new rows; the optimised way is much faster."""

    arms = {"baseline": "row by row", "optimised": "at once"}
    groups = [Group("g", "delete what is new")]
    promises = [Promise("U1", "ten times faster", times(10), speedup("g"))]

    def cases(self, setting):
        return [Case("g", f"tenant {n}", n) for n in range(3)]

    @asynccontextmanager
    async def open(self, arm, setting):
        yield {"arm": arm, **{n: list(range(50_000)) for n in range(3)}}

    async def run(self, instance, case):
        rows = instance[case.args]
        n = len(rows)
        if instance["arm"] == "baseline":
            for r in list(rows):
                hash(str(r))
        rows.clear()
        return n
