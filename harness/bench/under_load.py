"""The load test of a run: all arms of a scenario under one load, then the search of their capacity, on one load worker.

It has a time limit: a shorter one shortens the blocks, then leaves the search out, then the load. What was left out has a reason.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from harness.bench.load_outcome import LoadOutcome
from harness.discovery import LoadedScenario
from harness.errors import HarnessError
from harness.load.block import LoadBlock
from harness.load.capacity import FIRST_LEVEL, MAX_LEVEL, NextStep, SearchPlan, TriedStep, tried_step
from harness.load.checks import have_trouble
from harness.load.protocol import LoadJob
from harness.load.results import CollectedResults, deciding_arms, load_result
from harness.load.searching import UNIT_RATE, ArmSearch, CapacitySearches, observation
from harness.load.supervisor import Supervisor
from harness.load.totals import total
from harness.load.warnings import load_warnings
from harness.results.load import ALL, CapacityKind
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName
from harness.runtime.child import encode_path
from harness.runtime.clock import Clock, MonotonicClock
from harness.runtime.watch import OPERATION_TIMEOUT_S
from harness.scenario import LoadTest, Setting
from harness.servers.health import ServerWatch
from harness.stats.histogram import MIN_CYCLES
from harness.verdicts import slo

START_S = 8.0
"""First estimate of the seconds in which a load worker opens all instances and compares their answers."""
WARM_UP_S, DRAIN_S, BETWEEN_S = 0.5, 5.0, 0.3
"""Seconds of unrecorded load before each block; the drain timeout after it; and a first estimate of what else a block takes."""
SHORTEST_BLOCK_S = 1.0
"""The shortest measured time of a block."""
STEP_S, LONGEST_STEP_S, LEAST_SEARCH_S = 1.5, 6.0, 4.0
"""Seconds of a step of a search: the fewest, and the most if it has too few operations; and the fewest of one arm's search."""
BEYOND = 4
"""The operations beyond a percentile from which on a step of a search judges it: few, since its levels are far apart."""
PRECISION = 1.5
"""The search ends when the lowest failed level ÷ the highest sustained level is at most this."""


def block_seconds(declared: LoadTest, arms: int, seconds: float) -> float:
    """Return the measured time of a block, of which each arm has `MIN_CYCLES` within some seconds; 0 if there is too little."""
    longest_s = declared.seconds / MIN_CYCLES
    block_s = min(longest_s, seconds / (arms * MIN_CYCLES) - WARM_UP_S - BETWEEN_S)
    return block_s if block_s >= shortest_block_s(declared) else 0.0


def shortest_block_s(declared: LoadTest) -> float:
    """Return the shortest measured time of a block, in seconds."""
    return min(declared.seconds / MIN_CYCLES, SHORTEST_BLOCK_S)


@dataclass
class TrialLoad:
    """One scenario's load test in a run, in progress."""

    loaded: LoadedScenario
    setting: Setting
    """The setting of its instances, whose servers run and whose data are prepared."""
    seconds: float
    """The time limit of everything together."""
    cpus: tuple[int, ...] = ()
    """The cores of the load worker; empty leaves them to the system."""
    timeout_s: float = OPERATION_TIMEOUT_S
    """Timeout of one operation."""
    measured: Callable[[], None] = lambda: None
    """Called after each block."""
    clock: Clock = field(default_factory=MonotonicClock)
    _collected: CollectedResults = field(default_factory=CollectedResults)
    _searches: CapacitySearches | None = None
    _block_s: float = 0.0
    _left_out: str = ""
    _begun_ns: int = 0
    _watch: ServerWatch = field(default_factory=lambda: ServerWatch({}))

    def run(self) -> None:
        """Put the arms under load and search their capacities; after an interruption, `outcome` has what was measured before."""
        self._begun_ns = self.clock.now_ns()
        self._left_out = self._too_short()
        if self._left_out:
            return
        supervisor, self._watch = Supervisor(self._job()), ServerWatch(self.setting.servers)
        try:
            supervisor.start()
            self._collected.cannot_run = supervisor.cannot_run
            broken = {arm for _, arm, _, _ in supervisor.cannot_run}  # they would have another load than the others
            arms = [arm for arm in self.loaded.scenario.arms if arm not in broken]
            if len(arms) == 1:
                self._left_out = "no arm can run all operations of the load but the baseline"
                return
            block_s = block_seconds(self._declared, len(arms), self._left_s())
            self._load(supervisor, arms, block_s or shortest_block_s(self._declared))
            self._search(supervisor, arms)
        except KeyboardInterrupt:
            supervisor.stop()
            raise
        except HarnessError as error:
            self._collected.crashed.append(supervisor.failed or str(error))
        finally:
            supervisor.close()
        crashed, cannot_run = self._collected.crashed, self._collected.cannot_run
        if (crashed or cannot_run or have_trouble(self._collected.blocks.get(1, ()))) and (fault := self._watch.fault()):
            crashed[:] = [fault, *(each for each in crashed if fault not in each)]

    def outcome(self) -> LoadOutcome:
        """Return the result so far."""
        collected, declared = self._collected, self._declared
        cannot_run = tuple((arm, group, error) for _, arm, group, error in collected.cannot_run)
        if not collected.blocks:
            failed = "; ".join(collected.crashed)
            return LoadOutcome(left_out=self._left_out or failed, failed=failed, cannot_run=cannot_run)
        schedule_text = f"poisson:{declared.rate_per_s:g}"
        job = LoadJob([], [], self._block_s, WARM_UP_S, DRAIN_S, arrivals=schedule_text, cycles=MIN_CYCLES)
        load = load_result(self.loaded, collected.blocks, collected, job)
        deciding = deciding_arms(self.loaded, {a.arm for a in load.arms})
        fails = [f"{a.arm}: {a.failing}" for a in load.arms if a.group == ALL and a.failing and a.arm in deciding]
        warnings = (*load_warnings(load, collected.blocks), *self._cut_short())
        load = replace(load, capacities=self._searches.capacities() if self._searches else [])
        return LoadOutcome(load, self._left_out, "; ".join([*collected.crashed, *fails]), cannot_run, warnings)

    @property
    def _declared(self) -> LoadTest:
        declared = self.loaded.scenario.load_test
        assert declared is not None, f"{self.loaded.name} declares no load test"
        return declared

    def _job(self) -> LoadJob:
        return LoadJob(
            files=[encode_path(self.loaded.file)],
            digests=[self.loaded.digest],
            settings=[self.setting],
            block_s=STEP_S,
            warm_up_s=WARM_UP_S,
            drain_s=DRAIN_S,
            arrivals=UNIT_RATE,
            timeout_s=self.timeout_s,
            on_request=True,
            cpus=self.cpus,
            alone=bool(self.cpus),
        )

    def _too_short(self) -> str:
        """Return the reason why the time is too short for the load; empty if it is not."""
        declared, arms = self._declared, len(self.loaded.scenario.arms)
        if block_seconds(declared, arms, self.seconds - START_S):
            return ""
        least_s = START_S + arms * MIN_CYCLES * (shortest_block_s(declared) + WARM_UP_S + BETWEEN_S)
        return f"the load needs at least {least_s:.0f} s, and this run gives it {self.seconds:.0f} s; try {self._load_command}"

    @property
    def _load_command(self) -> str:
        return f"`harness load {self.loaded.name} --rate poisson:{self._declared.rate_per_s:g}`"

    @property
    def _capacity_command(self) -> str:
        return f'`harness capacity {self.loaded.name} --slo "{self._declared.slo}"`'

    def _cut_short(self) -> list[RunWarning]:
        """Return the warning that arms had fewer blocks than intervals need."""
        blocks = min(len(self._blocks(arm)) for arm in {block.arm for block in self._collected.blocks[1]})
        if blocks >= MIN_CYCLES:
            return []
        message = f"{blocks} of {MIN_CYCLES} blocks of an arm were measured in {self.seconds:g} s, too few for confidence intervals"
        return [RunWarning(WarningName.LOAD_CUT_SHORT, message, f"try {self._load_command}")]

    def _left_s(self) -> float:
        return self.seconds - (self.clock.now_ns() - self._begun_ns) / 1e9

    def _load(self, supervisor: Supervisor, arms: Sequence[str], block_s: float) -> None:
        """Put arms under load in blocks, with the same arrivals in each cycle, every second cycle in reverse order."""
        self._block_s, order = block_s, list(arms)
        random.Random(f"{self.setting.seed}/load").shuffle(order)  # noqa: S311 - the order has to be reproducible
        for cycle in range(MIN_CYCLES):
            if cycle and self._left_s() < len(order) * block_s:  # operations take so long that blocks do not end in time
                break
            for position, arm in enumerate(order):
                block = supervisor.run_block(arm, 0, self._declared.rate_per_s, self._block_s, cycle)
                _, ticks = supervisor.received()
                self._collected.add(1, [msgspec.structs.replace(block, position=position)], ticks)
                self.measured()
            order.reverse()

    def _search(self, supervisor: Supervisor, arms: Sequence[str]) -> None:
        """Search the capacities of arms in the time that is left."""
        declared = self._declared
        if not declared.slo:
            return
        if self._left_s() < LEAST_SEARCH_S * len(arms) * len(declared.kinds):
            self._left_out = f"the run has no time to search the capacity; try {self._capacity_command}"
            return
        objective, remedy = replace(slo.parse(declared.slo), beyond=BEYOND), f"{self._capacity_command} narrows it down"
        self._searches = CapacitySearches([], self.clock, lambda _step: None, self.measured, crashed=self._collected.crashed)
        self._searches.fault = self._watch.fault
        for number, kind in enumerate(declared.kinds):
            budget_s = self._left_s() / (len(arms) * (len(declared.kinds) - number))
            for arm in arms:
                first_level = self._first_users(arm, objective) if kind == CapacityKind.USERS else FIRST_LEVEL[kind]
                times_s = (STEP_S, LONGEST_STEP_S, budget_s)
                plan = SearchPlan(kind, objective, first_level, MAX_LEVEL[kind], *times_s, PRECISION, remedy)
                self._searches.searches.append(ArmSearch(plan, arm, self._known(plan, arm)))
            if not self._searches.run(supervisor):
                break

    def _known(self, plan: SearchPlan, arm: str) -> list[TriedStep]:
        """Return the load before as the first step of a search over rates, if it could be judged."""
        if plan.kind != CapacityKind.RATE:
            return []
        blocks, level = self._blocks(arm), self._declared.rate_per_s
        observed = observation(level, *blocks, beyond=plan.objective.beyond)
        tried = tried_step(plan, NextStep(level, len(blocks) * self._block_s), observed, 0.0)
        return [tried] if tried.step.sustained is not None else []

    def _first_users(self, arm: str, objective: slo.Objective) -> float:
        """Return half of the users whose operations, one after another, take the limit; a power of two from 1 up."""
        mean_ns = total(self._blocks(arm)).times("response").mean_ns
        limit_ns = min((bound.limit for bound in objective.latencies), default=0.0)
        if not mean_ns or not limit_ns:
            return FIRST_LEVEL[CapacityKind.USERS]
        return 2.0 ** max(0, math.floor(math.log2(max(1.0, limit_ns / mean_ns / 2))))

    def _blocks(self, arm: str) -> list[LoadBlock]:
        return [block for block in self._collected.blocks[1] if block.arm == arm]
