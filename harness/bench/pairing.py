"""Interleaved timing in one process: the same case on every arm, in random order, in slots of at least a millisecond.

Orders are drawn independently and are not balanced: balanced blocks make the order predictable, which the sign of a paired
difference must not be.

Evidence (`harness.stats.sequential_test`) ends no group's pairs early. Intervals are over processes, and most groups get fewer
pairs in each than evidence needs: little time would be saved, at the price of process medians that rest on less.
"""

import gc
import math
import random
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from harness.bench.operations import run_timed
from harness.bench.probes.cpu_control import spin
from harness.results.run import AA_CONTROL, BASELINE, PING, PURE_CPU
from harness.runnable import RunnableScenario
from harness.runtime.clock import Clock
from harness.scenario import Case

SLOT_NS = 1_000_000
"""A slot repeats its operation until about this duration: shorter slots measure the clock and the scheduler."""

CONTROL_EVERY = 4
"""The A/A control takes part in one of this number of a group's pairs.

In every pair the baseline instances exchange their roles at random, so that both are used equally: an instance that runs less
often has colder caches and a shorter log, and would differ from the other for that alone.
"""

SLOWED = "baseline slowed"
"""The arm name of a third baseline instance, the one that gets an injected slowdown."""

BASELINE_COPIES = (AA_CONTROL, SLOWED)
"""Arms that are further instances of the baseline."""


class SlotTimes(msgspec.Struct, frozen=True):
    """One arm's slot in a pair."""

    arm: str
    """Name of the arm."""
    position: int
    """Place in the pair's random order, from 0."""
    latencies_ns: list[int]
    """The nanoseconds of each operation, in the order they ran."""


class PairTimes(msgspec.Struct, tag=True, frozen=True):
    """One pair: a case timed on every arm. Sent by a worker after each pair."""

    group: str
    """Name of the case's group."""
    case: str
    """Name of the case."""
    slots: list[SlotTimes]
    """The slots in the order they ran."""
    controls_ns: dict[str, int] = {}
    """Name → nanoseconds of the controls that were timed after the pair."""


@dataclass
class TimeBudget:
    """Divides a process's time among its groups, whose costs differ by orders of magnitude, and decides which one is timed next."""

    groups: tuple[str, ...]
    """Names of the groups to time."""
    budget_ns: int
    """Nanoseconds in all; each group that is not slow gets the same part of them."""
    minimum_pairs: int
    """Pairs of each group whatever they cost: a median needs them."""
    slow: tuple[str, ...] = ()
    """Groups whose operation takes seconds: one pair each, not counted towards the budget."""
    spent_ns: dict[str, int] = field(default_factory=dict)
    """Group → nanoseconds spent so far, resets included."""
    pairs: dict[str, int] = field(default_factory=dict)
    """Group → pairs timed so far."""

    def add(self, group: str, duration_ns: int) -> None:
        """Count one pair of a group and the time it took."""
        self.pairs[group] = self.pairs.get(group, 0) + 1
        self.spent_ns[group] = self.spent_ns.get(group, 0) + duration_ns

    def next_group(self) -> str | None:
        """Return the group to time next; None when every group has its pairs and its part of the time."""
        short = [g for g in self.groups if self.pairs.get(g, 0) < (1 if g in self.slow else self.minimum_pairs)]
        if short:
            return min(short, key=lambda g: (self.pairs.get(g, 0), self.groups.index(g)))
        quick = [g for g in self.groups if g not in self.slow]
        open_groups = [g for g in quick if self.spent_ns.get(g, 0) < self.budget_ns / len(quick)]
        return min(open_groups, key=lambda g: (self.spent_ns.get(g, 0), self.groups.index(g)), default=None)


class Pairing:
    """Times the pairs of one scenario in one process."""

    def __init__(
        self,
        scenario: RunnableScenario,
        instances: Mapping[str, Any],
        cases: Sequence[Case],
        budget: TimeBudget,
        rng: random.Random,
        clock: Clock,
        *,
        excluded: Collection[tuple[str, str]] = (),
        slow_from_ns: int = sys.maxsize,
        injected: float = 0.0,
    ) -> None:
        """Take open instances by arm, the A/A control's among them.

        `excluded` are the (arm, group) that cannot run. A group whose baseline takes `slow_from_ns` counts as slow. The instance of
        SLOWED, if there is one, takes part in every pair and is slowed by the share `injected` of its time.
        """
        self._scenario = scenario
        self._instances = instances
        self._cases = {g: [c for c in cases if c.group == g] for g in budget.groups}
        self._budget = budget
        self._rng = rng
        self._clock = clock
        self._excluded = frozenset(excluded)
        self._slow_from_ns = slow_from_ns
        self._injected = injected
        self._repeats: dict[tuple[str, str], int] = {}

    async def warm_up(self) -> None:
        """Run every group on every arm, to fill caches and to size the slots; declared slow groups are left to their one pair."""
        declared = self._budget.slow
        for group in self._budget.groups:
            arms = self._arms(group, BASELINE_COPIES)
            for arm in sorted(arms, key=lambda arm: arm != BASELINE):  # the baseline first: it may show that the group is slow
                if group in declared or (arm in BASELINE_COPIES and group in self._budget.slow):
                    self._repeats[arm, group] = 1
                    continue
                fastest: float = math.inf
                for _ in range(2):
                    _, passed_ns = await self._time(self._instances[arm], self._cases[group][0])
                    fastest = min(fastest, passed_ns)
                    if fastest > SLOT_NS:
                        break
                self._repeats[arm, group] = max(1, math.ceil(SLOT_NS / max(1, fastest)))
                if arm == BASELINE and fastest >= self._slow_from_ns:
                    self._budget.slow += (group,)
        gc.collect()
        gc.freeze()

    async def pairs(self) -> AsyncIterator[PairTimes]:
        """Yield pairs until the budget is spent. The cases of a group alternate."""
        taken: dict[str, int] = {}
        while (group := self._budget.next_group()) is not None:
            started = self._clock.now_ns()
            number = taken.get(group, 0)
            taken[group] = number + 1
            case = self._cases[group][number % len(self._cases[group])]
            quick = group not in self._budget.slow
            copies = [arm for arm in BASELINE_COPIES if quick and (arm == SLOWED or number % CONTROL_EVERY == 0)]
            pair = await self._pair(case, copies)
            self._budget.add(group, self._clock.now_ns() - started)
            yield pair

    async def _pair(self, case: Case, copies: Sequence[str]) -> PairTimes:
        order = self._arms(case.group, copies)
        self._rng.shuffle(order)
        equal = [arm for arm in (BASELINE, *BASELINE_COPIES) if arm in self._instances]
        instances = {
            **self._instances,
            **dict(zip(equal, self._rng.sample([self._instances[arm] for arm in equal], len(equal)), strict=True)),
        }
        slots = []
        for position, arm in enumerate(order):
            slowdown = self._injected if arm == SLOWED else 0.0
            times = [(await self._time(instances[arm], case, slowdown))[0] for _ in range(self._repeats[arm, case.group])]
            slots.append(SlotTimes(arm, position, times))
        controls_ns = await self._controls_ns(instances[BASELINE]) if AA_CONTROL in copies else {}
        return PairTimes(case.group, case.name, slots, controls_ns)

    async def _controls_ns(self, instance: Any) -> dict[str, int]:
        """Time what depends on no arm: the interpreter, and a ping of the baseline instance's server."""
        now_ns = self._clock.now_ns
        start = now_ns()
        spin()
        found = {PURE_CPU: now_ns() - start}
        start = now_ns()
        if await self._scenario.ping(instance) is not NotImplemented:
            found[PING] = now_ns() - start
        return found

    def _arms(self, group: str, copies: Sequence[str]) -> list[str]:
        present = [arm for arm in self._instances if arm not in BASELINE_COPIES or arm in copies]
        return [arm for arm in present if (BASELINE if arm in BASELINE_COPIES else arm, group) not in self._excluded]

    async def _time(self, instance: Any, case: Case, slowdown: float = 0.0) -> tuple[int, int]:
        return await run_timed(self._scenario, instance, case, self._clock.now_ns, slowdown)
