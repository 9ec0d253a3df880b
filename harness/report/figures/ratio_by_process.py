"""The paired ratio with its interval, and the fresh processes that it comes from."""

from matplotlib.figure import Figure

from harness.report.figures import Samples
from harness.report.numbers import ratio_with_interval
from harness.report.svg import INK, MUTED, log_axis, row_axes, styles_of, write
from harness.report.tables import groups_of
from harness.results.run import AA_CONTROL, ScenarioResult

ORDER = 10
TITLE = "Times faster than the baseline, by process"
HOW_TO_READ = (
    "right of 1 is faster. Small dots: the median of each fresh process. Large mark and bar: their mean and 95 % confidence "
    "interval. The A/A control is the baseline against itself: it should be at 1."
)
WIDTH, LEFT, RIGHT = 560.0, 118.0, 138.0
TOP, FOOT = 6.0, 40.0
HEADING, ROW = 24.0, 19.0


def draw(result: ScenarioResult, _: Samples | None) -> Figure | None:
    """Draw one row per arm and group, with the A/A control; None without ratios, or under load, which has other figures."""
    groups = groups_of(result, result.ratios)
    if not groups or result.is_timed_under_load:
        return None
    styles = styles_of(result, (r.arm for r in result.ratios))
    drawing, axes = row_axes(WIDTH, (LEFT, RIGHT), HEADING * len(groups) + ROW * len(result.ratios) + 4, (TOP, FOOT))
    y = -ROW / 2
    for group in groups:
        y += HEADING
        write(axes, 8, y, group, WIDTH - 20, weight="bold")
        for ratio in (r for r in result.ratios if r.group == group):
            y += ROW
            style = styles[ratio.arm] | {"linestyle": ""}
            dots = {"marker": "o", "markersize": 3.2, "markeredgewidth": 0, "alpha": 0.5}
            axes.plot(ratio.processes, [y] * len(ratio.processes), **style | dots)
            if ratio.low is not None and ratio.high is not None:
                axes.plot([ratio.low, ratio.high], [y, y], color=style["color"], linewidth=2.2, solid_capstyle="butt")
            edge = 1.6 if ratio.arm == AA_CONTROL else 0.6
            axes.plot([ratio.ratio], [y], **style | {"markersize": 6.5, "markeredgewidth": edge})
            write(axes, 8, y, ratio.arm, LEFT - 24, fontsize=10, color=MUTED)
            write(axes, WIDTH - RIGHT + 10, y, ratio_with_interval(ratio), fontsize=10)
    axes.axvline(1, color=INK, linewidth=0.9)
    log_axis(axes, "x")
    axes.set_xlabel("times faster (log)")
    return drawing
