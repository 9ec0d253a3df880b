"""A figure over many runs as a small inline SVG: written by hand, since a page has hundreds of them.

All trends of a page share their horizontal axis: the runs in their order. The vertical axis is logarithmic where every value is
above 0. Colours come from the page's style sheet.
"""

import math
from collections.abc import Callable, Iterable, Sequence

from harness.results.history import FigureHistory, HistoryLine, HistoryPoint

WIDTH, HEIGHT, EDGE = 300, 46, 5
DOTTED = 60
"""The number of runs up to which each value has a dot."""
COLOURS = 6
"""The number of colours for lines in the style sheet."""
FLAT = 0.1
"""The smallest span of the vertical axis, as a share of the values: noise below it looks as small as it is."""

Vertical = Callable[[float], int]


def trend(figure: FigureHistory, runs: int, label: str) -> str:
    """Return a figure's trend over a number of runs; `label`, already escaped, is for screen readers."""
    vertical = _vertical([point for line in figure.lines for point in line.points])
    drawn = "".join(_line(line, runs, vertical) for line in figure.lines)
    return f'<svg class="trend" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{drawn}</svg>'


def _vertical(points: Sequence[HistoryPoint]) -> Vertical:
    """Return the vertical position of a value, on an axis that all values and their intervals fit on."""
    values = [bound for p in points for bound in (p.value, p.low, p.high) if bound is not None and math.isfinite(bound)]
    positive = [value for value in values if value > 0]
    is_log = bool(positive) and all(point.value > 0 for point in points)
    scaled = [math.log(value) for value in positive] if is_log else values
    low, high = min(scaled), max(scaled)
    middle = (low + high) / 2
    span = max(high - low, FLAT if is_log else FLAT * abs(middle)) or 1.0

    def place(value: float) -> int:
        at = (math.log(value) if value > 0 else low) if is_log else value
        share = min(1.0, max(0.0, (at - middle) / span + 0.5))
        return round(HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE))

    return place


def _line(line: HistoryLine, runs: int, vertical: Vertical) -> str:
    """Return the elements of one line: steps, intervals, the line, and a dot per run, hollow for an interrupted one."""
    places = [(_across(point.run, runs), vertical(point.value)) for point in line.points]
    steps = "".join(
        f'<path class="step{_tone(step.better)}" d="M{_across((step.before_run + step.run) / 2, runs)} 0V{HEIGHT}"/>'
        for step in line.steps
    )
    bars = "".join(
        f"M{x} {vertical(point.low)}V{vertical(point.high)}"
        for (x, _), point in zip(places, line.points, strict=True)
        if point.low is not None and point.high is not None and math.isfinite(point.low) and math.isfinite(point.high)
    )
    dots = "".join(f"M{x} {y}h0" for (x, y), p in zip(places, line.points, strict=True) if not p.partial and runs <= DOTTED)
    hollow = "".join(f"M{x} {y}h0" for (x, y), p in zip(places, line.points, strict=True) if p.partial)
    parts = (("bars", bars), ("line", _joined(places)), ("dots", dots), ("dots", hollow), ("hollow", hollow))
    found = "".join(f'<path class="{name}" d="{data}"/>' for name, data in parts if data)
    return f'{steps}<g class="{line_class(line.number)}">{found}</g>'


def line_class(number: int) -> str:
    """Return the CSS class of the colour of a line."""
    return f"line-{number % COLOURS + 1}"


def _joined(places: Iterable[tuple[int, int]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in places)


def _across(run: float, runs: int) -> int:
    """Return the horizontal position of a run; a single one is in the middle."""
    return round(EDGE + (run / (runs - 1) if runs > 1 else 0.5) * (WIDTH - 2 * EDGE))


def _tone(better: bool | None) -> str:
    return "" if better is None else " good" if better else " bad"
