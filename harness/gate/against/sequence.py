"""Time benchmarks of two versions one process pair after another, until each is decided or the budget is spent.

The first process pairs time all of them. Those that are decided leave; the next ones time the others, so that one start of both
versions serves all that are left. Everything a process pair has shown is stored before the next one, and survives any end.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from harness.errors import NotComparableError
from harness.gate.against.allocation import PredictedNeed, chosen, predicted_s, slices_s
from harness.gate.against.budget import START_UP_S, GateBudget
from harness.gate.against.compare import BudgetSpentError, MeasuredPair, ProcessPair, ProgressLine, VersionCommand, VersionError
from harness.gate.against.verdicts import FIRST_ROUND, MARGIN, BenchmarkEvidence, PairedTime
from harness.gate.verdict import counted
from harness.runtime.cores import CoreAllocator, Cores, Isolation, choose_cores
from harness.runtime.leftovers import owned_folder
from harness.runtime.signals import deferred
from harness.stats.slice_pairs import ProcessPairLogs

INTERRUPTED, FAILED = "interrupted", "a version failed"
"""Reasons why benchmarks are undecided."""
MOST_ABSENT = 2
"""The process pairs without a benchmark after which it is given up."""


@dataclass(frozen=True)
class StoredProcessPair:
    """One process pair as it is stored."""

    number: int
    """From 1; also the hash seed of its processes."""
    logs: dict[str, ProcessPairLogs]
    """Benchmark → the logs of new ÷ old."""
    timed_s: float
    """The seconds of its slices."""
    spent_s: float
    """The seconds of the whole gate at its end."""


class ProcessPairStore(Protocol):
    """Where process pairs are stored as they end."""

    def known(self) -> Sequence[StoredProcessPair]:
        """Return those of an earlier part of the same gate."""

    def add(self, pair: StoredProcessPair) -> None:
        """Store one."""


@dataclass
class SuiteTimes:
    """The result of all process pairs together."""

    times: list[PairedTime]
    """A verdict on each benchmark."""
    process_pairs: int
    timed_s: float
    """The seconds of slices; everything else is overhead."""
    unfinished: str = ""
    """The reason why undecided ones were not timed further; empty if all are decided."""
    failure: VersionError | None = None
    """The error with which a version has ended them."""


@dataclass
class SuiteSequence:
    """The evidence on all benchmarks, and the choice of those that the next process pair times: no clock, no processes."""

    margin: float = MARGIN
    evidence: dict[str, BenchmarkEvidence] = field(default_factory=dict)
    process_pairs: int = 0
    timed_s: float = 0.0
    start_up_s: float = START_UP_S
    """The seconds that the start of both versions takes when nothing else runs."""
    wait_s: float = START_UP_S
    """The seconds that the last start was waited for: less, if it overlapped."""
    other_s: dict[str, float] = field(default_factory=dict)
    """Benchmark → the seconds that it takes in a process pair apart from its slices."""
    absent: Counter[str] = field(default_factory=Counter)
    """Benchmark → the process pairs that should have timed it, but in which it was not served, such as by a fixture that fails."""

    def begin(self, names: Iterable[str]) -> None:
        """Set the benchmarks, before any process pair."""
        known = list(names)
        self.evidence = {name: BenchmarkEvidence(name, len(known), self.margin) for name in known}

    def add(self, pair: StoredProcessPair) -> None:
        """Add the logs of a process pair."""
        if not self.evidence:
            self.begin(pair.logs)
        for name, logs in pair.logs.items():
            self.evidence[name].add(logs)
        self.process_pairs = pair.number
        self.timed_s += pair.timed_s

    def observe(self, found: MeasuredPair, wanted: Collection[str] | None, *, is_alone: bool) -> None:
        """Note what a process pair took that has ended, with its `wanted` benchmarks; `is_alone`: it started beside no other."""
        self.wait_s = found.start_up_s
        self.start_up_s = found.start_up_s if is_alone else self.start_up_s
        self.other_s |= found.other_s
        self.absent.update(name for name in wanted or () if name not in found.logs)

    @property
    def undecided(self) -> list[str]:
        """The benchmarks without a decision, in their order."""
        return [name for name, found in self.evidence.items() if found.decided is None]

    @property
    def goes_on(self) -> bool:
        """Whether another process pair is likely to follow the next one."""
        return any(need.process_pairs > 1 for need in self._needs())

    def _needs(self) -> list[PredictedNeed]:
        served = [name for name in self.undecided if self.absent[name] < MOST_ABSENT]
        each = ((name, self.evidence[name].process_pairs_needed) for name in served)
        return [PredictedNeed(name, needed, self.other_s.get(name, 0.0)) for name, needed in each]

    def wanted(self, left_s: float) -> list[str]:
        """Return the benchmarks of the next process pair; none if all are decided, or nothing fits into the time left."""
        needs = self._needs()
        if self.process_pairs < FIRST_ROUND:  # all, whatever is predicted from so few
            needs = [PredictedNeed(need.name, 1, need.other_s) for need in needs]
        return chosen(needs, left_s, self.start_up_s, self.wait_s)

    def left_s(self, budget_left_s: float) -> float:
        """Return the seconds that timing is expected to go on for."""
        return min(budget_left_s, predicted_s(self._needs(), self.start_up_s, self.wait_s))

    def progress(self, left_s: float) -> str:
        """Return the line about the next process pair."""
        every, undecided = len(self.evidence), len(self.undecided)
        round_ = "first round" if self.process_pairs < FIRST_ROUND else f"{every - undecided} of {every} decided"
        count = counted(every, "benchmark")
        return f"timing {count}: process pair {self.process_pairs + 1}, {round_}, about {duration(left_s)} left"

    def result(self, unfinished: str) -> SuiteTimes:
        """Return the verdicts; `unfinished` is the reason why there may be no more process pairs."""
        is_open = bool(self.undecided)
        pair_s = self.start_up_s + slices_s(1, self.start_up_s)
        found = []
        for name, one in self.evidence.items():
            is_absent = self.absent[name] >= MOST_ABSENT
            reason = f"it was not served in {MOST_ABSENT} process pairs; run its test alone to see why" if is_absent else unfinished
            found.append(one.verdict(reason, pair_s + self.other_s.get(name, 0.0)))
        return SuiteTimes(found, self.process_pairs, self.timed_s, unfinished if is_open or not found else "")


def duration(seconds: float) -> str:
    """Return seconds as they are shown in a line about progress: `40 s`, `3 min`."""
    return f"{max(0, round(seconds))} s" if seconds < 100 else f"{round(seconds / 60)} min"  # noqa: PLR2004 - two digits


class NotStored:
    """No store."""

    def known(self) -> Sequence[StoredProcessPair]:
        """Return none."""
        return ()

    def add(self, pair: StoredProcessPair) -> None:
        """Store nothing."""


def compare_all(
    old: VersionCommand,
    new: VersionCommand,
    budget: GateBudget,
    *,
    wanted: Sequence[str] | None = None,
    margin: float = MARGIN,
    seed: str = "0",
    overlap: bool = False,
    store: ProcessPairStore | None = None,
    progress: ProgressLine = lambda _: None,
) -> SuiteTimes:
    """Return a verdict on each benchmark that both commands serve, undecided ones when the budget is spent or at an interrupt.

    `wanted` selects benchmarks by name; with `overlap`, the next process pair starts on another core while one is timed; `store`
    has the process pairs of an earlier part, and stores the next ones; `progress` is called with a line per process pair.

    NotComparableError: the commands serve different benchmarks, or none.
    """
    suite, kept = SuiteSequence(margin), store or NotStored()
    before_s = budget.spent_s
    if wanted is not None:
        suite.begin(wanted)
    for pair in kept.known():
        suite.add(pair)
    budget.settle(len(suite.evidence), before_s=before_s)
    cores = choose_cores()
    allocator = CoreAllocator(cores)
    try:
        with owned_folder("against") as folder, allocator.allocate(Isolation.MACHINE):
            overlaps = overlap and cores.worker is not None
            _Timer(old, new, folder, cores, seed, budget, kept, progress, overlaps, before_s).run(suite)
        unfinished = f"the budget of {duration(budget.seconds)} is spent"
    except KeyboardInterrupt:
        unfinished = INTERRUPTED
    except VersionError as error:
        return replace(suite.result(FAILED), unfinished="", failure=error)
    finally:
        allocator.release()
    return suite.result(unfinished)


@dataclass
class _Timer:
    """Runs one process pair after another."""

    old: VersionCommand
    new: VersionCommand
    folder: Path
    cores: Cores
    seed: str
    budget: GateBudget
    store: ProcessPairStore
    progress: ProgressLine
    overlap: bool
    before_s: float
    """The seconds that the gate had taken before."""

    def run(self, suite: SuiteSequence) -> None:
        """Add process pairs until all benchmarks are decided or the budget is spent."""
        started: ProcessPair | None = None
        with ExitStack() as stack:
            while not suite.evidence or (names := suite.wanted(self.budget.left_s)):
                wanted = set(names) if suite.evidence else None  # all, until they are known
                self.progress(suite.progress(suite.left_s(self.budget.left_s)))
                current, is_alone = started or self._start(stack, suite.process_pairs + 1, wanted), started is None
                started = self._timed(current, suite, wanted, stack, is_alone=is_alone)
                if suite.process_pairs == 1:
                    self.budget.settle(len(suite.evidence), suite.start_up_s, self.before_s)
                if self.budget.is_spent:
                    break

    def _start(self, stack: ExitStack, number: int, wanted: Collection[str] | None, *, beside: bool = False) -> ProcessPair:
        coin = random.Random(f"{self.seed}/against/{number}")  # noqa: S311 - seeded, to be repeatable
        versions, is_over = (self.old, self.new, self.folder, self.cores, coin), lambda: self.budget.is_spent
        pair = ProcessPair(*versions, number, wanted, self.progress, is_over=is_over, beside=beside)
        return stack.enter_context(pair)

    def _timed(
        self, pair: ProcessPair, suite: SuiteSequence, wanted: Collection[str] | None, stack: ExitStack, *, is_alone: bool
    ) -> ProcessPair | None:
        """Add a process pair to the suite, also one that ends early; return the next one if it has been started meanwhile."""
        following: list[ProcessPair] = []
        found, number = MeasuredPair(), suite.process_pairs + 1

        def is_ready() -> None:
            if self.overlap and wanted is not None and suite.goes_on:
                following.append(self._start(stack, number + 1, wanted, beside=True))

        each_s = slices_s(1 if wanted is None else len(wanted), suite.start_up_s)
        try:
            with pair, suppress(BudgetSpentError):
                pair.time(each_s, lambda name: wanted is None or name in wanted, found, is_ready)
                if not found.logs and not suite.evidence:
                    raise NotComparableError("there is no benchmark to time")
                suite.observe(found, wanted, is_alone=is_alone)
        finally:
            if found.logs:
                stored = StoredProcessPair(number, found.logs, found.timed_s, self.budget.spent_s)
                with deferred():  # both or neither
                    self.store.add(stored)
                    suite.add(stored)
        return following[0] if following else None
