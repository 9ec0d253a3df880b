"""How much shorter the slow operations are: ratios of percentiles as a table, ready for HTML or Markdown.

A percentile's ratio compares the slowest operations of two sides, which need not be the same cases.
"""

from __future__ import annotations

from harness.report.numbers import DASH, interval, times, whole
from harness.report.order import in_order
from harness.report.tables import Cell, Table, too_few
from harness.results.run import PercentileRatio, ScenarioResult
from harness.stats.intervals import QUANTILES


def ratios(result: ScenarioResult) -> Table | None:
    """Return how many times shorter each arm's percentiles are than the baseline's; None where nothing was timed in pairs."""
    found = in_order(result, result.percentile_ratios)
    if not found:
        return None
    labels = list(dict.fromkeys(r.percentile for r in found))
    rows: dict[tuple[str, str], dict[str, PercentileRatio]] = {}
    for ratio in found:
        rows.setdefault((ratio.group, ratio.arm), {})[ratio.percentile] = ratio
    head = ("cases", "arm", *(title for label in labels for title in (f"p{label} shorter", "95 % interval")), "n")
    return Table("Percentiles against the baseline's", head, tuple(_row(*key, by, labels) for key, by in rows.items()), names=2)


def _row(group: str, arm: str, by: dict[str, PercentileRatio], labels: list[str]) -> tuple[Cell, ...]:
    cells = [cell for label in labels for cell in _cells(by.get(label))]
    return (Cell(group), Cell(arm), *cells, Cell(whole(min(r.samples for r in by.values()))))


def _cells(ratio: PercentileRatio | None) -> tuple[Cell, Cell]:
    if ratio is None:
        return Cell(DASH), Cell(DASH)
    if ratio.ratio is None:
        return Cell("not resolvable", too_few(ratio.samples, QUANTILES[ratio.percentile])), Cell(DASH)
    why = "" if ratio.low is not None else "an interval needs more pairs"
    return Cell(times(ratio.ratio)), Cell(interval(ratio.low, ratio.high), why)
