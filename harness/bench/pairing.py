"""Timing pairs: the same case on every arm, in random order, in slots of at least a millisecond.

Orders are drawn independently: balanced blocks make the order predictable, which the sign of a paired difference must not be.
"""

import gc
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import structs

from harness.bench.instance import Outbox, all_opened, cases_of, refuse_wrong_clock
from harness.bench.job import BASELINE_COPIES, SLOWED, BenchJob, PairTimes, recorded
from harness.bench.operations import run_timed
from harness.bench.probes.cpu_control import spin
from harness.bench.schedule import FEWEST
from harness.discovery import LoadedScenario
from harness.errors import HarnessError, ScenarioFailedError
from harness.results.profile import RunPhase
from harness.results.run import AA_CONTROL, BASELINE, PING, PURE_CPU
from harness.runnable import RunnableScenario
from harness.runtime.channel import beat, begin, transfer
from harness.runtime.clock import WRONG_CLOCK, Clock, ClockCheck, MonotonicClock
from harness.scenario import Case
from harness.user_code import failure, is_request

SLOT_NS = 1_000_000
"""A slot repeats its operation until about this duration: shorter slots measure the clock and the scheduler."""
CONTROL_EVERY = 4
"""The A/A control takes part in one of this number of a group's pairs.

In every pair the baseline instances exchange their roles at random, so that both are used equally: an instance that runs less
often has colder caches and a shorter log, and would differ from the other for that alone.
"""


async def time_pairs(job: BenchJob, loaded: LoadedScenario, outbox: Outbox) -> None:
    """Open the instances, warm up the job's groups, and time their pairs, sending each, in every turn until one has no pairs."""
    scenario, cases = loaded.scenario, cases_of(loaded.scenario, job)
    setting = replace(job.setting, resets=True)
    groups = [group for group in dict.fromkeys(c.group for c in cases) if group in job.groups]
    rng = random.Random(f"{job.setting.seed}/{loaded.name}/{job.process}")  # noqa: S311 - reproducible, not cryptographic
    arms = list(scenario.arms)
    rng.shuffle(arms)  # the first instance to be built must not always be the same arm's
    copies = (AA_CONTROL, SLOWED) if job.injected else (AA_CONTROL,)
    opening = {**dict(zip(arms, arms, strict=True)), **dict.fromkeys(copies, BASELINE)}
    async with all_opened(scenario, opening, setting, outbox) as instances:
        clock = MonotonicClock()
        check = ClockCheck(clock)
        pairing = Pairing(scenario, instances, cases, rng, clock, job.excluded, job.slow, job.injected)
        await pairing.warm_up(groups)
        refuse_wrong_clock(check)
        while (turn := await outbox.turn()).pairs:
            wanted = {group: turn.pairs[group] for group in groups if turn.pairs.get(group)}
            targets = PairTargets(wanted, clock.now_ns() + turn.budget_ns if turn.budget_ns else None)
            async for pair in pairing.pairs(targets, job.process - 1):
                refuse_wrong_clock(check)
                if min(slot.totals.min_ns for slot in pair.slots) <= 0:
                    raise ScenarioFailedError(f"an operation of case {pair.case!r} took no time; {WRONG_CLOCK}")
                outbox.send(pair)


@dataclass
class PairTargets:
    """The pairs to time in one process, by group, and which group is next."""

    wanted: Mapping[str, int]
    """Group → pairs."""
    until_ns: int | None = None
    """When no further pair begins, except the first `FEWEST` of each group; None: never."""
    pairs: Counter[str] = field(default_factory=Counter)
    """Group → pairs timed so far."""

    def next_group(self, now_ns: int) -> str | None:
        """Return the group to time next: the one that has the smallest part of its pairs; None if there is nothing left to do.

        So all groups are spread over the whole life of the process, whose drift they then share.
        """
        is_late = self.until_ns is not None and now_ns >= self.until_ns
        behind = [g for g, wanted in self.wanted.items() if self.pairs[g] < (min(FEWEST, wanted) if is_late else wanted)]
        return min(behind, key=lambda g: self.pairs[g] / self.wanted[g], default=None)


@dataclass
class Pairing:
    """Times the pairs of one scenario in one process."""

    scenario: RunnableScenario
    instances: Mapping[str, Any]
    """Open instances by arm, the A/A control's among them. That of SLOWED, if there is one, takes part in every pair."""
    cases: Sequence[Case]
    rng: random.Random
    clock: Clock
    excluded: Collection[tuple[str, str]] = ()
    """The (arm, group) that cannot run."""
    slow: Collection[str] = ()
    """Groups that are timed without warm-up and without a control."""
    injected: float = 0.0
    """Share of its time by which the instance of SLOWED is slowed."""
    _repeats: dict[tuple[str, str], int] = field(default_factory=dict)
    _operations: Counter[tuple[str, str]] = field(default_factory=Counter)  # (arm, case) → operations so far

    async def warm_up(self, groups: Iterable[str]) -> None:
        """Run every group on every arm, to fill caches and to size the slots; slow groups are not."""
        cases = {c.group: c for c in reversed(self.cases)}
        for group in groups:
            for arm in self._arms(group, BASELINE_COPIES):
                if group in self.slow:
                    self._repeats[arm, group] = 1
                    continue
                begin("warming up", arm, cases[group].name)
                ((_, fastest),) = await self._timed(arm, self.instances[arm], cases[group])
                if fastest <= SLOT_NS:
                    ((_, again),) = await self._timed(arm, self.instances[arm], cases[group])
                    fastest = min(fastest, again)
                self._repeats[arm, group] = max(1, math.ceil(SLOT_NS / max(1, fastest)))
        gc.collect()
        gc.freeze()

    async def pairs(self, targets: PairTargets, first: int = 0) -> AsyncIterator[PairTimes]:
        """Yield the wanted pairs of groups that were warmed up. The cases of a group alternate, from case number `first` on.

        It should differ between processes: where each of them times a pair or two, all cases must have their turn.
        """
        cases = {g: [c for c in self.cases if c.group == g] for g in targets.wanted}
        while (group := targets.next_group(started_ns := self.clock.now_ns())) is not None:
            number = targets.pairs[group]
            quick = group not in self.slow
            copies = [arm for arm in BASELINE_COPIES if quick and (arm == SLOWED or number % CONTROL_EVERY == 0)]
            pair = await self._pair(cases[group][(first + number) % len(cases[group])], copies)
            targets.pairs[group] += 1
            yield structs.replace(pair, lasted_ns=self.clock.now_ns() - started_ns)

    async def _pair(self, case: Case, copies: Sequence[str]) -> PairTimes:
        order = self._arms(case.group, copies)
        self.rng.shuffle(order)
        equal = [arm for arm in (BASELINE, *BASELINE_COPIES) if arm in self.instances]
        exchanged = self.rng.sample([self.instances[arm] for arm in equal], len(equal))
        instances = {**self.instances, **dict(zip(equal, exchanged, strict=True))}
        slots = []
        for arm in order:
            begin("timing pairs", arm, case.name)
            times = await self._timed(arm, instances[arm], case, self._repeats[arm, case.group])
            transfer(sum(passed for _, passed in times) / 1e9, RunPhase.OPERATIONS)
            slots.append(recorded(arm, [counted for counted, _ in times], self.rng.random()))
        controls_ns = await self._controls_ns(instances[BASELINE]) if AA_CONTROL in copies else {}
        return PairTimes(case.group, case.name, slots, controls_ns)

    async def _timed(self, arm: str, instance: Any, case: Case, repeats: int = 1) -> list[tuple[int, int]]:
        """Time an operation a number of times; an error of it has the repetition, counted from the process's start."""
        times: list[tuple[int, int]] = []
        slowdown = self.injected if arm == SLOWED else 0.0
        try:
            for _ in range(repeats):
                beat()
                times.append(await run_timed(self.scenario, instance, case, self.clock.now_ns, slowdown))
        except HarnessError:
            raise
        except BaseException as error:
            if is_request(error):
                raise
            repetition = self._operations[arm, case.name] + len(times) + 1
            raise ScenarioFailedError(failure(error, self.scenario.written, arm, case.name, repetition)) from error
        self._operations[arm, case.name] += repeats
        return times

    async def _controls_ns(self, instance: Any) -> dict[str, int]:
        """Time what depends on no arm: the interpreter, and a ping of the baseline instance's server."""
        now_ns = self.clock.now_ns
        begin("timing the controls", BASELINE)
        start = now_ns()
        spin()
        found = {PURE_CPU: now_ns() - start}
        start = now_ns()
        if await self.scenario.ping(instance) is not NotImplemented:
            found[PING] = now_ns() - start
        return found

    def _arms(self, group: str, copies: Sequence[str]) -> list[str]:
        present = [arm for arm in self.instances if arm not in BASELINE_COPIES or arm in copies]
        return [arm for arm in present if (BASELINE if arm in BASELINE_COPIES else arm, group) not in self.excluded]
