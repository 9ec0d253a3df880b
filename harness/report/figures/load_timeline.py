"""A run under load over time: response times, throughput, and the processes' CPU and memory, a panel each."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median

from harness.language import gettext, mark
from harness.report.blocks import Table, cells
from harness.report.load import arms_of
from harness.report.numbers import significant, unit_of
from harness.report.plot import (
    BOTTOM,
    EDGE,
    LEFT,
    TEXT,
    TOP,
    WIDTH,
    Chart,
    ChartPanel,
    Scale,
    arm_classes,
    dots,
    is_crowded,
    line,
    log_scale,
    scale_from_0,
)
from harness.report.samples import Samples
from harness.results.load import Phase, Tick
from harness.results.run import ScenarioResult

ORDER = 4
TITLE = mark("The run over time")
HOW_TO_READ = mark(
    "Shaded: a block of one arm, paler in warm-up and drain; a change that does not come back with the arm is the machine's."
)
IS_DETAIL = True
GENERATOR = "generator"
PROCESS_LINES = ("y0", "y1", "y2", "y3")
"""The classes of the lines of processes; the load generator has its own."""


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
    kind: str = "w"
    """Its class."""
    of_arm: bool = True
    """Whether it has the colour of the arm of its block."""


@dataclass(frozen=True)
class Strip:
    """One panel of the figure."""

    title: str
    lines: Sequence[StripLine]
    is_log: bool = False


@dataclass(frozen=True)
class BlockCourse:
    """The blocks of a run over time."""

    spans_s: Sequence[tuple[float, float]]
    """The seconds from which to which each tick is."""
    stretches: Sequence[Stretch]
    borders_s: Sequence[float]
    """The seconds at which another process begins."""


def draw(result: ScenarioResult, _: Samples | None) -> Chart | None:
    """Draw a panel per kind of figure, processes one after another; None without ticks."""
    ticks = sorted(result.load.ticks if result.load else [], key=lambda t: (t.process, t.at_s))
    arms = list(dict.fromkeys([*arms_of(result), *(tick.arm for tick in ticks)]))
    if not ticks or is_crowded(arms):
        return None
    spans_s = _spans_s(ticks)
    borders_s = [
        (a[1] + b[0]) / 2 for (a, b), (t, u) in zip(pairwise(spans_s), pairwise(ticks), strict=True) if t.process != u.process
    ]
    course = BlockCourse(spans_s, _stretches(ticks), borders_s)
    strips = _strips(ticks, spans_s)
    classes = arm_classes(result.arms, arms)
    panels = [_panel(strip, course, classes) for strip in strips]
    return Chart(panels, _table(strips, course.stretches), len(panels), [(f"{classes[arm]} box", arm) for arm in arms])


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
        times = [StripLine("p50", _values((t.p50_ns for t in ticks), unit.ns))]
        if any(t.p99_ns for t in ticks):
            times.append(StripLine("p99", _values((t.p99_ns for t in ticks), unit.ns), "n"))
        strips.append(Strip(gettext("response time, {unit} (log)", unit=unit.name), times, is_log=True))
    rates = [StripLine(gettext("completed"), _values(t.operations / s for t, s in zip(ticks, spent_s, strict=True)))]
    if any(t.errors for t in ticks):
        errors = (t.errors / s if t.errors else None for t, s in zip(ticks, spent_s, strict=True))
        rates.append(StripLine(gettext("errors"), _values(errors), "x", of_arm=False))
    strips.append(Strip(gettext("operations per second"), rates))
    names = sorted({name for t in ticks for name in (*t.cpu_percent, *t.rss_bytes)}, key=lambda name: (name == GENERATOR, name))
    kinds = {name: "yg" if name == GENERATOR else PROCESS_LINES[place % len(PROCESS_LINES)] for place, name in enumerate(names)}
    for title, unit_size, by_tick in (
        (gettext("CPU, % of a core"), 1.0, [t.cpu_percent for t in ticks]),
        (gettext("resident memory, MB"), 1e6, [t.rss_bytes for t in ticks]),
    ):
        if any(by_tick):
            lines = (
                StripLine(name, _values((found.get(name) for found in by_tick), unit_size), kinds[name], of_arm=False)
                for name in names
            )
            strips.append(Strip(title, [line for line in lines if not all(map(math.isnan, line.values))]))
    counted = dict.fromkeys(name for t in ticks for name in t.counts)
    counts = {name: StripLine("", _values(t.counts.get(name) for t in ticks)) for name in counted}
    return [
        *strips,
        *(Strip(gettext("{count} per operation", count=name.replace("_", " ")), [line]) for name, line in counts.items()),
    ]


def _values(values: Iterable[float | None], unit: float = 1.0) -> list[float]:
    return [math.nan if value is None else value / unit for value in values]


def _panel(strip: Strip, course: BlockCourse, classes: Mapping[str, str]) -> ChartPanel:
    named = [(line.kind, line.name) for line in strip.lines if line.name]
    top = TOP + (TEXT if len(named) > 1 or not strip.lines[0].of_arm else 0)
    known = [value for line in strip.lines for value in line.values if math.isfinite(value)]
    down = log_scale(known, BOTTOM, top) if strip.is_log else scale_from_0(known, BOTTOM, top)
    spans_s = course.spans_s
    across = Scale(spans_s[0][0], max(spans_s[-1][1], spans_s[0][0] + 1e-9), LEFT, WIDTH - EDGE, is_log=False)
    panel = ChartPanel(strip.title)
    for s in course.stretches:
        start, end = across.at(spans_s[s.first][0]), across.at(spans_s[s.end - 1][1])
        if end > start:
            panel.arm(classes[s.arm])
            panel.path("s" if s.is_measured else "s u", f"M{start} {top}V{BOTTOM}H{end}V{top}z")
            panel.end()
    panel.up(down, LEFT, WIDTH - EDGE)
    panel.across(across, BOTTOM, BOTTOM, "s")
    panel.path("o", "".join(f"M{across.at(border)} {top}V{BOTTOM}" for border in course.borders_s))
    for drawn in strip.lines:
        paths: dict[tuple[str, str], str] = {}
        for s in course.stretches:
            key = (classes[s.arm] if drawn.of_arm else "", drawn.kind if s.is_measured or not drawn.of_arm else f"{drawn.kind} u")
            places = range(s.line_from, s.end)
            known_at = [place for place in places if math.isfinite(drawn.values[place])]
            points = [(across.at(spans_s[place][1]), down.at(drawn.values[place])) for place in known_at]
            paths[key] = paths.get(key, "") + (dots(points) if drawn.kind == "x" else line(points))
        for (arm, kind), data in paths.items():
            panel.arm(arm)
            panel.path(kind, data)
            panel.end()
    if top > TOP:
        panel.names(named, TOP + 4)
    return panel


def _table(strips: Sequence[Strip], stretches: Sequence[Stretch]) -> Table:
    """Return the lowest, median and highest value of each line while an arm was measured."""
    rows = []
    for strip in strips:
        for drawn in strip.lines:
            for arm in dict.fromkeys(s.arm for s in stretches):
                measured = (s for s in stretches if s.arm == arm and s.is_measured)
                values = [v for s in measured for v in drawn.values[s.first : s.end] if math.isfinite(v)]
                if values:
                    shown = (significant(value) for value in (min(values), median(values), max(values)))
                    rows.append(cells(strip.title, drawn.name, arm, *shown))
    return Table("", ("figure", "line", "arm", "lowest", "median", "highest"), tuple(rows), names=3, grouped=True)
