"""Gate two stored runs: from the runs to a row per figure and one verdict. Pure.

Failures and work counts decide. A stored time never does: a machine drifts between two runs of the same code, on a busy day by a
multiple. Large changes of stored times are warnings; where there are only times, the gate is inconclusive.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.errors import UsageError
from harness.gate import work_counts
from harness.gate.matching import (
    MEASURE,
    MatchedPair,
    another_machine,
    changed_load,
    incomparable_runs,
    match,
    new_versions,
    other_versions,
    place,
    status,
    unmeasured,
)
from harness.gate.selection import EVERYTHING, Selection
from harness.gate.verdict import ACCEPT, AGAINST, counted, in_words, listed, result
from harness.gate.work_counts import Rules
from harness.importers import own_run
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.load import ALL, LoadedArm
from harness.results.run import AA_CONTROL, Latency, Run, RunWarning, ScenarioResult, WorkCount
from harness.results.warning_names import WarningName
from harness.stats.intervals import median
from harness.verdicts import failures
from harness.verdicts.failures import Failures

LARGE = 1.5
"""The factor from which on a change of a stored time is a warning. Runs of the same code on a quiet machine differ by less."""

SHIFTED, SUITE = 1.1, 8
"""The factor from which on a common shift of all times is a warning, and the number of times from which on there is one. Single
times are then compared with the shift."""

TAILS = ("95", "99")
"""The percentiles whose large changes are warnings, beside that of the median."""

NOT_JUDGED = "a stored time never decides: separate runs of the same code differ"


def gate(
    base: Run,
    candidate: Run,
    tolerances: Mapping[str, float] | None = None,
    *,
    selection: Selection = EVERYTHING,
    errors: float = failures.TOLERANCE,
    allow_missing: bool = False,
    by_baseline: bool = False,
    names: tuple[str, str] = ("the baseline", "the candidate"),
) -> GateResult:
    """Compare every figure of `base` with `candidate`, and return the rows with the verdict.

    `tolerances` maps "scenario.metric" to a share and overrides the scenarios' own; `selection` is of scenarios by name; `errors`
    is the tolerated share of failed operations; with `allow_missing`, what the candidate lacks is a warning; with `by_baseline`,
    the scenarios of the baseline state what is tolerated, and not those of the candidate; `names` are shown for the two runs.

    Raises:
        UsageError: the selection matches no scenario, or a tolerance is not a share from 0 up.
    """
    selected = set(selection.of((r.name for run in (base, candidate) for r in run.scenarios), "scenario"))
    before, after = ([r for r in run.scenarios if r.name in selected] for run in (base, candidate))
    reasons = incomparable_runs(base, candidate)
    if base.incomplete:
        reasons.append(RunWarning(WarningName.THE_BASELINE, f"the run {base.incomplete}{unmeasured(before, after)}", MEASURE))
    if reasons:
        return GateResult(*names, GateVerdict.NOT_COMPARABLE, reasons[0].message, incomparable=reasons)
    loads = _other_loads(before, after)
    before, after = ([r for r in results if place(r) not in loads] for results in (before, after))
    matched = match(before, after, is_partial=bool(candidate.incomplete), allow_missing=allow_missing)
    rows, incomparable, warnings = matched.rows, [*loads.values(), *matched.incomparable], matched.warnings
    if candidate.incomplete:
        incomparable.append(
            RunWarning(WarningName.THE_CANDIDATE, f"the run {candidate.incomplete}{unmeasured(after, before)}", MEASURE)
        )
    for pair in matched.pairs:
        stated = pair.old if by_baseline else pair.new
        found, excluded, missing = _rows(pair, _rules(pair, stated, tolerances or {}, base, candidate))
        if by_baseline and (pair.old.tolerances, pair.old.higher_is_better) != (pair.new.tolerances, pair.new.higher_is_better):
            message = "the candidate's scenario states other tolerances than the baseline's, which decide"
            warnings.append(RunWarning(f"{WarningName.OTHER_TOLERANCES} of {place(pair.new)}", message, ACCEPT))
        rows += [*found, *_load_rows(pair, errors)]
        incomparable += excluded
        if not candidate.incomplete:
            (warnings if allow_missing else incomparable).extend(missing)
    pairs = [(pair.old, pair.new) for pair in matched.pairs]
    times = stored_times(pairs, another_machine(base.environment, candidate.environment))
    rows += times.rows
    return result(names, rows, incomparable, [*warnings, *times.warnings, *_warnings(base, candidate, matched.pairs, rows)])


def _other_loads(before: Sequence[ScenarioResult], after: Sequence[ScenarioResult]) -> dict[str, RunWarning]:
    """Return the scenarios, by their place, that were put under another load, with what differs."""
    new = {place(r): r.load_settings for r in after}
    changed = {place(r): changed_load(r.load_settings, new[place(r)]) for r in before if place(r) in new}
    return {where: RunWarning(where, f"another load: {other}", MEASURE) for where, other in changed.items() if other}


def refused(base: str, candidate: str, reason: str) -> GateResult:
    """Return the result on a baseline and a candidate that cannot be compared at all."""
    incomparable = [RunWarning(WarningName.NOT_COMPARABLE, reason, ACCEPT)]
    return GateResult(base, candidate, GateVerdict.NOT_COMPARABLE, reason, incomparable=incomparable)


def _rules(pair: MatchedPair, stated: ScenarioResult, tolerances: Mapping[str, float], base: Run, candidate: Run) -> Rules:
    """Return what is tolerated of a scenario: what one of its two results states, and then the project."""
    name = f"{pair.new.name}."
    project = {key.removeprefix(name): share for key, share in tolerances.items() if key.startswith(name)}
    merged = stated.tolerances | project
    for metric, share in merged.items():
        if not (math.isfinite(share) and share >= 0):
            raise UsageError(f"{pair.new.file}: tolerance {share} of {metric!r} is not a share from 0 up; write one such as 0.02")
    return Rules(merged, stated.higher_is_better, *other_versions(pair, base, candidate))


def _rows(pair: MatchedPair, rules: Rules) -> tuple[list[GateRow], list[RunWarning], list[RunWarning]]:
    """Return the rows of a scenario's work counts and memory, why some cannot be compared, and which counts are missing."""
    rows, missing = work_counts.work(pair.old, pair.new, rules)
    missing = [count for count in missing if pair.keeps(count.arm, count.group)]
    rows += [row for row in work_counts.memory(pair.old, pair.new, rules) if pair.keeps(row.arm, row.group)]
    excluded = Counter(row.reason for row in rows if row.verdict == GateVerdict.NOT_COMPARABLE)
    reasons = [RunWarning(f"{place(pair.old)}: {counted(n, 'figure')}", reason, ACCEPT) for reason, n in excluded.items()]
    if not missing:
        return rows, reasons, []
    verb = "is" if len(missing) == 1 else "are"
    message = f"{counted(len(missing), 'count')} of {_metrics(missing)} {verb} missing in the candidate"
    return rows, reasons, [RunWarning(place(pair.old), message, ACCEPT)]


def _load_rows(pair: MatchedPair, tolerance: float) -> Iterator[GateRow]:
    """Yield the rows of failed operations and throughput under the same load, per arm and group, and of a load not as planned.

    The load of a run of pairs is judged by its failures alone: pairs do not depend on it.
    """
    sides = [{(arm.arm, arm.group): arm for arm in r.load.arms} if r.load else {} for r in (pair.old, pair.new)]
    loads = [r.load.arrivals if r.load else "" for r in (pair.old, pair.new)]
    for where, old in sides[0].items() if loads[0] == loads[1] else ():
        new = sides[1].get(where)
        if new is None or old.group == ALL:
            continue
        figure = (pair.old.name, pair.old.engine, pair.old.rtt_ms, *where)
        before, after = _failures(old), _failures(new)
        verdict, reason = failures.judge(before, after, tolerance)
        message = max(new.error_messages, key=new.error_messages.__getitem__, default="")
        worse = f"{reason}; most often: {message}" if message and verdict == GateVerdict.REGRESSED else reason
        row = GateRow(RowKind.ERRORS, *figure, "failed operations", verdict, worse, before.share, after.share, "share")
        yield replace(row, change=after.share / before.share if before.share else None, tolerated=tolerance)
        row = GateRow(RowKind.THROUGHPUT, *figure, "throughput", GateVerdict.NOT_JUDGED, NOT_JUDGED, unit="per s")
        change = new.achieved_per_s / old.achieved_per_s if old.achieved_per_s else None
        yield replace(row, base=old.achieved_per_s, candidate=new.achieved_per_s, change=change)
    for of, when in ((pair.old, "baseline"), (pair.new, "candidate")):
        if of.load and of.is_timed_under_load and (reason := _invalid(of.load.invalid, own_run.deciding(of))):
            yield status(of, GateVerdict.INCONCLUSIVE, f"the {when}'s load is not valid: {reason}")


def _failures(arm: LoadedArm) -> Failures:
    """Return the operations of a loaded arm; one that was unfinished at the drain timeout has failed."""
    failed = arm.errors + arm.unfinished
    return Failures(failed, arm.operations + failed)


def _invalid(generator: str | None, arms: Sequence[LoadedArm]) -> str:
    """Return the reason why a load was not as planned: the generator was the limit, or operations did not start."""
    dropped = {arm.arm: arm.dropped for arm in arms if arm.group == ALL and arm.dropped}
    at = "dropped at the limit of in-flight operations"
    reasons = [f"{number:,} operations of {arm} were {at}" for arm, number in dropped.items()]
    return "; ".join([*filter(None, [generator]), *reasons])


def _metrics(figures: Sequence[WorkCount | GateRow]) -> str:
    return ", ".join(sorted({figure.metric.replace("_", " ") for figure in figures}))


def _warnings(base: Run, candidate: Run, pairs: Sequence[MatchedPair], rows: Sequence[GateRow]) -> list[RunWarning]:
    """Return the warnings of both runs, and those about the comparison."""
    found = [
        RunWarning(f"{warning.name}, {when}", warning.message, warning.remedy)
        for run, when in ((base, "before"), (candidate, "after"))
        for warning in run.warnings
    ]
    if base.started_at == candidate.started_at and base.scenarios == candidate.scenarios:
        message, remedy = "baseline and candidate hold the same figures", "name the run of the other version"
        found.append(RunWarning(WarningName.THE_SAME_RUN, message, remedy))
    if other := new_versions(pairs, base, candidate):
        message = f"baseline and candidate differ in {listed(other, quote=False)}"
        found.append(RunWarning(WarningName.OTHER_MACHINE, message, "measure both on the same machine, with the same versions"))
    work = [row for row in rows if row.kind == RowKind.WORK]
    unsteady = [r for r in work if r.verdict == GateVerdict.NOT_JUDGED and r.group and r.base != r.candidate]
    if unsteady:
        changed = f"{counted(len(unsteady), 'count')} of {_metrics(unsteady)} changed"
        message = f"{changed}, but did not repeat in one of the two versions"
        found.append(
            RunWarning(WarningName.UNSTEADY_COUNTS, message, "set a tolerance in the scenario or in [tool.harness.gate.tolerances]")
        )
    guarded = {r.place for r in work if r.verdict in {GateVerdict.EQUAL, GateVerdict.IMPROVED, GateVerdict.REGRESSED}}
    unguarded = list(dict.fromkeys(row.place for row in rows if row.kind == RowKind.TIME and row.place not in guarded))
    if guarded and unguarded:  # times alone do not guard these
        found.append(RunWarning(WarningName.NOT_GUARDED, f"no work count guards {listed(unguarded, quote=False)}", AGAINST))
    return found


@dataclass(frozen=True)
class StoredTimes:
    """The rows of stored times, none of which is judged, and the warnings about large changes."""

    rows: list[GateRow]
    warnings: list[RunWarning]


def stored_times(pairs: Sequence[tuple[ScenarioResult, ScenarioResult]], another_machine: str) -> StoredTimes:
    """Return a row per arm and group that the first run timed, and one per percentile that changed much.

    `another_machine` is why the times of the two runs have nothing in common, "" if they are of one machine.
    """
    medians: list[GateRow] = []
    tails: list[GateRow] = []
    for old, new in pairs:
        after = {(x.arm, x.group): x for x in new.latencies}
        for latency in (x for x in old.latencies if x.arm != AA_CONTROL):
            now = after.get((latency.arm, latency.group))
            medians.append(_time_row(old, new, latency, now))
            tails += _tail_rows(medians[-1], latency, now) if now else ()
    if another_machine:
        return StoredTimes([replace(row, reason=another_machine) for row in medians], [])
    logs = [math.log(row.change) for row in medians if row.change]
    shift = math.exp(median(logs)) if len(logs) >= SUITE else 1.0
    large = [row for row in [*medians, *tails] if row.change and _times(row.change / shift) >= LARGE]
    beside = " beside the others" if shift != 1 else ""
    changed = {id(row): f"{in_words(shift / row.change)}{beside}; {NOT_JUDGED}" for row in large if row.change}
    shown = [*medians, *(row for row in large if row.metric != "time")]
    rows = [replace(row, reason=changed.get(id(row), row.reason)) for row in shown]
    return StoredTimes(rows, [*_shifted(shift, len(logs)), *_large(large, shift)])


def _times(change: float) -> float:
    return max(change, 1 / change)


def _shifted(shift: float, number: int) -> Iterator[RunWarning]:
    if _times(shift) >= SHIFTED:
        message = f"half of {number} times are now at least {in_words(1 / shift)}, which is the machine or the code"
        yield RunWarning(WarningName.ALL_TIMES_SHIFTED, message, AGAINST)


def _large(rows: Sequence[GateRow], shift: float) -> Iterator[RunWarning]:
    """Yield a warning that names the times that changed most, beside the common shift of all."""
    if rows:
        worst = sorted(rows, key=lambda row: -_times((row.change or shift) / shift))
        beside = " beside the others" if shift != 1 else ""
        named = listed(
            [f"{row.place} · {row.label} {in_words(shift / (row.change or shift))}{beside}" for row in worst], quote=False
        )
        yield RunWarning(WarningName.LARGE_CHANGES, f"{named}; separate runs cannot tell the code from the machine", AGAINST)


def _time_row(result: ScenarioResult, new_result: ScenarioResult, old: Latency, new: Latency | None) -> GateRow:
    """Return a time's row: the median of the processes' medians, without a change where a run has none."""
    where = (result.name, result.engine, result.rtt_ms, old.arm, old.group)
    row = GateRow(RowKind.TIME, *where, "time", GateVerdict.NOT_JUDGED, NOT_JUDGED, unit="ns")
    if new is None:
        return replace(row, reason=f"not timed in the candidate ({new_result.status})")
    times_ns = [[ns for ns in x.process_medians_ns if math.isfinite(ns) and ns > 0] for x in (old, new)]
    if not all(times_ns):
        return replace(row, reason="baseline or candidate has no time above 0")
    base, candidate = map(median, times_ns)
    return replace(row, base=base, candidate=candidate, change=candidate / base)


def _tail_rows(row: GateRow, old: Latency, new: Latency) -> Iterator[GateRow]:
    """Yield a row per percentile that both runs support."""
    for label in TAILS:
        base, candidate = (x.percentiles_ns.get(label) for x in (old, new))
        if base and candidate and math.isfinite(base) and math.isfinite(candidate):
            yield replace(row, metric=f"p{label}", reason=NOT_JUDGED, base=base, candidate=candidate, change=candidate / base)
