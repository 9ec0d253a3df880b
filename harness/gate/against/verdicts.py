"""The verdict on a benchmark's time, new against old version, from its process pairs as they come: pure, and decided once.

A first set of process pairs screens. What looks slower in it is a suspicion, which a second set, the process pairs from then on,
has to confirm: it alone can make a regression. The tests hold at every look, so that a benchmark leaves as soon as it is decided.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness.gate.verdict import counted, in_words
from harness.results.gate import GateRow, GateVerdict, RowKind
from harness.stats import process_pairs
from harness.stats.slice_pairs import MEDIAN, TAILS, ProcessPairLogs, supported

MARGIN = 0.03
"""The smallest slowdown, as a share, that must be found. A slowdown of less than half of it never fails a build."""
FIRST_ROUND = 5
"""The process pairs of every benchmark before anything is decided."""
TAIL_MARGINS = 3.0
"""The margin of the mean and of the tails, in margins of the median: they scatter more between two processes of the same code."""
IDENTICAL = "the versions are identical; not timed"
"""The reason why benchmarks of two trees with the same content have no times."""


@dataclass(frozen=True)
class PairedTime:
    """One benchmark, old against new version."""

    name: str
    verdict: GateVerdict
    reason: str
    ratio: float | None
    """The ratio new ÷ old: 1.03 is 3 % slower; None if it was not timed."""
    low: float | None
    """The lower bound of the ratio's 99 % interval, which holds for all benchmarks together and whenever it is looked at."""
    high: float | None
    detectable: float | None
    """The smallest slowdown, as a share, that this number of process pairs would have detected in 95 of 100 cases."""
    needed_s: float | None = None
    """The seconds that are predicted to decide it, if it is undecided."""
    metric: str = "time"
    """"time" for the median; of a regression of the mean or of a tail, its name, such as "p95"."""

    def row(self, margin: float, scenario: str, engine: str, rtt_ms: float = 0.0, arm: str = "", group: str = "") -> GateRow:
        """Return the row of the time; the reason of an inconclusive one states the time needed."""
        reason = self.reason
        if self.verdict == GateVerdict.INCONCLUSIVE and self.needed_s is not None:
            reason += f"; a decision needs about {self.needed_s:.0f} s more"
        row = GateRow(RowKind.TIME, scenario, engine, rtt_ms, arm, group, self.metric, self.verdict, reason)
        row = replace(row, change=self.ratio, low=self.low, high=self.high, detectable=self.detectable)
        return replace(row, tolerated=margin, paired=True)


def not_timed(reason: str, scenario: str, engine: str, rtt_ms: float = 0.0, arm: str = "", group: str = "") -> GateRow:
    """Return the row of a benchmark that need not be timed, since nothing that it depends on has changed."""
    return GateRow(RowKind.TIME, scenario, engine, rtt_ms, arm, group, "time", GateVerdict.EQUIVALENT, reason, paired=True)


@dataclass
class BenchmarkEvidence:
    """The process pairs of a benchmark so far, and what they show."""

    name: str
    tests: int
    """The number of benchmarks of the gate that are timed, which its tests are corrected for."""
    margin: float = MARGIN
    pairs: list[ProcessPairLogs] = field(default_factory=list)
    second_from: dict[str, int] = field(default_factory=dict)
    """Statistic that looked slower → the number of process pairs of the first set, in which it did."""
    decided: PairedTime | None = None
    """The verdict, once there is one that more process pairs do not change."""

    def add(self, pair: ProcessPairLogs) -> None:
        """Add a process pair; without effect once it is decided."""
        if self.decided is not None:
            return
        self.pairs.append(pair)
        if len(self.pairs) < FIRST_ROUND:
            return
        for label in supported(self.pairs):
            seen = process_pairs.effect(self._logs(label))
            if label not in self.second_from and process_pairs.looks_slower(seen, self._margin(label)):
                self.second_from[label] = len(self.pairs)
        self.decided = self._decision()

    def verdict(self, unfinished: str = "", process_pair_s: float = 0.0) -> PairedTime:
        """Return the verdict; without a decision it is inconclusive, for the reason `unfinished`.

        `process_pair_s` are the seconds of a process pair, for the time that is needed.
        """
        if self.decided is not None:
            return self.decided
        n = len(self.pairs)
        if not n:
            return PairedTime(self.name, GateVerdict.INCONCLUSIVE, f"not timed: {unfinished}", None, None, None, None)
        reason = f"the interval reaches beyond ±{self.margin * 100:g} %, and shows no slowdown, in {n} process pairs"
        if n < FIRST_ROUND or process_pairs.fewest_hits(n, self.tests) is None:
            reason = f"{counted(n, 'process pair')} {'is' if n == 1 else 'are'} too few to decide"
        if label := next((label for label in self.second_from if self._is_open(label)), None):
            at = "" if label == MEDIAN else f" at {label}"
            fresh = n - self.second_from[label]
            reason = f"slower{at} in {self.second_from[label]} process pairs, but not confirmed by {fresh} fresh ones"
        if unfinished:
            reason += f"; {unfinished}"
        return replace(self._time(GateVerdict.INCONCLUSIVE, reason), needed_s=self.process_pairs_needed * process_pair_s or None)

    @property
    def process_pairs_needed(self) -> int:
        """The process pairs that are predicted to decide it, if they are like those so far; 0 if it is decided."""
        if self.decided is not None:
            return 0
        missing = max(0, FIRST_ROUND - len(self.pairs))
        if label := next((label for label in self.second_from if self._is_open(label)), None):
            logs = self._second(label)
            return max(1, process_pairs.further(sum(log > 0 for log in logs), len(logs), self.tests))
        limit, logs = math.log1p(self.margin), self._logs(MEDIAN)
        hits = min(sum(log < limit for log in logs), sum(log > -limit for log in logs))
        return max(1, missing, process_pairs.further(hits, len(logs), self.tests))

    def _decision(self) -> PairedTime | None:
        regressed = [label for label in self.second_from if self._is_confirmed(label)]
        if regressed:
            return self._regressed(MEDIAN if MEDIAN in regressed else max(regressed, key=self._second_value))
        if any(self._is_open(label) for label in self.second_from):
            return None
        logs = self._logs(MEDIAN)
        if process_pairs.faster(logs, self.tests, self.margin):
            return self._time(GateVerdict.IMPROVED, f"faster in {len(logs)} process pairs")
        if process_pairs.within(logs, self.tests, self.margin):
            reason = f"the whole interval lies within ±{self.margin * 100:g} %, in {len(logs)} process pairs"
            return self._time(GateVerdict.EQUIVALENT, reason)
        return None

    def _regressed(self, label: str) -> PairedTime:
        """Return the regression of a statistic, with the figures of the set that was not selected by its result."""
        logs, first = self._second(label), self.second_from[label]
        reason, metric = f"slower in {first} process pairs, and again in {len(logs)} fresh ones", "time"
        if label != MEDIAN:
            middle = math.exp(process_pairs.effect(self._logs(MEDIAN)[first:]).interval.value)
            metric, reason = label, f"regressed at {label}: {reason} (median {in_words(1 / middle)})"
        return replace(self._time(GateVerdict.REGRESSED, reason, logs, self._tests(label)), metric=metric)

    def _time(self, verdict: GateVerdict, reason: str, logs: Sequence[float] | None = None, tests: int | None = None) -> PairedTime:
        """Return a verdict with figures: of these logs, by default of all medians."""
        every = self._logs(MEDIAN)
        shown = process_pairs.median_interval(every if logs is None else logs, tests or self.tests)
        low, high = (None if bound is None else math.exp(bound) for bound in (shown.low, shown.high))
        detectable = process_pairs.detectable(process_pairs.effect(every), len(every))
        return PairedTime(self.name, verdict, reason, math.exp(shown.value), low, high, detectable)

    def _is_confirmed(self, label: str) -> bool:
        logs = self._second(label)
        return len(logs) >= process_pairs.MIN_PROCESS_PAIRS and process_pairs.slower(logs, self._tests(label), self._margin(label))

    def _is_open(self, label: str) -> bool:
        """Return whether a suspicion may still be confirmed: by the fewest process pairs that can, or as it still looks slower.

        The mean and the tails scatter so much that theirs also ends at a limit.
        """
        logs, tests = self._second(label), self._tests(label)
        if len(logs) < process_pairs.further(0, 0, tests):
            return True
        still = self._second_value(label) > math.log1p(self._margin(label) / 2)
        return still and (label == MEDIAN or len(logs) < process_pairs.limit(tests))

    def _logs(self, label: str) -> list[float]:
        """Return the logs of a statistic; 0, which is not slower, of a process pair without it."""
        return [pair.logs.get(label, 0.0) for pair in self.pairs]

    def _second(self, label: str) -> list[float]:
        return self._logs(label)[self.second_from[label] :]

    def _second_value(self, label: str) -> float:
        return process_pairs.effect(self._second(label)).interval.value

    def _margin(self, label: str) -> float:
        return self.margin if label == MEDIAN else self.margin * TAIL_MARGINS

    def _tests(self, label: str) -> int:
        """Return what a statistic is corrected for: all medians, or all means and tails."""
        return self.tests if label == MEDIAN else self.tests * (1 + len(TAILS))
