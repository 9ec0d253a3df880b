"""Growth of a cost with the rows, on two logarithmic axes, where a power of the rows is a straight line."""

from matplotlib.figure import Figure

from harness.report.figures import Samples
from harness.report.numbers import exponent
from harness.report.svg import legend, log_axis, panels, styles_of
from harness.report.tables import arms_in_order, groups_of
from harness.results.run import ScenarioResult

ORDER = 50
TITLE = "Growth with the data"
HOW_TO_READ = (
    "both axes are logarithmic, so the slope is the exponent at the end of the line: 0 is constant, 1 is linear, 2 is quadratic."
)


def draw(result: ScenarioResult, _: Samples | None) -> Figure | None:
    """Draw one panel per group of cases and figure; None if nothing was measured at several sizes."""
    groups = groups_of(result, result.growth)
    kinds = sorted(dict.fromkeys((g.group, g.metric) for g in result.growth), key=lambda kind: groups.index(kind[0]))
    if not kinds:
        return None
    arms = arms_in_order(result, (g.arm for g in result.growth))
    styles = styles_of(result, arms)
    scales = sorted({scale for g in result.growth for scale in g.scales})
    drawing, panel = panels([f"{metric.replace('_', ' ')}, {group}" for group, metric in kinds])
    for axes, kind in zip(panel, kinds, strict=True):
        for line in (g for g in result.growth if (g.group, g.metric) == kind):
            style = styles[line.arm]
            points = sorted(zip(line.scales, line.values, strict=True))
            axes.plot(*zip(*points, strict=True), linewidth=1.6, markersize=5, **style)
            text, colour = f"exponent {exponent(line.exponent)}", style["color"]
            axes.annotate(text, points[-1], xytext=(7, 0), textcoords="offset points", va="center", color=colour)
        axes.set_xlabel("share of the rows (log)")
        axes.margins(x=0.05, y=0.15)
        log_axis(axes, "x")
        low, high = axes.get_xlim()
        axes.set_xlim(right=high * (high / low) ** 0.55)  # room for the labels
        axes.set_xticks(scales)
        log_axis(axes, "y")
    legend(drawing, {arm: styles[arm] for arm in arms})
    return drawing
