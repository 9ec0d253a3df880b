"""Two compared files: every benchmark's ratio with its interval, and the band of the drift."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from harness.report.numbers import times
from harness.report.svg import ARM_COLOURS, GRID, INCH, INK, MUTED, interval_mark, row_axes, shorten
from harness.results.run import PromiseVerdict, Run, Verdict

ORDER = 90
TITLE = "How many times faster, before ÷ after"
HOW_TO_READ = (
    "right of 1 is faster after, left of 1 slower. Bars: 95 % confidence intervals; hollow marks have none. "
    "Differences inside the grey band can be drift between two runs of the same code."
)
WIDTH, LEFT, RIGHT = 1160.0, 420.0, 200.0
TOP, FOOT, ROW = 8.0, 34.0, 22.0
MOST = 60
"""The most rows that are drawn, those with the largest changes; the table has all."""

LEAST_REACH, LARGE_REACH = 2.2, 100.0
"""The smallest end of the axis, and the end from which only powers of ten are labelled."""


def draw_run(run: Run) -> Figure | None:
    """Draw one row per benchmark, the largest changes first; None for any other kind of run."""
    if run.kind != "comparison":
        return None
    found = [v for result in run.scenarios for v in result.verdicts if v.value]
    verdicts = sorted(found, key=lambda v: abs_change(v.value or 1.0), reverse=True)[:MOST]
    if not verdicts:
        return None
    tall = ROW * len(verdicts)
    drawing, axes = row_axes(WIDTH, (LEFT, RIGHT), tall, (TOP, FOOT))
    axes.set_xscale("log")
    bounds = [b for v in verdicts for b in (v.value, v.low, v.high) if b]
    reach = max(LEAST_REACH, *(abs_change(b) * 1.1 for b in bounds))
    axes.set_xlim(1 / reach, reach)
    drift = drift_of(run)
    if drift is not None:
        axes.axvspan(1 / (1 + drift), 1 + drift, color=GRID, linewidth=0)
    axes.axvline(1, color=INK, linewidth=0.9)
    for number, verdict in enumerate(verdicts):
        _row(drawing, axes, verdict, ROW * (number + 0.5), 1 - (TOP + ROW * (number + 0.5)) / (drawing.get_figheight() * INCH))
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0) if reach < LARGE_REACH else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("times faster (log)")
    return drawing


def abs_change(ratio: float) -> float:
    """Return the size of a change, the same for twice as fast and twice as slow."""
    return max(ratio, 1 / ratio)


def drift_of(run: Run) -> float | None:
    """Return the drift that a comparison allowed for, as a share; None if it cannot be read."""
    try:
        return float(run.environment["drift"].removesuffix("%")) / 100
    except (KeyError, ValueError):
        return None


def _row(drawing: Figure, axes: Axes, verdict: Verdict, y: float, at: float) -> None:
    assert verdict.value is not None
    colours = {PromiseVerdict.IMPROVED: ARM_COLOURS[1], PromiseVerdict.REGRESSED: ARM_COLOURS[0]}
    colour = colours.get(verdict.verdict, MUTED)
    bounds = (verdict.low or None, verdict.high or None)
    interval_mark(axes, verdict.value, bounds, y, colour, hollow=None in bounds)
    drawing.text(8 / WIDTH, at, shorten(verdict.promise, LEFT - 24), va="center", fontsize=10)
    words = f"{times(verdict.value)}  {verdict.verdict}"
    drawing.text(1 - (RIGHT - 12) / WIDTH, at, words, va="center", fontsize=10, color=INK if verdict.verdict in colours else MUTED)
