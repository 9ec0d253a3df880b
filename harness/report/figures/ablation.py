"""The gain of each switch, alone and last: two marks per switch, and a line for all of them together."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.ablation import parts, rank
from harness.report.numbers import ratio_with_interval
from harness.report.svg import ARM_COLOURS, BASELINE_COLOUR, INK, MUTED, interval_mark, legend_of, log_axis, row_axes, write
from harness.results.run import Ablation, Run

ORDER = 1
TITLE = "Gain of each switch, alone and last"
HOW_TO_READ = (
    "right of 1 is faster. Square: the switch alone (all off ÷ only this one on). Dot: the switch last (all but this one ÷ all "
    "on). Bars: 95 % confidence intervals over fresh processes. Hollow: not significant. Square and dot together: the gain adds "
    "up. Dot far right of its square: it needs the others; far left: they made it redundant. Solid line and band: all on ÷ all "
    "off. Dotted line: product of the squares."
)
WIDTH, LEFT, RIGHT = 1160.0, 310.0, 400.0
TOP, FOOT = 34.0, 40.0
HEADING, ROW, APART = 30.0, 42.0, 8.5


MARKS = {"alone": (ARM_COLOURS[0], "s"), "last": (ARM_COLOURS[1], "o")}
"""The colour and the marker of each kind of gain."""
TOTAL: dict[str, Any] = {"color": ARM_COLOURS[4], "linewidth": 1.6, "linestyle": "-"}
PRODUCT: dict[str, Any] = {"color": BASELINE_COLOUR, "linewidth": 1.4, "linestyle": ":"}


def draw_run(run: Run) -> Figure | None:
    """Draw a block per group and a row per switch; None for a run without ablation."""
    blocks = parts(run)
    if not blocks:
        return None
    tall = [HEADING + ROW * len(found.switches) for _, found in blocks]
    drawing, axes = row_axes(WIDTH, (LEFT, RIGHT), sum(tall), (TOP, FOOT))
    for number, (heading, found) in enumerate(blocks):
        _block(axes, heading, found, sum(tall[:number]))
    axes.axvline(1, color=INK, linewidth=0.9)
    axes.margins(x=0.06)
    log_axis(axes, "x")
    axes.set_xlabel("times faster (log)")
    marks = [
        Line2D([], [], linewidth=2.2, markersize=6, marker=marker, color=colour, label=f"the switch {name}")
        for name, (colour, marker) in MARKS.items()
    ]
    lines = [Line2D([], [], label=name, **style) for name, style in (("all on", TOTAL), ("product of the gains alone", PRODUCT))]
    legend_of(drawing, [*marks, *lines])
    return drawing


def _block(axes: Axes, heading: str, found: Ablation, top: float) -> None:
    start = WIDTH - RIGHT
    write(axes, 16, top + HEADING / 2, heading, LEFT - 40, weight="bold", fontsize=11)
    sums = f"all on {ratio_with_interval(found.total)}, product {ratio_with_interval(found.product)}"
    write(axes, start + 16, top + HEADING / 2, sums, RIGHT - 24, fontsize=9.5, color=MUTED)
    span = [top + HEADING, top + HEADING + ROW * len(found.switches)]
    if found.total.low is not None and found.total.high is not None:
        axes.fill_betweenx(span, found.total.low, found.total.high, color=TOTAL["color"], alpha=0.12, linewidth=0)
    for gain, style in ((found.total, TOTAL), (found.product, PRODUCT)):
        axes.plot([gain.ratio, gain.ratio], span, **style)
    for number, switch in enumerate(found.switches):
        upper = span[0] + ROW * (number + 0.5) - APART
        lower = upper + 2 * APART
        write(axes, 16, upper, switch.switch, LEFT - 60, weight="bold")
        write(axes, 16, lower, switch.description, LEFT - 50, fontsize=9.5, color=MUTED)
        for gain, y, (name, (colour, marker)) in zip((switch.alone, switch.last), (upper, lower), MARKS.items(), strict=True):
            interval_mark(axes, gain.ratio, (gain.low, gain.high), y, colour, marker=marker, hollow=not gain.is_clear)
            write(axes, start + 16, y, name, fontsize=10, color=colour)
            write(axes, start + 56, y, ratio_with_interval(gain), fontsize=10)
        write(axes, start + 226, upper, switch.interaction, fontsize=10)
        write(axes, start + 226, lower, f"rank {rank(switch)}", fontsize=9.5, color=MUTED)
