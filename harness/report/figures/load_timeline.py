"""A run under load over time: response times, throughput, and the processes' CPU and memory, on one axis."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from harness.report.figures import Samples
from harness.report.load import arms_of
from harness.report.numbers import unit_of
from harness.report.svg import INK, MUTED, Styles, figure, is_crowded, legend_of, log_axis, shorten, styles_of
from harness.results.load import Phase, Tick
from harness.results.run import ScenarioResult

ORDER = 14
TITLE = "The run over time"
HOW_TO_READ = (
    "shaded: a block of one arm, paler during warm-up and drain. Look for steps inside a block, and for changes that do not "
    "come back with the arm: those are the machine. A generator near 100 % of its core measures itself."
)
GENERATOR = "generator"
WIDTH, LEFT, RIGHT = 1160.0, 74.0, 158.0
TOP, FOOT = 44.0, 60.0
ROW, APART = 88.0, 30.0
PROCESS_LINES: tuple[Any, ...] = ("-", (0, (5, 1.6)), "-.", (0, (1, 1)))
SHADE, PALE = 0.13, 0.05


@dataclass(frozen=True)
class Stretch:
    """Neighbouring ticks of one block, all measured or none. A block is one arm, until another follows or it warms up again."""

    arm: str
    is_measured: bool
    first: int
    """The position of its first tick."""
    end: int
    """The position after its last tick."""
    line_from: int
    """The position at which its line starts: the tick before the first, of the same block, so that lines do not break."""


@dataclass(frozen=True)
class StripLine:
    """One line of a strip."""

    name: str
    values: list[float]
    """One per tick; NaN where there is none."""
    style: dict[str, Any]
    """Without a colour the line has the arms'."""


@dataclass(frozen=True)
class Strip:
    """One strip of the figure."""

    title: str
    lines: Sequence[StripLine]
    is_log: bool = False


def draw(result: ScenarioResult, _: Samples | None) -> Figure | None:
    """Draw a strip per kind of figure, processes one after another; None without ticks."""
    ticks = sorted(result.load.ticks if result.load else [], key=lambda t: (t.process, t.at_s))
    arms = list(dict.fromkeys([*arms_of(result), *(tick.arm for tick in ticks)]))
    if not ticks or is_crowded(arms):
        return None
    styles, stretches, spans_s = styles_of(result, arms), _stretches(ticks), _spans_s(ticks)
    borders_s = [
        (a[1] + b[0]) / 2 for (a, b), (t, u) in zip(pairwise(spans_s), pairwise(ticks), strict=True) if t.process != u.process
    ]
    strips = _strips(ticks, spans_s)
    height = TOP + len(strips) * (ROW + APART) - APART + FOOT
    drawing = figure(WIDTH, height)
    box = {"left": LEFT / WIDTH, "right": 1 - RIGHT / WIDTH, "top": 1 - TOP / height, "bottom": FOOT / height}
    panels = drawing.subplots(len(strips), sharex=True, squeeze=False, gridspec_kw=box | {"hspace": APART / ROW})[:, 0]
    for axes, strip in zip(panels, strips, strict=True):
        _draw_strip(axes, strip, spans_s, stretches, styles)
        for border_s in borders_s:
            axes.axvline(border_s, color=INK, linewidth=0.8)
    panels[0].set_xlim(spans_s[0][0], spans_s[-1][1])
    panels[-1].set_xlabel("seconds, engine processes one after another" if borders_s else "seconds")
    handles = [Patch(color=styles[arm]["color"], alpha=0.5, label=arm) for arm in arms]
    legend_of(drawing, [*handles, Patch(color=MUTED, alpha=0.18, label="paler: warm-up, drain")])
    return drawing


def _spans_s(ticks: Sequence[Tick]) -> list[tuple[float, float]]:
    """Return the seconds from which to which each tick is on an axis on which processes follow one after another."""
    found: list[tuple[float, float]] = []
    offset_s = 0.0
    for _, of_process in groupby(ticks, key=lambda t: t.process):
        at_s = [tick.at_s for tick in of_process]
        usual_s = median([b - a for a, b in pairwise(at_s)] or [1.0]) or 1.0
        before_s = max(0.0, at_s[0] - usual_s)
        for start_s, end_s in pairwise([before_s, *at_s]):
            # A gap belongs to no block: arms are being set up, or a process was idle.
            begun_s = start_s if end_s - start_s < 3 * usual_s else end_s - usual_s
            found.append((offset_s + begun_s - before_s, offset_s + end_s - before_s))
        offset_s += at_s[-1] - before_s + usual_s
    return found


def _stretches(ticks: Sequence[Tick]) -> list[Stretch]:
    found: list[Stretch] = []
    for place, tick in enumerate(ticks):
        last = ticks[place - 1] if place else None
        warms_up_again = last is not None and tick.phase == Phase.WARM_UP != last.phase
        starts_block = last is None or warms_up_again or (last.process, last.arm) != (tick.process, tick.arm)
        is_measured = tick.phase == Phase.MEASURED
        if starts_block or is_measured != found[-1].is_measured:
            found.append(Stretch(tick.arm, is_measured, place, place + 1, place if starts_block else place - 1))
        else:
            found[-1] = replace(found[-1], end=place + 1)
    return found


def _strips(ticks: Sequence[Tick], spans_s: Sequence[tuple[float, float]]) -> list[Strip]:
    spent_s = [max(end_s - start_s, 1e-9) for start_s, end_s in spans_s]
    strips = []
    if any(t.p50_ns for t in ticks):
        unit = unit_of(t.p50_ns for t in ticks)
        times = [_line("p50", (t.p50_ns for t in ticks), unit.ns, linewidth=1.9)]
        if any(t.p99_ns for t in ticks):
            times.append(_line("p99", (t.p99_ns for t in ticks), unit.ns, linewidth=0.9))
        strips.append(Strip(f"response time, {unit.name} (log)", times, is_log=True))
    rates = [_line("completed", (t.operations / s for t, s in zip(ticks, spent_s, strict=True)), linewidth=1.6)]
    if any(t.errors for t in ticks):
        errors = (t.errors / s if t.errors else None for t, s in zip(ticks, spent_s, strict=True))
        rates.append(_line("errors", errors, color=INK, linestyle="", marker="x", markersize=4.5))
    strips.append(Strip("operations per second", rates))
    names = sorted({name for t in ticks for name in (*t.cpu_percent, *t.rss_bytes)}, key=lambda name: (name == GENERATOR, name))
    for title, unit_size, by_tick in (
        ("CPU, % of a core", 1.0, [t.cpu_percent for t in ticks]),
        ("resident memory, MB", 1e6, [t.rss_bytes for t in ticks]),
    ):
        if any(by_tick):
            lines = []
            for place, name in enumerate(names):
                own = {"color": INK, "linestyle": PROCESS_LINES[place % len(PROCESS_LINES)]}
                style = {"color": MUTED, "linestyle": ":"} if name == GENERATOR else own
                lines.append(_line(name, (found.get(name) for found in by_tick), unit_size, linewidth=1.4, **style))
            strips.append(Strip(title, lines))
    for name in dict.fromkeys(name for t in ticks for name in t.counts):
        counts = _line("", (t.counts.get(name) for t in ticks), linewidth=1.6)
        strips.append(Strip(f"{name.replace('_', ' ')} per operation", [counts]))
    return strips


def _line(name: str, values: Iterable[float | None], unit: float = 1.0, **style: Any) -> StripLine:
    usual = {"linestyle": "-", "linewidth": 1.5, "marker": "", "markersize": 2.5}
    return StripLine(name, [math.nan if value is None else value / unit for value in values], usual | style)


def _over(start_s: float, end_s: float) -> Affine2D:
    """Return the transform of the unit square to the seconds from which to which a block lasts."""
    return Affine2D().scale(end_s - start_s, 1.0).translate(start_s, 0.0)


def _broken(
    stretches: Sequence[Stretch], spans_s: Sequence[tuple[float, float]], values: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Return the points of one line over several stretches, broken between them."""
    xs, ys = list[float](), list[float]()
    for s in stretches:
        xs += [*(end_s for _, end_s in spans_s[s.line_from : s.end]), math.nan]
        ys += [*values[s.line_from : s.end], math.nan]
    return xs, ys


def _draw_strip(
    axes: Axes, strip: Strip, spans_s: Sequence[tuple[float, float]], stretches: Sequence[Stretch], styles: Styles
) -> None:
    kinds = list(dict.fromkeys((s.arm, s.is_measured) for s in stretches))
    for arm, is_measured in kinds:
        own = [s for s in stretches if (s.arm, s.is_measured) == (arm, is_measured)]
        colour = styles[arm]["color"]
        for line in strip.lines:
            xs, ys = _broken(own, spans_s, line.values)
            axes.plot(xs, ys, **{"color": colour, "alpha": 1.0 if is_measured else 0.4} | line.style)
        shade = {"facecolor": colour, "alpha": SHADE if is_measured else PALE, "linewidth": 0}
        boxes = [Path.unit_rectangle().transformed(_over(spans_s[s.first][0], spans_s[s.end - 1][1])) for s in own]
        axes.add_patch(PathPatch(Path.make_compound_path(*boxes), transform=axes.get_xaxis_transform(), **shade))
    axes.set_title(shorten(strip.title, 600), fontsize=10.5, pad=4)
    axes.grid(visible=False, axis="x")
    axes.tick_params(length=0)
    if strip.is_log:
        log_axis(axes, "y")
    else:
        axes.set_ylim(bottom=0)
        axes.margins(y=0.12)
        axes.locator_params(axis="y", nbins=4)
    handles = [
        Line2D([], [], **{"color": INK} | line.style, label=shorten(line.name, RIGHT - 56)) for line in strip.lines if line.name
    ]
    if handles:
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.08), fontsize=9.5, handlelength=2.4)
