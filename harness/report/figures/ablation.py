"""The gain of each switch, alone and last: two marks per switch, and a line for all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.ablation import AblationPart, parts, rank
from harness.report.numbers import ratio_with_interval
from harness.report.svg import ARM_COLOURS, BASELINE_COLOUR, INCH, INK, MUTED, interval_mark, legend_of, log_axis, row_axes, shorten
from harness.results.run import Run, SwitchGain

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


@dataclass(frozen=True)
class GainMark:
    """The style of one kind of gain."""

    name: str
    colour: str
    sign: str


ALONE = GainMark("alone", ARM_COLOURS[0], "s")
LAST = GainMark("last", ARM_COLOURS[1], "o")
TOTAL: dict[str, Any] = {"color": ARM_COLOURS[4], "linewidth": 1.6, "linestyle": "-"}
PRODUCT: dict[str, Any] = {"color": BASELINE_COLOUR, "linewidth": 1.4, "linestyle": ":"}


def draw_run(run: Run) -> Figure | None:
    """Draw a block per group and a row per switch; None for a run without ablation."""
    blocks = parts(run)
    if not blocks:
        return None
    tall = sum(HEADING + ROW * len(block.found.switches) for block in blocks)
    drawing, axes = row_axes(WIDTH, (LEFT, RIGHT), tall, (TOP, FOOT))
    top = 0.0
    for block in blocks:
        _block(drawing, axes, block, top)
        top += HEADING + ROW * len(block.found.switches)
    axes.axvline(1, color=INK, linewidth=0.9)
    axes.margins(x=0.06)
    log_axis(axes, "x")
    axes.set_xlabel("times faster (log)")
    _legend(drawing)
    return drawing


def _block(drawing: Figure, axes: Axes, block: AblationPart, top: float) -> None:
    found = block.found
    _write(drawing, 16, top + HEADING / 2, shorten(block.heading, LEFT - 40), weight="bold", fontsize=11)
    words = f"all on {ratio_with_interval(found.total)}, product {ratio_with_interval(found.product)}"
    _write(drawing, WIDTH - RIGHT + 16, top + HEADING / 2, shorten(words, RIGHT - 24), fontsize=9.5, color=MUTED)
    end = top + HEADING + ROW * len(found.switches)
    if found.total.low is not None and found.total.high is not None:
        band = {"color": TOTAL["color"], "alpha": 0.12, "linewidth": 0}
        axes.fill_betweenx([top + HEADING, end], found.total.low, found.total.high, **band)
    for gain, style in ((found.total, TOTAL), (found.product, PRODUCT)):
        axes.plot([gain.ratio, gain.ratio], [top + HEADING, end], **style)
    for number, switch in enumerate(found.switches):
        _row(drawing, axes, switch, top + HEADING + ROW * (number + 0.5))


def _row(drawing: Figure, axes: Axes, switch: SwitchGain, middle: float) -> None:
    _write(drawing, 16, middle - APART, shorten(switch.switch, LEFT - 60), weight="bold")
    _write(drawing, 16, middle + APART, shorten(switch.description, LEFT - 50), fontsize=9.5, color=MUTED)
    start = WIDTH - RIGHT
    for gain, mark, y in ((switch.alone, ALONE, middle - APART), (switch.last, LAST, middle + APART)):
        interval_mark(axes, gain.ratio, (gain.low, gain.high), y, mark.colour, marker=mark.sign, hollow=not gain.is_clear)
        _write(drawing, start + 16, y, mark.name, fontsize=10, color=mark.colour)
        _write(drawing, start + 56, y, ratio_with_interval(gain), fontsize=10)
    _write(drawing, start + 226, middle - APART, switch.interaction, fontsize=10)
    _write(drawing, start + 226, middle + APART, f"rank {rank(switch)}", fontsize=9.5, color=MUTED)


def _write(drawing: Figure, x: float, y: float, text: str, **style: Any) -> None:
    """Write at `x` of the figure and `y` of the axis, both in view-box units."""
    height = drawing.get_figheight() * INCH
    drawing.text(x / WIDTH, 1 - (TOP + y) / height, text, va="center", **style)


def _legend(drawing: Figure) -> None:
    handles = [
        Line2D([], [], linewidth=2.2, markersize=6, marker=mark.sign, color=mark.colour, label=f"the switch {mark.name}")
        for mark in (ALONE, LAST)
    ]
    handles += [Line2D([], [], label=name, **style) for name, style in (("all on", TOTAL), ("product of the gains alone", PRODUCT))]
    legend_of(drawing, handles)
