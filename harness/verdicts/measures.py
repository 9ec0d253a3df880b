"""How promises are measured: each function here returns a `Measure`, to be named in a scenario's promises.

All read the scenario's result only; what is missing raises NotMeasurableError with the reason a reader will see.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from harness.errors import NotMeasurableError
from harness.results.run import BASELINE, PEAK_MEMORY, Ratio, ScenarioResult, WorkCount
from harness.stats.intervals import geometric_mean, growth_exponent, mean_interval, median
from harness.verdicts.promise import Estimate, Measure

WORK = "work"
"""As a metric: the engine's own measure of work, whichever it counts."""

WORK_METRICS = ("vm_steps", "blocks")
"""What engines count of their work: SQLite's virtual-machine steps, PostgreSQL's blocks."""


def speedup(*groups: str) -> Measure:
    """How many times faster than the baseline, from paired times; several groups give their geometric mean, process by process."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        ratios = [_ratio(result, arm, group) for group in groups]
        because = ", ".join(f"{r.group} {r.ratio:.2f}×" for r in ratios) if len(ratios) > 1 else ""
        if len(ratios) == 1:
            return Estimate(ratios[0].ratio, ratios[0].low, ratios[0].high)
        processes = [[math.log(p) for p in parts] for parts in zip(*(r.processes for r in ratios), strict=False)]
        centre = mean_interval([math.fsum(parts) / len(parts) for parts in processes])
        value = geometric_mean([r.ratio for r in ratios])
        if centre.low is None or centre.high is None:
            return Estimate(value, note=because)
        return Estimate(value, math.exp(centre.low), math.exp(centre.high), note=because)

    return measure


def slowdown(group: str) -> Measure:
    """How many times slower than the baseline, from paired times: the inverse of `speedup`."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        ratio = _ratio(result, arm, group)
        low, high = (None if b is None else 1 / b for b in (ratio.high, ratio.low))
        return Estimate(1 / ratio.ratio, low, high)

    return measure


def less_time(group: str) -> Measure:
    """Share less time than the baseline's, from paired times; the bounds of the ratio change sides."""
    faster = speedup(group)

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        ratio = faster(result, arm)
        low, high = (None if bound is None else 1 - 1 / bound for bound in (ratio.low, ratio.high))
        return Estimate(1 - 1 / ratio.value, low, high)

    return measure


def latency(group: str, unit: str = "ms") -> Measure:
    """The median of an arm's own latency, absolute, in "ms" or "s", with the interval over its processes' medians."""
    per_unit = {"ms": 1e6, "s": 1e9}[unit]

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        centre = mean_interval([ns / per_unit for ns in _process_medians(result, arm, group)])
        p95 = next(x.percentiles_ns.get("95") for x in result.latencies if (x.arm, x.group) == (arm, group))
        because = f"p95 {p95 / per_unit:.2f} {unit}" if p95 is not None else ""
        return Estimate(centre.value, None if centre.low is None else max(0.0, centre.low), centre.high, note=because)

    return measure


def fewer(metric: str, group: str) -> Measure:
    """The share less of an exact figure than the baseline's: 51 → 2 statements is 0.96."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = exact_figure(result, BASELINE, group, metric), exact_figure(result, arm, group, metric)
        if before.value == 0:
            raise NotMeasurableError(
                f"the baseline has no {named(metric)}" + (f" in {group!r}" if group else "") + ": nothing to cut"
            )
        return Estimate(1 - after.value / before.value, exact=True, note=_from_to(before, after))

    return measure


def fewer_times(metric: str, group: str) -> Measure:
    """How many times less of an exact figure than the baseline's: 100 → 4 VM steps is 25."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = exact_figure(result, BASELINE, group, metric), exact_figure(result, arm, group, metric)
        if after.value == 0:
            raise NotMeasurableError(f"{arm} counts no {metric} in {group!r}")
        return Estimate(before.value / after.value, exact=True, note=_from_to(before, after))

    return measure


def times_as_long(group: str, as_group: str) -> Measure:
    """How many times as long an arm takes in one group as in another, from its own medians, process by process."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        medians = [_process_medians(result, arm, name) for name in (group, as_group)]
        centre = mean_interval([math.log(long / short) for long, short in zip(*medians, strict=True)])
        low, high = (None if b is None else math.exp(b) for b in (centre.low, centre.high))
        return Estimate(math.exp(centre.value), low, high)

    return measure


def count(metric: str, group: str) -> Measure:
    """An exact figure of the arm itself, per operation."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        value = exact_figure(result, arm, group, metric)
        before = exact_figure(result, BASELINE, group, metric)
        return Estimate(value.value, exact=True, note=f"baseline {before.value:g}")

    return measure


def memory_cut(group: str) -> Measure:
    """The share less of peak memory that an operation adds, against the baseline, each in children of its own.

    The interval is the range over the children: the baseline's least against the arm's most, and the other way round.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = _added_bytes(result, BASELINE, group), _added_bytes(result, arm, group)
        if min(before) == 0:
            raise NotMeasurableError(f"the baseline adds no memory in {group!r}")
        middle_before, middle_after = median(before), median(after)
        because = f"{middle_before / 1e6:.1f} → {middle_after / 1e6:.1f} MB added"
        value = 1 - middle_after / middle_before
        if min(len(before), len(after)) == 1:
            return Estimate(value, note=f"{because}, one process each")
        return Estimate(value, 1 - max(after) / min(before), 1 - min(after) / max(before), note=because)

    return measure


def survives(group: str) -> Measure:
    """Whether the operation ends well under the scenario's memory limit for the group."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        runs = [m for m in result.memory if (m.arm, m.group) == (arm, group) and m.limit_bytes is not None]
        if not runs:
            raise NotMeasurableError(_elsewhere(result) or f"{group!r} was not tried under a memory limit")
        base = next((m for m in result.memory if (m.arm, m.group) == (BASELINE, group) and m.limit_bytes is not None), None)
        outcome = f"; baseline: {base.error or 'survives'}" if base and arm != BASELINE else ""
        limit = f"{runs[0].limit_bytes / 1e6:.0f} MB" if runs[0].limit_bytes else ""
        failed = next((m.error for m in runs if m.error), None)
        because = f"under {limit}: {failed or 'survives'}{outcome}"
        return Estimate(sum(m.error is None for m in runs) / len(runs), exact=True, note=because)

    return measure


def growth(metric: str, group: str) -> Measure:
    """The exponent k with which an exact figure or "peak_memory" grows with the rows: 0 is constant, 1 linear, 2 quadratic.

    Memory is not exact: its interval is the range of the exponents that each child of the full size gives.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        found = next((g for g in result.growth if (g.arm, g.group) == (arm, group) and g.metric in _meant(metric)), None)
        if found is None:
            raise NotMeasurableError(_elsewhere(result) or f"{named(metric)} of {group!r} was not measured at several sizes")
        base = next((g for g in result.growth if (g.arm, g.group, g.metric) == (BASELINE, group, found.metric)), None)
        because = f"baseline rows^{base.exponent:.2f}" if base else ""
        if metric != PEAK_MEMORY:
            return Estimate(found.exponent, exact=True, note=because)
        ends = _added_bytes(result, arm, group)
        range_of = [growth_exponent(found.scales, [*found.values[:-1], end]) for end in ends if end > 0]
        if len(range_of) == 1:
            return Estimate(found.exponent, note=f"{because}, one process each")
        return Estimate(found.exponent, min(range_of), max(range_of), note=because)

    return measure


def plan_share(*, using_index: bool) -> Measure:
    """The share of statement shapes whose plan uses an index, or, with `using_index=False`, the number that scan a table."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        shapes = {s.sql: s for s in result.statements if s.arm == arm and s.plan}
        if not shapes:
            raise NotMeasurableError("no plans were taken")
        if using_index:
            found = sum(s.uses_index for s in shapes.values())
            return Estimate(found / len(shapes), exact=True, note=f"{found} of {len(shapes)} statement shapes")
        scanning = sorted({s.group for s in shapes.values() if s.scans_table})
        number = sum(s.scans_table for s in shapes.values())
        because = f"of {len(shapes)} statement shapes" + (f", in {', '.join(scanning)}" if scanning else "")
        return Estimate(number, exact=True, note=because)

    return measure


def verified(*groups: str) -> Measure:
    """That the arm gives the baseline's answers in these groups: arms that disagree fail the scenario, so those it cannot run lack.

    A group counts whether it was timed or not.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        if not result.verified_cases:
            raise NotMeasurableError("no answers were compared")
        broken = "; ".join(a.cannot_run for a in result.arms if a.name == arm and a.cannot_run)
        missing = [g for g in groups if f"; {g}: " in f"; {broken}"]
        because = f"{result.verified_cases} cases verified" + (f"; no answer for {', '.join(missing)}" if missing else "")
        return Estimate(1 - len(missing) / len(groups), exact=True, note=because)

    return measure


def shown(*says: str, invert: bool = True) -> Measure:
    """That none of the named findings shows on the arm (or, with `invert=False`, that all do)."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        found = [f for f in result.findings if f.arm == arm and f.message in says]
        good = [f for f in found if f.holds != invert]
        because = "; ".join(f.evidence for f in found) or "nothing found against it"
        return Estimate(len(good) / len(found) if found else 1.0, exact=True, note=because)

    return measure


def combine(measures: Sequence[Measure], how: Callable[[list[float]], float] = min) -> Measure:
    """Several measures as one, exact only if all are: the worst of them unless told otherwise."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        parts = [m(result, arm) for m in measures]
        because = "; ".join(p.note for p in parts if p.note)
        return Estimate(how([p.value for p in parts]), exact=all(p.exact for p in parts), note=because)

    return measure


def _ratio(result: ScenarioResult, arm: str, group: str) -> Ratio:
    found = next((r for r in result.ratios if (r.arm, r.group) == (arm, group)), None)
    if found is None:
        broken = next((a.cannot_run for a in result.arms if a.name == arm and a.cannot_run and f"{group}: " in a.cannot_run), None)
        raise NotMeasurableError(f"cannot run as written: {broken}" if broken else f"{group!r} was not timed here")
    return found


def _process_medians(result: ScenarioResult, arm: str, group: str) -> list[float]:
    found = next((x.process_medians_ns for x in result.latencies if (x.arm, x.group) == (arm, group)), None)
    if not found:
        raise NotMeasurableError(f"{group!r} was not timed here")
    return found


def exact_figure(result: ScenarioResult, arm: str, group: str, metric: str) -> WorkCount:
    """Return a figure of an arm, of one operation of a group or, with an empty group, of the arm itself.

    Raises:
        NotMeasurableError: it was not counted; where the arm cannot run as written, that is the reason.
    """
    metrics = _meant(metric)
    found = next((e for e in result.work_counts if (e.arm, e.group, e.scale) == (arm, group, 1.0) and e.metric in metrics), None)
    if found is None:
        broken = next((a.cannot_run for a in result.arms if a.name == arm and a.cannot_run), None)
        if broken and (not group or f"{group}: " in broken):
            raise NotMeasurableError(f"cannot run as written: {broken}")
        raise NotMeasurableError(f"{result.engine} counted no {named(metric)} for {arm}" + (f" in {group!r}" if group else ""))
    return found


def _meant(metric: str) -> tuple[str, ...]:
    return WORK_METRICS if metric == WORK else (metric,)


def named(metric: str) -> str:
    """Return a metric's name as a person reads it."""
    return " or ".join(_meant(metric)).replace("_", " ")


def _from_to(before: WorkCount, after: WorkCount) -> str:
    return f"{before.value:g} → {after.value:g} {after.metric.replace('_', ' ')}"


def _elsewhere(result: ScenarioResult) -> str:
    """Return where a figure stands that distance cannot change, for a result at a distance."""
    return "measured at the least distance of a run, since distance does not change it" if result.rtt_ms else ""


def _added_bytes(result: ScenarioResult, arm: str, group: str) -> list[float]:
    runs = [m for m in result.memory if (m.arm, m.group, m.scale) == (arm, group, 1.0) and m.limit_bytes is None]
    if not runs:
        raise NotMeasurableError(_elsewhere(result) or f"no memory measured for {arm} in {group!r}")
    error = next((m.error for m in runs if m.error), None)
    if error:
        raise NotMeasurableError(f"{arm} in {group!r}: {error}")
    return [float(m.added_bytes) for m in runs]
