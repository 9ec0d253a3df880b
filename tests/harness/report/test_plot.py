"""Axes and marks as small SVGs."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.plot import (
    COLOURS,
    TICKS,
    WIDTH,
    ChartPanel,
    Scale,
    arm_classes,
    dots,
    every,
    is_crowded,
    line,
    log_scale,
    scale_from_0,
    shorten,
)
from harness.results.run import AA_CONTROL, ArmResult

POSITIVE = st.floats(1e-9, 1e12)
POINTS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=40)


@given(st.lists(POSITIVE, min_size=1, max_size=20))
def test_every_value_is_on_its_axis(values: list[float]) -> None:
    """A logarithmic axis holds all values in their order, and has some round labels, not too many."""
    scale = log_scale(values, 6, 306)
    places = [scale.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(6 <= place <= 306 for place in places)
    assert 1 <= len(scale.ticks) <= TICKS + 1
    assert all(scale.low <= tick * (1 + 1e-9) and tick * (1 - 1e-9) <= scale.high for tick in scale.ticks)


@given(st.lists(st.floats(0, 1e12), max_size=20))
def test_an_axis_from_0_holds_every_value(values: list[float]) -> None:
    """A linear axis begins at 0 and ends above the largest value."""
    scale = scale_from_0(values, 120, 8)
    assert scale.at(0.0) == 120
    assert all(8 <= scale.at(value) <= 120 for value in values)
    assert scale.ticks[0] == 0


@pytest.mark.parametrize("values", [[], [0.0], [math.inf, 2.0], [math.nan, 2.0], [-1.0, 2.0]])
def test_values_without_a_place_do_not_break_an_axis(values: list[float]) -> None:
    """Nothing, 0, infinite and missing values leave an axis that can be drawn."""
    scale = log_scale(values, 0, 300)
    assert 0 < scale.low < scale.high < math.inf


def test_a_value_beyond_the_axis_is_at_its_end() -> None:
    """Marks stay inside the panel."""
    scale = Scale(1.0, 10.0, 0, 100)
    assert [scale.at(value) for value in (math.nan, 0.001, 1.0, 10.0, math.inf)] == [0, 0, 0, 100, 100]


@given(POINTS)
def test_a_path_of_dots_has_each_place_once(points: list[tuple[int, int]]) -> None:
    """Relative moves lead to the places of the points, each drawn once."""
    x = y = 0
    found = []
    for move, across, down in re.findall(r"([Mm])(-?\d+) (-?\d+)h0", dots(points)):
        x, y = (int(across), int(down)) if move == "M" else (x + int(across), y + int(down))
        found.append((x, y))
    assert sorted(found) == sorted(set(points))


@given(POINTS)
def test_a_line_ends_where_its_points_do(points: list[tuple[int, int]]) -> None:
    """Relative steps lead from the first point through all others to the last."""
    numbers = [int(number) for number in re.findall(r"-?\d+", line(points).partition("h")[0])]
    steps = list(zip(numbers[::2], numbers[1::2], strict=True))
    assert (sum(x for x, _ in steps), sum(y for _, y in steps)) == points[-1]
    assert len(steps) <= len(points)
    assert line([]) == ""


def test_texts_are_escaped_and_cut_in_the_middle() -> None:
    """Markup is text; a long name keeps its start and its end, and wide scripts are cut earlier."""
    panel = ChartPanel('<b> & "q"')
    panel.text(0, 10, "<script>")
    assert "&lt;script&gt;</text>" in panel.svg("x")
    assert 'aria-label="x: &lt;b&gt; &amp; &quot;q&quot;"' in panel.svg("x")
    assert shorten("abc", 100) == "abc"
    assert shorten("first_page_of_many_pages_optimised", 100).startswith("first")
    assert shorten("first_page_of_many_pages_optimised", 100).endswith("mised")
    assert len(shorten("日" * 40, 100)) < len(shorten("a" * 40, 100)) < 40


def test_arms_have_classes_by_position() -> None:
    """An arm's class depends on its position without the baseline, not on its name or on the other arms shown."""
    order = [ArmResult(name, "") for name in ("baseline", "zeta", "alpha")]
    assert arm_classes(order, ["alpha"])["alpha"] == arm_classes(order, ["zeta", "alpha"])["alpha"] == "a2"
    many = [f"only {number}" for number in range(9)]
    declared = [ArmResult(name, "") for name in many]
    assert len({arm_classes(declared, many[4:9])[arm] for arm in many[4:9]}) == 5


def test_more_arms_than_colours_are_crowded() -> None:
    """The baseline and the A/A control do not count."""
    many = [f"only {number}" for number in range(9)]
    assert is_crowded(many)
    assert not is_crowded(["baseline", AA_CONTROL, *many[:COLOURS]])


@given(st.integers(0, 10_000), st.integers(1, 300))
def test_every_kth_is_within_the_limit(count: int, limit: int) -> None:
    """At most `limit` positions, the first among them; all of them if they are few."""
    found = every(count, limit)
    assert len(found) <= limit
    assert (found == list(range(count))) == (count <= limit)


@given(st.lists(POSITIVE, min_size=1, max_size=5))
def test_labels_stay_inside_the_panel(values: list[float]) -> None:
    """The labels of a horizontal axis do not leave the view box."""
    panel = ChartPanel("")
    panel.across(log_scale(values, 6, 306), 0, 20, "ms")
    places = [int(x) for x in re.findall(r'x="(-?\d+)"', panel.svg(""))]
    assert all(0 <= x <= WIDTH for x in places)
