"""Two compared files: every benchmark's ratio with its interval, and the band of the drift."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from harness.report.numbers import times
from harness.report.svg import ARM_COLOURS, GRID, INK, MUTED, interval_mark, row_axes, write
from harness.results.run import PromiseVerdict, Run, RunKind, Verdict

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

LARGE_REACH = 100.0
"""The end of the axis from which only powers of ten are labelled."""


def draw_run(run: Run) -> Figure | None:
    """Draw one row per benchmark, the largest changes first; None for any other kind of run."""
    found = [v for result in run.scenarios for v in result.verdicts if v.value] if run.kind == RunKind.COMPARISON else []
    verdicts = sorted(found, key=lambda v: abs_change(v.value or 1.0), reverse=True)[:MOST]
    if not verdicts:
        return None
    drawing, axes = row_axes(WIDTH, (LEFT, RIGHT), ROW * len(verdicts), (TOP, FOOT))
    reach = max(2.2, *(abs_change(b) * 1.1 for v in verdicts for b in (v.value, v.low, v.high) if b))
    axes.set(xscale="log", xlim=(1 / reach, reach), xlabel="times faster (log)")
    drift = drift_of(run)
    if drift is not None:
        axes.axvspan(1 / (1 + drift), 1 + drift, color=GRID, linewidth=0)
    axes.axvline(1, color=INK, linewidth=0.9)
    for number, verdict in enumerate(verdicts):
        _row(axes, verdict, ROW * (number + 0.5))
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0) if reach < LARGE_REACH else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_formatter("")
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


def _row(axes: Axes, verdict: Verdict, y: float) -> None:
    assert verdict.value is not None
    colours = {PromiseVerdict.IMPROVED: ARM_COLOURS[1], PromiseVerdict.REGRESSED: ARM_COLOURS[0]}
    bounds = (verdict.low or None, verdict.high or None)
    interval_mark(axes, verdict.value, bounds, y, colours.get(verdict.verdict, MUTED), hollow=None in bounds)
    write(axes, 8, y, verdict.promise, LEFT - 24, fontsize=10)
    colour = INK if verdict.verdict in colours else MUTED
    write(axes, WIDTH - RIGHT + 12, y, f"{times(verdict.value)}  {verdict.verdict}", fontsize=10, color=colour)
