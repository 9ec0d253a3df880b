"""A scenario small enough to read at a glance: the same sum, in three ways."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from harness.scenario import Arm, Case, Group, Prepared, Scenario, Setting, demonstrates
from harness.verdicts.measures import count, memory_cut, speedup
from harness.verdicts.promise import Promise, at_most, cut, times

NUMBERS = 20_000


class Steps:
    """Counts the steps that the arm reports."""

    def __init__(self, instance: Mapping[str, Any]) -> None:
        """Watch one instance."""
        self._instance = instance

    async def __aenter__(self) -> Self:
        """Start from zero."""
        self._instance["steps"][0] = 0
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""

    def counts(self) -> Mapping[str, float]:
        """Return the steps taken."""
        return {"steps": self._instance["steps"][0]}


class Adding(Scenario[dict[str, Any]]):
    """Add the numbers up without making a list of them.

    The review says that a generator saves memory.
    """

    engines = ("sqlite",)
    arms = {"baseline": "a list of lists", "proposed": Arm("one list", as_written=True), "optimised": "the formula"}
    groups = (Group("sum", "add the first numbers"),)
    promises = (
        Promise("X1", "twice as fast", times(2), speedup("sum")),
        Promise("X2", "half the memory", cut(0.5), memory_cut("sum"), arms=("optimised",)),
        Promise("X3", "one step", at_most(1, "steps"), count("steps", "sum")),
    )

    def prepare(self, setting: Setting) -> Prepared:
        """Return the digest of the data."""
        return Prepared({"digest": f"numbers-{setting.seed}"}, {"version": "1"})

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return a few sizes."""
        return [Case("sum", f"sum {n}", n) for n in range(NUMBERS, NUMBERS + 3)]

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[dict[str, Any]]:
        """Yield the arm's name and a counter."""
        yield {"arm": arm, "steps": [0]}

    async def run(self, instance: dict[str, Any], case: Case) -> int:
        """Add up, and suspend once, as a call to a server would."""
        await asyncio.sleep(0)
        instance["steps"][0] += 1 if instance["arm"] == "optimised" else case.args
        if instance["arm"] == "optimised":
            return int(case.args * (case.args - 1) // 2)
        if instance["arm"] == "proposed":
            return sum(list(range(case.args)))
        return sum(part[0] for part in [[n] for n in range(case.args)])

    def probes(self, instance: dict[str, Any]) -> Sequence[Steps]:
        """Count steps."""
        return (Steps(instance),)

    @demonstrates("the proposal still makes a list")
    async def makes_a_list(self, instance: dict[str, Any], cases: Sequence[Case]) -> str:
        """Count its steps: one for each number."""
        await self.run(instance, cases[0])
        assert instance["steps"][0] > 1, "one step"
        return f"{instance['steps'][0]} steps"
