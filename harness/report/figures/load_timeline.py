"""A run under load over time: response times, throughput, and the processes' CPU and memory, on one axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.report.figures import Samples
from harness.report.load import arms_of
from harness.report.numbers import unit_of
from harness.report.svg import INK, MUTED, figure, is_crowded, legend_of, log_axis, shorten, styles_of
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
TOP, FOOT = 34.0, 40.0
ROW, APART = 88.0, 30.0
STYLES: tuple[object, ...] = ("-", (0, (5, 1.6)), "-.", (0, (1, 1)))
SHADE, PALE = 0.13, 0.05
Styles = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class TickSpan:
    """A tick on the axis of the whole run: it covers the seconds from `start_s` to `end_s`."""

    tick: Tick
    start_s: float
    end_s: float


@dataclass(frozen=True)
class StripLine:
    """One line of a strip: its name, style, and value at a tick."""

    name: str
    value: Callable[[TickSpan], float | None]
    linestyle: object = "-"
    linewidth: float = 1.5
    colour: str | None = INK
    """None for the arms' colours."""
    marker: str = ""


@dataclass(frozen=True)
class Strip:
    """One strip of the figure."""

    title: str
    lines: tuple[StripLine, ...]
    is_log: bool = False


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:  # noqa: ARG001 - all figures have one signature
    """Draw a strip per kind of figure, processes one after another; None without ticks."""
    ticks = result.load.ticks if result.load else []
    arms = arms_of(result) or list(dict.fromkeys(tick.arm for tick in ticks))
    if not ticks or is_crowded(arms):
        return None
    spans = _spans(ticks)
    styles = styles_of(result, arms)
    rows = _rows(ticks)
    height = TOP + len(rows) * (ROW + APART) + FOOT
    drawing = figure(WIDTH, height)
    first: Axes | None = None
    for number, row in enumerate(rows):
        bottom = height - TOP - (number + 1) * (ROW + APART)
        box = (LEFT / WIDTH, (bottom + FOOT * 0.5) / height, 1 - (LEFT + RIGHT) / WIDTH, ROW / height)
        axes = drawing.add_axes(box, sharex=first)
        first = first or axes
        _strip(axes, row, spans, styles)
        axes.tick_params(length=0, labelbottom=number == len(rows) - 1)
    assert first is not None
    first.set_xlim(spans[0].start_s, spans[-1].end_s)
    drawing.axes[-1].set_xlabel(
        "seconds" if len({t.process for t in ticks}) == 1 else "seconds, engine processes one after another"
    )
    _legend(drawing, arms, styles)
    return drawing


def _spans(ticks: Sequence[Tick]) -> list[TickSpan]:
    found: list[TickSpan] = []
    offset_s = 0.0
    for _, of_process in groupby(sorted(ticks, key=lambda t: (t.process, t.at_s)), key=lambda t: t.process):
        own = list(of_process)
        usual_s = median([b.at_s - a.at_s for a, b in pairwise(own)] or [1.0]) or 1.0
        before_s = max(0.0, own[0].at_s - usual_s)
        start_s = before_s
        for tick in own:
            # A gap belongs to no block: arms are being set up, or a process was idle.
            begun_s = start_s if tick.at_s - start_s < 3 * usual_s else tick.at_s - usual_s
            found.append(TickSpan(tick, offset_s + begun_s - before_s, offset_s + tick.at_s - before_s))
            start_s = tick.at_s
        offset_s += own[-1].at_s - before_s + usual_s
    return found


def _rows(ticks: Sequence[Tick]) -> list[Strip]:
    unit = unit_of(t.p50_ns for t in ticks)
    times = [StripLine("p50", lambda m: _in(m.tick.p50_ns, unit.ns), linewidth=1.9, colour=None, marker=".")]
    if any(t.p99_ns for t in ticks):
        times.append(StripLine("p99", lambda m: _in(m.tick.p99_ns, unit.ns), linewidth=0.9, colour=None))
    completed = [StripLine("completed", lambda m: m.tick.operations / _spent_s(m), linewidth=1.6, colour=None)]
    if any(t.errors for t in ticks):
        completed.append(StripLine("errors", lambda m: m.tick.errors / _spent_s(m) if m.tick.errors else None, "", marker="x"))
    rows = [Strip("operations per second", tuple(completed))]
    if any(t.p50_ns for t in ticks):
        rows.insert(0, Strip(f"response time, {unit.name} (log)", tuple(times), is_log=True))
    names = sorted({name for t in ticks for name in (*t.cpu_percent, *t.rss_bytes)}, key=lambda name: (name == GENERATOR, name))
    if any(t.cpu_percent for t in ticks):
        rows.append(Strip("CPU, % of a core", _by_process(names, lambda t, name: t.cpu_percent.get(name))))
    if any(t.rss_bytes for t in ticks):
        rows.append(Strip("resident memory, MB", _by_process(names, lambda t, name: _in(t.rss_bytes.get(name), 1e6))))
    counts = dict.fromkeys(name for t in ticks for name in t.counts)
    rows += [
        Strip(
            f"{name.replace('_', ' ')} per operation",
            (StripLine("", _at(name, lambda t, name: t.counts.get(name)), linewidth=1.6, colour=None),),
        )
        for name in counts
    ]
    return rows


def _by_process(names: Sequence[str], value: Callable[[Tick, str], float | None]) -> tuple[StripLine, ...]:
    lines = []
    for place, name in enumerate(names):
        own = name == GENERATOR
        style = ":" if own else STYLES[place % len(STYLES)]
        lines.append(StripLine(name, _at(name, value), style, 1.4, MUTED if own else INK))
    return tuple(lines)


def _at(name: str, value: Callable[[Tick, str], float | None]) -> Callable[[TickSpan], float | None]:
    return lambda span: value(span.tick, name)


def _spent_s(span: TickSpan) -> float:
    return max(span.end_s - span.start_s, 1e-9)


def _in(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _strip(axes: Axes, row: Strip, spans: Sequence[TickSpan], styles: Styles) -> None:
    for line in row.lines:
        for of_block in _blocks(spans):
            for measured, part in _phases(of_block):
                xs = [m.end_s for m in part]
                ys = [math.nan if (v := line.value(m)) is None else v for m in part]
                colour = line.colour or str(styles[part[0].tick.arm]["color"])
                alpha = 1.0 if measured else 0.4
                axes.plot(xs, ys, color=colour, linewidth=line.linewidth, alpha=alpha, **_signs(line))
    for of_block in _blocks(spans):
        for measured, stretch in groupby(of_block, key=lambda m: m.tick.phase == Phase.MEASURED):
            own = list(stretch)
            shade = SHADE if measured else PALE
            colour = str(styles[own[0].tick.arm]["color"])
            axes.axvspan(own[0].start_s, own[-1].end_s, color=colour, alpha=shade, linewidth=0)
    for before, after in pairwise(spans):
        if before.tick.process != after.tick.process:
            axes.axvline((before.end_s + after.start_s) / 2, color=INK, linewidth=0.8)
    axes.set_title(shorten(row.title, 600), fontsize=10.5, pad=4)
    axes.grid(visible=False, axis="x")
    if row.is_log:
        log_axis(axes, "y")
    else:
        axes.set_ylim(bottom=0)
        axes.margins(y=0.12)
        axes.locator_params(axis="y", nbins=4)
    _names(axes, row)


def _blocks(spans: Sequence[TickSpan]) -> list[list[TickSpan]]:
    """Return the ticks of each block: one arm, until another arm follows or it warms up again."""
    found: list[list[TickSpan]] = []
    for span in spans:
        last = found[-1][-1].tick if found else None
        again = last is not None and span.tick.phase == Phase.WARM_UP != last.phase
        if last is None or again or (last.process, last.arm) != (span.tick.process, span.tick.arm):
            found.append([])
        found[-1].append(span)
    return found


def _phases(block: Sequence[TickSpan]) -> list[tuple[bool, list[TickSpan]]]:
    """Return a block's ticks by whether they are measured; each part starts at the end of the last, so that lines do not break."""
    found: list[tuple[bool, list[TickSpan]]] = []
    for measured, part in groupby(block, key=lambda m: m.tick.phase == Phase.MEASURED):
        before = [found[-1][1][-1]] if found else []
        found.append((measured, [*before, *part]))
    return found


def _signs(line: StripLine) -> dict[str, Any]:
    return {"linestyle": line.linestyle, "marker": line.marker, "markersize": 4.5 if line.marker == "x" else 2.5}


def _names(axes: Axes, row: Strip) -> None:
    named = [line for line in row.lines if line.name]
    handles = [Line2D([], [], color=line.colour or INK, linewidth=line.linewidth, **_signs(line)) for line in named]
    if handles:
        labels = [shorten(line.name, RIGHT - 56) for line in named]
        axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.0, 1.08), fontsize=9.5, handlelength=2.4, labelcolor=INK)


def _legend(drawing: Figure, arms: Sequence[str], styles: Styles) -> None:
    handles = [Patch(color=str(styles[arm]["color"]), alpha=0.5, label=arm) for arm in arms]
    handles.append(Patch(color=MUTED, alpha=0.18, label="paler: warm-up, drain"))
    legend_of(drawing, handles)
