"""The history of every figure of every scenario, and its steps.

A work count steps where the gate would judge it, between a run and the one before: it repeats exactly in both and differs, or it
differs by more than its tolerance. A count that ever differed between two runs of one commit never steps.

Ratios, times and metrics step where `harness.stats.level_changes` shows it. A ratio is paired inside its run, which cancels the
machine's drift; a time is not, so it needs two runs on each side, has to change beyond the drift, and still do so beside the common
change of all times of its run.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from harness.gate import work_counts
from harness.gate.matching import MatchedPair, other_versions, place
from harness.gate.selection import EVERYTHING, Selection
from harness.gate.verdict import counted, listed
from harness.gate.work_counts import Rules
from harness.history.collect import CollectedRun, CollectedRuns, moment
from harness.history.lines import ComparableRuns, PlacedResult, lines, other_times, other_work
from harness.results.gate import GateRow, GateVerdict
from harness.results.history import (
    FigureHistory,
    FigureKind,
    History,
    HistoryLine,
    HistoryPoint,
    HistoryRun,
    HistoryStep,
    ScenarioHistory,
)
from harness.results.run import (
    AA_CONTROL,
    BASELINE,
    OperationCounts,
    RunKind,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    WorkCount,
)
from harness.results.warning_names import WarningName
from harness.stats.intervals import median, t_quantile
from harness.stats.level_changes import LevelChange, RunLevel, level_changes, places
from harness.verdicts import failures
from harness.verdicts.promise import WORTH_HAVING
from harness.verdicts.unpaired import DRIFT, DRIFT_EXPONENTS

PERCENTILES = {"50": "median", "95": "p95", "99": "p99"}
"""The percentiles that are shown, and the names of their drifts."""
SINGLE = "time"
"""The name of the one time that a file states of a benchmark."""
LEAST = {FigureKind.RATIO: 1, FigureKind.TIME: 2, FigureKind.METRIC: 2}
"""The number of runs that a step needs on each side."""
SUITE = 8
"""The number of times of a run from which on their common change is known."""
MANY_VALUES = 30.0
"""Degrees of freedom of a figure of another tool that does not state the number of its values."""
Z = 1.96
"""The number of standard errors in half a 95 % interval."""
SHOWN_COMMIT = 10


@dataclass(frozen=True)
class _Series:
    """One noisy figure over the comparable runs of a scenario."""

    kind: FigureKind
    arm: str
    group: str
    metric: str
    unit: str
    better_above: bool | None
    """Whether more is better; None where it is unknown."""
    margin: float
    points: tuple[HistoryPoint, ...]
    tested: tuple[HistoryPoint, ...]
    """Those that are tested for steps: no operation failed; none if a value is not above 0, so that there are no ratios."""
    levels: tuple[RunLevel, ...]
    """One per tested point."""

    @property
    def key(self) -> tuple[FigureKind, str, str, str]:
        """By which it is the same figure on another line."""
        return self.kind, self.arm, self.group, self.metric


@dataclass(frozen=True)
class _SeriesPoint:
    """A noisy figure in one run."""

    key: tuple[FigureKind, str, str, str]
    unit: str
    value: float
    low: float | None
    high: float | None
    error: float | None
    """The standard error of its logarithm."""
    degrees: float
    better_above: bool | None
    margin: float


def history(collected: CollectedRuns, selection: Selection = EVERYTHING, drift: float = DRIFT) -> History:
    """Return the history of the runs; `selection` is of scenarios, and of other tools' benchmarks, by name.

    `drift` is the share by which a median of the same code may differ between two runs. UsageError: the selection matches nothing.
    """
    wanted = set(selection.of(_names(collected.runs), "scenario or benchmark"))
    placed: dict[tuple[str, str, float], list[PlacedResult]] = defaultdict(list)
    for number, each in enumerate(collected.runs):
        for result in each.run.scenarios:
            kept = _selected(result, each.run.kind, wanted)
            if kept is not None:
                placed[kept.name, kept.engine, kept.rtt_ms].append(PlacedResult(number, each.run, kept, each.code))
    timed = {key: lines(results, other_times) for key, results in placed.items()}
    series = {key: [list(_noisy(line.results, drift)) for line in found] for key, found in timed.items()}
    every = [one for found in series.values() for of_line in found for one in of_line]
    tests = sum(len(places(one.levels, LEAST[one.kind])) for one in every)
    shifts = _shifts(every)
    scenarios, shifted = [], list[int]()
    for key, results in placed.items():
        noisy: list[tuple[int, _Series, list[HistoryStep]]] = []
        for number, of_line in enumerate(series[key]):
            for one in of_line:
                steps, beside = _steps(one, tests, shifts)
                noisy.append((number, one, steps))
                shifted += beside
        counted_lines = lines(results, other_work)
        last = results[-1].result
        scenarios.append(
            ScenarioHistory(
                *(last.name, last.title, last.engine, last.rtt_ms, len(results)),
                figures=(*_figures(noisy), *_work(counted_lines)),
                time_lines=tuple(line.difference for line in timed[key]),
                work_lines=tuple(line.difference for line in counted_lines),
            )
        )
    runs = tuple(_shown(each) for each in collected.runs)
    warnings = (*collected.warnings, *_shift_warnings(shifted, runs))
    return History(runs, tuple(scenarios), warnings, tests)


def _names(runs: Iterable[CollectedRun]) -> Iterator[str]:
    for each in runs:
        for result in each.run.scenarios:
            if each.run.kind == RunKind.FILE:
                yield from (record.group for record in (*result.latencies, *result.metrics, *result.operations))
            else:
                yield result.name


def _selected(result: ScenarioResult, kind: RunKind, wanted: set[str]) -> ScenarioResult | None:
    """Return a scenario if it is wanted; of another tool's file, its wanted benchmarks."""
    if kind != RunKind.FILE:
        return result if result.name in wanted else None
    latencies, metrics = ([r for r in records if r.group in wanted] for records in (result.latencies, result.metrics))
    return replace(result, latencies=latencies, metrics=metrics) if latencies or metrics or result.operations else None  # type: ignore[arg-type]


def _noisy(results: Sequence[PlacedResult], drift: float) -> Iterator[_Series]:
    """Yield the ratios, times and metrics of comparable runs."""
    found: dict[tuple[FigureKind, str, str, str], list[tuple[PlacedResult, _SeriesPoint]]] = defaultdict(list)
    for each in results:
        for point in _points(each, drift):
            if math.isfinite(point.value):
                found[point.key].append((each, point))
    failing = {(each.place, count.arm, count.group) for each in results for count in _failing(each.result)}
    for key, in_runs in found.items():
        last = in_runs[-1][1]
        kind, arm, group, _ = key
        arms = {arm or BASELINE} | ({BASELINE} if kind == FigureKind.RATIO else set())
        broken = {place for place, of_arm, of_group in failing if of_arm in arms and of_group == group}
        cut = {each.place for each, _ in in_runs if each.result.status == ScenarioStatus.INTERRUPTED}
        points = tuple(HistoryPoint(e.place, p.value, p.low, p.high, e.place in cut | broken) for e, p in in_runs)
        is_positive = all(p.value > 0 for _, p in in_runs)
        kept = [n for n, point in enumerate(points) if is_positive and point.run not in broken]
        levels = tuple(RunLevel(math.log(p.value), e.code, p.error, p.degrees) for e, p in (in_runs[n] for n in kept))
        yield _Series(*key, last.unit, last.better_above, last.margin, points, tuple(points[n] for n in kept), levels)


def _failing(result: ScenarioResult) -> list[OperationCounts]:
    """Return the operations of a result of which more failed than is tolerated: the times of the others prove little."""
    return [count for count in result.operations if count.errors > failures.TOLERANCE * count.operations]


def _points(each: PlacedResult, drift: float) -> Iterator[_SeriesPoint]:
    arm_of = (lambda _: "") if each.run.kind == RunKind.FILE else (lambda arm: arm)
    for ratio in each.result.ratios:
        if ratio.arm != AA_CONTROL:
            degrees = max(1.0, len(ratio.processes) - 1.0)
            error = _error(ratio.ratio, ratio.low, ratio.high, t_quantile(0.975, degrees))
            key = (FigureKind.RATIO, ratio.arm, ratio.group, "ratio")
            figures = (ratio.ratio, ratio.low, ratio.high, error, degrees)
            yield _SeriesPoint(key, "×", *figures, better_above=True, margin=WORTH_HAVING)
    for latency in each.result.latencies:
        for label, of_drift in PERCENTILES.items() if latency.arm != AA_CONTROL else ():
            value = latency.percentiles_ns.get(label)
            if value is not None:
                low, high = latency.intervals_ns.get(label, (None, None))
                processes = len(latency.process_medians_ns)
                degrees = processes - 1.0 if processes > 1 else latency.samples - 1.0 if latency.samples > 1 else MANY_VALUES
                name = f"p{label}" if latency.samples else SINGLE
                key = (FigureKind.TIME, arm_of(latency.arm), latency.group, name)
                margin = (1 + drift) ** DRIFT_EXPONENTS[of_drift] - 1
                figures = (value, low, high, _error(value, low, high, Z), degrees)
                yield _SeriesPoint(key, "ns", *figures, better_above=False, margin=margin)
    for metric in each.result.metrics:
        value = metric.mean if metric.median is None else metric.median
        if value is not None:
            better_above = None if metric.less_is_better is None else not metric.less_is_better
            key = (FigureKind.METRIC, "", metric.group, metric.unit or "value")
            figures = (value, None, None, None, MANY_VALUES)
            yield _SeriesPoint(key, metric.unit, *figures, better_above=better_above, margin=drift)


def _error(value: float, low: float | None, high: float | None, reach: float) -> float | None:
    """Return the standard error of a figure's logarithm, from its interval; None without a usable one."""
    if low is None or high is None or not 0 < low <= high < math.inf or value <= 0:
        return None
    return math.log(high / low) / 2 / reach


def _shifts(every: Iterable[_Series]) -> dict[int, float]:
    """Return by how much all medians of a run differ in common from those of its line, as a logarithm, where that is known."""
    beside: dict[int, list[float]] = defaultdict(list)
    for one in every:
        if one.kind == FigureKind.TIME and one.metric in {"p50", SINGLE} and one.levels:
            usual = median([level.log for level in one.levels])
            for point, level in zip(one.tested, one.levels, strict=True):
                beside[point.run].append(level.log - usual)
    return {run: median(logs) for run, logs in beside.items() if len(logs) >= SUITE}


def _steps(one: _Series, tests: int, shifts: Mapping[int, float]) -> tuple[list[HistoryStep], list[int]]:
    """Return a series' steps, and the runs at which it changed only as all other times did."""
    plain = level_changes(one.levels, one.margin, LEAST[one.kind], tests)
    if one.kind != FigureKind.TIME or not one.levels:
        return [_step(one, change) for change in plain], []
    pairs = zip(one.tested, one.levels, strict=True)
    beside = [replace(level, log=level.log - shifts.get(point.run, 0.0)) for point, level in pairs]
    note = ", beside the change that all times have in common" if any(point.run in shifts for point in one.tested) else ""
    steps = [_step(one, change, note) for change in level_changes(beside, one.margin, LEAST[one.kind], tests)]
    shown = [step for step in steps if step.change is not None and _is_beyond(step.after / step.before, step.change, one.margin)]
    own = {step.run for step in steps}
    return shown, [run for change in plain if (run := one.tested[change.place].run) not in own]


def _is_beyond(change: float, beside: float, margin: float) -> bool:
    """Return whether a change is beyond the margin in the direction that it has beside the common change of all times."""
    return change > 1 + margin if beside > 1 else change < 1 / (1 + margin)


def _step(one: _Series, change: LevelChange, note: str = "") -> HistoryStep:
    before, after = change.runs
    sides = one.levels[change.place - before : change.place], one.levels[change.place : change.place + after]
    levels = [math.exp(fmean(level.log for level in side)) for side in sides]
    return HistoryStep(
        before_run=one.tested[change.place - 1].run,
        run=one.tested[change.place].run,
        before=levels[0],
        after=levels[1],
        change=change.change.value,
        low=change.change.low,
        high=change.change.high,
        evidence=f"{before} + {counted(after, 'run')}, apart by more than {one.margin * 100:.3g} %{note}",
        better=None if one.better_above is None else (change.change.value > 1) == one.better_above,
    )


def _figures(noisy: Iterable[tuple[int, _Series, list[HistoryStep]]]) -> Iterator[FigureHistory]:
    """Yield each figure with its lines."""
    found: dict[tuple[FigureKind, str, str, str], tuple[str, list[HistoryLine]]] = {}
    for number, one, steps in noisy:
        found.setdefault(one.key, (one.unit, []))[1].append(HistoryLine(number, one.points, tuple(steps)))
    for (kind, arm, group, metric), (unit, of_figure) in found.items():
        yield FigureHistory(kind, arm, group, metric, unit, tuple(of_figure))


def _work(found: Sequence[ComparableRuns]) -> Iterator[FigureHistory]:
    """Yield the work counts of comparable runs with their steps."""
    figures: dict[tuple[str, str, str, float], list[HistoryLine]] = defaultdict(list)
    for number, line in enumerate(found):
        points: dict[tuple[str, str, str, float], list[HistoryPoint]] = defaultdict(list)
        for each in line.results:
            for count in each.result.work_counts:
                if math.isfinite(count.value):
                    partial = each.result.status == ScenarioStatus.INTERRUPTED
                    points[work_counts.key(count)].append(HistoryPoint(each.place, count.value, partial=partial))
        steps = _work_steps(line.results)
        for key, of_count in points.items():
            figures[key].append(HistoryLine(number, tuple(of_count), tuple(steps.get(key, ()))))
    for (arm, group, metric, scale), of_figure in figures.items():
        name = metric.replace("_", " ") + (f" at {scale:g} of the data" if scale != 1.0 else "")
        yield FigureHistory(FigureKind.WORK, arm, group, name, "", tuple(of_figure))


def _work_steps(results: Sequence[PlacedResult]) -> dict[tuple[str, str, str, float], list[HistoryStep]]:
    """Return the steps of work counts: each compared with its last one, as by the gate."""
    last: dict[tuple[str, str, str, float], tuple[PlacedResult, WorkCount]] = {}
    steps: dict[tuple[str, str, str, float], list[HistoryStep]] = defaultdict(list)
    unsteady = set()
    for each in results:
        known = [count for _, count in last.values()]
        if known:
            versions = other_versions(MatchedPair(results[0].result, each.result), results[0].run, each.run)
            rules = Rules(each.result.tolerances, each.result.higher_is_better, no_instructions=versions[2])
            rows, _ = work_counts.work(replace(each.result, work_counts=known), each.result, rules)
            for row in rows:
                if row.verdict in {GateVerdict.IMPROVED, GateVerdict.REGRESSED}:
                    before = last[work_counts.key(row)][0]
                    steps[work_counts.key(row)].append(_work_step(row, before, each))
                    if before.code == each.code:
                        unsteady.add(work_counts.key(row))
        last |= {work_counts.key(count): (each, count) for count in each.result.work_counts}
    return {key: found for key, found in steps.items() if key not in unsteady}


def _work_step(row: GateRow, before: PlacedResult, after: PlacedResult) -> HistoryStep:
    assert row.base is not None
    assert row.candidate is not None
    better = row.verdict == GateVerdict.IMPROVED
    return HistoryStep(before.place, after.place, row.base, row.candidate, row.change, None, None, row.reason, better)


def _shown(each: CollectedRun) -> HistoryRun:
    run = each.run
    commit = run.commit or None
    label = f"{commit[:SHOWN_COMMIT]}{'+' if run.dirty else ''}" if commit else run.name
    failed = [place(r) for r in run.scenarios if r.status == ScenarioStatus.FAILED]
    cut = [place(r) for r in run.scenarios if r.status == ScenarioStatus.INTERRUPTED]
    failing = list(dict.fromkeys(count.group for r in run.scenarios for count in _failing(r)))
    within = f" in {listed(cut, quote=False)}" if cut else ""
    ended = f"{run.incomplete or 'was interrupted'}{within}"
    remarks = (
        *([ended] if run.incomplete or cut else []),
        *(["has uncommitted changes"] if run.dirty else []),
        *(["names no commit"] if not commit else []),
        *(["is a preview (--quick)"] if run.settings.quick else []),
        *([f"failed: {listed(failed, quote=False)}"] if failed else []),
        *([f"operations failed in {listed(failing, quote=False)}"] if failing else []),
        *(warning.message for warning in run.warnings),
    )
    started_at = found.isoformat(timespec="seconds") if (found := moment(run)) else ""
    return HistoryRun(label, run.name, each.file, commit, run.dirty, started_at, each.code, remarks)


def _shift_warnings(shifted: Sequence[int], runs: Sequence[HistoryRun]) -> Iterator[RunWarning]:
    """Yield a warning per run at which times changed, but only as all others of the run did."""
    for run in sorted(set(shifted)):
        message = f"{counted(shifted.count(run), 'time')} changed only as all times of the run did: the machine or the code"
        yield RunWarning(
            f"{WarningName.ALL_TIMES_SHIFTED} at {runs[run].label}",
            message,
            "time both versions interleaved: harness gate --against REF",
        )
