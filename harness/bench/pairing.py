"""Who runs when: the same case on every arm, in an order drawn by an independent coin, in slots of at least a millisecond.

Orders are drawn independently and not balanced: balanced blocks make the order predictable, which the sign of a paired
difference must not be.
"""

from __future__ import annotations

import gc
import math
import random
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.bench.probes.cpu_control import spin
from harness.bench.time_budget import Shares
from harness.results.run import BASELINE, CONTROL, PING, PURE_CPU
from harness.runnable import RunnableScenario
from harness.runtime.clock import Clock
from harness.scenario import Case

SLOT_NS = 1_000_000
"""A slot repeats its operation until about this long: shorter ones measure the clock and the scheduler."""

CONTROL_EVERY = 4
"""Every so many pairs of a group, the A/A control takes part.

A coin decides pair by pair which of the two baseline instances is called the baseline, so that both are used alike: an instance that is
visited less often has colder caches and a shorter log, and would differ from the other for that alone.
"""

SLOWED = "baseline slowed"
"""The arm name of a baseline instance that is slowed on purpose, a third one beside the baseline's and the control's."""

AGAIN = (CONTROL, SLOWED)
"""Arms that are the baseline once more: which of the instances plays which part, a coin decides anew in every pair."""

Blocked = Callable[[str, str], bool]
"""Whether an arm sits out a group: (arm, group) → True."""


@dataclass(frozen=True)
class Slot:
    """One arm's turn in a pair: every operation's time in nanoseconds, in the order they ran."""

    arm: str
    position: int
    latencies_ns: list[int]


@dataclass(frozen=True)
class Pair:
    """One case tried on every arm, in a random order; `controls_ns` are the controls that were timed after it, by name."""

    group: str
    case: str
    slots: list[Slot]
    controls_ns: dict[str, int] = field(default_factory=dict)


class Pairing:
    """Times one process's pairs of one scenario. `instances` maps an arm's name to its open instance; CONTROL is among them.

    An instance called PLANTED takes part in every pair, and waits busily for the share `plant` of its time.
    """

    def __init__(
        self,
        scenario: RunnableScenario,
        instances: Mapping[str, Any],
        cases: Sequence[Case],
        shares: Shares,
        coin: random.Random,
        clock: Clock,
        blocked: Blocked,
        heavy_ns: int = sys.maxsize,
        plant: float = 0.0,
    ) -> None:
        self._scenario = scenario
        self._instances = instances
        self._cases = {g: [c for c in cases if c.group == g] for g in shares.groups}
        self._shares = shares
        self._coin = coin
        self._clock = clock
        self._blocked = blocked
        self._heavy_ns = heavy_ns
        self._plant = plant
        self._repeats: dict[tuple[str, str], int] = {}

    async def warm_up(self) -> None:
        """Run every arm's every group, so that caches are filled and slots can be sized; heavy ones only later, in earnest."""
        declared = self._shares.slow
        for group in self._shares.groups:
            arms = self._arms(group, AGAIN)
            for arm in sorted(arms, key=lambda arm: arm != BASELINE):  # the baseline first: it may show that the group is heavy
                if group in declared or (arm in AGAIN and group in self._shares.slow):
                    self._repeats[arm, group] = 1
                    continue
                fastest: float = math.inf
                for _ in range(2):
                    _, whole_ns = await self._time(self._instances[arm], self._cases[group][0])
                    fastest = min(fastest, whole_ns)
                    if fastest > SLOT_NS:
                        break
                self._repeats[arm, group] = max(1, math.ceil(SLOT_NS / max(1, fastest)))
                if arm == BASELINE and fastest >= self._heavy_ns:
                    self._shares.slow += (group,)
        gc.collect()
        gc.freeze()

    async def pairs(self) -> AsyncIterator[Pair]:
        """Yield pairs until the shares say that it is enough. Cases are taken in turn, group by group."""
        taken: dict[str, int] = {}
        while (group := self._shares.next_group()) is not None:
            started = self._clock.now_ns()
            number = taken.get(group, 0)
            taken[group] = number + 1
            case = self._cases[group][number % len(self._cases[group])]
            light = group not in self._shares.slow
            again = [arm for arm in AGAIN if light and (arm == SLOWED or number % CONTROL_EVERY == 0)]
            pair = await self._pair(case, again)
            self._shares.note(group, self._clock.now_ns() - started)
            yield pair

    async def _pair(self, case: Case, again: Sequence[str]) -> Pair:
        order = self._arms(case.group, again)
        self._coin.shuffle(order)
        alike = [arm for arm in (BASELINE, *AGAIN) if arm in self._instances]
        instances = {
            **self._instances,
            **dict(zip(alike, self._coin.sample([self._instances[arm] for arm in alike], len(alike)), strict=True)),
        }
        slots = []
        for position, arm in enumerate(order):
            slowed = self._plant if arm == SLOWED else 0.0
            times = [(await self._time(instances[arm], case, slowed))[0] for _ in range(self._repeats[arm, case.group])]
            slots.append(Slot(arm, position, times))
        return Pair(case.group, case.name, slots, await self._controls_ns(instances[BASELINE]) if CONTROL in again else {})

    async def _controls_ns(self, instance: Any) -> dict[str, int]:
        """Time what has nothing to do with any arm: the interpreter alone, and the way to what serves the baseline's instance."""
        now_ns = self._clock.now_ns
        start = now_ns()
        spin()
        found = {PURE_CPU: now_ns() - start}
        start = now_ns()
        if await self._scenario.ping(instance) is not NotImplemented:
            found[PING] = now_ns() - start
        return found

    def _arms(self, group: str, again: Sequence[str]) -> list[str]:
        present = [arm for arm in self._instances if arm not in AGAIN or arm in again]
        return [arm for arm in present if not self._blocked(BASELINE if arm in AGAIN else arm, group)]

    async def _time(self, instance: Any, case: Case, slowed: float = 0.0) -> tuple[int, int]:
        """Return what counts of one operation, and how long all of it took; `slowed` is a share of that, waited for busily."""
        run, now_ns = self._scenario.run, self._clock.now_ns
        start = now_ns()
        answer = await run(instance, case)
        end = now_ns()
        if slowed:
            until = end + round(slowed * (end - start))
            while end < until:
                end = now_ns()
        own_ns = self._scenario.self_reported_ns(case, answer)
        await self._scenario.reset(instance, case, answer)
        return end - start if own_ns is None else max(1, round(own_ns * (1 + slowed))), end - start
