"""The verdict strip: every promise of a run on one axis, where 1 is the promise."""

import math

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.report.blocks import status
from harness.report.promises import PromiseRow, arms_of, figure, kept, rows
from harness.report.svg import BAND, INK, KEEPS, MUTED, arm_styles, interval_mark, legend_of, row_axes, write
from harness.results.run import Run, Verdict
from harness.verdicts.promise import EXPONENT, format_claim, format_figure

ORDER = 0
TITLE = "Every promise, kept or not"
HOW_TO_READ = (
    "Right of the line: promise kept. Dot: measured. Bar: 95 % confidence interval (memory: range of its repetitions). "
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

ArmMarks = dict[str, tuple[str, str, str]]
"""Arm → its colour, its mark with an interval, and its mark for exact counts."""


def draw_run(run: Run) -> Figure | None:
    """Draw one row per promise that has a position on the axis; None for a run without any."""
    judged = rows(run)
    promises = [row for row in judged if any(kept(v) is not None for v in row.verdicts)]
    if not promises:
        return None
    order, shown = arms_of(judged), arms_of(promises)  # the table below has the same colours, also if an arm has no mark here
    styles = arm_styles(order, order)
    marks = {arm: (styles[arm]["color"], *MARKS[place % len(MARKS)]) for place, arm in enumerate(order) if arm in shown}
    tall = [max(2, len(row.verdicts)) * LINE + 13 for row in promises]
    drawing, axes = row_axes(WIDTH, (LEFT, RIGHT), sum(tall), (HEAD, FOOT))
    shares = [k for row in promises for v in row.verdicts if (k := kept(v)) is not None]
    values = [v for k in shares for v in (k.value, k.low, k.high, k.promised_high, k.neutral) if v and math.isfinite(v)] or [1.0]
    low, high = max(1 / FURTHEST, min(0.4, min(values) * 0.8)), min(FURTHEST, max(2.5, max(values) * 1.25))
    axes.set(xscale="log", xlim=(low, high))
    axes.axvspan(1, high, color=KEEPS, linewidth=0)
    ends = [(x - LEFT) / (WIDTH - LEFT - RIGHT) for x in (14, WIDTH - 14)]
    for number, row in enumerate(promises):
        top = sum(tall[:number])
        if number:
            axes.axhline(top, *ends, clip_on=False, color=MUTED, linewidth=0.5, alpha=0.35)
        _row(axes, row, marks, top, tall[number])
    axes.axvline(1, color=INK, linewidth=1.1)
    _frame(drawing, axes, marks)
    return drawing


def _row(axes: Axes, row: PromiseRow, marks: ArmMarks, top: float, tall: float) -> None:
    middle = top + tall / 2
    write(axes, 16, middle - 7.5, row.label, 330, fontsize=10.5, weight="bold", url=f"#{row.anchor}")
    promised = next((_promised(v) for v in row.verdicts if v.promised_low is not None), "")
    write(axes, 16, middle + 7.5, f"{promised}: {row.text}" if promised else row.text, 330, fontsize=9.5, color=MUTED)
    shares = [kept(v) for v in row.verdicts]
    if place := next((k for k in shares if k is not None), None):
        if (end := place.promised_high or 0) > 1:
            heights = [middle - tall / 2 + 5, middle + tall / 2 - 5]
            axes.fill_betweenx(heights, 1, min(end, axes.get_xlim()[1]), color=BAND, linewidth=0)
        if place.neutral is not None and place.neutral < 1:
            half = tall / 2 - 6
            axes.plot([place.neutral] * 2, [middle - half, middle + half], color=MUTED, linewidth=1.4, alpha=0.7)
    first, start = middle - (len(row.verdicts) - 1) * LINE / 2, WIDTH - RIGHT
    for number, (verdict, share) in enumerate(zip(row.verdicts, shares, strict=True)):
        y, mark = first + number * LINE, marks[verdict.arm]
        if share is not None:
            _mark(axes, share, mark, y)
        write(axes, start + 16, y, verdict.arm, 80, fontsize=10, color=mark[0])
        write(axes, start + 216, y, figure(verdict), 126, ha="right", fontsize=10)
        write(axes, start + 228, y, f"{status(verdict.verdict, preliminary=row.preliminary).sign} {verdict.verdict}", fontsize=10)


def _promised(verdict: Verdict) -> str:
    limit = "at most " if verdict.less_is_better else ""
    if verdict.unit == EXPONENT and verdict.promised_low is not None:
        return limit + format_figure(verdict.promised_low, EXPONENT)
    return limit + format_claim(verdict.promised_low, verdict.promised_high, verdict.unit)


def _mark(axes: Axes, share: Verdict, mark: tuple[str, str, str], y: float) -> None:
    """Draw a verdict's mark and interval; an arrow at the end of the axis if it lies beyond."""
    assert share.value is not None
    low, high = axes.get_xlim()
    is_exact = share.low == share.value == share.high
    ends = (None, None) if share.low is None or share.high is None or is_exact else (max(share.low, low), min(share.high, high))
    colour, sign, at = mark[0], mark[2] if is_exact else mark[1], share.value
    if not low <= at <= high:
        sign, at = (">", high / 1.03) if at > high else ("<", low * 1.03)
    hollow = share.low is None and at == share.value
    interval_mark(axes, at, ends, y, colour, marker=sign, hollow=hollow)


def _frame(drawing: Figure, axes: Axes, marks: ArmMarks) -> None:
    """Write the ticks and names of the axis above the rows, and the legend."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, top=False, labeltop=True)
    low, high = axes.get_xlim()
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    write(axes, LEFT, 36 - HEAD, "← falls short", ha="left", fontsize=9.5, color=MUTED)
    write(axes, WIDTH - RIGHT, 36 - HEAD, "kept →", ha="right", fontsize=9.5, color=MUTED)
    one = LEFT + (WIDTH - LEFT - RIGHT) * math.log(1 / low) / math.log(high / low)
    write(axes, one, 36 - HEAD, "promised", ha="center", fontsize=9.5, weight="bold")
    shown = list(marks.items())[: len(MARKS)]
    handles: list[Artist] = [
        *(Line2D([], [], linewidth=2, markersize=6, marker=sign, color=colour, label=arm) for arm, (colour, sign, _) in shown),
        *(
            Line2D([], [], linestyle="", markersize=6, marker=exact, color=colour, label=f"{arm}, exact")
            for arm, (colour, _, exact) in shown
        ),
        Patch(color=BAND, label="promised range", linewidth=0),
        Line2D([], [], linestyle="", marker="|", markersize=11, markeredgewidth=1.4, color=MUTED, label="no effect"),
    ]
    anchor = (10 / WIDTH, 1.0)
    legend_of(drawing, handles, ncols=min(6, len(handles)), handlelength=2.0, columnspacing=1.8, bbox_to_anchor=anchor)
