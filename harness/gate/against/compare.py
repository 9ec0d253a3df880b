"""Old against new, for any two commands: a first set of process pairs, and a second one for whatever looks slower."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import NotComparableError
from harness.gate.against.interleave import PairRunner, ProcessPairResult
from harness.gate.against.process import Side
from harness.results.gate import GateVerdict
from harness.runtime.clock import Clock, MonotonicClock
from harness.runtime.cores import CoreAllocator, Isolation, choose_cores
from harness.stats import process_pairs as evidence
from harness.stats.intervals import holm

MARGIN = 0.03
"""The slow-down, as a share, that must not be missed; half of it and more that recurs is one, less than half fails no build."""

PROCESS_PAIRS = 10
MOST_AGAIN = 20
"""Process pairs of a second set at most: the sign test stops it before, one way or the other."""

LEAST_SLICES_S = 0.15
"""A benchmark gets this much of every process pair, whatever the budget."""

START_UP_S = 1.0
"""What starting a process pair is taken to cost before the first one has."""


@dataclass(frozen=True)
class PairedTime:
    """One benchmark, old against new. `ratio` is new ÷ old: 1.03 is 3 % slower; `low` and `high` bound its 99 % interval.

    `processes` are the ratios of the first set's process pairs, `again` those of the second. `could_see` is the smallest slow-down,
    as a share, that the first set would have shown in 95 of 100 cases; `needs_s` the seconds after which that would be the margin.
    """

    name: str
    verdict: GateVerdict
    ratio: float
    low: float | None
    high: float | None
    processes: list[float]
    again: list[float]
    pairs: int
    could_see: float | None
    needs_s: float | None
    reason: str


@dataclass
class Sets:
    """What has been heard so far: name → logs of new ÷ old, a process pair each."""

    first: dict[str, list[float]] = field(default_factory=dict)
    second: dict[str, list[float]] = field(default_factory=dict)
    pairs: dict[str, int] = field(default_factory=dict)

    def take(self, visit: ProcessPairResult, *, again: bool = False) -> None:
        """Add one process pair."""
        into = self.second if again else self.first
        for name, log in visit.logs.items():
            into.setdefault(name, []).append(log)
            self.pairs[name] = self.pairs.get(name, 0) + visit.pairs[name]


def compare(old: Side, new: Side, budget_s: float, margin: float = MARGIN, seed: str = "0") -> PairedTime:
    """Return the verdict on two commands that serve one benchmark, within about `budget_s` seconds; see `compare_all`.

    Raises:
        NotComparableError: they serve another number of benchmarks than one.
    """
    found = compare_all(old, new, budget_s, margin=margin, seed=seed)
    if len(found) != 1:
        raise NotComparableError(f"the two sides serve {len(found)} benchmarks; give each comparison one")
    return found[0]


def compare_all(
    old: Side,
    new: Side,
    budget_s: float,
    *,
    wanted: Sequence[str] | None = None,
    margin: float = MARGIN,
    seed: str = "0",
    clock: Clock | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> list[PairedTime]:
    """Return a verdict on each benchmark that both sides serve, by name.

    Half of `budget_s` is for the first set, half for the second, which only those meet that look slower in the first. A benchmark
    gets an equal share of a process pair, never less than LEAST_SLICES_S. `wanted` chooses them; `told` hears what begins.

    Raises:
        SideError: a side failed.
        NotComparableError: the sides serve different benchmarks, or none.
    """
    clock = clock or MonotonicClock()
    coin = random.Random(f"{seed}/against")  # noqa: S311 - a coin that can be tossed again
    sets, names = Sets(), None if wanted is None else frozenset(wanted)
    cores = choose_cores()
    allocator = CoreAllocator(cores)
    try:
        with tempfile.TemporaryDirectory(prefix="harness-against-") as folder, allocator.allocate(Isolation.MACHINE):
            meeting = PairRunner(old, new, Path(folder), cores.worker, cores.coordinator, coin, clock)
            begun, start_up_s = clock.now_ns(), START_UP_S
            for number in range(PROCESS_PAIRS):
                told(f"process pair {number + 1} of {PROCESS_PAIRS}")
                known = len(names or sets.first) or 1
                visit = meeting.visit(share_s(budget_s / 2 / PROCESS_PAIRS, start_up_s, known), names)
                start_up_s = visit.start_up_ns / 1e9
                sets.take(visit)
                if not sets.first:
                    raise NotComparableError("there is no benchmark to time")
            each_s = (clock.now_ns() - begun) / 1e9 / PROCESS_PAIRS
            again = suspects(sets.first, margin)
            unsettled = set(again)
            slices_s = share_s(budget_s / 2 / PROCESS_PAIRS, start_up_s, len(again) or 1)
            while unsettled:
                told(f"a second set for what looked slower: {len(unsettled)} left")
                sets.take(meeting.visit(slices_s, frozenset(unsettled)), again=True)
                unsettled = {n for n in unsettled if evidence.recurs(sets.second[n], len(again), MOST_AGAIN, margin) is None}
    finally:
        allocator.release()
    return verdicts(sets, margin, each_s)


def share_s(process_pair_s: float, start_up_s: float, benchmarks: int) -> float:
    """Return the seconds of slices that a benchmark gets in a process pair of so many seconds in all."""
    return max(LEAST_SLICES_S, (process_pair_s - start_up_s) / benchmarks)


def suspects(first: Mapping[str, Sequence[float]], margin: float) -> list[str]:
    """Return the benchmarks that look slower in the first set."""
    return [name for name, logs in first.items() if evidence.looks_slower(evidence.effect(logs), margin)]


def verdicts(sets: Sets, margin: float, process_pair_s: float) -> list[PairedTime]:
    """Return a verdict for each benchmark of the first set; `process_pair_s` is what a process pair took, for the advice.

    A regression is what looked slower in the first set and recurs in the second, corrected over all that have one. An improvement
    is shown by the first set alone, corrected over all benchmarks (Holm), since no build fails on it.
    """
    seen = {name: evidence.effect(logs) for name, logs in sets.first.items()}
    again = suspects(sets.first, margin)
    corrected = dict(zip(seen, holm([1.0 if e.p is None else e.p for e in seen.values()]), strict=True))
    found = []
    for name, first in seen.items():
        second = sets.second.get(name, [])
        if name in again and second and evidence.recurs(second, len(again), MOST_AGAIN, margin):
            word, because = GateVerdict.REGRESSED, f"slower in {PROCESS_PAIRS} process pairs, and again in {len(second)} fresh ones"
        elif evidence.within(first, margin):
            word, because = GateVerdict.EQUIVALENT, f"the whole interval lies within ±{margin * 100:g} %"
        elif name in again:
            word, because = (
                GateVerdict.INCONCLUSIVE,
                f"slower in the first set of process pairs, and not shown in {len(second)} fresh ones",
            )
        elif corrected[name] <= evidence.ALPHA and first.interval.value < -math.log1p(margin / 2):
            word, because = GateVerdict.IMPROVED, f"faster in {PROCESS_PAIRS} process pairs"
        else:
            word, because = GateVerdict.INCONCLUSIVE, f"the interval reaches beyond ±{margin * 100:g} %, and shows no slow-down"
        found.append(_paired(name, word, because, sets, margin, process_pair_s))
    return found


def _paired(name: str, word: GateVerdict, because: str, sets: Sets, margin: float, process_pair_s: float) -> PairedTime:
    logs, second = sets.first[name], sets.second.get(name, [])
    seen, n = evidence.effect(logs), len(logs)
    # What is shown is what the verdict rests on: of a regression that is the second set, which had no say in its being looked at.
    shown = evidence.effect(second) if word == GateVerdict.REGRESSED else seen
    low, high = shown.interval.low, shown.interval.high
    needed = evidence.process_pairs_needed(seen, n, margin)
    return PairedTime(
        name=name,
        verdict=word,
        ratio=math.exp(shown.interval.value),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        processes=[math.exp(log) for log in logs],
        again=[math.exp(log) for log in second],
        pairs=sets.pairs[name],
        could_see=evidence.could_see(seen, n),
        needs_s=None if needed is None else needed * process_pair_s,
        reason=because,
    )
