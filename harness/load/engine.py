"""Load as coroutines in one loop, arms alternating in blocks, so that whatever drifts hits all of them alike.

One arm of one scenario takes the load at a time, and arms do not disturb each other. A cycle goes over every arm; the first order
is drawn by a coin and every second cycle takes it backwards (A B C, C B A: what drifts evenly cancels). In a cycle each arm meets
the same arrivals and the same cases, so that its block is compared with the baseline's of the same cycle.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from harness.bench.verify import verify
from harness.discovery import LoadedScenario
from harness.errors import ScenarioFailedError
from harness.load import arrivals
from harness.load.awake import Awake
from harness.load.closed_model import run_closed
from harness.load.open_model import ArrivalSchedule, run_open
from harness.load.pacing import Waits
from harness.load.protocol import LoadBlock, LoadJob
from harness.load.recorder import Phases, Recorder, wire
from harness.load.sampler import Sampler
from harness.results.run import BASELINE
from harness.runtime.clock import Clock, cpu_ns
from harness.scenario import Case, Setting

VERIFIED_CASES = 2
"""Cases of each group on which the arms must agree before any load."""

THREADS = 32
"""Threads of the pool that runs the operations of a synchronous scenario; concurrent operations beyond them wait for a thread."""

LANES = 8
"""Streams of cases that arrivals of the open model take in turn."""

MAX_STREAMS = 64
"""Streams of cases at most; users beyond so many share them, each case going to whoever asks next."""


@dataclass(frozen=True)
class LoadLevel:
    """How much load a block has: `users` of the closed model, or planned arrivals at `rate_factor` times their rates."""

    users: int = 0
    rate_factor: float = 1.0


@dataclass
class Field:
    """One scenario's instances by arm, its streams of cases, and how far they have been taken."""

    loaded: LoadedScenario
    setting: Setting
    instances: Mapping[str, Any]
    order: list[str] = field(default_factory=list)
    barred: frozenset[tuple[str, str]] = frozenset()
    streams: dict[int, Sequence[Case]] = field(default_factory=dict)
    reached: dict[int, int] = field(default_factory=dict)
    arrived: int = 0

    def stream(self, number: int) -> Sequence[Case]:
        """Return a stream's cases, the same whenever and wherever they are asked for.

        Raises:
            ScenarioFailedError: there are none.
        """
        if number not in self.streams:
            cases = self.loaded.scenario.load_cases(replace(self.setting, stream=self.setting.stream + number + 1))
            if not cases:
                raise ScenarioFailedError(
                    f"{self.loaded.file} has no cases for many users; check `load` of its groups, and load_cases"
                )
            self.streams[number] = cases
        return self.streams[number]

    def user(self, arm: str, user: int) -> Iterator[Case]:
        """Return a user's cases, without end, from where the stream has got to; the stream is made now, not under load."""
        number = user % MAX_STREAMS
        stream = self.stream(number)

        def cases() -> Iterator[Case]:
            while True:
                case = stream[self.reached.get(number, 0) % len(stream)]
                self.reached[number] = self.reached.get(number, 0) + 1
                if (arm, case.group) not in self.barred:
                    yield case

        return cases()

    def arrivals(self, arm: str, offsets_ns: Sequence[int]) -> ArrivalSchedule:
        """Return each arrival's case: lanes take turns, each goes through its stream; what the arm cannot run is left out.

        Each lane is a case ahead of the one before it, so that a few arrivals meet cases of every group.
        """
        lanes = [self.stream(number) for number in range(LANES)]
        pairs = []
        for number, offset_ns in enumerate(offsets_ns, self.arrived):
            lane = lanes[number % LANES]
            case = lane[(number // LANES + number % LANES) % len(lane)]
            if (arm, case.group) not in self.barred:
                pairs.append((offset_ns, case))
        return ArrivalSchedule([offset for offset, _ in pairs], [case for _, case in pairs])


class Engine:
    """Runs blocks of load on every scenario's instances.

    `cannot_run` holds (scenario, arm, group, error) of what raised as written when answers were compared.
    """

    def __init__(
        self, loaded: Sequence[LoadedScenario], job: LoadJob, clock: Clock, pacer: Waits, sampler: Sampler | None = None
    ) -> None:
        self._loaded = list(zip(loaded, job.settings, strict=True))
        self._job, self._clock, self._pacer, self._sampler = job, clock, pacer, sampler
        self._arrivals = arrivals.parse(job.arrivals)
        first = job.settings[0]
        self._coin = random.Random(f"{first.seed}/{first.stream}/load")  # noqa: S311 - a coin that can be tossed again
        # Workers that share a plan must see the same one; engines that do not share one see one each.
        self._seed = f"{first.seed}/{0 if job.share[1] > 1 else first.stream}"
        self.cannot_run: list[tuple[str, str, str, str]] = []
        self._fields: list[Field] = []
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Open every arm's instance, take its cases and check that arms agree.

        Raises:
            ScenarioFailedError: they do not, or there are no cases.
        """
        for loaded, setting in self._loaded:
            scenario = loaded.scenario
            if scenario.is_synchronous:
                pool = self._stack.enter_context(ThreadPoolExecutor(THREADS, "synchronous run"))
                scenario = scenario.in_threads(pool)
                loaded = replace(loaded, scenario=scenario)  # noqa: PLW2901 - the same scenario, run as it is from here on
            wanted = [arm for arm in scenario.arms if self._job.arms is None or arm in self._job.arms]
            opened = dict.fromkeys([BASELINE, *wanted])
            instances = {arm: await self._stack.enter_async_context(scenario.open(arm, setting)) for arm in opened}
            ground = Field(loaded, setting, instances)
            cases = _first_of_each_group(ground.stream(0), VERIFIED_CASES)
            try:
                seen = await verify(scenario, instances, cases)
            except ScenarioFailedError as error:
                raise ScenarioFailedError(f"{loaded.name}: {error}") from error
            for instance in instances.values():
                await scenario.settle(instance)
            ground.barred = frozenset(seen.cannot_run)
            asked = {c.group for c in cases}
            self.cannot_run += [(loaded.name, arm, g, error) for (arm, g), error in seen.cannot_run.items() if g in asked]
            ground.instances = {arm: instances[arm] for arm in wanted if any((arm, g) not in ground.barred for g in asked)}
            ground.order = list(ground.instances)
            self._coin.shuffle(ground.order)
            for number in range(LANES if self._job.model == "open" else 1):
                ground.stream(number)
            self._fields.append(ground)

    async def close(self) -> None:
        """Close every instance."""
        await self._stack.aclose()

    async def cycles(self, level: Callable[[], LoadLevel], stopped: Callable[[], bool]) -> AsyncIterator[LoadBlock]:
        """Yield blocks, as many cycles as the job asks for or until `stopped()`, which cuts the last block short.

        `level` is asked before every cycle.
        """
        cycle = 0
        while not stopped() and cycle != self._job.cycles:
            now = level()
            for ground in self._fields:
                reached, offsets_ns = dict(ground.reached), self._offsets_ns(cycle, now.rate_factor, self._job.block_s)
                for position, arm in enumerate(ground.order if cycle % 2 == 0 else ground.order[::-1]):
                    ground.reached = dict(reached)  # every arm of a cycle starts each user at the same case
                    block = await self._block(ground, arm, (cycle, position), now, offsets_ns, self._job.block_s, stopped)
                    if block.measured_ns:
                        yield block
                    if stopped():
                        return
                ground.arrived += len(offsets_ns)
            cycle += 1

    async def one(self, arm: str, number: int, level: LoadLevel, block_s: float | None, stopped: Callable[[], bool]) -> LoadBlock:
        """Return one block of an arm of the first scenario, closed model where there are users; `number` makes up its cycle.

        Raises:
            ScenarioFailedError: that arm is not among those that can take load.
        """
        ground, lasts_s = self._fields[0], self._job.block_s if block_s is None else block_s
        if arm not in ground.instances:
            raise ScenarioFailedError(f"{ground.loaded.name}: {arm} cannot take load here")
        offsets_ns = [] if level.users else self._offsets_ns(number, level.rate_factor, lasts_s)
        block = await self._block(ground, arm, (number, 0), level, offsets_ns, lasts_s, stopped)
        ground.arrived += len(offsets_ns)
        return block

    def _offsets_ns(self, cycle: int, rate_factor: float, block_s: float) -> list[int]:
        """Return when operations of a cycle's blocks are due: warming up plays the beginning of a plan of its own."""
        if self._job.model == "closed":
            return []
        plan = self._arrivals if rate_factor == 1 else self._arrivals.scaled(rate_factor)
        plan, warm_up_ns = plan.share(*self._job.share), int(self._job.warm_up_s * 1e9)
        before = plan.offsets_ns(max(block_s, self._job.warm_up_s), f"{self._seed}/{cycle}/warm-up")
        measured = plan.offsets_ns(block_s, f"{self._seed}/{cycle}")
        return [*before[before < warm_up_ns].tolist(), *(measured + warm_up_ns).tolist()]

    async def _block(
        self,
        ground: Field,
        arm: str,
        place: tuple[int, int],
        level: LoadLevel,
        offsets_ns: Sequence[int],
        block_s: float,
        stopped: Callable[[], bool],
    ) -> LoadBlock:
        scenario, instance, job = ground.loaded.scenario, ground.instances[arm], self._job
        users = level.users if job.model == "closed" or job.on_request else 0
        targets = scenario.targets(instance)
        # Without targets, it is the operations in this process that need the core.
        awake = Awake(self._clock, wanted=bool(targets) and job.alone)
        tally = Recorder(scenario, instance, self._clock, lambda: cpu_ns() - awake.idle_ns)
        phases = Phases(int(job.warm_up_s * 1e9), int(block_s * 1e9), int(job.drain_s * 1e9))
        plan = ground.arrivals(arm, offsets_ns)
        asking = [ground.user(arm, user) for user in range(users)]
        if self._sampler is not None:
            await self._sampler.begin(arm, tally, targets, lambda: scenario.counts(instance))
        async with awake:
            if users:
                measured_ns = await run_closed(tally, asking, phases, self._clock, self._pacer, stopped)
            else:
                await run_open(tally, plan, phases, job.in_flight_limit, self._clock, self._pacer, stopped)
                measured_ns = tally.measured_ns
        if self._sampler is not None:
            self._sampler.end()
        await scenario.settle(instance)
        return LoadBlock(
            scenario=ground.loaded.name,
            arm=arm,
            cycle=place[0],
            position=place[1],
            users=users,
            measured_ns=measured_ns,
            groups=tally.groups(),
            lateness=wire(tally.lateness_ns),
            cpu_percent=tally.cpu_percent,
            targets=bool(targets),
        )


def _first_of_each_group(cases: Sequence[Case], number: int) -> list[Case]:
    taken: Counter[str] = Counter()
    found = []
    for case in cases:
        taken[case.group] += 1
        if taken[case.group] <= number:
            found.append(case)
    return found
