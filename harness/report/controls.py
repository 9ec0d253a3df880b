"""The controls of a scenario as tables: what has nothing to do with any arm, and a slow-down that was planted."""

from __future__ import annotations

from harness.report.numbers import DASH, whole
from harness.report.tables import Cell, Table
from harness.results.run import Drift, InjectedSlowdown, ScenarioResult


def tables(result: ScenarioResult) -> list[Table]:
    """Return a table of the controls that were timed between pairs, and one of what was planted; none where there are none."""
    made = []
    if result.controls.drifts:
        head = ("control", "median, ms", "second half ÷ first", "by its noise up to", "readings")
        rows = tuple(_drift(d) for d in result.controls.drifts)
        made.append(Table("Controls between pairs: how the machine changed within a process", head, rows))
    if result.controls.injected:
        what = ("cases", "planted", "measured", "95 % interval", "found", "pairs")
        made.append(Table("A slow-down planted in the baseline", what, tuple(_planted(p) for p in result.controls.injected)))
    return made


def _drift(drift: Drift) -> tuple[Cell, ...]:
    middle, noise = f"{drift.median_ns / 1e6:.3f}", f"±{drift.explained * 100:.1f} %"
    return tuple(Cell(text) for text in (drift.name, middle, f"{drift.ratio:.3f}", noise, whole(drift.samples)))


def _planted(planted: InjectedSlowdown) -> tuple[Cell, ...]:
    bounded = planted.low is not None and planted.high is not None
    interval = f"{_percent(planted.low)} … {_percent(planted.high)}" if bounded else DASH
    return (
        Cell(planted.group),
        Cell(_percent(planted.share)),
        Cell(_percent(planted.slower)),
        Cell(interval, "" if bounded else "an interval needs at least two processes"),
        Cell("yes" if planted.found else "no"),
        Cell(whole(planted.pairs)),
    )


def _percent(share: float | None) -> str:
    return DASH if share is None else f"{share * 100:+.1f} %"
