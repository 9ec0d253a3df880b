"""Measurements as tables: ratios, percentiles, work counts, memory, growth, controls. Arms and groups in the scenario's order."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from harness.report.blocks import Cell, Table
from harness.report.numbers import DASH, Unit, exponent, interval, megabytes, percent, significant, times, unit_of, whole
from harness.results.run import AA_CONTROL, BASELINE, Latency, Memory, PercentileRatio, Ratio, ScenarioResult, WorkCount
from harness.stats.intervals import QUANTILES, SAMPLES_BEYOND

FEW_PROCESSES = "a confidence interval needs at least two processes"


class HasArmAndGroup(Protocol):
    """A record that was measured on one arm and one group of cases."""

    @property
    def arm(self) -> str:
        """The arm's name."""
        ...

    @property
    def group(self) -> str:
        """The group's name."""
        ...


M = TypeVar("M", bound=HasArmAndGroup)


def timed_arms(result: ScenarioResult) -> list[str]:
    """Return the arms that have measurements, in the scenario's order, without the A/A control."""
    items: list[HasArmAndGroup] = [*result.latencies, *result.work_counts, *result.memory]
    measured = dict.fromkeys(x.arm for x in items if x.arm != AA_CONTROL)
    listed = [arm.name for arm in result.arms if arm.name in measured]
    return [*listed, *(name for name in measured if name not in listed)]


def groups_of(result: ScenarioResult, items: Iterable[HasArmAndGroup]) -> list[str]:
    """Return the groups of cases that `items` have, in the scenario's order."""
    present = dict.fromkeys(item.group for item in items)
    return [group for group in result.groups if group in present] + [g for g in present if g not in result.groups]


def in_order(result: ScenarioResult, items: Sequence[M]) -> list[M]:
    """Return `items` by group and arm, in the scenario's order."""
    groups = {group: place for place, group in enumerate(groups_of(result, items))}
    arms = {arm.name: place for place, arm in enumerate(result.arms)}
    return sorted(items, key=lambda item: (groups[item.group], arms.get(item.arm, len(arms))))


def ratio_cell(ratio: float, low: float | None, high: float | None, missing: str = FEW_PROCESSES) -> Cell:
    """Return a ratio with its interval; the note has the reason if there is none."""
    bounds = interval(low, high)
    return Cell(times(ratio), "" if bounds else missing, bounds)


def ratios(result: ScenarioResult, *, with_control: bool = False) -> Table | None:
    """Return how many times faster each arm is than the baseline, with p50 and p95 before → after; None without ratios."""
    rows = []
    for r in in_order(result, result.ratios):
        if r.arm == AA_CONTROL and not with_control:
            continue
        title = f"{r.group}: {result.groups[r.group]}" if with_control and r.group in result.groups else r.group
        both = [next((x for x in result.latencies if (x.arm, x.group) == (arm, r.group)), None) for arm in (BASELINE, r.arm)]
        spread = f"{times(min(r.processes))} … {times(max(r.processes))}" if r.processes else DASH
        rows.append(
            (
                Cell(title),
                Cell(r.arm),
                ratio_cell(r.ratio, r.low, r.high),
                *(_before_after(both, label) for label in ("50", "95")),
                *map(Cell, (spread, whole(r.pairs), whole(len(r.processes)))),
            )
        )
    counts = ("min … max of processes", "pairs", "processes")
    head = ("cases", "arm", "times faster, 95 % CI", "p50", "p95", *counts)
    return Table("Times faster than the baseline", head, tuple(rows), names=2, grouped=True, wide=counts) if rows else None


def _before_after(both: list[Latency | None], label: str) -> Cell:
    values = [None if x is None else x.percentiles_ns.get(label) for x in both]
    if values == [None, None]:
        return Cell(DASH, "too few samples")
    unit = unit_of(x.percentiles_ns.get("50") or x.mean_ns for x in both if x is not None)
    return Cell(f"{unit.write(values[0])} → {unit.write(values[1])} {unit.name}")


def percentiles(result: ScenarioResult) -> list[Table]:
    """Return the arms' latencies, one table per group of cases, each in one unit of time."""
    tables = []
    for group in groups_of(result, result.latencies):
        found = [x for x in in_order(result, result.latencies) if x.group == group and x.arm != AA_CONTROL]
        if not found:
            continue
        unit = unit_of([v for x in found for v in (x.percentiles_ns.get("50"), x.mean_ns)])
        head = ("arm", *(f"p{label}" for label in QUANTILES), "max", "mean", "n")
        tables.append(Table(f"{group}, latency in {unit.name}", head, tuple(_percentile_row(x, unit) for x in found)))
    return tables


def _percentile_row(latency: Latency, unit: Unit) -> tuple[Cell, ...]:
    shown = [(latency.percentiles_ns.get(label), quantile) for label, quantile in QUANTILES.items()]
    cells = [Cell(unit.write(value), "" if value is not None else too_few(latency.samples, q)) for value, q in shown]
    ends = [Cell(unit.write(latency.max_ns)), Cell(unit.write(latency.mean_ns)), Cell(whole(latency.samples))]
    return (Cell(latency.arm), *cells, *ends)


def too_few(samples: int, quantile: float) -> str:
    """Return why `samples` samples do not support a quantile."""
    needed = math.ceil(SAMPLES_BEYOND / (1 - quantile) - 1e-6)
    return f"too few samples: {needed:,} are needed, there are {samples:,}"


def percentile_ratios(result: ScenarioResult) -> Table | None:
    """Return how many times shorter each arm's percentiles are than the baseline's; None if nothing was timed in pairs.

    A percentile's ratio compares the slowest operations of two sides, which need not be the same cases.
    """
    found = in_order(result, result.percentile_ratios)
    labels = list(dict.fromkeys(r.percentile for r in found))
    by_row: dict[tuple[str, str], dict[str, PercentileRatio]] = {}
    for ratio in found:
        by_row.setdefault((ratio.group, ratio.arm), {})[ratio.percentile] = ratio
    rows = [
        (Cell(group), Cell(arm), *(_percentile_cell(by.get(q)) for q in labels), Cell(whole(min(r.samples for r in by.values()))))
        for (group, arm), by in by_row.items()
    ]
    head = ("cases", "arm", *(f"p{label}, times faster" for label in labels), "n")
    return Table("Percentiles: baseline ÷ arm, 95 % CI", head, tuple(rows), names=2, grouped=True) if rows else None


def _percentile_cell(ratio: PercentileRatio | None) -> Cell:
    if ratio is None:
        return Cell(DASH, "not measured")
    if ratio.ratio is None:
        return Cell("not resolvable", too_few(ratio.samples, QUANTILES[ratio.percentile]))
    return ratio_cell(ratio.ratio, ratio.low, ratio.high, "a confidence interval needs more pairs")


def work_counts(result: ScenarioResult) -> Table | None:
    """Return the work counts per operation, arms side by side with the ratio to the baseline; None without any."""
    counted = {(x.group, x.metric.replace("_", " "), x.arm): x for x in result.work_counts if x.scale == 1.0}
    if not counted:
        return None
    arms = [arm for arm in timed_arms(result) if any(name == arm for _, _, name in counted)]
    rows = [_count_row(*key, arms, counted) for key in dict.fromkeys((group, metric) for group, metric, _ in counted)]
    rank = {group: place for place, group in enumerate(groups_of(result, result.work_counts))}
    rows.sort(key=lambda row: rank[row[0].text])
    return Table("Work counts per operation", ("cases", "count", *arms), tuple(rows), names=2, grouped=True)


def _count_row(group: str, metric: str, arms: list[str], counted: Mapping[tuple[str, str, str], WorkCount]) -> tuple[Cell, ...]:
    base = counted.get((group, metric, BASELINE))
    cells = []
    for arm in arms:
        found = counted.get((group, metric, arm))
        if found is None:
            cells.append(Cell(DASH, "not counted for this arm"))
            continue
        change = "" if arm == BASELINE or base is None else _change(base.value, found.value)
        text = ("" if found.repeats_exactly else "≈ ") + whole(found.value) + change
        cells.append(Cell(text, "" if found.repeats_exactly else "differed between repeats"))
    return (Cell(group), Cell(metric), *cells)


def _change(before: float, after: float) -> str:
    if before == after:
        return ""
    if before == 0 or after == 0:
        return " (none before)" if before == 0 else " (none left)"
    return f" ({significant(before / after)}× less)" if after < before else f" ({significant(after / before)}× as much)"


def memory(result: ScenarioResult) -> Table | None:
    """Return each arm's memory for one operation, in MB; None if none was measured."""
    found = in_order(result, result.memory)
    if not found:
        return None
    groups = groups_of(result, found)
    found.sort(key=lambda m: (groups.index(m.group), m.limit_bytes or 0, m.scale))
    scales = len({m.scale for m in found}) > 1
    limits = any(m.limit_bytes for m in found)
    head = ["cases", "arm", "outcome", *(["share of the rows"] * scales), "idle MB", "peak MB", "added MB", "change from baseline"]
    head += ["seconds", "rows", *(["limit MB"] * limits)]
    rows = tuple(_memory_row(m, _twin(m, found), scales=scales, limits=limits) for m in found)
    return Table("Memory of one operation, each arm in its own process", tuple(head), rows, names=3, grouped=True)


def _twin(memory_run: Memory, runs: list[Memory]) -> Memory | None:
    key = (memory_run.group, memory_run.scale, memory_run.limit_bytes)
    same = [m for m in runs if m.arm == BASELINE and (m.group, m.scale, m.limit_bytes) == key and m.error is None]
    return same[0] if same and memory_run.arm != BASELINE and memory_run.error is None else None


def _memory_row(run: Memory, base: Memory | None, *, scales: bool, limits: bool) -> tuple[Cell, ...]:
    against = Cell(DASH, "" if run.arm == BASELINE else "no baseline to compare with")
    if base is not None and base.added_bytes > 0:
        against = Cell(f"{run.added_bytes / base.added_bytes - 1:+.0%}".replace("-", "\u2212").replace("%", " %"))
    return (
        Cell(run.group),
        Cell(run.arm),
        Cell(run.error or "completed"),
        *([Cell(f"{run.scale:g}")] * scales),
        Cell(megabytes(run.idle_bytes)),
        Cell(megabytes(run.peak_bytes)),
        Cell(megabytes(run.added_bytes)),
        against,
        Cell(significant(run.seconds)),
        Cell(DASH, "not counted") if run.rows is None else Cell(whole(run.rows)),
        *([Cell(megabytes(run.limit_bytes)) if run.limit_bytes else Cell(DASH, "no limit")] * limits),
    )


def growth(result: ScenarioResult) -> Table | None:
    """Return how each figure grows with the rows; None if it was not measured at several sizes."""
    rows = tuple(
        (
            Cell(g.group),
            Cell(g.metric.replace("_", " ")),
            Cell(g.arm),
            Cell(f"{times(10**g.exponent)} the cost"),
            Cell(exponent(g.exponent).removeprefix("exponent "), "0 is constant, 1 is linear, 2 is quadratic"),
            Cell(", ".join(f"{scale:g}" for scale in g.scales)),
        )
        for g in in_order(result, result.growth)
    )
    head = ("cases", "figure", "arm", "10× the rows", "exponent", "fitted at shares of the rows")
    return Table("Growth of the cost with the rows", head, rows, names=3, grouped=True) if rows else None


def aa_controls(result: ScenarioResult) -> list[Ratio]:
    """Return the A/A control's ratios: the baseline against itself."""
    return [r for r in result.ratios if r.arm == AA_CONTROL]


def controls(result: ScenarioResult) -> list[Table]:
    """Return a table of the controls that were timed between pairs, and one of the injected slowdowns; none if there are none."""
    made = []
    if result.controls.drifts:
        head: tuple[str, ...] = ("control", "median, ms", "second half ÷ first", "explained by noise", "readings")
        drifts = [
            (d.name, f"{d.median_ns / 1e6:.3f}", f"{d.ratio:.3f}", f"±{d.explained * 100:.1f} %", whole(d.samples))
            for d in result.controls.drifts
        ]
        rows = tuple(tuple(map(Cell, row)) for row in drifts)
        made.append(Table("Controls between pairs: drift of the machine within a process", head, rows))
    if result.controls.injected:
        head = ("cases", "injected", "measured", "95 % CI", "detected", "pairs")
        injected = tuple(
            (
                Cell(p.group),
                Cell(percent(p.share)),
                Cell(percent(p.slower)),
                Cell(DASH, FEW_PROCESSES) if p.low is None or p.high is None else Cell(f"{percent(p.low)} … {percent(p.high)}"),
                Cell("yes" if p.found else "no"),
                Cell(whole(p.pairs)),
            )
            for p in result.controls.injected
        )
        made.append(Table("Slowdown injected into the baseline", head, injected))
    return made
