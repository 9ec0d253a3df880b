"""The page of one result file, or of two compared: what it shows, from the tables of `harness.report.comparison`."""

import math
from dataclasses import dataclass

from harness.report import comparison, headings
from harness.report.blocks import Cell
from harness.results.names import shortened, visible
from harness.results.run import Run, RunKind

MOST = 60
"""The most rows in front; the others are folded."""
FEW = 20
"""The number of benchmarks up to which none is folded."""
LEAST_REACH = 1.5
"""The axis of the bars always reaches this far, as times, in both directions."""
MOST_REACH = 100.0


@dataclass(frozen=True)
class RatioBar:
    """A ratio on the logarithmic axis of all rows, in percent of its width from the left."""

    at: float
    low: float | None
    high: float | None


Row = tuple[tuple[Cell, ...], RatioBar | None]


def content(run: Run) -> dict[str, object]:
    """Return what the template shows of a run of files."""
    both = run.kind == RunKind.COMPARISON
    table = comparison.front(run) if both else comparison.table(run)
    found = comparison.benchmarks(run)
    decided = [comparison.is_decided(x) or comparison.is_total(x.name) or not both for x in found]
    if len(found) <= FEW or not any(decided):
        decided = [True] * len(found)
    places = [place for place, is_front in enumerate(decided) if is_front][:MOST]
    rest = [place for place in range(len(found)) if place not in set(places)]
    bars = _bars(found) if both else [None] * len(found)
    rows: list[Row] = list(zip(table.rows, bars, strict=True))
    return {
        "heading": headings.of_files(run),
        "name": shortened(visible(run.name)),
        "both": both,
        "sides": comparison.sides(run),
        "benchmarks": table,
        "front": [rows[place] for place in places],
        "rest": [rows[place] for place in rest],
        "drift": _drift(run, _reach(found)) if both else None,
        "counts": comparison.counts_of(found[place] for place in rest) if both else "",
        "warnings": comparison.warnings(run, with_regressed=False),
        "details": [each for each in (comparison.tails(run), comparison.metrics(run)) if each],
        "read": comparison.READ if both else (),
        "files": comparison.files(run),
    }


def _reach(found: list[comparison.FileBenchmark]) -> float:
    """Return the end of the axis of the bars, as times, the same in both directions."""
    values = [bound for x in found if (v := x.verdict) is not None for bound in (v.value, v.low, v.high) if bound]
    return min(MOST_REACH, max([LEAST_REACH, *(comparison.abs_change(value) * 1.05 for value in values)]))


def _bars(found: list[comparison.FileBenchmark]) -> list[RatioBar | None]:
    """Return a bar per benchmark that has a ratio."""
    reach = _reach(found)
    bars: list[RatioBar | None] = []
    for x in found:
        verdict = x.verdict
        if verdict is None or not verdict.value or verdict.value < 0:
            bars.append(None)
            continue
        low, high = (_at(bound, reach) if bound else None for bound in (verdict.low, verdict.high))
        bars.append(RatioBar(_at(verdict.value, reach), low, high))
    return bars


def _at(value: float, reach: float) -> float:
    """Return the place of a ratio on the axis; what lies beyond is at the end."""
    return round(50 + 50 * max(-1.0, min(1.0, math.log(value) / math.log(reach))), 1)


def _drift(run: Run, reach: float) -> tuple[float, float] | None:
    """Return the ends of the band of the drift on the axis; None if it is not known."""
    drift = comparison.drift_of(run)
    if drift is None:
        return None
    right = _at(1 + drift, reach)
    return round(100 - right, 1), right
