"""Time two versions interleaved, for any two commands that speak `protocol`.

A process pair runs both versions in two fresh processes, alternating slices of each benchmark in random order. A first set of
process pairs screens all benchmarks; what looks slower there is timed again in a second set, which alone can make it a regression.
"""

import json
import math
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.errors import NotComparableError
from harness.gate.against.process import VersionCommand, VersionProcess, alive
from harness.results.gate import GateRow, GateVerdict, RowKind
from harness.runtime.clock import Clock, MonotonicClock
from harness.runtime.cores import CoreAllocator, Isolation, choose_cores
from harness.stats import process_pairs
from harness.stats.intervals import holm, median

MARGIN = 0.03
"""The smallest slowdown, as a share, that must be found. A slowdown of less than half of it never fails a build."""

PROCESS_PAIRS = 10
"""The number of process pairs of the first set."""

SECOND_SET_LIMIT = 20
"""The largest number of process pairs of the second set; the sequential test usually ends it before."""

MIN_SLICES_S = 0.15
"""The seconds that a benchmark gets in every process pair, whatever the budget."""

START_UP_S = 1.0
"""The assumed cost of starting a process pair before the first one has been started."""

SLICE_NS = 3_000_000
"""The target duration of a slice: shorter ones measure the switch between processes, longer ones more of the machine's noise."""

MIN_PAIRS = 3
"""The number of pairs of slices in a process pair, however long they take."""

MAX_PADDING = 4096
"""Bytes: a page. Stacks that begin anywhere in it cover every alignment."""


class SliceTimer(Protocol):
    """A version that times slices of its current benchmark on request."""

    def slice(self, case: int, repeats: int) -> int:
        """Return the nanoseconds that `repeats` repetitions of a case took together."""
        ...


@dataclass(frozen=True)
class ProcessPairResult:
    """The result of one process pair, by benchmark."""

    logs: Mapping[str, float]
    """The median of log(new ÷ old) over the pairs of slices."""
    pairs: Mapping[str, int]
    """The number of pairs of slices."""
    start_up_ns: int
    """The time that it took to start both processes."""


@dataclass
class PairRunner:
    """Runs process pairs. Both versions are timed on one core; they start on one each, since starting takes longest."""

    old: VersionCommand
    new: VersionCommand
    folder: Path
    """A folder for the list of benchmarks that are wanted."""
    core: int | None
    """The core on which both versions are timed."""
    aside: int | None
    """The core on which one of them, drawn at random, starts."""
    coin: random.Random
    clock: Clock
    started: int = field(default=0, init=False)
    """The number of process pairs so far, which is also the next pair's hash seed."""

    def run(self, slices_s: float, wanted: frozenset[str] | None = None) -> ProcessPairResult:
        """Start both versions, give each wanted benchmark `slices_s` seconds of slices, and end both.

        Raises:
            VersionError: a version failed.
            NotComparableError: the versions do not announce the same benchmarks.
        """
        self.started += 1
        start_ns = self.clock.now_ns()
        cores = [self.core, self.aside]
        self.coin.shuffle(cores)
        with ExitStack() as stack:
            old, new = (
                stack.enter_context(self._alive(version, core, wanted))
                for version, core in zip((self.old, self.new), cores, strict=True)
            )
            received = old.receive(), new.receive()
            start_up_ns = self.clock.now_ns() - start_ns
            if self.core is not None:
                old.move(self.core)
                new.move(self.core)
            logs: dict[str, float] = {}
            pairs: dict[str, int] = {}
            while (name := _agreed(*received)) is not None:
                if wanted is None or name in wanted:
                    found = interleave(old, new, int(slices_s * 1e9), received[0]["cases"], self.coin, self.clock)
                    logs[name], pairs[name] = median(found), len(found)
                old.send("next")
                new.send("next")
                received = old.receive(), new.receive()
        return ProcessPairResult(logs, pairs, start_up_ns)

    def _alive(
        self, version: VersionCommand, core: int | None, wanted: frozenset[str] | None
    ) -> AbstractContextManager[VersionProcess]:
        only = None
        if wanted is not None:
            only = self.folder / "only.json"
            only.write_text(json.dumps(sorted(wanted)), encoding="utf-8")
        return alive(version, core=core, seed=self.started, padding=self.coin.randrange(MAX_PADDING), only=only)


def _agreed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return the benchmark that both versions announce, None at the end of both."""
    names = [message.get("name") for message in (old, new)]
    if names[0] != names[1] or old.get("cases") != new.get("cases"):
        both = " and ".join("no more" if name is None else repr(name) for name in names)
        raise NotComparableError(f"old and new version announce different benchmarks: {both}")
    return names[0]


def interleave(old: SliceTimer, new: SliceTimer, budget_ns: int, cases: int, coin: random.Random, clock: Clock) -> list[float]:
    """Return log(new ÷ old) of pairs of slices: the same case and number of repetitions in both versions, in random order.

    Cases alternate as long as there is time; the pairs that must follow are of cases that have run. Repetitions are sized once per
    case, by the quicker of first runs of both versions, which are not counted. Those runs alternate in the order of the pair that
    follows: a version that has just run finds the core's caches as it left them, and where there is time for one pair per case, the
    version that always ran last before it would look faster than the same code.
    """
    repeats: dict[int, int] = {}
    logs: list[float] = []
    start_ns = clock.now_ns()
    while (in_time := clock.now_ns() - start_ns < budget_ns) or len(logs) < MIN_PAIRS:
        case = len(logs) % (cases if in_time else len(repeats) or 1)
        order = [(0, old), (1, new)]
        coin.shuffle(order)
        if case not in repeats:
            once_ns = min(version.slice(case, 1) for _ in range(1 if len(logs) >= MIN_PAIRS else 2) for _, version in order)
            repeats[case] = max(1, math.ceil(SLICE_NS / once_ns))
            for _, version in order if repeats[case] > 1 else ():
                version.slice(case, repeats[case])
        times_ns = dict.fromkeys((0, 1), 1)
        for place, version in order:
            times_ns[place] = version.slice(case, repeats[case])
        logs.append(math.log(times_ns[1] / times_ns[0]))
    return logs


@dataclass(frozen=True)
class PairedTime:
    """One benchmark, old against new version."""

    name: str
    verdict: GateVerdict
    ratio: float
    """The ratio new ÷ old: 1.03 is 3 % slower."""
    low: float | None
    """The lower bound of the ratio's 99 % interval."""
    high: float | None
    processes: list[float]
    """The ratios of the first set's process pairs."""
    repeated: list[float]
    """The ratios of the second set's process pairs."""
    pairs: int
    """The number of pairs of slices in both sets."""
    detectable: float | None
    """The smallest slowdown, as a share, that the first set would detect in 95 of 100 cases."""
    needed_s: float | None
    """The seconds for a first set that would detect the margin."""
    reason: str


@dataclass(frozen=True)
class BenchmarkPlace:
    """The place of a benchmark in the result."""

    scenario: str
    engine: str
    rtt_ms: float = 0.0
    arm: str = ""
    group: str = ""


def time_row(time: PairedTime, place: BenchmarkPlace, margin: float) -> GateRow:
    """Return the row of a paired time; the reason of an inconclusive one states what was detectable, and the time needed."""
    reason = time.reason
    if time.verdict == GateVerdict.INCONCLUSIVE and time.detectable is not None and time.needed_s is not None:
        reason += f"; detectable: {time.detectable * 100:+.1f} %"
        if time.detectable > margin:
            reason += f"; {margin * 100:+.3g} % needs about {time.needed_s:.0f} s per set"
    return GateRow(
        kind=RowKind.TIME,
        scenario=place.scenario,
        engine=place.engine,
        rtt_ms=place.rtt_ms,
        arm=place.arm,
        group=place.group,
        metric="time",
        verdict=time.verdict,
        reason=reason,
        change=time.ratio,
        low=time.low,
        high=time.high,
        tolerated=margin,
        paired=True,
    )


@dataclass
class ProcessPairSets:
    """The results of both sets so far: benchmark → logs of new ÷ old, one per process pair."""

    first: dict[str, list[float]] = field(default_factory=dict)
    second: dict[str, list[float]] = field(default_factory=dict)
    pairs: dict[str, int] = field(default_factory=dict)
    """The number of pairs of slices in both sets."""

    def add(self, result: ProcessPairResult, *, second: bool = False) -> None:
        """Add one process pair to the first or the second set."""
        logs = self.second if second else self.first
        for name, log in result.logs.items():
            logs.setdefault(name, []).append(log)
            self.pairs[name] = self.pairs.get(name, 0) + result.pairs[name]


def compare(old: VersionCommand, new: VersionCommand, budget_s: float, margin: float = MARGIN, seed: str = "0") -> PairedTime:
    """Return the verdict on two commands that serve one benchmark, within about `budget_s` seconds; see `compare_all`.

    Raises:
        VersionError: a command failed.
        NotComparableError: they do not serve exactly one benchmark.
    """
    found = compare_all(old, new, budget_s, margin=margin, seed=seed)
    if len(found) != 1:
        raise NotComparableError(f"the two commands serve {len(found)} benchmarks; serve one per comparison")
    return found[0]


def compare_all(
    old: VersionCommand,
    new: VersionCommand,
    budget_s: float,
    *,
    wanted: Sequence[str] | None = None,
    margin: float = MARGIN,
    seed: str = "0",
    clock: Clock | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[PairedTime]:
    """Return a verdict on each benchmark that both commands serve.

    Half of `budget_s` is for the first set, half for the second, which only times benchmarks that look slower in the first. Within
    a process pair each benchmark gets an equal share of the time, at least MIN_SLICES_S. `wanted` selects benchmarks by name;
    `progress` is called with a line per step.

    Raises:
        VersionError: a command failed.
        NotComparableError: the commands serve different benchmarks, or none.
    """
    clock = clock or MonotonicClock()
    coin = random.Random(f"{seed}/against")  # noqa: S311 - seeded, to be repeatable
    sets, names = ProcessPairSets(), None if wanted is None else frozenset(wanted)
    cores = choose_cores()
    allocator = CoreAllocator(cores)
    try:
        with tempfile.TemporaryDirectory(prefix="harness-against-") as folder, allocator.allocate(Isolation.MACHINE):
            runner = PairRunner(old, new, Path(folder), cores.worker, cores.coordinator, coin, clock)
            start_ns, start_up_s = clock.now_ns(), START_UP_S
            for number in range(PROCESS_PAIRS):
                progress(f"process pair {number + 1} of {PROCESS_PAIRS}")
                known = len(names or sets.first) or 1
                result = runner.run(share_s(budget_s / 2 / PROCESS_PAIRS, start_up_s, known), names)
                start_up_s = result.start_up_ns / 1e9
                sets.add(result)
                if not sets.first:
                    raise NotComparableError("there is no benchmark to time")
            each_s = (clock.now_ns() - start_ns) / 1e9 / PROCESS_PAIRS
            repeat = suspects(sets.first, margin)
            undecided = set(repeat)
            slices_s = share_s(budget_s / 2 / PROCESS_PAIRS, start_up_s, len(repeat) or 1)
            while undecided:
                progress(f"second set for what looked slower: {len(undecided)} left")
                sets.add(runner.run(slices_s, frozenset(undecided)), second=True)
                undecided = {n for n in undecided if _recurs(sets.second[n], len(repeat), margin) is None}
    finally:
        allocator.release()
    return verdicts(sets, margin, each_s)


def share_s(process_pair_s: float, start_up_s: float, benchmarks: int) -> float:
    """Return the seconds of slices that each benchmark gets in a process pair of `process_pair_s` in all."""
    return max(MIN_SLICES_S, (process_pair_s - start_up_s) / benchmarks)


def suspects(first: Mapping[str, Sequence[float]], margin: float) -> list[str]:
    """Return the benchmarks that look slower in the first set."""
    return [name for name, logs in first.items() if process_pairs.looks_slower(process_pairs.effect(logs), margin)]


def verdicts(sets: ProcessPairSets, margin: float, process_pair_s: float) -> list[PairedTime]:
    """Return a verdict on each benchmark of the first set; `process_pair_s` is the duration of a process pair, for the advice.

    A regression looks slower in the first set and recurs in the second, corrected for all benchmarks that have one. An improvement
    is shown by the first set alone, corrected for all benchmarks (Holm), since no build fails because of it.
    """
    effects = {name: process_pairs.effect(logs) for name, logs in sets.first.items()}
    repeat = suspects(sets.first, margin)
    corrected = dict(zip(effects, holm([1.0 if e.p is None else e.p for e in effects.values()]), strict=True))
    found = []
    for name, first in effects.items():
        second = sets.second.get(name, [])
        faster = corrected[name] <= process_pairs.ALPHA and first.interval.value < -math.log1p(margin / 2)
        if name in repeat and second and _recurs(second, len(repeat), margin):
            verdict = GateVerdict.REGRESSED
            reason = f"slower in {PROCESS_PAIRS} process pairs, and again in {len(second)} fresh ones"
        elif process_pairs.within(first, margin):
            verdict, reason = GateVerdict.EQUIVALENT, f"the whole interval lies within ±{margin * 100:g} %"
        elif name in repeat:
            verdict = GateVerdict.INCONCLUSIVE
            reason = f"slower in the first set of process pairs, but not confirmed by {len(second)} fresh ones"
        elif faster:
            verdict, reason = GateVerdict.IMPROVED, f"faster in {PROCESS_PAIRS} process pairs"
        else:
            verdict, reason = GateVerdict.INCONCLUSIVE, f"the interval reaches beyond ±{margin * 100:g} %, and shows no slowdown"
        found.append(_paired(name, verdict, reason, sets, margin, process_pair_s))
    return found


def _recurs(second: Sequence[float], tests: int, margin: float) -> bool | None:
    return process_pairs.recurs(second, tests, SECOND_SET_LIMIT, margin)


def _paired(
    name: str, verdict: GateVerdict, reason: str, sets: ProcessPairSets, margin: float, process_pair_s: float
) -> PairedTime:
    logs, second = sets.first[name], sets.second.get(name, [])
    first, n = process_pairs.effect(logs), len(logs)
    # The figures shown are those that the verdict rests on: for a regression, the second set, which was not selected by its result.
    shown = process_pairs.effect(second) if verdict == GateVerdict.REGRESSED else first
    low, high = shown.interval.low, shown.interval.high
    needed = process_pairs.process_pairs_needed(first, n, margin)
    return PairedTime(
        name=name,
        verdict=verdict,
        ratio=math.exp(shown.interval.value),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        processes=[math.exp(log) for log in logs],
        repeated=[math.exp(log) for log in second],
        pairs=sets.pairs[name],
        detectable=process_pairs.detectable(first, n),
        needed_s=None if needed is None else needed * process_pair_s,
        reason=reason,
    )
