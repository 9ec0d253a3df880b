"""Many virtual users as coroutines in one loop: closed model, arms alternating in short blocks.

All users run one arm of one scenario at a time, so that arms do not disturb each other; a cycle goes over every arm, in an order
drawn by a coin, and the same users meet the same cases in each arm's block. An arm's block is compared with the baseline's of the
same cycle, so that the machine's drift cancels.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from harness.discovery import Loaded
from harness.errors import ScenarioFailedError
from harness.load.protocol import Block
from harness.measure.clock import Clock
from harness.measure.verify import verify
from harness.scenario import Case, Setting

VERIFIED_CASES = 2
"""Cases of each group on which the arms must agree before any load."""


@dataclass
class Field:
    """One scenario's worlds, and each user's own stream of cases."""

    loaded: Loaded
    setting: Setting
    worlds: Mapping[str, Any]
    barred: frozenset[tuple[str, str]] = frozenset()
    streams: dict[int, Sequence[Case]] = field(default_factory=dict)
    reached: dict[int, int] = field(default_factory=dict)

    def stream(self, user: int) -> Sequence[Case]:
        """Return a user's own cases, the same whenever and wherever they are asked for."""
        if user not in self.streams:
            cases = self.loaded.scenario.cases(replace(self.setting, stream=user + 1))
            self.streams[user] = for_load(self.loaded, cases)
        return self.streams[user]


def for_load(loaded: Loaded, cases: Sequence[Case]) -> list[Case]:
    """Return the cases that many users run at once: those of the scenario's load groups, groups taking turns.

    Raises:
        ScenarioFailedError: there are none.
    """
    wanted = loaded.scenario.load_groups
    by_group: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if wanted is None or case.group in wanted:
            by_group[case.group].append(case)
    if not by_group:
        raise ScenarioFailedError(f"{loaded.file} has no cases for many users; check its load_groups")
    rounds = max(len(group) for group in by_group.values())
    return [group[i % len(group)] for i in range(rounds) for group in by_group.values()]


class Engine:
    """Runs blocks until told to stop. `users` is read before every cycle and may change between cycles."""

    def __init__(self, loaded: Sequence[Loaded], settings: Sequence[Setting], block_s: float, clock: Clock) -> None:
        self._loaded = list(zip(loaded, settings, strict=True))
        self._block_ns = int(block_s * 1e9)
        self._clock = clock
        self._coin = random.Random(f"{settings[0].seed}/{settings[0].stream}/load")  # noqa: S311 - a coin that can be tossed again
        self._fields: list[Field] = []
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Open every arm's world and check that arms agree.

        Raises:
            ScenarioFailedError: they do not.
        """
        for loaded, setting in self._loaded:
            scenario = loaded.scenario
            worlds = {arm: await self._stack.enter_async_context(scenario.open(arm, setting)) for arm in scenario.arms}
            ground = Field(loaded, setting, worlds)
            cases = ground.stream(0)
            groups = len({c.group for c in cases})
            try:
                seen = await verify(scenario, worlds, cases[: groups * VERIFIED_CASES])
            except ScenarioFailedError as error:
                raise ScenarioFailedError(f"{loaded.name}: {error}") from error
            ground.barred = frozenset(seen.cannot_run)
            asked = {c.group for c in cases}
            ground.worlds = {arm: w for arm, w in worlds.items() if any((arm, g) not in ground.barred for g in asked)}
            self._fields.append(ground)

    async def close(self) -> None:
        """Close every world."""
        await self._stack.aclose()

    async def cycles(self, users: Callable[[], int], stopped: Callable[[], bool]) -> AsyncIterator[Block]:
        """Yield blocks, cycle after cycle, until `stopped()`; the block under way is finished."""
        cycle = 0
        while not stopped():
            number = users()
            for ground in self._fields:
                order = list(ground.worlds)
                self._coin.shuffle(order)
                first = dict(ground.reached)
                for position, arm in enumerate(order):
                    if stopped():
                        return
                    ground.reached = dict(first)  # every arm of a cycle starts each user at the same case
                    yield await self._block(ground, arm, cycle, position, number)
            cycle += 1
            await asyncio.sleep(0)

    async def _block(self, ground: Field, arm: str, cycle: int, position: int, users: int) -> Block:
        latencies: dict[str, list[int]] = defaultdict(list)
        errors: Counter[str] = Counter()
        start = self._clock.now_ns()
        deadline = start + self._block_ns
        await asyncio.gather(*(self._user(ground, arm, user, deadline, latencies, errors) for user in range(users)))
        duration = self._clock.now_ns() - start
        return Block(ground.loaded.name, arm, cycle, position, users, duration, dict(latencies), dict(errors))

    async def _user(
        self, ground: Field, arm: str, user: int, deadline_ns: int, latencies: dict[str, list[int]], errors: Counter[str]
    ) -> None:
        scenario, world, stream, now_ns = ground.loaded.scenario, ground.worlds[arm], ground.stream(user), self._clock.now_ns
        while True:
            case = stream[ground.reached.get(user, 0) % len(stream)]
            ground.reached[user] = ground.reached.get(user, 0) + 1
            if (arm, case.group) in ground.barred:
                continue
            start = now_ns()
            try:
                answer = await scenario.run(world, case)
            except Exception as error:  # noqa: BLE001 - whatever the operation raises is a failed operation, counted by its message
                errors[f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"] += 1
            else:
                latencies[case.group].append(now_ns() - start)
                await scenario.reset(world, case, answer)
            await asyncio.sleep(0)  # an answer from memory never waits: one user would keep the loop for a whole block
            if now_ns() >= deadline_ns:
                return
