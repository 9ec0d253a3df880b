"""A scenario with switches: counting in rounds, of which one switch saves half, and another one most of what is left."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from harness.scenario import Case, Group, Scenario, Setting

ROUNDS = 6_000


class Switching(Scenario[int]):
    """Count to a number, by fewer and fewer rounds.

    `halve` halves the rounds; `skip` skips most of what is left, but only where `halve` is on; `idle` does nothing.
    """

    arms = {"baseline": "every round", "optimised": "a few"}
    groups = (
        Group("count", "count up"),
        Group("aside", "count up again", secondary=True),
        Group("single", "one user's count", load=False),
    )
    switches = {"halve": "half the rounds", "skip": "skip rounds that halving leaves", "idle": "a setting without effect"}

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return two cases of each group."""
        return [Case(group, f"{group} {n}", n) for group in ("count", "aside", "single") for n in (1, 2)]

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[int]:
        """Yield the arm's rounds."""
        yield ROUNDS if arm == "baseline" else ROUNDS // 10

    @asynccontextmanager
    async def open_switched(self, on: frozenset[str], setting: Setting) -> AsyncIterator[int]:
        """Yield the rounds of the set of switches."""
        rounds = ROUNDS // 2 if "halve" in on else ROUNDS
        yield rounds // 5 if {"halve", "skip"} <= on else rounds

    async def run(self, instance: int, case: Case) -> int:
        """Loop, and return what every arm returns."""
        for _ in range(instance):
            pass
        return int(case.args)
