"""Compare two result files, before and after: benchmarks joined by name, and judged by failures, times and rates.

What both files have is compared, the rest is listed. Failures come first: the times of a side that fails more are not judged, since
failed operations often end at once. Files of another load are not comparable at all.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.errors import NotComparableError
from harness.gate.matching import differences, rename_hints, renamed
from harness.gate.selection import EVERYTHING, Selection
from harness.gate.verdict import SHOWN_NAMES, in_words, listed
from harness.gate.verdict import result as gate_result
from harness.importers import own_run
from harness.importers.reading import Reading, Timing, one_line
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.names import shortened
from harness.results.run import (
    BASELINE,
    ArmResult,
    FileMetric,
    OperationCounts,
    PromiseVerdict,
    Ratio,
    Run,
    RunKind,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
)
from harness.results.warning_names import WarningName
from harness.stats.intervals import QUANTILES, is_supported, median
from harness.verdicts import failures
from harness.verdicts.failures import Failures
from harness.verdicts.unpaired import DRIFT, Unpaired, UnpairedOutcome, compare

CANDIDATE = "candidate"

SHIFT, SHARE, MIN_BENCHMARKS = 1.1, 0.8, 4
"""All benchmarks shifted if at least MIN_BENCHMARKS and this SHARE of them moved the same way, their median ratio beyond SHIFT."""

HINTED = 50
"""The names that are searched for renamed ones: each is compared with each."""

OTHER_LOAD = 2.0
"""The factor between two throughputs from which on the load may be another, if the files do not state it."""

Z = 2.6
"""The number of standard errors, of a Poisson process, by which a change of throughput has to exceed the drift: 99 %."""

TAILS = ("90", "95", "99")
K6, LOCUST, TOTAL = "k6", "Locust", "Aggregated"
"""The tool whose custom trends have no counts of failures, and Locust with its name of the total over all requests."""
LOAD_KEYS = {"model", "users", "rate", "stages", "duration", "block", "warm-up", "drain timeout", "in-flight limit"}
"""The settings that describe a load; others are of an engine, the data or the interpreter."""


@dataclass(frozen=True)
class FileRules:
    """The rules by which two files are compared."""

    drift: float = DRIFT
    """The share by which medians of two runs of the same code may differ."""
    errors: float = failures.TOLERANCE
    """The tolerated share of failed operations."""
    selection: Selection = EVERYTHING
    allow_missing: bool = True
    """Whether a benchmark of the first file that the second lacks is only listed."""


@dataclass(frozen=True)
class FileComparison:
    """Two files side by side."""

    run: Run
    """The record for reports, of kind `RunKind.COMPARISON`."""
    gate: GateResult
    """Every figure with its verdict, and the verdict on the whole."""


@dataclass(frozen=True)
class _Benchmark:
    """One benchmark of both files."""

    name: str
    timings: tuple[Timing | None, Timing | None]
    operations: tuple[OperationCounts | None, OperationCounts | None]
    metrics: tuple[FileMetric | None, FileMetric | None]


def side_by_side(before: Reading, after: Reading, rules: FileRules = FileRules()) -> FileComparison:
    """Return the comparison of two files, the first of which is the baseline.

    Raises:
        UsageError: the selection matches no benchmark.
        NotComparableError: the files are from different tools or data, or have no benchmark in common.
    """
    _refuse_other_kinds(before, after)
    old, new = _names(before), _names(after)
    selected = rules.selection.of([*old, *new])
    common = [_benchmark(name, before, after) for name in selected if name in old and name in new]
    removed, added = _others([n for n in selected if n not in new], [n for n in selected if n not in old], before, after)
    if not common and not set(after.failed_checks) - set(before.failed_checks):
        others = [w.message for w in (*removed, *added)] or ["they have no times, and no figures whose better direction is known"]
        raise NotComparableError(f"no benchmark is in both files; {'; '.join(others)}")
    load = _other_load(before, after, common)
    rows, outcomes = ([], {}) if load else _judged(before, after, common, rules, mixed=bool(added or removed))
    incomparable = [*load, *([] if rules.allow_missing else removed), *_all_failed(rows)]
    warnings = [
        *(removed if rules.allow_missing else []),
        *added,
        *(w for _, w in _invalid_loads(before, after)),
        *_warnings(before, after, rules.drift),
    ]
    if not load:
        warnings += _maybe_other_load(before, after, common)
        warnings += _shifted([outcome.ratio for outcome in outcomes.values() if outcome.ratio is not None])
    names = (one_line(before.file), one_line(after.file))
    undecided = f"no benchmark's change is beyond the drift of {rules.drift * 100:.3g} %"
    gate = gate_result(names, rows, incomparable, warnings, undecided=undecided)
    if gate.verdict == GateVerdict.REGRESSED:
        regressed = sorted((row for row in rows if row.verdict == GateVerdict.REGRESSED), key=_urgency)
        more = f", and {len(regressed) - 1} more" if len(regressed) > 1 else ""
        worst = regressed[0]
        gate = replace(gate, sentence=f"{shortened(worst.scenario)} {_at(worst, outcomes)}{more}")
    elif gate.verdict == GateVerdict.EQUIVALENT and _is_identical(before, after):
        gate = replace(gate, sentence="identical files")
    verdicts = [_verdict(benchmark.name, rows, outcomes, load) for benchmark in common]
    return FileComparison(_record(before, after, selected, rules, outcomes, verdicts, [*incomparable, *warnings]), gate)


def _is_identical(before: Reading, after: Reading) -> bool:
    return bool(before.digest) and before.digest == after.digest


def _refuse_other_kinds(before: Reading, after: Reading) -> None:
    if before.tool != after.tool:
        tools = f"{before.file} is from {before.tool}, {after.file} from {after.tool}"
        raise NotComparableError(f"{tools}: different tools measure different things; compare files of the same tool")
    datasets = [{k: v for k, v in file.environment.items() if k.startswith("dataset of ")} for file in (before, after)]
    for name in datasets[0].keys() & datasets[1].keys():
        if datasets[0][name] != datasets[1][name]:
            digests = " and ".join(digest[name][:12] for digest in datasets)
            raise NotComparableError(f"the {name} differs ({digests}); compare runs with the same --size and --seed")


def _names(file: Reading) -> dict[str, None]:
    """Return the benchmarks of a file in its order, those included of which every operation failed, and judged metrics."""
    timed = [timing.name for timing in file.timings]
    counted = [counts.group for counts in file.operations]
    measured = [metric.group for metric in file.metrics if metric.less_is_better is not None]
    return dict.fromkeys([*(counted if set(timed) <= set(counted) else timed), *timed, *counted, *measured])


def _benchmark(name: str, *files: Reading) -> _Benchmark:
    timings = [next((t for t in file.timings if t.name == name), None) for file in files]
    operations = [next((o for o in file.operations if o.group == name), None) for file in files]
    metrics = [next((m for m in file.metrics if m.group == name), None) for file in files]
    return _Benchmark(name, (timings[0], timings[1]), (operations[0], operations[1]), (metrics[0], metrics[1]))


def _others(missing: list[str], added: list[str], before: Reading, after: Reading) -> tuple[list[RunWarning], list[RunWarning]]:
    """Return a warning about the benchmarks that only the first file has, and one about those of the second."""
    missing, added = list(map(shortened, missing)), list(map(shortened, added))
    hints = rename_hints(renamed(dict.fromkeys(missing[:HINTED], ""), dict.fromkeys(added[:HINTED], "")))
    gone = f"removed: {listed(missing)}, only in {one_line(before.file)}{hints}"
    new = f"added: {listed(added)}, only in {one_line(after.file)}"
    return (
        [RunWarning(WarningName.REMOVED_BENCHMARKS, gone, "restore them; a gate passes without them with --allow-missing")]
        * bool(missing),
        [RunWarning(WarningName.ADDED_BENCHMARKS, new, "measure a baseline that has them")] * bool(added),
    )


_OTHER_LOAD = WarningName.OTHER_LOAD, "under the same load"
_OTHER_SETTINGS = WarningName.OTHER_SETTINGS, "with the same settings"


def _other_load(before: Reading, after: Reading, common: Sequence[_Benchmark]) -> list[RunWarning]:
    """Return why two loads are not comparable, with their throughputs; nothing where no stated setting differs."""
    old, new = before.load_settings, after.load_settings
    differ = [f"{key}: {old[key]} → {new[key]}" for key in old if key in new and old[key] != new[key]]
    rates = [f"{shortened(b.name)} {_rate(x)} → {_rate(y)} per s" for b in common for x, y in [_rates(b)] if x and y]
    throughput = f"; throughput: {listed(rates, quote=False)}" if rates else ""
    is_load = any(key in LOAD_KEYS for key in old if key in new and old[key] != new[key])
    name, noun = _OTHER_LOAD if is_load else _OTHER_SETTINGS
    return [RunWarning(name, f"{', '.join(differ)}{throughput if is_load else ''}", f"measure both {noun}")] * bool(differ)


def _maybe_other_load(before: Reading, after: Reading, common: Sequence[_Benchmark]) -> Iterator[RunWarning]:
    """Yield a warning if the throughputs differ much, and nothing in the files shows that the load was the same."""
    if {"model", "rate"} & before.load_settings.keys() & after.load_settings.keys():
        return
    rates = {b.name: (x, y) for b in common for x, y in [_rates(b)] if x and y}
    far = [f"{shortened(name)} {_rate(x)} → {_rate(y)} per s" for name, (x, y) in rates.items() if max(x / y, y / x) >= OTHER_LOAD]
    if far:
        message = f"the throughput changed much: {listed(far, quote=False)}; the files do not state the load"
        yield RunWarning(WarningName.PERHAPS_OTHER_LOAD, message, "check that both runs had the same users, rate and duration")


def _rates(benchmark: _Benchmark) -> tuple[float | None, float | None]:
    old, new = (counts.per_s if counts else None for counts in benchmark.operations)
    return old, new


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"  # noqa: PLR2004 - no powers of ten


def _judged(
    before: Reading, after: Reading, common: Sequence[_Benchmark], rules: FileRules, *, mixed: bool
) -> tuple[list[GateRow], dict[str, UnpairedOutcome]]:
    """Return a row per figure of the benchmarks, and the outcomes of those whose times were judged.

    `mixed` is whether the files have different benchmarks, so that a total over all of them has changed its meaning.
    """
    failed = {b.name: row for b in common if (row := _failures(b, before.tool, rules.errors)) is not None}
    worse = {name for name, row in failed.items() if row.verdict in {GateVerdict.REGRESSED, GateVerdict.NOT_COMPARABLE}}
    changed = {name for name, row in failed.items() if name in worse or row.verdict == GateVerdict.IMPROVED}
    rows, outcomes = [*_of_files(before, after)], {}
    for benchmark in common:
        name = benchmark.name
        row = failed.get(name)
        if row is not None:
            rows.append(row)
        if name in worse or (row is None and changed and before.tool == K6):
            continue  # times of a side that fails more are not judged; k6's trends without counts may be of the failed requests
        if name == TOTAL and mixed:
            reason = "requests were added or removed, which it contains"
            rows.append(replace(_row(RowKind.TIME, name, before.tool, "time"), reason=reason))
            continue
        if benchmark.timings[0] and benchmark.timings[1]:
            outcome = compare(_unpaired(benchmark.timings[0]), _unpaired(benchmark.timings[1]), rules.drift)
            outcomes[name] = outcome
            timed = _time_row(benchmark, outcome, before.tool)
            if row is not None and row.verdict != GateVerdict.EQUAL:
                timed = _beside_failures(timed, row.verdict)
            rows.append(timed)
        elif (benchmark.timings[0] or benchmark.timings[1]) and name not in changed:
            when = "before" if benchmark.timings[0] is None else "after"
            rows.append(replace(_row(RowKind.TIME, name, before.tool, "time"), reason=f"no operation was timed {when}"))
        rows += _throughput(benchmark, before, after, rules.drift)
        rows += _metric(benchmark, before.tool, rules.drift)
    return rows, outcomes


def _beside_failures(timed: GateRow, failed: GateVerdict) -> GateRow:
    """Return the row of times beside another share of failures, which may be among them: no gain, and not shown to be slower."""
    reason = "not equally many operations failed, which may explain it"
    if timed.verdict == GateVerdict.IMPROVED:
        return replace(timed, verdict=GateVerdict.NOT_JUDGED, reason=reason)
    hidden = timed.verdict == GateVerdict.REGRESSED and failed == GateVerdict.IMPROVED
    return replace(timed, verdict=GateVerdict.INCONCLUSIVE, reason=reason) if hidden else timed


def _is_same(old: Timing, new: Timing) -> bool:
    """Return whether every figure is the same, which two measurements never are: such results were copied."""
    plain = [replace(timing, name="", units=None, calls=None) for timing in (old, new)]
    values = [[sample for sample in (timing.units, timing.calls) if sample] for timing in (old, new)]
    if plain[0] != plain[1] or len(values[0]) != len(values[1]):
        return False
    pairs = zip(*values, strict=True)
    return all(np.array_equal(x.values_ns, y.values_ns) and np.array_equal(x.counts, y.counts) for x, y in pairs)


def _row(kind: RowKind, name: str, tool: str, metric: str) -> GateRow:
    return GateRow(kind, name, tool, 0.0, "", "", metric, GateVerdict.NOT_JUDGED, "")


def _of_files(before: Reading, after: Reading) -> Iterator[GateRow]:
    """Yield a row per check of the tool itself that failed after and not before, and one if a load was not what it should be."""
    for check in after.failed_checks:
        if check not in before.failed_checks:
            row = _row(RowKind.CHECKS, one_line(check), before.tool, "check")
            yield replace(row, verdict=GateVerdict.REGRESSED, reason="it failed after, and not before")
    for file, warning in _invalid_loads(before, after):
        reason = f"{warning.name}: {warning.message}"
        name = one_line(Path(file.file).name)
        yield replace(_row(RowKind.STATUS, name, file.tool, "load"), verdict=GateVerdict.INCONCLUSIVE, reason=reason)


def _invalid_loads(before: Reading, after: Reading) -> Iterator[tuple[Reading, RunWarning]]:
    """Yield each file whose load was not what it should be, with the warning."""
    for file, when in ((before, "before"), (after, "after")):
        if file.invalid:
            yield (
                file,
                RunWarning(
                    f"{WarningName.INVALID_LOAD} {when}", file.invalid, "give the load generator more cores, or lower the load"
                ),
            )
        if file.dropped:
            message = f"{file.dropped:,} operations were due and did not start"
            yield (
                file,
                RunWarning(f"{WarningName.INVALID_LOAD} {when}", message, "lower the rate, or allow more concurrent operations"),
            )


def _failures(benchmark: _Benchmark, tool: str, tolerance: float) -> GateRow | None:
    """Return the row of the operations that failed; None where neither file counts them."""
    if benchmark.operations == (None, None):
        return None
    old, new = (Failures(0, 0) if x is None else Failures(x.errors, x.operations) for x in benchmark.operations)
    verdict, reason = failures.judge(old, new, tolerance)
    if None in benchmark.operations and old.errors + new.errors:
        reason += f"; not stated {'before' if benchmark.operations[0] is None else 'after'}"
    row = _row(RowKind.ERRORS, benchmark.name, tool, "failed operations")
    return replace(row, verdict=verdict, reason=reason, base=old.share, candidate=new.share, unit="share", tolerated=tolerance)


def _all_failed(rows: Sequence[GateRow]) -> list[RunWarning]:
    remedy = "fix the operation, and measure again"
    failed = [row for row in rows if row.kind == RowKind.ERRORS and row.verdict == GateVerdict.NOT_COMPARABLE]
    return [RunWarning(row.scenario, row.reason, remedy) for row in failed]


def _unpaired(timing: Timing) -> Unpaired:
    """Return a timing as what is compared; percentiles only where the number of values supports them, or is unknown."""
    empty = np.empty(0, dtype=np.float64), np.empty(0, dtype=np.int64)
    values, counts = (timing.units.values_ns, timing.units.counts) if timing.units else empty
    known = {label: timing.percentiles_ns.get(label) for label in TAILS}
    tails = {f"p{q}": ns for q, ns in known.items() if ns is not None and _supports(timing, q)}
    return Unpaired(
        timing.median_ns,
        timing.samples,
        values,
        counts,
        timing.rounding_ns,
        timing.mean_ns,
        tails,
        (timing.calls.values_ns, timing.calls.counts) if timing.calls else None,
        timing.deviation_ns,
        timing.max_ns,
    )


def _supports(timing: Timing, label: str) -> bool:
    number = timing.calls.total if timing.calls else timing.samples
    return number is None or is_supported(number, QUANTILES[label])


def _time_row(benchmark: _Benchmark, outcome: UnpairedOutcome, tool: str) -> GateRow:
    """Return the row of a benchmark's worst figure, or its median if none decided."""
    timings = [timing for timing in benchmark.timings if timing is not None]
    row = _row(RowKind.TIME, benchmark.name, tool, "time")
    row = replace(row, reason=outcome.reason, unit="ns", base=timings[0].median_ns, candidate=timings[1].median_ns)
    if _is_same(*timings):
        return replace(row, verdict=GateVerdict.EQUIVALENT, reason="every figure is identical", change=1.0)
    change, low, high = (1 / bound if bound else None for bound in (outcome.ratio, *reversed(_interval(outcome))))
    row = replace(row, change=change, low=low, high=high)
    worst = outcome.worst
    if worst is None:
        return row
    row = replace(row, metric=worst.figure, verdict=GateVerdict(outcome.verdict), tolerated=worst.drift)
    if worst.figure != "median":
        row = replace(row, base=worst.before, candidate=worst.after, change=worst.change, low=None, high=None)
    median_too = f"; the median is {in_words(outcome.ratio)}" if outcome.ratio and worst.figure != "median" else ""
    return replace(row, reason=_reason(outcome) + median_too)


def _reason(outcome: UnpairedOutcome) -> str:
    """Return why the times were judged as they were, with the other figures that say the same."""
    return outcome.reason + (f"; {outcome.verdict} at {', '.join(outcome.also)} as well" if outcome.also else "")


def _interval(outcome: UnpairedOutcome) -> tuple[float | None, float | None]:
    """Return both bounds, or none where one is not finite."""
    bounds = (outcome.low, outcome.high)
    return bounds if all(bound is not None and math.isfinite(bound) for bound in bounds) else (None, None)


def _is_closed(file: Reading) -> bool:
    """Return whether a load is known to come from users that wait for their answers, so that its throughput is a result.

    Locust's always does; k6 adds users for an arrival rate, and its files do not state which it was.
    """
    return "closed" in file.load_settings.get("model", "") or ("users" in file.load_settings and file.tool == LOCUST)


def _throughput(benchmark: _Benchmark, before: Reading, after: Reading, drift: float) -> Iterator[GateRow]:
    """Yield the row of a benchmark's throughput, which is judged where the number of users is known to be the same."""
    old, new = _rates(benchmark)
    if not old or not new or old < 0 or new < 0:
        return
    row = replace(_row(RowKind.THROUGHPUT, benchmark.name, before.tool, "throughput"), base=old, candidate=new, unit="per s")
    row = replace(row, change=new / old, tolerated=drift)
    if not (_is_closed(before) and _is_closed(after)):
        yield replace(row, reason="the load decides it, not the code: the model is open or unknown")
        return
    numbers = [counts.operations for counts in benchmark.operations if counts is not None]
    error = math.sqrt(sum(1 / max(1, number) for number in numbers))
    verdict = GateVerdict.REGRESSED if new < old else GateVerdict.IMPROVED
    if abs(math.log(new / old)) > math.log1p(drift) + Z * error:
        yield replace(row, verdict=verdict, reason=f"beyond the drift of {drift * 100:.3g} %, with the same users")
    else:
        yield replace(row, reason=f"within the drift of {drift * 100:.3g} %, or of too few operations")


def _metric(benchmark: _Benchmark, tool: str, drift: float) -> Iterator[GateRow]:
    """Yield the row of a metric of which the better direction is known."""
    metrics = [metric for metric in benchmark.metrics if metric is not None]
    if len(metrics) < len(benchmark.metrics) or metrics[0].less_is_better is None:
        return
    old, new = (metric.mean if metric.median is None else metric.median for metric in metrics)
    row = replace(_row(RowKind.METRIC, benchmark.name, tool, metrics[0].unit or "value"), base=old, candidate=new, tolerated=drift)
    row = replace(row, unit="bytes" if metrics[0].unit == "bytes" else "")
    if metrics[0].unit != metrics[1].unit or old is None or new is None:
        yield replace(row, reason="one file has no such figure, or in another unit")
    elif old == new:
        yield replace(row, change=1.0, verdict=GateVerdict.EQUAL, reason="exactly")
    elif old <= 0 or new <= 0 or abs(math.log(new / old)) <= math.log1p(drift):
        change = new / old if old else None
        reason = f"within the drift of {drift * 100:.3g} %" if old > 0 and new > 0 else "one is not above 0, so there is no ratio"
        yield replace(row, change=change, reason=reason)
    else:
        worse = (new > old) == metrics[0].less_is_better
        verdict = GateVerdict.REGRESSED if worse else GateVerdict.IMPROVED
        yield replace(row, change=new / old, verdict=verdict, reason=f"beyond the drift of {drift * 100:.3g} %")


SEVERITY = (
    GateVerdict.REGRESSED,
    GateVerdict.NOT_COMPARABLE,
    GateVerdict.INCONCLUSIVE,
    GateVerdict.NOT_JUDGED,
    GateVerdict.IMPROVED,
    GateVerdict.EQUIVALENT,
    GateVerdict.EQUAL,
)
"""The order in which the rows of a benchmark decide on it."""
PRIORITY = (RowKind.ERRORS, RowKind.TIME, RowKind.METRIC, RowKind.THROUGHPUT)


def _urgency(row: GateRow) -> tuple[int, int, float]:
    """Return the place in the order of rows: the most severe first, failures before times, then the largest change."""
    priority = PRIORITY.index(row.kind) if row.kind in PRIORITY else len(PRIORITY)
    return SEVERITY.index(row.verdict), priority, -abs(math.log(row.change)) if row.change else 0.0


def _at(row: GateRow, outcomes: Mapping[str, UnpairedOutcome]) -> str:
    """Return a row's verdict with the figure that decided: `regressed at p95: 35 ms → 2.4 s (median 1.4× faster)`."""
    if row.kind == RowKind.TIME and row.base is not None and row.candidate is not None:
        ratio = outcomes[row.scenario].ratio
        beside = f" (median {in_words(ratio)})" if ratio and row.metric != "median" else ""
        where = f"at {'the median' if row.metric == 'median' else row.metric}"
        return f"{row.verdict} {where}: {_time(row.base)} → {_time(row.candidate)}{beside}"
    if row.kind == RowKind.ERRORS:
        return f"{row.verdict} by failures: {row.reason}"
    if row.kind == RowKind.CHECKS:
        return f"{row.verdict} in a check of the tool: {row.reason}"
    unit = " per s" if row.unit == "per s" else ""
    return f"{row.verdict} in {row.metric}: {_rate(row.base)} → {_rate(row.candidate)}{unit}"


def _verdict(name: str, rows: Sequence[GateRow], outcomes: Mapping[str, UnpairedOutcome], load: Sequence[RunWarning]) -> Verdict:
    """Return the verdict on a benchmark: that of its most severe row. Its figures are the ratio of the medians."""
    outcome = outcomes.get(name)
    figures = (outcome.ratio, *_interval(outcome)) if outcome else (None, None, None)
    deciding = [row for row in rows if row.scenario == name and row.kind in {RowKind.ERRORS, RowKind.TIME, RowKind.METRIC}]
    deciding += [row for row in rows if (row.scenario, row.kind, row.verdict) == (name, RowKind.THROUGHPUT, GateVerdict.REGRESSED)]
    verdict, part = PromiseVerdict.INCONCLUSIVE, ""
    if load:
        verdict, sentence = PromiseVerdict.NOT_COMPARABLE, load[0].message
    elif not deciding:
        sentence = "its times are not judged, since other operations of one side fail more"
    else:
        row = min(deciding, key=_urgency)
        verdict, part = VERDICTS[row.verdict], row.metric
        is_change = row.verdict in {GateVerdict.REGRESSED, GateVerdict.IMPROVED}
        reason = _reason(outcome) if outcome and row.kind == RowKind.TIME else "" if row.kind == RowKind.ERRORS else row.reason
        sentence = "; ".join(filter(None, [_at(row, outcomes), reason])) if is_change else row.reason
    return Verdict(name, "", CANDIDATE, verdict, sentence, "×", part, *figures, neutral=1.0)


VERDICTS = {
    GateVerdict.REGRESSED: PromiseVerdict.REGRESSED,
    GateVerdict.NOT_COMPARABLE: PromiseVerdict.NOT_COMPARABLE,
    GateVerdict.INCONCLUSIVE: PromiseVerdict.INCONCLUSIVE,
    GateVerdict.NOT_JUDGED: PromiseVerdict.INCONCLUSIVE,
    GateVerdict.IMPROVED: PromiseVerdict.IMPROVED,
    GateVerdict.EQUIVALENT: PromiseVerdict.EQUAL,
    GateVerdict.EQUAL: PromiseVerdict.EQUAL,
}
"""The verdict on a benchmark by that of its deciding row."""


def _record(
    before: Reading,
    after: Reading,
    selected: Sequence[str],
    rules: FileRules,
    outcomes: Mapping[str, UnpairedOutcome],
    verdicts: list[Verdict],
    warnings: list[RunWarning],
) -> Run:
    """Return the record of the comparison; benchmarks that only one file has are in it as well."""
    name = one_line(f"{Path(before.file).name} → {Path(after.file).name}")
    about = ("comparison", name, f"Measured by {before.tool} in two separate runs.", after.file, after.tool, 0.0, ScenarioStatus.OK)
    sides = ((before, BASELINE), (after, CANDIDATE))
    timings = {(timing.name, arm): timing for file, arm in sides for timing in file.timings}
    known = set(selected)
    result = ScenarioResult(
        *about,
        arms=[ArmResult(BASELINE, f"before: {one_line(before.file)}"), ArmResult(CANDIDATE, f"after: {one_line(after.file)}")],
        latencies=[own_run.latency(timings[n, arm], arm) for n in selected for _, arm in sides if (n, arm) in timings],
        ratios=[
            Ratio(CANDIDATE, n, o.ratio, *_interval(o), processes=[], pairs=0) for n, o in outcomes.items() if o.ratio is not None
        ],
        verdicts=verdicts,
        warnings=warnings,
        operations=[replace(x, arm=arm) for file, arm in sides for x in file.operations if x.group in known],
        metrics=[replace(x, arm=arm) for file, arm in sides for x in file.metrics if x.group in known or x.less_is_better is None],
    )
    return own_run.of_result(RunKind.COMPARISON, name, after, result, _environment(before, after, rules.drift))


def _time(value_ns: float) -> str:
    """Return a time with three digits and its unit: `35 ms`."""
    per_unit, unit = next(
        ((ns, unit) for ns, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")) if value_ns >= ns * 0.9995), (1.0, "ns")
    )
    return f"{float(f'{value_ns / per_unit:.3g}'):,g} {unit}"


def _warnings(before: Reading, after: Reading, drift: float) -> list[RunWarning]:
    default = "the default, from runs of the same code on two shared cores; compare two such runs here to find yours"
    differ = f"differ by up to {drift * 100:.3g} % ({'as given' if drift != DRIFT else default})"
    message = f"these runs were not interleaved; separate runs of the same code {differ}, so smaller differences are not judged"
    found = [
        RunWarning(WarningName.UNPAIRED, message, "measure both versions interleaved, in one run, to detect smaller differences")
    ]
    if _is_identical(before, after):
        found = [RunWarning(WarningName.IDENTICAL_FILES, "both files hold the same bytes", "name the file of the other run")]
    other = differences(before.environment, after.environment)
    if other:
        more = f" and {len(other) - SHOWN_NAMES} more" if len(other) > SHOWN_NAMES else ""
        message = f"before and after differ in {'; '.join(other[:SHOWN_NAMES])}{more}"
        found.append(RunWarning(WarningName.OTHER_MACHINE, message, "measure both on the same machine, with the same versions"))
    for file, when in ((before, "before"), (after, "after")):
        for warning in file.warnings:
            if not (warning in before.warnings and warning in after.warnings):
                found.append(RunWarning(f"{warning.name}, {when}", warning.message, warning.remedy))
            elif warning not in found:
                found.append(warning)
    return found


def _shifted(ratios: Sequence[float]) -> Iterator[RunWarning]:
    """Yield a warning if all benchmarks became faster, or slower, alike, as after a change of the machine."""
    if len(ratios) < MIN_BENCHMARKS:
        return
    middle = median(ratios)
    shift, direction = max(middle, 1 / middle), "faster" if middle > 1 else "slower"
    alike = sum((ratio > 1) == (middle > 1) for ratio in ratios)
    if shift > SHIFT and alike >= SHARE * len(ratios):
        message = f"{alike} of {len(ratios)} benchmarks became {direction}, half of all are at least {in_words(middle)}"
        remedy = "check the machine before the code: measure both versions again, interleaved"
        yield RunWarning(WarningName.ALL_TIMES_SHIFTED, message, remedy)


def _environment(before: Reading, after: Reading, drift: float) -> dict[str, str]:
    found = {"drift": f"{drift * 100:.3g} %"}
    for file, when in ((before, "before"), (after, "after")):
        commit = f"{file.commit}{' with uncommitted changes' if file.dirty else ''}" if file.commit else ""
        facts = {"file": one_line(file.file), "SHA-256": file.digest, "measured": file.started_at, "commit": commit}
        found |= {f"{when}: {key}": value for key, value in (facts | file.environment).items() if value}
    return found
