"""The verdict strip: every promise of a run on one axis, where 1 is what was promised."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.report.promises import HEADINGS, OPTIMISED, PROPOSED, SIGNS, KeptShare, PromiseRow, figure, kept, rows
from harness.report.svg import BAND, INCH, INK, KEEPS, MUTED, arm_style, shorten
from harness.report.svg import figure as blank
from harness.results.run import Run, Verdict
from harness.verdicts.promise import format_claim

ORDER = 0
TITLE = "Every promise, kept or not"
HOW_TO_READ = (
    "1 is the promise's lower bound, and right of it (tinted) the promise is kept; the band is the promised range, the short bar "
    "“no effect at all”. Speed-ups stand as measured ÷ promised, “less of something” and limits as what was allowed to be left "
    "÷ what was left, exponents as allowed ÷ measured growth over ten times the rows. "
    "Marks with lines are 95 % intervals (memory: the range of its processes), "
    "diamonds are exact counts, hollow marks have no interval; an arrow lies beyond the axis."
)
WIDTH, LEFT, RIGHT = 1160.0, 372.0, 352.0
HEAD, FOOT, LINE = 66.0, 34.0, 17.0
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
FARTHEST = 30.0
MARKS = {PROPOSED: ("s", "D"), OPTIMISED: ("o", "d")}
"""An arm's mark where it has an interval, and where it is exact."""


def draw_run(run: Run) -> Figure | None:
    """Draw one row a promise; None for a run without verdicts."""
    promises = rows(run)
    if not promises:
        return None
    tall = [max(2, len(row.verdicts)) * LINE + 13 for row in promises]
    height = HEAD + sum(tall) + FOOT
    drawing = blank(WIDTH, height)
    axes = drawing.add_axes((LEFT / WIDTH, FOOT / height, 1 - (LEFT + RIGHT) / WIDTH, 1 - (HEAD + FOOT) / height))
    axes.set_ylim(sum(tall), 0)
    low, high = _reach([k for row in promises for v in row.verdicts if (k := kept(v)) is not None])
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.axvspan(1, high, color=KEEPS, linewidth=0)
    top = 0.0
    for row, tallness in zip(promises, tall, strict=True):
        _row(drawing, axes, row, top, tallness)
        top += tallness
    axes.axvline(1, color=INK, linewidth=1.1)
    _frame(drawing, axes, low, high)
    return drawing


def _reach(places: Sequence[KeptShare]) -> tuple[float, float]:
    values = [v for k in places for v in (k.value, k.low, k.high, k.promised_high, k.neutral) if v]
    known = [v for v in values if math.isfinite(v)] or [1.0]
    return max(1 / FARTHEST, min(0.4, min(known) * 0.8)), min(FARTHEST, max(2.5, max(known) * 1.25))


def _row(drawing: Figure, axes: Axes, row: PromiseRow, top: float, tall: float) -> None:
    middle = top + tall / 2
    if top:
        line = Line2D([14 / WIDTH, 1 - 14 / WIDTH], [_up(axes, top)] * 2, color=MUTED, linewidth=0.5, alpha=0.35)
        drawing.add_artist(line)
    at = _up(axes, middle)
    offset = 7.5 / (drawing.get_figheight() * INCH)
    drawing.text(16 / WIDTH, at + offset, shorten(row.label, 330), va="center", fontsize=10.5, weight="bold", url=f"#{row.anchor}")
    promised = next((_promised(v) for v in row.verdicts if v.promised_low is not None), "")
    says = f"{promised}: {row.text}" if promised else row.text
    drawing.text(16 / WIDTH, at - offset, shorten(says, 330), va="center", fontsize=9.5, color=MUTED)
    place = next((k for v in row.verdicts if (k := kept(v)) is not None), None)
    if place is not None:
        _promise(axes, place, middle, tall)
    elif any(v.value is not None for v in row.verdicts):
        drawing.text((LEFT + 8) / WIDTH, at, "has no place on this axis", va="center", fontsize=9.5, color=MUTED, style="italic")
    first = middle - (len(row.verdicts) - 1) * LINE / 2
    for number, verdict in enumerate(row.verdicts):
        _verdict(drawing, axes, row, verdict, first + number * LINE)


def _promised(verdict: Verdict) -> str:
    limit = "at most " if verdict.less_is_better else ""
    return limit + format_claim(verdict.promised_low, verdict.promised_high, verdict.unit)


def _promise(axes: Axes, place: KeptShare, middle: float, tall: float) -> None:
    end = place.promised_high
    if end is not None and end > 1:
        heights = [middle - tall / 2 + 5, middle + tall / 2 - 5]
        axes.fill_betweenx(heights, 1, min(end, axes.get_xlim()[1]), color=BAND, linewidth=0)
    if place.neutral is not None and place.neutral < 1:
        half = tall / 2 - 6
        axes.plot([place.neutral] * 2, [middle - half, middle + half], color=MUTED, linewidth=1.4, alpha=0.7)


def _verdict(drawing: Figure, axes: Axes, row: PromiseRow, verdict: Verdict, y: float) -> None:
    others = [v.arm for v in row.others]
    style = arm_style(others, verdict.arm)
    place = kept(verdict)
    if place is not None:
        _mark(axes, place, verdict.arm, style, y)
    up = _up(axes, y)
    name = HEADINGS.get(verdict.arm, verdict.arm).lower()
    start = 1 - RIGHT / WIDTH
    drawing.text(start + 16 / WIDTH, up, shorten(name, 80), va="center", fontsize=10, color=style["color"])
    drawing.text(start + 196 / WIDTH, up, shorten(figure(verdict), 106), va="center", ha="right", fontsize=10)
    words = f"{SIGNS.get(verdict.verdict, '')} {verdict.verdict}"
    drawing.text(start + 208 / WIDTH, up, words, va="center", fontsize=10, color=INK)


def _mark(axes: Axes, place: KeptShare, arm: str, style: dict[str, object], y: float) -> None:
    low, high = axes.get_xlim()
    colour = str(style["color"])
    interval, diamond = MARKS.get(arm, (str(style["marker"]), "D"))
    if place.low is not None and place.high is not None:
        ends = [min(max(bound, low), high) for bound in (place.low, place.high)]
        axes.plot(ends, [y, y], color=colour, linewidth=2, solid_capstyle="butt")
    if not low <= place.value <= high:
        beyond = place.value > high
        at = high / 1.03 if beyond else low * 1.03
        axes.plot([at], [y], marker=">" if beyond else "<", color=colour, markersize=7, linestyle="", clip_on=False)
        return
    hollow = place.low is None and not place.exact
    face = "none" if hollow else colour
    mark = diamond if place.exact else interval
    axes.plot([place.value], [y], mark, color=colour, markersize=6.2, markerfacecolor=face, markeredgewidth=1.5, clip_on=False)


def _up(axes: Axes, y: float) -> float:
    """Return a row's height on the axis as a share of the figure's height."""
    bottom, top = axes.get_position().y0, axes.get_position().y1
    return float(top - (top - bottom) * y / axes.get_ylim()[0])


def _frame(drawing: Figure, axes: Axes, low: float, high: float) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.tick_params(length=0, top=False, labeltop=True)
    axes.xaxis.set_major_locator(FixedLocator([t for t in TICKS if low <= t <= high]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    height = drawing.get_figheight() * INCH
    names = [(LEFT, "left", "← falls short"), (WIDTH - RIGHT, "right", "kept →")]
    for x, side, text in names:
        drawing.text(x / WIDTH, 1 - 36 / height, text, ha=side, va="center", fontsize=9.5, color=MUTED)
    one = LEFT + (WIDTH - LEFT - RIGHT) * math.log(1 / low) / math.log(high / low)
    drawing.text(one / WIDTH, 1 - 36 / height, "promised", ha="center", va="center", fontsize=9.5, weight="bold")
    handles = [
        Line2D([], [], linewidth=2, markersize=6, marker=MARKS[arm][0], color=arm_style([], arm)["color"], label=name)
        for arm, name in HEADINGS.items()
    ]
    handles += [
        Line2D([], [], linestyle="", markersize=6, marker=MARKS[arm][1], color=arm_style([], arm)["color"], label=f"{name}, exact")
        for arm, name in HEADINGS.items()
    ]
    extra: list[Line2D | Patch] = [Patch(color=BAND, label="promised range", linewidth=0)]
    extra.append(Line2D([], [], linestyle="", marker="|", markersize=11, markeredgewidth=1.4, color=MUTED, label="no effect"))
    drawing.legend(
        handles=[*handles, *extra],
        loc="upper left",
        bbox_to_anchor=(10 / WIDTH, 1.0),
        borderaxespad=0.2,
        ncols=6,
        columnspacing=1.8,
        labelcolor=INK,
    )
