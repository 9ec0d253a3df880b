"""Growth of a cost with the rows, on two logarithmic axes, where a power of the rows is a straight line."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from harness.report.figures import Samples
from harness.report.numbers import exponent
from harness.report.svg import legend, log_axis, panels, shorten, styles_of
from harness.report.tables import groups_of
from harness.results.run import ScenarioResult

ORDER = 50
TITLE = "Growth with the data"
HOW_TO_READ = (
    "both axes are logarithmic, so the slope is the exponent at the end of the line: 0 is constant, 1 is linear, 2 is quadratic."
)
ROOM_FOR_LABELS = 0.55


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:  # noqa: ARG001 - all figures have one signature
    """Draw one panel per group of cases and figure; None if nothing was measured at several sizes."""
    kinds = [
        (group, metric)
        for group in groups_of(result, result.growth)
        for metric in dict.fromkeys(g.metric for g in result.growth if g.group == group)
    ]
    if not kinds:
        return None
    arms = [arm.name for arm in result.arms if arm.name in {g.arm for g in result.growth}]
    styles = styles_of(result, (g.arm for g in result.growth))
    drawing, panel = panels(len(kinds))
    for axes, (group, metric) in zip(panel, kinds, strict=True):
        for line in result.growth:
            if (line.group, line.metric) != (group, metric):
                continue
            style = styles[line.arm]
            points = sorted(zip(line.scales, line.values, strict=True))
            scales, values = [x for x, _ in points], [y for _, y in points]
            axes.plot(scales, values, linewidth=1.6, markersize=5, **style)
            axes.annotate(
                f"exponent {exponent(line.exponent)}",
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
    legend(drawing, [(arm, styles[arm]) for arm in arms])
    return drawing
