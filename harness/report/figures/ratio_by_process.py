"""The paired ratio with its interval, and the fresh processes that it comes from."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.figures import Samples
from harness.report.numbers import ratio_with_interval
from harness.report.svg import INK, MUTED, log_axis, row_axes, shorten, styles_of
from harness.report.tables import groups_of
from harness.results.run import AA_CONTROL, Ratio, ScenarioResult

ORDER = 10
TITLE = "Times faster than the baseline, by process"
HOW_TO_READ = (
    "right of 1 is faster. Small dots: the median of each fresh process. Large mark and bar: their mean and 95 % confidence "
    "interval. The A/A control is the baseline against itself: it should be at 1."
)
WIDTH, LEFT, RIGHT = 560.0, 118.0, 138.0
TOP, FOOT = 6.0, 40.0
HEADING, ROW = 24.0, 19.0


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:  # noqa: ARG001 - all figures have one signature
    """Draw one row per arm and group, with the A/A control; None without ratios, or under load, which has other figures."""
    groups = groups_of(result, result.ratios)
    if not groups or result.load is not None:
        return None
    styles = styles_of(result, (r.arm for r in result.ratios))
    tall = HEADING * len(groups) + ROW * len(result.ratios) + 4
    drawing, axes = row_axes(WIDTH, (LEFT, RIGHT), tall, (TOP, FOOT))
    height = TOP + tall + FOOT
    y = 0.0
    for group in groups:
        y += HEADING
        drawing.text(8 / WIDTH, 1 - (TOP + y - ROW / 2) / height, shorten(group, WIDTH - 20), va="center", weight="bold")
        for ratio in (r for r in result.ratios if r.group == group):
            y += ROW
            _marks(axes, ratio, styles[ratio.arm], y - ROW / 2)
            _words(drawing, ratio, 1 - (TOP + y - ROW / 2) / height)
    axes.axvline(1, color=INK, linewidth=0.9)
    log_axis(axes, "x")
    axes.set_xlabel("times faster (log)")
    return drawing


def _marks(axes: Axes, ratio: Ratio, style: dict[str, Any], y: float) -> None:
    dots = style | {"linestyle": "", "marker": "o", "markersize": 3.2, "markeredgewidth": 0, "alpha": 0.5}
    axes.plot(ratio.processes, [y] * len(ratio.processes), **dots)
    if ratio.low is not None and ratio.high is not None:
        axes.plot([ratio.low, ratio.high], [y, y], color=style["color"], linewidth=2.2, solid_capstyle="butt")
    edge = 1.6 if ratio.arm == AA_CONTROL else 0.6
    axes.plot([ratio.ratio], [y], **style | {"linestyle": "", "markersize": 6.5, "markeredgewidth": edge})


def _words(drawing: Figure, ratio: Ratio, at: float) -> None:
    drawing.text(8 / WIDTH, at, shorten(ratio.arm, LEFT - 24), va="center", fontsize=10, color=MUTED)
    drawing.text(1 - (RIGHT - 10) / WIDTH, at, ratio_with_interval(ratio), va="center", fontsize=10)
