"""Measurements side by side, ready to be written as HTML or Markdown: ratios, percentiles, exact work, memory, growth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness.report.numbers import DASH, Unit, interval, megabytes, power, significant, times, unit_of, whole
from harness.report.order import groups_of, in_order, timed_arms
from harness.results.run import AA_CONTROL, BASELINE, Latency, Memory, Ratio, ScenarioResult, WorkCount
from harness.stats.intervals import QUANTILES, SAMPLES_BEYOND


@dataclass(frozen=True)
class Cell:
    """One cell. `note` explains it: what a dash stands for, or where a figure comes from."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first `names` columns are words and whose others are figures. Its first column heads the rows."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    names: int = 1


def ratios(result: ScenarioResult, *, blocks: bool = False) -> Table | None:
    """Return how many times faster each arm is than the baseline, by group; None without ratios. The A/A control is apart."""
    found = [r for r in in_order(result, result.ratios) if r.arm != AA_CONTROL]
    if not found:
        return None
    counted = "blocks" if blocks else "pairs"
    head = ("cases", "arm", "times faster", "95 % interval", "least … most of a process", counted, "processes")
    return Table("Times faster than the baseline", head, tuple(_ratio_row(r) for r in found), names=2)


def _ratio_row(ratio: Ratio) -> tuple[Cell, ...]:
    spread = f"{times(min(ratio.processes))} … {times(max(ratio.processes))}" if ratio.processes else DASH
    why = "" if ratio.low is not None else "an interval needs at least two processes"
    return (
        Cell(ratio.group),
        Cell(ratio.arm),
        Cell(times(ratio.ratio)),
        Cell(interval(ratio.low, ratio.high), why),
        Cell(spread),
        Cell(whole(ratio.pairs)),
        Cell(whole(len(ratio.processes))),
    )


def percentiles(result: ScenarioResult) -> list[Table]:
    """Return the arms' latencies, one table a group of cases, each in one unit of time."""
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
    """Return why so many samples do not show a quantile."""
    needed = math.ceil(SAMPLES_BEYOND / (1 - quantile) - 1e-6)
    return f"too few samples: {needed:,} are needed, there are {samples:,}"


def exact(result: ScenarioResult) -> Table | None:
    """Return the exact work per operation, arms side by side with the ratio to the baseline; None without any."""
    counted = {(x.group, x.metric.replace("_", " "), x.arm): x for x in result.work_counts if x.scale == 1.0}
    if not counted:
        return None
    arms = [arm for arm in timed_arms(result) if any(of == arm for _, _, of in counted)]
    rows = [_exact_row(*named, arms, counted) for named in dict.fromkeys((group, metric) for group, metric, _ in counted)]
    rank = {group: place for place, group in enumerate(groups_of(result, result.work_counts))}
    rows.sort(key=lambda row: rank[row[0].text])
    return Table("Work per operation, counted exactly", ("cases", "what", *arms), tuple(rows), names=2)


def _exact_row(group: str, metric: str, arms: list[str], counted: Mapping[tuple[str, str, str], WorkCount]) -> tuple[Cell, ...]:
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
    return f" ({significant(before / after)}× less)" if after < before else f" ({significant(after / before)}× more)"


def memory(result: ScenarioResult) -> Table | None:
    """Return each arm's memory for one operation, in MB; None where none was measured."""
    found = in_order(result, result.memory)
    if not found:
        return None
    groups = groups_of(result, found)
    found.sort(key=lambda m: (groups.index(m.group), m.limit_bytes or 0, m.scale))
    scales = len({m.scale for m in found}) > 1
    limits = any(m.limit_bytes for m in found)
    head = ["cases", "arm", "outcome", *(["share of the rows"] * scales), "idle MB", "peak MB", "added MB", "against baseline"]
    head += ["seconds", "rows", *(["limit MB"] * limits)]
    rows = tuple(_memory_row(m, _twin(m, found), scales=scales, limits=limits) for m in found)
    return Table("Memory of one operation, each arm in a process of its own", tuple(head), rows, names=3)


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
        Cell(run.error or "ended well"),
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
    """Return how each figure grows with the rows, as exponents; None where it was not measured at several sizes."""
    if not result.growth:
        return None
    rows = tuple(
        (
            Cell(g.group),
            Cell(g.metric.replace("_", " ")),
            Cell(g.arm),
            Cell(power(g.exponent), "0 is constant, 1 is linear, 2 is quadratic"),
            Cell(f"{times(10**g.exponent)}"),
            Cell(", ".join(f"{scale:g}" for scale in g.scales)),
        )
        for g in in_order(result, result.growth)
    )
    head = ("cases", "what", "arm", "growth", "for ten times the rows", "fitted over shares")
    return Table("How cost grows with the data", head, rows, names=3)


def controls(result: ScenarioResult) -> list[Ratio]:
    """Return the A/A control's ratios: the baseline against itself."""
    return [r for r in result.ratios if r.arm == AA_CONTROL]
