"""Measures for promises: each function here returns a `Measure`, for use in a scenario's promises.

All read only the scenario's result. A missing figure raises NotMeasurableError; its message becomes the verdict's sentence.
"""

import math
from collections.abc import Callable, Sequence

from harness.errors import NotMeasurableError
from harness.results.run import BASELINE, PEAK_MEMORY, Ratio, ScenarioResult, WorkCount
from harness.stats.intervals import geometric_mean, growth_exponent, mean_interval, median
from harness.verdicts.promise import EXPONENT, TIME, Estimate, Measure, format_figure

WORK = "work"
"""As a metric: the engine's measure of work, whichever it counts."""

WORK_METRICS = ("vm_steps", "blocks")
"""The work counts of engines: SQLite's virtual-machine steps, PostgreSQL's blocks."""


def speedup(*groups: str) -> Measure:
    """Measure times faster than the baseline, from paired times; of several groups the geometric mean, process by process."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        ratios = [_ratio(result, arm, group) for group in groups]
        note = ", ".join(f"{r.group} {r.ratio:.2f}×" for r in ratios) if len(ratios) > 1 else ""
        if len(ratios) == 1:
            return Estimate(ratios[0].ratio, ratios[0].low, ratios[0].high)
        processes = [[math.log(p) for p in parts] for parts in zip(*(r.processes for r in ratios), strict=False)]
        centre = mean_interval([math.fsum(parts) / len(parts) for parts in processes])
        value = geometric_mean([r.ratio for r in ratios])
        if centre.low is None or centre.high is None:
            return Estimate(value, note=note)
        return Estimate(value, math.exp(centre.low), math.exp(centre.high), note=note)

    return measure


def slowdown(group: str) -> Measure:
    """Measure times as long as the baseline, from paired times: the inverse of `speedup`. Shown as a cost: `+12 % time`."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        ratio = _ratio(result, arm, group)
        low, high = (None if b is None else 1 / b for b in (ratio.high, ratio.low))
        return Estimate(1 / ratio.ratio, low, high, unit=TIME)

    return measure


def less_time(group: str) -> Measure:
    """Measure the share of the baseline's time that is saved, from paired times."""
    faster = speedup(group)

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        ratio = faster(result, arm)
        low, high = (None if bound is None else 1 - 1 / bound for bound in (ratio.low, ratio.high))
        return Estimate(1 - 1 / ratio.value, low, high)

    return measure


def latency(group: str, unit: str = "ms") -> Measure:
    """Measure an arm's median latency in "ms" or "s", with the interval over its processes' medians."""
    per_unit = {"ms": 1e6, "s": 1e9}[unit]

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        centre = mean_interval([ns / per_unit for ns in _process_medians(result, arm, group)])
        p95 = next(x.percentiles_ns.get("95") for x in result.latencies if (x.arm, x.group) == (arm, group))
        note = f"p95 {p95 / per_unit:.2f} {unit}" if p95 is not None else ""
        return Estimate(centre.value, None if centre.low is None else max(0.0, centre.low), centre.high, note=note)

    return measure


def fewer(metric: str, group: str) -> Measure:
    """Measure the share of the baseline's work count that is saved: 51 → 2 statements is 0.96."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = exact_figure(result, BASELINE, group, metric), exact_figure(result, arm, group, metric)
        if before.value == 0:
            raise NotMeasurableError(
                f"the baseline has no {named(metric)}" + (f" in {group!r}" if group else "") + ": nothing to cut"
            )
        return Estimate(1 - after.value / before.value, exact=True, note=_from_to(before, after))

    return measure


def fewer_times(metric: str, group: str) -> Measure:
    """Measure the baseline's work count ÷ the arm's: 100 → 4 VM steps is 25."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = exact_figure(result, BASELINE, group, metric), exact_figure(result, arm, group, metric)
        if after.value == 0:
            raise NotMeasurableError(f"{arm} counts no {metric} in {group!r}")
        return Estimate(before.value / after.value, exact=True, note=_from_to(before, after))

    return measure


def times_as_long(group: str, as_group: str) -> Measure:
    """Measure an arm's time in one group ÷ its time in another, from its medians, process by process. Shown as `+12 % time`."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        medians = [_process_medians(result, arm, name) for name in (group, as_group)]
        centre = mean_interval([math.log(long / short) for long, short in zip(*medians, strict=True)])
        low, high = (None if b is None else math.exp(b) for b in (centre.low, centre.high))
        return Estimate(math.exp(centre.value), low, high, note=f"{group} against {as_group}", unit=TIME)

    return measure


def count(metric: str, group: str) -> Measure:
    """Measure a work count of the arm itself, per operation."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        value = exact_figure(result, arm, group, metric)
        before = exact_figure(result, BASELINE, group, metric)
        return Estimate(value.value, exact=True, note=f"baseline {before.value:g}")

    return measure


def memory_cut(group: str) -> Measure:
    """Measure the share of the baseline's peak memory of one operation that is saved, each side in its own child processes.

    The interval is the range over the processes: the baseline's minimum against the arm's maximum, and vice versa.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = _added_bytes(result, BASELINE, group), _added_bytes(result, arm, group)
        if min(before) == 0:
            raise NotMeasurableError(f"the baseline adds no memory in {group!r}")
        middle_before, middle_after = median(before), median(after)
        note = f"{middle_before / 1e6:.1f} → {middle_after / 1e6:.1f} MB added"
        value = 1 - middle_after / middle_before
        if min(len(before), len(after)) == 1:
            return Estimate(value, note=f"{note}, one process each")
        return Estimate(value, 1 - max(after) / min(before), 1 - min(after) / max(before), note=note)

    return measure


def survives(group: str) -> Measure:
    """Measure whether the operation completes under the scenario's memory limit for the group."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        runs = [m for m in result.memory if (m.arm, m.group) == (arm, group) and m.limit_bytes is not None]
        if not runs:
            raise NotMeasurableError(_elsewhere(result) or f"{group!r} was not run under a memory limit")
        base = next((m for m in result.memory if (m.arm, m.group) == (BASELINE, group) and m.limit_bytes is not None), None)
        outcome = f"; baseline: {base.error or 'completes'}" if base and arm != BASELINE else ""
        limit = f"{runs[0].limit_bytes / 1e6:.0f} MB" if runs[0].limit_bytes else ""
        failed = next((m.error for m in runs if m.error), None)
        note = f"under {limit}: {failed or 'completes'}{outcome}"
        return Estimate(sum(m.error is None for m in runs) / len(runs), exact=True, note=note, checks=len(runs))

    return measure


def growth(metric: str, group: str) -> Measure:
    """Measure the exponent k with which a work count or "peak_memory" grows with the rows: 0 is constant, 1 linear, 2 quadratic.

    Memory is not exact: its interval is the range of the exponents from each process at full size.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        found = next((g for g in result.growth if (g.arm, g.group) == (arm, group) and g.metric in _meant(metric)), None)
        if found is None:
            raise NotMeasurableError(_elsewhere(result) or f"{named(metric)} of {group!r} was not measured at several sizes")
        base = next((g for g in result.growth if (g.arm, g.group, g.metric) == (BASELINE, group, found.metric)), None)
        note = f"baseline {format_figure(base.exponent, EXPONENT)}" if base else ""
        if metric != PEAK_MEMORY:
            return Estimate(found.exponent, exact=True, note=note)
        ends = _added_bytes(result, arm, group)
        range_of = [growth_exponent(found.scales, [*found.values[:-1], end]) for end in ends if end > 0]
        if len(range_of) == 1:
            return Estimate(found.exponent, note=f"{note}, one process each")
        return Estimate(found.exponent, min(range_of), max(range_of), note=note)

    return measure


def plan_share(*, using_index: bool) -> Measure:
    """Measure the share of statement shapes whose plan uses an index or, with `using_index=False`, the number that scan a table."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
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

    return measure


def verified(*groups: str) -> Measure:
    """Measure the share of these groups in which the arm gives the baseline's answers, timed or not.

    Arms that disagree fail the scenario, so that only groups which the arm cannot run are missing.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        if not result.verified_cases:
            raise NotMeasurableError("no answers were compared")
        missing = [g for g in groups if g in _errors(result, arm)]
        note = f"{result.verified_cases} answers equal" + (f"; no answer for {', '.join(missing)}" if missing else "")
        return Estimate(1 - len(missing) / len(groups), exact=True, note=note, checks=len(groups))

    return measure


def shown(*messages: str, invert: bool = True) -> Measure:
    """Measure the share of the named findings that were not observed on the arm, or with `invert=False`, that were."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        found = [f for f in result.findings if f.arm == arm and f.message in messages]
        good = [f for f in found if f.holds != invert]
        note = "; ".join(f.evidence for f in found) or "nothing observed against it"
        return Estimate(len(good) / len(found) if found else 1.0, exact=True, note=note, checks=len(found) or None)

    return measure


def combine(measures: Sequence[Measure], how: Callable[[list[float]], float] = min) -> Measure:
    """Combine several measures with `how`, by default the smallest; exact only if all are."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        parts = [m(result, arm) for m in measures]
        note = "; ".join(p.note for p in parts if p.note)
        value = how([p.value for p in parts])
        checks = next((p.checks for p in parts if p.value == value), None)
        return Estimate(value, exact=all(p.exact for p in parts), note=note, checks=checks)

    return measure


def _ratio(result: ScenarioResult, arm: str, group: str) -> Ratio:
    found = next((r for r in result.ratios if (r.arm, r.group) == (arm, group)), None)
    if found is None:
        error = _errors(result, arm).get(group)
        raise NotMeasurableError(f"cannot run as written: {group}: {error}" if error else f"{group!r} was not timed here")
    return found


def _errors(result: ScenarioResult, arm: str) -> dict[str, str]:
    """Return group → error, of the groups that an arm cannot run as written."""
    return next((a.errors for a in result.arms if a.name == arm), {})


def _process_medians(result: ScenarioResult, arm: str, group: str) -> list[float]:
    found = next((x.process_medians_ns for x in result.latencies if (x.arm, x.group) == (arm, group)), None)
    if not found:
        raise NotMeasurableError(f"{group!r} was not timed here")
    return found


def exact_figure(result: ScenarioResult, arm: str, group: str, metric: str) -> WorkCount:
    """Return a work count of an arm, per operation of a group or, with an empty group, of the arm itself.

    Raises:
        NotMeasurableError: it was not counted; if the arm cannot run as written, that is the reason.
    """
    metrics = _meant(metric)
    found = next((e for e in result.work_counts if (e.arm, e.group, e.scale) == (arm, group, 1.0) and e.metric in metrics), None)
    if found is None:
        errors = _errors(result, arm)
        for stopped in (group,) if group else errors:
            if stopped in errors:
                raise NotMeasurableError(f"cannot run as written: {stopped}: {errors[stopped]}")
        raise NotMeasurableError(f"{result.engine} counted no {named(metric)} for {arm}" + (f" in {group!r}" if group else ""))
    return found


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


def _added_bytes(result: ScenarioResult, arm: str, group: str) -> list[float]:
    runs = [m for m in result.memory if (m.arm, m.group, m.scale) == (arm, group, 1.0) and m.limit_bytes is None]
    if not runs:
        raise NotMeasurableError(_elsewhere(result) or f"no memory measured for {arm} in {group!r}")
    error = next((m.error for m in runs if m.error), None)
    if error:
        raise NotMeasurableError(f"{arm} in {group!r}: {error}")
    return [float(m.added_bytes) for m in runs]
