"""Time benchmarks of two versions one process pair after another, until each is decided or the budget is spent.

They are in parts, each with commands of its own: a suite is one, and so is each scenario on an engine. In a round every part with
benchmarks to time starts one process pair. The first rounds time all of them. Those that are decided leave; the next ones time the
others, so that one start of both versions of a part serves all of it that is left, and the budget is spent where it decides, in
whichever part that is. Everything a process pair has shown is stored before the next one, and survives any end.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from harness.errors import NotComparableError
from harness.gate.against.allocation import PredictedNeed, StartUp, chosen, predicted_s, slices_s
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
class TimedPart:
    """Benchmarks that one process of each version serves."""

    old: VersionCommand
    new: VersionCommand
    wanted: Sequence[str] | None = None
    """The benchmarks to time, as the versions announce them: another part may have the same names; None for all that they serve."""
    name: str = ""
    """The part of the gate, such as a scenario on an engine; empty for a suite, which is all of it."""

    def label(self, benchmark: str) -> str:
        """Return the name by which a benchmark is known among those of all parts."""
        return f"{self.name}: {benchmark}" if self.name else benchmark


@dataclass(frozen=True)
class StoredProcessPair:
    """One process pair as it is stored."""

    number: int
    """The round, from 1; also the hash seed of its processes."""
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
    failures: dict[str, VersionError] = field(default_factory=dict)
    """Part → the error with which a version has ended it."""


@dataclass
class SuiteSequence:
    """The evidence on all benchmarks, and the choice of those that the next round times: no clock, no processes."""

    margin: float = MARGIN
    evidence: dict[str, BenchmarkEvidence] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    """Benchmark → its part."""
    rounds: int = 0
    process_pairs: int = 0
    timed_s: float = 0.0
    start_ups: dict[str, StartUp] = field(default_factory=dict)
    """Part → what its start has taken."""
    other_s: dict[str, float] = field(default_factory=dict)
    """Benchmark → the seconds that it takes in a process pair apart from its slices."""
    absent: Counter[str] = field(default_factory=Counter)
    """Benchmark → the process pairs that should have timed it, but in which it was not served, such as by a fixture that fails."""
    failed: set[str] = field(default_factory=set)
    """The parts that are not timed further."""

    def begin(self, names: Iterable[str], part: str = "") -> None:
        """Set the benchmarks, those of a part after those of the others, before any process pair."""
        self.parts |= dict.fromkeys(names, part)
        self.evidence = {name: BenchmarkEvidence(name, len(self.parts), self.margin) for name in self.parts}

    def add(self, pair: StoredProcessPair) -> None:
        """Add the logs of a process pair."""
        if not self.evidence:
            self.begin(pair.logs)
        for name, logs in pair.logs.items():
            if name in self.evidence:
                self.evidence[name].add(logs)
        self.rounds = pair.number
        self.process_pairs += 1
        self.timed_s += pair.timed_s

    def observe(self, found: MeasuredPair, wanted: Collection[str] | None, *, is_alone: bool, part: str = "") -> None:
        """Note what a process pair took that has ended, with its `wanted` benchmarks; `is_alone`: it started beside no other."""
        alone_s = found.start_up_s if is_alone else self.start_up(part).alone_s
        self.start_ups[part] = StartUp(alone_s, found.start_up_s)
        self.other_s |= found.other_s
        self.absent.update(name for name in wanted or () if name not in found.logs)

    def start_up(self, part: str) -> StartUp:
        """Return what the start of a part takes: as others, until it has been started."""
        known = list(self.start_ups.values()) or [StartUp(START_UP_S, START_UP_S)]
        return self.start_ups.get(part, known[-1])

    @property
    def start_up_s(self) -> float:
        """The seconds that the starts of all parts take when nothing else runs."""
        return sum(self.start_up(part).alone_s for part in dict.fromkeys(self.parts.values()))

    @property
    def undecided(self) -> list[str]:
        """The benchmarks without a decision, in their order."""
        return [name for name, found in self.evidence.items() if found.decided is None]

    @property
    def goes_on(self) -> bool:
        """Whether another round is likely to follow the next one."""
        return any(need.process_pairs > 1 for need in self._needs())

    def _needs(self) -> list[PredictedNeed]:
        served = [name for name in self.undecided if self.absent[name] < MOST_ABSENT and self.parts[name] not in self.failed]
        each = ((name, self.evidence[name].process_pairs_needed) for name in served)
        return [PredictedNeed(name, needed, self.other_s.get(name, 0.0), self.parts[name]) for name, needed in each]

    def _start_ups(self) -> dict[str, StartUp]:
        return {part: self.start_up(part) for part in self.parts.values()}

    def wanted(self, left_s: float) -> list[str]:
        """Return the benchmarks of the next round; none if all are decided, or nothing fits into the time left."""
        needs = self._needs()
        if self.rounds < FIRST_ROUND:  # all, whatever is predicted from so few
            needs = [replace(need, process_pairs=1) for need in needs]
        return chosen(needs, left_s, self._start_ups())

    def left_s(self, budget_left_s: float) -> float:
        """Return the seconds that timing is expected to go on for."""
        return min(budget_left_s, predicted_s(self._needs(), self._start_ups()))

    def progress(self, left_s: float, part: str = "") -> str:
        """Return the line about the next process pair."""
        every, undecided = len(self.evidence), len(self.undecided)
        round_ = "first round" if self.rounds < FIRST_ROUND else f"{every - undecided} of {every} decided"
        count, of_part = counted(every, "benchmark"), f" of {part}" if part else ""
        return f"timing {count}: process pair {self.rounds + 1}{of_part}, {round_}, about {duration(left_s)} left"

    def result(self, unfinished: str) -> SuiteTimes:
        """Return the verdicts; `unfinished` is the reason why there may be no more process pairs."""
        is_open = any(self.parts[name] not in self.failed for name in self.undecided)
        found = []
        for name, one in self.evidence.items():
            is_absent = self.absent[name] >= MOST_ABSENT
            reason = f"it was not served in {MOST_ABSENT} process pairs; run its test alone to see why" if is_absent else unfinished
            alone_s = self.start_up(self.parts[name]).alone_s
            pair_s = alone_s + slices_s(1, alone_s) + self.other_s.get(name, 0.0)
            found.append(one.verdict(FAILED if self.parts[name] in self.failed else reason, pair_s))
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
    parts: Sequence[TimedPart],
    budget: GateBudget,
    *,
    margin: float = MARGIN,
    seed: str = "0",
    overlap: bool = False,
    store: ProcessPairStore | None = None,
    progress: ProgressLine = lambda _: None,
) -> SuiteTimes:
    """Return a verdict on each benchmark of the parts, undecided ones when the budget is spent or at an interrupt.

    With `overlap`, which is for a single part, its next process pair starts on another core while one is timed; `store` has the
    process pairs of an earlier part, and stores the next ones; `progress` is called with a line per process pair. A part that one
    of the versions ends by an error is not timed further; the others are.

    NotComparableError: the commands serve different benchmarks, or none.
    """
    suite, kept = SuiteSequence(margin), store or NotStored()
    before_s = budget.spent_s
    for part in parts:
        if part.wanted is not None:
            suite.begin(map(part.label, part.wanted), part.name)
    for pair in kept.known():
        suite.add(pair)
    budget.settle(len(suite.evidence), suite.start_up_s or START_UP_S, before_s)
    cores = choose_cores()
    allocator, failures = CoreAllocator(cores), dict[str, VersionError]()
    try:
        with owned_folder("against") as folder, allocator.allocate(Isolation.MACHINE):
            overlaps = overlap and len(parts) == 1 and cores.worker is not None
            timer = _Timer(parts, folder, cores, seed, budget, kept, progress, overlaps, before_s, failures)
            timer.run(suite)
        unfinished = f"the budget of {duration(budget.seconds)} is spent"
    except KeyboardInterrupt:
        unfinished = INTERRUPTED
    finally:
        allocator.release()
    return replace(suite.result(unfinished), failures=failures)


def not_begun(parts: Sequence[TimedPart], unfinished: str, margin: float = MARGIN) -> SuiteTimes:
    """Return the verdicts of parts of which nothing was timed, for a reason."""
    suite = SuiteSequence(margin)
    for part in parts:
        suite.begin(map(part.label, part.wanted or ()), part.name)
    return suite.result(unfinished)


@dataclass
class _Timer:
    """Runs one round after another."""

    parts: Sequence[TimedPart]
    folder: Path
    cores: Cores
    seed: str
    budget: GateBudget
    store: ProcessPairStore
    progress: ProgressLine
    overlap: bool
    before_s: float
    """The seconds that the gate had taken before."""
    failures: dict[str, VersionError]
    """Part → its error, as it happens."""

    def run(self, suite: SuiteSequence) -> None:
        """Add process pairs until all benchmarks are decided or the budget is spent."""
        started: ProcessPair | None = None
        with ExitStack() as stack:
            while not self.failures.keys() >= {part.name for part in self.parts}:
                names = set(suite.wanted(self.budget.left_s)) if suite.evidence else None  # all, until they are known
                number = suite.rounds + 1
                if names is not None and not names:
                    break
                for part in self.parts:
                    wanted = names if names is None else {n for n in names if suite.parts[n] == part.name}
                    if wanted is None or wanted:
                        started = self._part(part, suite, number, wanted, started, stack)
                        if self.budget.is_spent:
                            return
                if number == 1:
                    self.budget.settle(len(suite.evidence), suite.start_up_s, self.before_s)
                suite.rounds = max(suite.rounds, number)  # nothing may have been served

    def _part(
        self,
        part: TimedPart,
        suite: SuiteSequence,
        number: int,
        wanted: Collection[str] | None,
        started: ProcessPair | None,
        stack: ExitStack,
    ) -> ProcessPair | None:
        """Time a process pair of a part; return the next one if it has been started meanwhile. A failure ends the part."""
        self.progress(suite.progress(suite.left_s(self.budget.left_s), part.name))
        current = started or self._start(stack, part, number, wanted)
        try:
            return self._timed(part, current, suite, number, wanted, stack, is_alone=started is None)
        except (VersionError, NotComparableError) as error:
            if isinstance(error, NotComparableError) and len(self.parts) == 1:
                raise
            self.failures[part.name] = error if isinstance(error, VersionError) else VersionError("old", str(error))
            suite.failed.add(part.name)
            return None

    def _start(
        self, stack: ExitStack, part: TimedPart, number: int, wanted: Collection[str] | None, *, beside: bool = False
    ) -> ProcessPair:
        coin = random.Random(f"{self.seed}/against/{part.name}/{number}")  # noqa: S311 - seeded, to be repeatable
        only = None if wanted is None else [name for name in part.wanted or wanted if part.label(name) in wanted]
        versions, is_over = (part.old, part.new, self.folder, self.cores, coin), lambda: self.budget.is_spent
        pair = ProcessPair(*versions, number, only, self.progress, is_over=is_over, beside=beside)
        return stack.enter_context(pair)

    def _timed(
        self,
        part: TimedPart,
        pair: ProcessPair,
        suite: SuiteSequence,
        number: int,
        wanted: Collection[str] | None,
        stack: ExitStack,
        *,
        is_alone: bool,
    ) -> ProcessPair | None:
        """Add a process pair to the suite, also one that ends early; return the next one if it has been started meanwhile."""
        following: list[ProcessPair] = []
        measured, found = MeasuredPair(), MeasuredPair()

        def is_ready() -> None:
            if self.overlap and wanted is not None and suite.goes_on:
                following.append(self._start(stack, part, number + 1, wanted, beside=True))

        each_s = slices_s(1 if wanted is None else len(wanted), suite.start_up(part.name).alone_s)
        try:
            with pair, suppress(BudgetSpentError):
                pair.time(each_s, lambda name: wanted is None or part.label(name) in wanted, measured, is_ready)
                found = measured.labelled(part.label)
                if not found.logs and not suite.evidence:
                    raise NotComparableError("there is no benchmark to time")
                suite.observe(found, wanted, is_alone=is_alone, part=part.name)
        finally:
            found = measured.labelled(part.label)
            if found.logs:
                stored = StoredProcessPair(number, found.logs, found.timed_s, self.budget.spent_s)
                with deferred():  # both or neither
                    self.store.add(stored)
                    suite.add(stored)
        return following[0] if following else None
