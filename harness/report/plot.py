"""Axes and marks written as small inline SVGs: the panels of a card's figures, a hundred and more on one page.

Coordinates are whole numbers, all points of a series are one path, and colours and widths are classes of `figure.css`. A panel is
as wide as a phone's card; the page puts as many next to each other as fit.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from harness.redaction import redacted
from harness.report.arm_places import arm_places
from harness.report.blocks import Table
from harness.results.names import shortened, visible
from harness.results.run import AA_CONTROL, BASELINE, ArmResult

WIDTH = 312
"""The width of a panel in units of its view box, in which texts are 12 high."""
EDGE = 6
"""The free space at both sides."""
LEFT, TOP, BOTTOM = 44, 8, 118
"""The sides of a plot with a vertical axis."""
TEXT = 15
"""The height of a line of text."""
TICKS = 5
"""The most labels of an axis."""
COLOURS = 6
"""The number of colours for arms in the style sheet."""
TINY = 1e-18
"""A value at most this, or above its inverse, is left out of an axis."""
LEAST_STEPS = 4.0
"""The ratio of a logarithmic axis' ends below which its labels are at equal steps."""

Point = tuple[int, int]


@dataclass(frozen=True)
class Scale:
    """An axis: from values to whole units of the view box."""

    low: float
    high: float
    start: int
    """The position of `low`."""
    end: int
    """The position of `high`."""
    is_log: bool = True

    def at(self, value: float) -> int:
        """Return the position of a value; one beyond the axis is at its end."""
        kept = min(value, self.high) if value > self.low else self.low  # also of a missing number
        share = (
            math.log(kept / self.low) / math.log(self.high / self.low)
            if self.is_log
            else (kept - self.low) / (self.high - self.low)
        )
        return round(self.start + share * (self.end - self.start))

    @property
    def ticks(self) -> list[float]:
        """The round values inside the axis that are labelled, at most `TICKS`."""
        return _powers(self.low, self.high) if self.is_log and self.high / self.low >= LEAST_STEPS else _steps(self.low, self.high)


def log_scale(values: Iterable[float], start: int, end: int, margin: float = 0.04) -> Scale:
    """Return a logarithmic axis that all positive `values` fit on, with a margin at both sides as a share of it."""
    known = [value for value in values if TINY < value < 1 / TINY] or [1.0]
    low, high = min(known), max(known)
    factor = max((high / low) ** margin, 1.02)
    return Scale(low / factor, high * factor, start, end)


def scale_from_0(values: Iterable[float], start: int, end: int) -> Scale:
    """Return a linear axis from 0 to the largest of `values`, with some room above it."""
    high = max((value for value in values if TINY < value < 1 / TINY), default=1.0)
    return Scale(0.0, high * 1.06, start, end, is_log=False)


def _steps(low: float, high: float) -> list[float]:
    """Return the multiples of a round step between two values."""
    raw = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power >= raw)
    return [round(number * step, 12) for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float) -> list[float]:
    """Return the powers of ten between two values, with simple multiples of them while they are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high]
        if len(found) <= TICKS:
            break
    return found[:: -(-len(found) // TICKS)] if len(found) > 1 else _steps(low, high)


@dataclass
class ChartPanel:
    """One small SVG: marks are added from top to bottom, and `svg` returns its element."""

    title: str
    """Written above it, in the page's own text."""
    height: int = 0
    """The height that is used so far."""
    parts: list[str] = field(default_factory=list)

    def text(self, x: int, y: int, text: str, kind: str = "", room: float = math.inf) -> None:
        """Write a text with its baseline at `y`, cut to `room` units; kinds are "e" for the end at `x`, "m" for the middle."""
        chosen = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text{chosen} x="{x}" y="{y}">{escape(shorten(visible(redacted(text)), room), quote=False)}</text>')

    def path(self, kind: str, data: str) -> None:
        """Draw a path of a class of `figure.css`; nothing for no data."""
        if data:
            self.parts.append(f'<path class="{kind}" d="{data}"/>')

    def arm(self, name: str) -> None:
        """Give the following marks, up to `end`, an arm's colour and line; without a name, those of the page."""
        self.parts.append(f'<g class="{name}">' if name else "<g>")

    def end(self) -> None:
        """End the marks of an arm."""
        self.parts.append("</g>")

    def across(self, scale: Scale, top: int, bottom: int, unit: str = "", per: float = 1.0) -> None:
        """Draw the grid of a horizontal axis between two heights, and its labels, in units of `per`, below."""
        self.path("g", "".join(f"M{scale.at(tick)} {top}V{bottom}" for tick in scale.ticks))
        end = scale.end if not unit else scale.end - round(_wide(unit)) - 4
        for tick in scale.ticks:
            shown = label(tick / per)
            at = min(max(scale.at(tick), round(_wide(shown) / 2) + 1), WIDTH - round(_wide(shown) / 2) - 1)
            if at + _wide(shown) / 2 <= end or not unit:
                self.text(at, bottom + 12, shown, "m k")
        if unit:
            self.text(WIDTH, bottom + 12, unit, "e k")
        self.height = max(self.height, bottom + 16)

    def up(self, scale: Scale, left: int, right: int, per: float = 1.0) -> None:
        """Draw the grid of a vertical axis between two sides, and its labels, in units of `per`, to the left."""
        self.path("g", "".join(f"M{left} {scale.at(tick)}H{right}" for tick in scale.ticks))
        for tick in scale.ticks:
            self.text(left - 4, scale.at(tick) + 4, label(tick / per), "e k")

    def names(self, lines: Sequence[tuple[str, str]], y: int) -> None:
        """Write what the lines of some classes are, each with a piece of it, in a row above the plot."""
        room = (WIDTH - LEFT) / max(1, len(lines)) - 28
        x = LEFT
        for kind, name in lines:
            self.path(kind, f"M{x} {y - 4}h16")
            self.text(x + 20, y, name, "k", room)
            x += 28 + round(min(_wide(name), room))

    def svg(self, described: str) -> str:
        """Return the element; `described` is for screen readers."""
        box = f'viewBox="0 0 {WIDTH} {self.height}"'
        label = escape(f"{described}: {shortened(visible(redacted(self.title)))}")
        return f'<svg {box} role="img" aria-label="{label}">{"".join(self.parts)}</svg>'


@dataclass(frozen=True)
class Chart:
    """A figure of one card: panels, the same content as a table, and remarks."""

    panels: Sequence[ChartPanel]
    table: Table | None
    """None where the page has it as a table of its own."""
    groups: int
    """The number of groups that could have a panel."""
    key: Sequence[tuple[str, str]] = ()
    """The class and the name of the lines that need a key; others are named inside the panels."""
    dots: tuple[int, int] | None = None
    """The number of pairs that are drawn, and of all; None if it draws no pairs."""


def dots(points: Iterable[Point]) -> str:
    """Return a path of dots, which `figure.css` gives round ends; points at the same place are one."""
    data, last = "", None
    for x, y in sorted(set(points), key=lambda point: (point[1], point[0])):
        data += f"m{x - last[0]} 0h0" if last and last[1] == y else f"M{x} {y}h0"
        last = (x, y)
    return data


def line(points: Sequence[Point]) -> str:
    """Return a path of straight lines; a single point is a dot."""
    if not points:
        return ""
    (x, y), steps = points[0], []
    for to in points[1:]:
        step = (to[0] - x, to[1] - y)
        if step != (0, 0):
            steps.append(f"{step[0]}{'' if step[1] < 0 else ' '}{step[1]}")
            x, y = to
    joined = "".join(step if not place or step.startswith("-") else f" {step}" for place, step in enumerate(steps))
    return f"M{points[0][0]} {points[0][1]}" + (f"l{joined}" if steps else "h0")


def bar(low: int, high: int, y: int) -> str:
    """Return a path from one position to another at the same height."""
    return f"M{low} {y}H{high}" if low != high else f"M{low} {y}h1"


def arm_classes(arms: Sequence[ArmResult], shown: Iterable[str]) -> dict[str, str]:
    """Return the class of each arm's colour and line, the same in every figure of a scenario.

    The baseline and the A/A control have their own. If there are more arms than colours, only those shown have different ones.
    """
    drawn = dict.fromkeys(shown)
    places = arm_places(arms, drawn)
    if len(places) > COLOURS:
        places = {name: place for place, name in enumerate(name for name in places if name in drawn)}
    return {BASELINE: "a0", AA_CONTROL: "ac", **{name: f"a{place % COLOURS + 1}" for name, place in places.items()}}


def is_crowded(arms: Iterable[str]) -> bool:
    """Whether there are more arms than colours, so that they cannot be distinguished in one panel."""
    return len(set(arms) - {BASELINE, AA_CONTROL}) > COLOURS


def every(count: int, limit: int) -> list[int]:
    """Return at most `limit` positions of `count` things at equal steps, all of them if they are few."""
    step = max(1, -(-count // limit))
    return list(range(0, count, step))


def label(value: float) -> str:
    """Return the label of a tick: all digits of a round value."""
    return f"{value:,.10g}"


def shorten(text: str, width: float) -> str:
    """Return `text` cut in the middle to about `width` units in the font of figures, with an ellipsis if it was cut."""
    if _wide(text) <= width:
        return text
    head, tail, room = 0, 0, width - _wide("…")
    while head + tail < len(text):
        room -= _wide(text[head] if head <= tail else text[-1 - tail])
        if room < 0:
            break
        head, tail = (head + 1, tail) if head <= tail else (head, tail + 1)
    return f"{text[: max(1, head)]}…{text[len(text) - tail :]}"


def _wide(text: str) -> float:
    """Return about how wide a text is in the font of figures."""
    return sum(11.5 if ord(sign) > 0x2E7F else 6.4 for sign in text)  # noqa: PLR2004 - from here on scripts are one em wide
