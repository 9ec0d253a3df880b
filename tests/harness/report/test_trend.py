"""A trend as SVG: what is drawn, and that no value breaks it."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.report.trend import DOTTED, HEIGHT, WIDTH, trend
from harness.results.history import FigureKind, HistoryLine, HistoryPoint
from tests.harness.report import histories


def paths(svg: str, name: str) -> list[str]:
    """Return the data of the paths of a class."""
    return [path.get("d", "") for path in ET.fromstring(svg).iter("path") if (path.get("class") or "").split()[0] == name]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30), st.integers(0, 300))
def test_every_value_is_within_the_drawing(values: list[float], more: int) -> None:
    """Whatever the values are, also equal, negative and extreme ones."""
    points = tuple(HistoryPoint(place, value, value, value) for place, value in enumerate(values))
    figure = histories.figure(kind=FigureKind.METRIC, lines=(HistoryLine(0, points),))
    svg = trend(figure, len(values) + more, "a figure")
    numbers = [int(number) for data in paths(svg, "line") for number in re.findall(r"-?\d+", data)]
    assert all(0 <= x <= WIDTH for x in numbers[::2])
    assert all(0 <= y <= HEIGHT for y in numbers[1::2])
    assert len(numbers) == 2 * len(values)


def test_lines_bars_dots_and_steps_are_drawn() -> None:
    """Each line in its own colour; larger values are higher."""
    figure = histories.figure(4e6, 4e6, 12e6, 12e6, steps=(histories.STEP,))
    other = HistoryLine(1, (HistoryPoint(3, 5e6, partial=True),))
    svg = trend(replace(figure, lines=(*figure.lines, other)), 4, "name")
    assert ET.fromstring(svg).get("aria-label") == "name"
    assert re.findall(r'<g class="(line-\d)">', svg) == ["line-1", "line-2"]
    assert [data.count("V") for data in paths(svg, "bars")] == [4]
    assert [data.count("h0") for data in paths(svg, "dots")] == [4, 1]
    assert len(paths(svg, "hollow")) == 1
    (step,) = paths(svg, "step")
    assert 'class="step bad"' in svg
    first, *_, last = re.findall(r"(\d+) (\d+)", paths(svg, "line")[0])
    assert int(first[1]) > int(last[1])
    assert int(first[0]) < int(step.partition(" ")[0][1:]) < int(last[0])


def test_many_runs_have_no_dots() -> None:
    """The line alone, so that a page of hundreds of runs stays small."""
    svg = trend(histories.figure(*[float(n) for n in range(1, DOTTED + 2)]), DOTTED + 1, "")
    assert paths(svg, "dots") == []
    assert len(svg) < 2_500


def test_small_noise_looks_small() -> None:
    """The axis spans at least a tenth of the values."""
    svg = trend(histories.figure(100.0, 100.5, lines=(HistoryLine(0, (HistoryPoint(0, 100.0), HistoryPoint(1, 100.5))),)), 2, "")
    (one, other) = (int(y) for y in re.findall(r" (\d+)", paths(svg, "line")[0]))
    assert abs(one - other) <= 3
