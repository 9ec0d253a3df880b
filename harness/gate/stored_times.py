"""Stored times, before and after: two moments, two states of the machine. They can show a large change, and nothing else.

The same code differs from run to run, and the machine drifts on top of that, sometimes for all
figures alike. So a time counts only if the intervals over both runs' processes are apart, and the change is beyond a limit that
holds for all times of the comparison together. The limit never claims to know the machine better than the comparison shows it:
where the suite itself scatters more, it is as wide as that. A shift of everything is told, and charged to no single time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from harness.results.gate import GateRow, GateVerdict, RowKind
from harness.results.run import AA_CONTROL, Latency, RunWarning, ScenarioResult
from harness.stats.intervals import mean_interval, median

DRIFT_SD = 0.075
"""Standard deviation, as a share, of a process's figure from run to run of the same code, in fresh processes on two shared cores.
Two runs differ by √2 of it."""

LEAST_CHANGE = 0.25
"""No smaller change of a stored time counts, however few times are compared."""

ALPHA = 0.01
"""How often, at most, the same code shows any time beyond the limit, if the drift is as stated: shared out (Bonferroni)."""

SUITE = 8
"""From so many times on, their own scatter and their common shift are taken into account."""

SHIFTED, SHIFTED_BADLY = 1.1, 1.5
"""From which factor on a shift of everything is told, and from which one the gate does not pass: a machine alone seldom shifts so
far. Where too few times are compared to see their common shift, it is taken to be as much."""

PROCESSES = 2
"""An interval over processes needs so many of them."""

MAD_TO_SD = 1.4826
"""A normal distribution's standard deviation ÷ its median absolute deviation."""


@dataclass(frozen=True)
class StoredTimes:
    """Rows of times, what is to be doubted about them, and whether everything became so much slower that nothing may pass."""

    rows: list[GateRow]
    warnings: list[RunWarning]
    all_slower: bool = False


@dataclass(frozen=True)
class _Pair:
    row: GateRow
    before_ns: list[float]
    after_ns: list[float]

    @property
    def log_change(self) -> float | None:
        """How much longer it takes, None where a side cannot say."""
        return math.log(self.row.change) if self.row.change and min(len(self.before_ns), len(self.after_ns)) >= PROCESSES else None

    @property
    def apart(self) -> bool:
        """Whether the 95 % intervals over the processes of both sides are."""
        before, after = (mean_interval([math.log(ns) for ns in side]) for side in (self.before_ns, self.after_ns))
        assert before.low is not None
        assert before.high is not None
        assert after.low is not None
        assert after.high is not None
        return before.high < after.low or after.high < before.low


def times(pairs: Sequence[tuple[ScenarioResult, ScenarioResult]], another_machine: str) -> StoredTimes:
    """Return a row for every arm and group that the first run timed. `another_machine` is why none is judged, "" if they are."""
    found = [_pair(old, new, a, b) for old, new in pairs for a, b in _both(old, new)]
    known = [p.log_change for p in found if p.log_change is not None]
    centre, spread = _suite(known)
    limit = abs(centre) + limit_log(len(known), spread)
    rows = [_judged(p, limit, another_machine) for p in found]
    if another_machine or len(known) < SUITE or math.exp(abs(centre)) < SHIFTED:
        return StoredTimes(rows, [])
    slower = centre > 0
    says = f"half of {len(known)} times became {math.exp(abs(centre)):.2f}× {'slower' if slower else 'faster'} and more"
    warning = RunWarning("everything shifted", says, "time both versions in turn: harness gate --against REF")
    return StoredTimes(rows, [warning], all_slower=slower and math.exp(centre) >= SHIFTED_BADLY)


def limit_log(number: int, spread: float = 0.0) -> float:
    """Return beyond which log ratio one of `number` times counts, if two runs differ by the sd `spread` (log), or more."""
    if not number:
        return math.log(1 + LEAST_CHANGE)
    z = NormalDist().inv_cdf(1 - ALPHA / (2 * number))
    return max(math.log(1 + LEAST_CHANGE), z * max(math.sqrt(2) * DRIFT_SD, spread))


def _suite(logs: Sequence[float]) -> tuple[float, float]:
    """Return the common shift of many log changes and their robust sd around it; of few the shift that there may be."""
    if len(logs) < SUITE:
        return math.log(SHIFTED_BADLY), 0.0
    centre = median(logs)
    return centre, MAD_TO_SD * median([abs(x - centre) for x in logs])


def _both(old: ScenarioResult, new: ScenarioResult) -> list[tuple[Latency, Latency | None]]:
    after: Mapping[tuple[str, str], Latency] = {(x.arm, x.group): x for x in new.latencies}
    return [(x, after.get((x.arm, x.group))) for x in old.latencies if x.arm != AA_CONTROL]


def _pair(result: ScenarioResult, new_result: ScenarioResult, old: Latency, new: Latency | None) -> _Pair:
    row = GateRow(
        RowKind.TIME, result.name, result.engine, result.rtt_ms, old.arm, old.group, "time", GateVerdict.NOT_JUDGED, "", unit="ns"
    )
    if new is None:
        return _Pair(replace(row, reason=f"the candidate did not time it ({new_result.status})"), [], [])
    sides = [[ns for ns in x.process_medians_ns if math.isfinite(ns) and ns > 0] for x in (old, new)]
    if not all(sides):
        return _Pair(replace(row, reason="a side has no time above zero"), [], [])
    middles = [median(each) for each in sides]
    because = "a single process says nothing about drift" if min(map(len, sides)) < PROCESSES else ""
    return _Pair(replace(row, base=middles[0], candidate=middles[1], change=middles[1] / middles[0], reason=because), *sides)


def _judged(pair: _Pair, limit: float, another_machine: str) -> GateRow:
    row, change = pair.row, pair.log_change
    if another_machine:
        return replace(row, reason=another_machine)
    if change is None:
        return row
    row = replace(row, tolerated=math.exp(limit) - 1)
    beyond = f"{math.exp(limit):.2f}×, the drift of stored times"
    if abs(change) <= limit:
        return replace(row, reason=f"within {beyond}: it cannot be told from the machine")
    if not pair.apart:
        return replace(row, reason=f"beyond {beyond}, but the intervals over processes overlap")
    return replace(row, verdict=GateVerdict.REGRESSED if change > 0 else GateVerdict.IMPROVED, reason=f"beyond {beyond}")
