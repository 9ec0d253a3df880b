"""Gate two stored runs: from the runs to a row per figure and one verdict. Pure.

Work counts decide. A machine drifts between two runs, sometimes for all times alike, so that a stored time counts only if the
intervals over both runs' processes are apart and the change is beyond a limit that holds for all times of the comparison together,
and is as wide as these scatter themselves. A shift of all times raises a warning, and is charged to no single one. Other times are
not judged; where there are only those, the gate is inconclusive.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from harness.errors import UsageError
from harness.gate import work_counts
from harness.gate.matching import MatchedPair, another_machine, incomparable_runs, match, other_versions, place
from harness.gate.selection import Selection
from harness.gate.verdict import ACCEPT, AGAINST, counted, listed, result
from harness.gate.work_counts import Rules
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.run import AA_CONTROL, Latency, Run, RunWarning, ScenarioResult, WorkCount
from harness.stats.intervals import mean_interval, median
from harness.stats.noise import robust_sd
from harness.verdicts.failures import TOLERANCE

DRIFT_SD = 0.075
"""The standard deviation, as a share, of a process's time from run to run of the same code, in fresh processes on two shared cores.
Two runs differ by √2 of it."""

MIN_CHANGE = 0.25
"""The smallest change of a stored time that counts, however few times are compared."""

ALPHA = 0.01
"""The probability, at most, that any time of the same code is beyond the limit, if the drift is as stated (Bonferroni)."""

SHIFTED, SHIFTED_BADLY = 1.1, 1.5
"""The factors from which on a shift of all times raises a warning, and the gate does not pass: a machine alone seldom shifts that
much. Where too few times are compared to see their common shift, it is assumed to be the larger one."""

EVERYTHING = Selection()

SUITE, MIN_PROCESSES = 8, 2
"""The number of times from which on their own scatter and common shift count, and the number of processes for an interval."""


def gate(
    base: Run,
    candidate: Run,
    tolerances: Mapping[str, float] | None = None,
    *,
    selection: Selection = EVERYTHING,
    errors: float = TOLERANCE,  # noqa: ARG001
    allow_missing: bool = False,  # noqa: ARG001
    names: tuple[str, str] = ("the baseline", "the candidate"),
) -> GateResult:
    """Compare every figure of `base` with `candidate`, and return the rows with the verdict.

    `tolerances` maps "scenario.metric" to a share and overrides the scenarios' own; `selection` is of scenarios by
    name; `names` are shown for the two runs.

    Raises:
        UsageError: the selection matches no scenario, or a tolerance is not a share from 0 up.
    """
    reasons = incomparable_runs(base, candidate)
    if reasons:
        return GateResult(*names, GateVerdict.NOT_COMPARABLE, reasons[0].message, incomparable=reasons)
    selected = set(selection.of((r.name for run in (base, candidate) for r in run.scenarios), "scenario"))
    before, after = ([r for r in run.scenarios if r.name in selected] for run in (base, candidate))
    matched = match(before, after, interrupted=candidate.interrupted)
    rows, incomparable = matched.rows, matched.incomparable
    for pair in matched.pairs:
        found, reasons = _rows(pair, _rules(pair, tolerances or {}, base, candidate))
        rows += found
        incomparable += reasons
    both = [(pair.old, pair.new) for pair in matched.pairs]
    times = stored_times(both, another_machine(base.environment, candidate.environment))
    rows += times.rows
    warnings = [*matched.warnings, *times.warnings, *_warnings(base, candidate, rows)]
    return result(names, rows, incomparable, warnings, all_slower=times.all_slower)


def refused(base: str, candidate: str, reason: str) -> GateResult:
    """Return the result on a baseline and a candidate that cannot be compared at all."""
    incomparable = [RunWarning("not comparable", reason, ACCEPT)]
    return GateResult(base, candidate, GateVerdict.NOT_COMPARABLE, reason, incomparable=incomparable)


def _rules(pair: MatchedPair, tolerances: Mapping[str, float], base: Run, candidate: Run) -> Rules:
    name = f"{pair.new.name}."
    project = {key.removeprefix(name): share for key, share in tolerances.items() if key.startswith(name)}
    merged = pair.new.tolerances | project
    for metric, share in merged.items():
        if not (math.isfinite(share) and share >= 0):
            raise UsageError(f"{pair.new.file}: tolerance {share} of {metric!r} is not a share from 0 up; write one such as 0.02")
    return Rules(merged, pair.new.higher_is_better, *other_versions(pair, base, candidate))


def _rows(pair: MatchedPair, rules: Rules) -> tuple[list[GateRow], list[RunWarning]]:
    """Return the rows of a scenario's work counts and memory, and why others are missing or cannot be compared."""
    rows, missing = work_counts.work(pair.old, pair.new, rules)
    missing = [count for count in missing if pair.keeps(count.arm, count.group)]
    rows += [row for row in work_counts.memory(pair.old, pair.new, rules) if pair.keeps(row.arm, row.group)]
    excluded = Counter(row.reason for row in rows if row.verdict == GateVerdict.NOT_COMPARABLE)
    reasons = [RunWarning(f"{place(pair.old)}: {counted(n, 'figure')}", reason, ACCEPT) for reason, n in excluded.items()]
    if missing and not pair.interrupted:
        verb = "is" if len(missing) == 1 else "are"
        message = f"{counted(len(missing), 'count')} of {_metrics(missing)} {verb} missing in the candidate"
        reasons.append(RunWarning(place(pair.old), message, ACCEPT))
    return rows, reasons


def _metrics(figures: Sequence[WorkCount | GateRow]) -> str:
    return ", ".join(sorted({figure.metric.replace("_", " ") for figure in figures}))


def _warnings(base: Run, candidate: Run, rows: Sequence[GateRow]) -> list[RunWarning]:
    """Return the warnings of both runs, and those about the comparison."""
    found = [
        RunWarning(f"{warning.name}, {when}", warning.message, warning.remedy)
        for run, when in ((base, "before"), (candidate, "after"))
        for warning in run.warnings
    ]
    if base.started_at == candidate.started_at and base.scenarios == candidate.scenarios:
        message, remedy = "baseline and candidate hold the same figures", "name the run of the other version"
        found.append(RunWarning("the same run", message, remedy))
    work = [row for row in rows if row.kind == RowKind.WORK]
    unsteady = [r for r in work if r.verdict == GateVerdict.NOT_JUDGED and r.group and r.base != r.candidate]
    if unsteady:
        changed = f"{counted(len(unsteady), 'count')} of {_metrics(unsteady)} changed"
        message = f"{changed}, but did not repeat within the baseline either"
        found.append(RunWarning("unsteady counts", message, "set a tolerance in the scenario or in [tool.harness.gate.tolerances]"))
    guarded = {r.place for r in work if r.verdict in {GateVerdict.EQUAL, GateVerdict.IMPROVED, GateVerdict.REGRESSED}}
    unguarded = list(dict.fromkeys(row.place for row in rows if row.kind == RowKind.TIME and row.place not in guarded))
    if guarded and unguarded:  # times alone do not guard these
        found.append(RunWarning("not guarded", f"no work count guards {listed(unguarded, quote=False)}", AGAINST))
    return found


@dataclass(frozen=True)
class StoredTimes:
    """The rows of stored times."""

    rows: list[GateRow]
    warnings: list[RunWarning]
    all_slower: bool = False
    """Whether all times became so much slower together that the gate must not pass."""


def stored_times(pairs: Sequence[tuple[ScenarioResult, ScenarioResult]], another_machine: str) -> StoredTimes:
    """Return a row per arm and group that the first run timed. `another_machine` is why none is judged, "" if they are."""
    found = []
    for old, new in pairs:
        after = {(x.arm, x.group): x for x in new.latencies}
        found += [_time_row(old, new, x, after.get((x.arm, x.group))) for x in old.latencies if x.arm != AA_CONTROL]
    known = [change for _, change, _ in found if change is not None]
    is_suite = len(known) >= SUITE
    # The common shift and the scatter around it; of few times, the shift that must be allowed for.
    centre, spread = (median(known), robust_sd(np.array(known))) if is_suite else (math.log(SHIFTED_BADLY), 0.0)
    limit = abs(centre) + limit_log(len(known), spread)
    if another_machine:
        return StoredTimes([replace(row, reason=another_machine) for row, _, _ in found], [])
    rows = [row if change is None else _judge_time(row, change, apart, limit) for row, change, apart in found]
    if not is_suite or math.exp(abs(centre)) < SHIFTED:
        return StoredTimes(rows, [])
    slower = centre > 0
    message = f"half of {len(known)} times became at least {math.exp(abs(centre)):.2f}× {'slower' if slower else 'faster'}"
    warning = RunWarning("all times shifted", message, AGAINST)
    return StoredTimes(rows, [warning], all_slower=slower and math.exp(centre) >= SHIFTED_BADLY)


def limit_log(number: int, spread: float = 0.0) -> float:
    """Return the log ratio beyond which one of `number` times counts, if two runs differ by the log sd `spread`, or more."""
    if not number:
        return math.log(1 + MIN_CHANGE)
    z = NormalDist().inv_cdf(1 - ALPHA / (2 * number))
    return max(math.log(1 + MIN_CHANGE), z * max(math.sqrt(2) * DRIFT_SD, spread))


def _time_row(
    result: ScenarioResult, new_result: ScenarioResult, old: Latency, new: Latency | None
) -> tuple[GateRow, float | None, bool]:
    """Return a time's row, the log of its change, and whether the 95 % intervals over both runs' processes are apart.

    There is no log where a run has too few processes.
    """
    place = (result.name, result.engine, result.rtt_ms, old.arm, old.group)
    row = GateRow(RowKind.TIME, *place, "time", GateVerdict.NOT_JUDGED, "", unit="ns")
    if new is None:
        return replace(row, reason=f"not timed in the candidate ({new_result.status})"), None, False
    times_ns = [[ns for ns in x.process_medians_ns if math.isfinite(ns) and ns > 0] for x in (old, new)]
    if not all(times_ns):
        return replace(row, reason="baseline or candidate has no time above 0"), None, False
    base, candidate = map(median, times_ns)
    row = replace(row, base=base, candidate=candidate, change=candidate / base)
    if min(map(len, times_ns)) < MIN_PROCESSES:
        return replace(row, reason="one process cannot show the drift"), None, False
    intervals = [mean_interval([math.log(ns) for ns in of_run]) for of_run in times_ns]
    lows = [interval.low for interval in intervals if interval.low is not None]
    apart = min(interval.high for interval in intervals if interval.high is not None) < max(lows)
    return row, math.log(candidate / base), apart


def _judge_time(row: GateRow, change: float, apart: bool, limit: float) -> GateRow:
    row = replace(row, tolerated=math.exp(limit) - 1)
    drift = f"{math.exp(limit):.2f}×, the drift of stored times"
    if abs(change) <= limit:
        return replace(row, reason=f"within {drift}, so the machine may explain it")
    if not apart:
        return replace(row, reason=f"beyond {drift}, but the intervals over processes overlap")
    return replace(row, verdict=GateVerdict.REGRESSED if change > 0 else GateVerdict.IMPROVED, reason=f"beyond {drift}")
