"""The verdict strip: every promise of a run on one axis, where 1 is the promise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.report.blocks import status
from harness.report.promises import KeptShare, PromiseRow, arms_of, figure, kept, rows
from harness.report.svg import ARM_COLOURS, BAND, INCH, INK, KEEPS, MUTED, arm_styles, interval_mark, row_axes, shorten
from harness.results.run import Run, Verdict
from harness.verdicts.promise import EXPONENT, format_claim, format_figure

ORDER = 0
TITLE = "Every promise, kept or not"
HOW_TO_READ = (
    "Right of the line: promise kept. Dot: measured. Bar: 95 % confidence interval (memory: range of its processes). "
    "Diamond: exact count. Hollow: no interval. Arrow: beyond the axis. Green band: promised range. Short bar: no effect. "
    "The axis is measured ÷ promised; for “less” and limits promised ÷ measured remainder, for growth promised ÷ measured cost at "
    "10× the rows."
)
WIDTH, LEFT, RIGHT = 1160.0, 372.0, 352.0
HEAD, FOOT, LINE = 66.0, 34.0, 17.0
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
FURTHEST = 30.0
MARKS = (("s", "D"), ("o", "d"), ("^", "D"), ("v", "d"), ("P", "D"), ("X", "d"))
"""An arm's mark with an interval, and for exact counts, by the arm's position."""


@dataclass(frozen=True)
class ArmMark:
    """The style of one arm."""

    colour: str
    interval: str
    exact: str


def draw_run(run: Run) -> Figure | None:
    """Draw one row per promise that has a position on the axis; None for a run without any."""
    judged = rows(run)
    promises = [row for row in judged if any(kept(v) is not None for v in row.verdicts)]
    if not promises:
        return None
    order, shown = arms_of(judged), arms_of(promises)  # the table below has the same colours, also if an arm has no mark here
    styles = arm_styles(order, order)
    marks = {arm: ArmMark(str(styles[arm]["color"]), *MARKS[place % len(MARKS)]) for place, arm in enumerate(order) if arm in shown}
    tall = [max(2, len(row.verdicts)) * LINE + 13 for row in promises]
    drawing, axes = row_axes(WIDTH, (LEFT, RIGHT), sum(tall), (HEAD, FOOT))
    low, high = _reach([k for row in promises for v in row.verdicts if (k := kept(v)) is not None])
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.axvspan(1, high, color=KEEPS, linewidth=0)
    top = 0.0
    for row, tallness in zip(promises, tall, strict=True):
        _row(drawing, axes, row, marks, (top, tallness))
        top += tallness
    axes.axvline(1, color=INK, linewidth=1.1)
    _frame(drawing, axes, (low, high), marks)
    return drawing


def _reach(places: Sequence[KeptShare]) -> tuple[float, float]:
    values = [v for k in places for v in (k.value, k.low, k.high, k.promised_high, k.neutral) if v]
    known = [v for v in values if math.isfinite(v)] or [1.0]
    return max(1 / FURTHEST, min(0.4, min(known) * 0.8)), min(FURTHEST, max(2.5, max(known) * 1.25))


def _row(drawing: Figure, axes: Axes, row: PromiseRow, marks: dict[str, ArmMark], span: tuple[float, float]) -> None:
    top, tall = span
    middle = top + tall / 2
    if top:
        line = Line2D([14 / WIDTH, 1 - 14 / WIDTH], [_up(axes, top)] * 2, color=MUTED, linewidth=0.5, alpha=0.35)
        drawing.add_artist(line)
    at = _up(axes, middle)
    offset = 7.5 / (drawing.get_figheight() * INCH)
    drawing.text(16 / WIDTH, at + offset, shorten(row.label, 330), va="center", fontsize=10.5, weight="bold", url=f"#{row.anchor}")
    promised = next((_promised(v) for v in row.verdicts if v.promised_low is not None), "")
    claim = f"{promised}: {row.text}" if promised else row.text
    drawing.text(16 / WIDTH, at - offset, shorten(claim, 330), va="center", fontsize=9.5, color=MUTED)
    place = next((k for v in row.verdicts if (k := kept(v)) is not None), None)
    if place is not None:
        _promise(axes, place, middle, tall)
    first = middle - (len(row.verdicts) - 1) * LINE / 2
    for number, verdict in enumerate(row.verdicts):
        _verdict(drawing, axes, verdict, marks[verdict.arm], first + number * LINE)


def _promised(verdict: Verdict) -> str:
    limit = "at most " if verdict.less_is_better else ""
    if verdict.unit == EXPONENT and verdict.promised_low is not None:
        return limit + format_figure(verdict.promised_low, EXPONENT)
    return limit + format_claim(verdict.promised_low, verdict.promised_high, verdict.unit)


def _promise(axes: Axes, place: KeptShare, middle: float, tall: float) -> None:
    end = place.promised_high
    if end is not None and end > 1:
        heights = [middle - tall / 2 + 5, middle + tall / 2 - 5]
        axes.fill_betweenx(heights, 1, min(end, axes.get_xlim()[1]), color=BAND, linewidth=0)
    if place.neutral is not None and place.neutral < 1:
        half = tall / 2 - 6
        axes.plot([place.neutral] * 2, [middle - half, middle + half], color=MUTED, linewidth=1.4, alpha=0.7)


def _verdict(drawing: Figure, axes: Axes, verdict: Verdict, mark: ArmMark, y: float) -> None:
    place = kept(verdict)
    if place is not None:
        _mark(axes, place, mark, y)
    up = _up(axes, y)
    start = 1 - RIGHT / WIDTH
    drawing.text(start + 16 / WIDTH, up, shorten(verdict.arm, 80), va="center", fontsize=10, color=mark.colour)
    drawing.text(start + 216 / WIDTH, up, shorten(figure(verdict), 126), va="center", ha="right", fontsize=10)
    drawing.text(start + 228 / WIDTH, up, status(verdict.verdict).label, va="center", fontsize=10, color=INK)


def _mark(axes: Axes, place: KeptShare, mark: ArmMark, y: float) -> None:
    """Draw a verdict's mark and interval; an arrow at the end of the axis if it lies beyond."""
    low, high = axes.get_xlim()
    ends = (None, None) if place.low is None or place.high is None else (max(place.low, low), min(place.high, high))
    sign, at = mark.exact if place.exact else mark.interval, place.value
    if not low <= at <= high:
        sign, at = (">", high / 1.03) if at > high else ("<", low * 1.03)
    hollow = place.low is None and not place.exact and at == place.value
    interval_mark(axes, at, ends, y, mark.colour, marker=sign, hollow=hollow)


def _up(axes: Axes, y: float) -> float:
    """Return a row's position on the axis as a share of the figure's height."""
    bottom, top = axes.get_position().y0, axes.get_position().y1
    return float(top - (top - bottom) * y / axes.get_ylim()[0])


def _frame(drawing: Figure, axes: Axes, reach: tuple[float, float], marks: dict[str, ArmMark]) -> None:
    low, high = reach
    for spine in axes.spines.values():
        spine.set_visible(False)
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
    shown = list(marks.items())[: len(ARM_COLOURS)]
    handles = [Line2D([], [], linewidth=2, markersize=6, marker=m.interval, color=m.colour, label=arm) for arm, m in shown]
    handles += [
        Line2D([], [], linestyle="", markersize=6, marker=m.exact, color=m.colour, label=f"{arm}, exact") for arm, m in shown
    ]
    extra: list[Line2D | Patch] = [Patch(color=BAND, label="promised range", linewidth=0)]
    extra.append(Line2D([], [], linestyle="", marker="|", markersize=11, markeredgewidth=1.4, color=MUTED, label="no effect"))
    drawing.legend(
        handles=[*handles, *extra],
        loc="upper left",
        bbox_to_anchor=(10 / WIDTH, 1.0),
        borderaxespad=0.2,
        ncols=min(6, len(handles) + 2),
        columnspacing=1.8,
        labelcolor=INK,
    )
