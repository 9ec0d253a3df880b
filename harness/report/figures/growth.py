"""How a cost grows with the data, on two log axes, where a power of the rows is a straight line."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from harness.report.figures import Samples
from harness.report.numbers import power
from harness.report.order import groups_of
from harness.report.svg import arm_style, legend, log_axis, panels, shorten
from harness.results.run import ScenarioResult

ORDER = 50
TITLE = "Growth with the data"
HOW_TO_READ = (
    "both axes are logarithmic, so the slope is the exponent written at the line: 0 is constant, 1 grows with the rows, "
    "2 with their square."
)
ROOM_FOR_LABELS = 0.3


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:  # noqa: ARG001 - every figure is drawn alike
    """Draw one panel a group of cases and figure; None where nothing was measured at several sizes."""
    kinds = [
        (group, metric)
        for group in groups_of(result, result.growth)
        for metric in dict.fromkeys(g.metric for g in result.growth if g.group == group)
    ]
    if not kinds:
        return None
    arms = [arm.name for arm in result.arms if arm.name in {g.arm for g in result.growth}]
    drawing, panel = panels(len(kinds))
    for axes, (group, metric) in zip(panel, kinds, strict=True):
        for line in result.growth:
            if (line.group, line.metric) != (group, metric):
                continue
            style = arm_style(arms, line.arm)
            points = sorted(zip(line.scales, line.values, strict=True))
            scales, values = [x for x, _ in points], [y for _, y in points]
            axes.plot(scales, values, linewidth=1.6, markersize=5, **style)
            axes.annotate(
                power(line.exponent),
                (scales[-1], values[-1]),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                color=style["color"],
            )
        axes.set_title(shorten(f"{metric.replace('_', ' ')}, {group}", 200))
        axes.set_xlabel("share of the rows (log)")
        axes.margins(x=0.05, y=0.15)
        log_axis(axes, "x")
        low, high = axes.get_xlim()
        axes.set_xlim(right=high * (high / low) ** ROOM_FOR_LABELS)
        axes.xaxis.set_major_locator(FixedLocator(sorted({scale for g in result.growth for scale in g.scales})))
        log_axis(axes, "y")
    legend(drawing, [(arm, arm_style(arms, arm)) for arm in arms])
    return drawing
