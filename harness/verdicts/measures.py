"""Measures for promises: each public function here returns a `Measure`, for use in a scenario's promises.

All read only the scenario's result. A missing figure raises NotMeasurableError; its message becomes the verdict's sentence.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from inspect import Parameter, signature
from statistics import geometric_mean
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

from harness.errors import NotMeasurableError
from harness.results.load import ArmFigure
from harness.results.run import BASELINE, PEAK_MEMORY, Latency, Ratio, ScenarioResult, WorkCount
from harness.stats.intervals import (
    MEDIAN,
    QUANTILES,
    Interval,
    binomial_bounds,
    growth_exponent,
    mean_interval,
    median,
    samples_needed,
)
from harness.suggestions import choose_from
from harness.verdicts.promise import EXPONENT, TIME, Estimate, Measure, format_figure

WORK = "work"
"""As a metric: the engine's measure of work, whichever it counts."""
WORK_METRICS = ("vm_steps", "blocks")
"""The work counts of engines: SQLite's virtual-machine steps, PostgreSQL's blocks."""
EVERYWHERE = ("python_calls", "bytes_in_allocations", "instructions", "round_trips", PEAK_MEMORY)
"""The metrics that the harness gives for every scenario."""
OF_DATABASES = ("statements", "parameter_sets", "rows", "transactions", *WORK_METRICS, WORK, "query_buffers")
"""The metrics of the probes of databases, some of them on some engines only."""
Rest = ParamSpec("Rest")
Row = TypeVar("Row", bound=ArmFigure)


def as_measure(figure: Callable[Concatenate[ScenarioResult, str, Rest], Estimate]) -> Callable[Rest, Measure]:
    """Return a function that makes a measure: it takes what `figure` takes besides the result and the arm."""

    def make(*args: Rest.args, **kwargs: Rest.kwargs) -> Measure:
        given = (
            signature(figure).bind(None, None, *args, **kwargs).arguments
        )  # a wrong one is an error where the promise is declared
        for name, parameter in signature(figure).parameters.items():
            if parameter.kind is Parameter.VAR_POSITIONAL and not given.get(name):
                raise TypeError(f"{figure.__name__}() needs at least one of its {name}")
        groups = (given.get("group", ""), given.get("as_group", ""), *given.get("groups", ()))
        metrics = [given.get(name, "") for name in ("metric", "hits", "tried", "rate_per_1000")]
        read = (groups, given.get("messages", ()), metrics)
        return reading(lambda result, arm: figure(result, arm, *args, **kwargs), *read)

    make.__name__, make.__doc__ = figure.__name__, figure.__doc__
    return make


def reading(measure: Measure, groups: Iterable[str], messages: Iterable[str] = (), metrics: Iterable[str] = ()) -> Measure:
    """Return a measure that says which groups, findings and metrics it reads.

    A scenario without them is refused before it runs, and some are only measured where a promise rests on them.
    """
    for name, values in (("groups", groups), ("messages", messages), ("metrics", metrics)):
        setattr(measure, name, tuple(value for value in values if value))
    return measure


@as_measure
def speedup(result: ScenarioResult, arm: str, *groups: str) -> Estimate:
    """Measure times faster than the baseline, from paired times; of several groups the geometric mean, process by process."""
    ratios = [_ratio(result, arm, group) for group in groups]
    if len(ratios) == 1:
        return Estimate(ratios[0].ratio, ratios[0].low, ratios[0].high)
    processes = [[math.log(p) for p in parts] for parts in zip(*(r.processes for r in ratios), strict=False)]
    centre = mean_interval([math.fsum(parts) / len(parts) for parts in processes]).through(math.exp)
    note = ", ".join(f"{r.group} {r.ratio:.2f}×" for r in ratios)
    return Estimate(geometric_mean([r.ratio for r in ratios]), centre.low, centre.high, note=note)


@as_measure
def slowdown(result: ScenarioResult, arm: str, group: str) -> Estimate:
    """Measure times as long as the baseline, from paired times: the inverse of `speedup`. Shown as a cost: `+12 % time`."""
    faster = _ratio(result, arm, group)
    longer = Interval(faster.ratio, faster.low, faster.high).through(lambda ratio: 1 / ratio, falling=True)
    return Estimate(longer.value, longer.low, longer.high, unit=TIME)


@as_measure
def less_time(result: ScenarioResult, arm: str, group: str) -> Estimate:
    """Measure the share of the baseline's time that is saved, from paired times."""
    faster = _ratio(result, arm, group)
    saved = Interval(faster.ratio, faster.low, faster.high).through(lambda ratio: 1 - 1 / ratio)
    return Estimate(saved.value, saved.low, saved.high)


def latency(group: str, unit: str = "ms", percentile: str = MEDIAN) -> Measure:
    """Measure a percentile of an arm's latency, "50", "90", "95", "99" or "99.9", in "ms" or "s", with its interval.

    A median that the samples do not support is the mean of the processes' medians, with the interval over them.
    """
    per_unit = {"ms": 1e6, "s": 1e9}[unit]
    if percentile not in QUANTILES:
        raise TypeError(f"unknown percentile {percentile!r}; {choose_from(percentile, QUANTILES)}")

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        timed = _latency(result, arm, group)
        found, within = timed.percentiles_ns.get(percentile), timed.intervals_ns.get(percentile)
        if percentile != MEDIAN and found is None:
            needed = f"{samples_needed(QUANTILES[percentile]):,} independent samples, and there are {timed.samples:,} in all"
            raise NotMeasurableError(f"p{percentile} of {group!r} needs {needed}")
        if found is None or (percentile == MEDIAN and within is None):
            centre = mean_interval([ns / per_unit for ns in timed.process_medians_ns])
            return Estimate(centre.value, None if centre.low is None else max(0.0, centre.low), centre.high)
        low, high = (None, None) if within is None else (bound / per_unit for bound in within)
        beside = timed.percentiles_ns.get("95")
        note = f"p95 {beside / per_unit:.2f} {unit}" if beside is not None and percentile == MEDIAN else f"p{percentile}"
        return Estimate(found / per_unit, low, high, note=f"{note}, {timed.samples:,} samples")

    return reading(measure, [group])


@as_measure
def times_as_long(result: ScenarioResult, arm: str, group: str, as_group: str) -> Estimate:
    """Measure an arm's time in one group ÷ its time in another, from its medians, process by process. Shown as `+12 % time`."""
    medians = [_latency(result, arm, name).process_medians_ns for name in (group, as_group)]
    # A slow group is timed in the first processes alone.
    centre = mean_interval([math.log(long / short) for long, short in zip(*medians, strict=False)]).through(math.exp)
    return Estimate(centre.value, centre.low, centre.high, note=f"{group} against {as_group}", unit=TIME)


@as_measure
def fewer(result: ScenarioResult, arm: str, metric: str, group: str) -> Estimate:
    """Measure the share of the baseline's work count that is saved: 51 → 2 statements is 0.96."""
    before, after = (exact_figure(result, name, group, metric) for name in (BASELINE, arm))
    if before.value == 0:
        raise NotMeasurableError(f"the baseline has no {named(metric)}{f' in {group!r}' if group else ''}: nothing to cut")
    return Estimate(1 - after.value / before.value, exact=True, note=_from_to(before, after))


@as_measure
def fewer_times(result: ScenarioResult, arm: str, metric: str, group: str) -> Estimate:
    """Measure the baseline's work count ÷ the arm's: 100 → 4 VM steps is 25."""
    before, after = (exact_figure(result, name, group, metric) for name in (BASELINE, arm))
    if after.value == 0:
        raise NotMeasurableError(f"{arm} counts no {metric} in {group!r}")
    return Estimate(before.value / after.value, exact=True, note=_from_to(before, after))


@as_measure
def count(result: ScenarioResult, arm: str, metric: str, group: str) -> Estimate:
    """Measure a work count of the arm itself, per operation."""
    after, before = (exact_figure(result, name, group, metric) for name in (arm, BASELINE))
    return Estimate(after.value, exact=True, note=f"baseline {before.value:g}")


@as_measure
def memory_cut(result: ScenarioResult, arm: str, group: str) -> Estimate:
    """Measure the share of the baseline's peak memory of one operation that is saved, each side in a child process of its own.

    The interval is the range over the repetitions: the baseline's minimum against the arm's maximum, and vice versa.
    """
    before, after = _added_bytes(result, BASELINE, group), _added_bytes(result, arm, group)
    if before.low == 0:
        raise NotMeasurableError(f"the baseline adds no memory in {group!r}")
    note = f"{before.middle / 1e6:.1f} → {after.middle / 1e6:.1f} MB added"
    value = 1 - after.middle / before.middle
    if min(before.repetitions, after.repetitions) == 1:
        return Estimate(value, note=f"{note}, measured once")
    return Estimate(value, 1 - after.high / before.low, 1 - after.low / before.high, note=note)


@as_measure
def survives(result: ScenarioResult, arm: str, group: str) -> Estimate:
    """Measure whether the operation completes under the scenario's memory limit for the group."""
    runs, base = ([m for m in _rows(result.memory, name, group) if m.limit_bytes is not None] for name in (arm, BASELINE))
    if not runs:
        raise NotMeasurableError(_elsewhere(result) or f"{group!r} was not run under a memory limit")
    outcome = f"; baseline: {base[0].error or 'completes'}" if base and arm != BASELINE else ""
    limit = f"{runs[0].limit_bytes / 1e6:.0f} MB" if runs[0].limit_bytes else ""
    failed = next((m.error for m in runs if m.error), None)
    note = f"under {limit}: {failed or 'completes'}{outcome}"
    return Estimate(sum(m.error is None for m in runs) / len(runs), exact=True, note=note, checks=len(runs))


@as_measure
def growth(result: ScenarioResult, arm: str, metric: str, group: str) -> Estimate:
    """Measure the exponent k with which a work count or "peak_memory" grows with the rows: 0 is constant, 1 linear, 2 quadratic.

    Memory is not exact: its interval is the range of the exponents from the repetitions at full size.
    """
    found = next((g for g in _rows(result.growth, arm, group) if g.metric in _meant(metric)), None)
    if found is None:
        raise NotMeasurableError(_elsewhere(result) or f"{named(metric)} of {group!r} was not measured at several sizes")
    base = next((g for g in _rows(result.growth, BASELINE, group) if g.metric == found.metric), None)
    notes = [f"baseline {format_figure(base.exponent, EXPONENT)}"] if base else []
    if metric != PEAK_MEMORY:
        return Estimate(found.exponent, exact=True, note="".join(notes))
    added = _added_bytes(result, arm, group)
    if added.repetitions == 1:
        return Estimate(found.exponent, note=", ".join([*notes, "measured once"]))
    low, high = (growth_exponent(found.scales, [*found.values[:-1], max(end, 1.0)]) for end in (added.low, added.high))
    return Estimate(found.exponent, low, high, note="".join(notes))


@as_measure
def plan_share(result: ScenarioResult, arm: str, *, using_index: bool) -> Estimate:
    """Measure the share of statement shapes whose plan uses an index or, with `using_index=False`, the number that scan a table."""
    shapes = {s.sql: s for s in result.statements if s.arm == arm and s.plan}
    if not shapes:
        raise NotMeasurableError("no plans were taken")
    if using_index:
        found = sum(s.uses_index for s in shapes.values())
        return Estimate(found / len(shapes), exact=True, note=f"{found} of {len(shapes)} statement shapes")
    scanning = sorted({s.group for s in shapes.values() if s.scans_table})
    number = sum(s.scans_table for s in shapes.values())
    note = f"of {len(shapes)} statement shapes" + (f", in {', '.join(scanning)}" if scanning else "")
    return Estimate(number, exact=True, note=note)


@as_measure
def verified(result: ScenarioResult, arm: str, *groups: str) -> Estimate:
    """Measure the share of these groups in which the arm gives the baseline's answers, timed or not.

    Arms that disagree fail the scenario, so that only groups which the arm cannot run are missing.
    """
    if not result.verified_cases:
        raise NotMeasurableError("no answers were compared")
    missing = [g for g in groups if g in _errors(result, arm)]
    note = f"{result.verified_cases} answers equal" + (f"; no answer for {', '.join(missing)}" if missing else "")
    return Estimate(1 - len(missing) / len(groups), exact=True, note=note, checks=len(groups))


@as_measure
def shown(result: ScenarioResult, arm: str, *messages: str) -> Estimate:
    """Measure the share of the named findings that were tried on the arm and not observed; 1 if none was tried on it."""
    unknown = set(messages) - {finding.message for finding in result.findings}
    if unknown:
        raise NotMeasurableError(f"no arm was tested for: {'; '.join(sorted(unknown))}")
    found = [f for f in result.findings if f.arm == arm and f.message in messages]
    note = "; ".join(f.evidence for f in found) or "nothing observed against it"
    good = sum(not f.holds for f in found)
    return Estimate(good / len(found) if found else 1.0, exact=True, note=note, checks=len(found) or None)


def combine(measures: Sequence[Measure], how: Callable[[list[float]], float] = min) -> Measure:
    """Combine several measures with `how`, by default the smallest; exact only if all are.

    The unit is kept if all have the same; `min` and `max` choose one measure, so they need that.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        parts = [m(result, arm) for m in measures]
        units = {p.unit for p in parts}
        chooses = how in (min, max)
        if chooses and len(units) > 1:
            named_units = ", ".join(unit or "the claim's" for unit in sorted(units))
            raise NotMeasurableError(f"measures in different units ({named_units}) have no smallest or largest")
        value = how([p.value for p in parts])
        checked = [(p.value * p.checks, p.checks) for p in parts if p.checks is not None]
        if chooses:
            checks = next((p.checks for p in parts if p.value == value), None)
        else:  # all of them, where the value is the share of all that passed
            passed, tried = (sum(column) for column in zip(*checked, strict=True)) if checked else (0.0, 0)
            checks = int(tried) if len(checked) == len(parts) and math.isclose(passed, value * tried) else None
        note = "; ".join(p.note for p in parts if p.note)
        unit = units.pop() if len(units) == 1 else ""
        return Estimate(value, exact=all(p.exact for p in parts), note=note, checks=checks, unit=unit)

    read = [[name for part in measures for name in getattr(part, kind, ())] for kind in ("groups", "messages", "metrics")]
    return reading(measure, *read)


@as_measure
def share_of(result: ScenarioResult, arm: str, hits: str, tried: str) -> Estimate:
    """Measure the share of tries that hit, from two figures of the arm, with its confidence interval."""
    found, tries = (exact_figure(result, arm, "", name).value for name in (hits, tried))
    if not tries:
        raise NotMeasurableError(f"{arm} has no {named(tried)}")
    low, high = binomial_bounds(found, tries)
    return Estimate(found / tries, low, high, note=f"{found:.0f} of {tries:.0f} {named(tried)}")


@as_measure
def fewer_of(result: ScenarioResult, arm: str, rate_per_1000: str, tried: str) -> Estimate:
    """Measure the share by which a rate is below the baseline's, from both arms' figures and their numbers of tries.

    The interval combines opposite bounds of the two rates, which is conservative.
    """
    rates = [exact_figure(result, name, "", rate_per_1000).value for name in (BASELINE, arm)]
    tries = [exact_figure(result, name, "", tried).value for name in (BASELINE, arm)]
    if rates[0] == 0:
        raise NotMeasurableError(f"the baseline has no {named(rate_per_1000)} in {tries[0]:.0f} tries: nothing to reduce")
    before, after = (binomial_bounds(rate * n / 1000, n) for rate, n in zip(rates, tries, strict=True))
    note = "{:.0f} → {:.0f} ".format(*rates) + named(rate_per_1000)
    return Estimate(1 - rates[1] / rates[0], 1 - after[1] / before[0], 1 - after[0] / before[1], note=note)


def _rows(rows: Iterable[Row], arm: str, group: str) -> list[Row]:
    return [row for row in rows if (row.arm, row.group) == (arm, group)]


def _ratio(result: ScenarioResult, arm: str, group: str) -> Ratio:
    for ratio in _rows(result.ratios, arm, group):
        return ratio
    error = _errors(result, arm).get(group)
    raise NotMeasurableError(f"cannot run as written: {group}: {error}" if error else f"{group!r} was not timed here")


def _latency(result: ScenarioResult, arm: str, group: str) -> Latency:
    for timed in _rows(result.latencies, arm, group):
        if timed.process_medians_ns:
            return timed
    raise NotMeasurableError(f"{group!r} was not timed here")


def _errors(result: ScenarioResult, arm: str) -> dict[str, str]:
    """Return group → error, of the groups that an arm cannot run as written."""
    return next((a.errors for a in result.arms if a.name == arm), {})


def exact_figure(result: ScenarioResult, arm: str, group: str, metric: str) -> WorkCount:
    """Return a work count of an arm, per operation of a group or, with an empty group, of the arm itself.

    NotMeasurableError if it was not counted; if the arm cannot run as written, that is the reason.
    """
    for count in _rows(result.work_counts, arm, group):
        if count.scale == 1.0 and count.metric in _meant(metric):
            return count
    for stopped, error in _errors(result, arm).items():
        if group in ("", stopped):
            raise NotMeasurableError(f"cannot run as written: {stopped}: {error}")
    raise NotMeasurableError(
        f"{result.engine or 'the run'} counted no {named(metric)} for {arm}" + (f" in {group!r}" if group else "")
    )


def _meant(metric: str) -> tuple[str, ...]:
    return WORK_METRICS if metric == WORK else (metric,)


def named(metric: str) -> str:
    """Return a metric's name for texts."""
    return " or ".join(_meant(metric)).replace("_", " ")


def _from_to(before: WorkCount, after: WorkCount) -> str:
    return f"{before.value:g} → {after.value:g} {after.metric.replace('_', ' ')}"


def _elsewhere(result: ScenarioResult) -> str:
    """Return why a figure that does not depend on the RTT is missing at a higher RTT."""
    return "measured at the lowest RTT only, because it does not depend on it" if result.rtt_ms else ""


class _Added(NamedTuple):
    """The memory that an arm's operation adds, in bytes."""

    middle: float
    low: float
    high: float
    repetitions: int


def _added_bytes(result: ScenarioResult, arm: str, group: str) -> _Added:
    """Return the memory that an operation adds; a record of an earlier version has a row per process and no repetitions."""
    runs = [m for m in _rows(result.memory, arm, group) if m.scale == 1.0 and m.limit_bytes is None]
    if not runs:
        raise NotMeasurableError(_elsewhere(result) or f"no memory measured for {arm} in {group!r}")
    reason = next((f"{arm} in {group!r}: {m.error or m.not_measured}" for m in runs if not m.has_figures), None)
    if reason:
        raise NotMeasurableError(reason)
    ends = [end for m in runs for end in m.range_bytes]
    middle = median([float(m.added_bytes) for m in runs])
    return _Added(middle, float(min(ends)), float(max(ends)), sum(m.repetitions for m in runs))
