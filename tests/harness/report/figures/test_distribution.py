"""The distribution of latencies."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from harness.report.figures.distribution import FEW, _corners, draw
from harness.results.run import AA_CONTROL, ScenarioResult
from tests.harness.report.drawn import rows_of
from tests.harness.report.test_samples import columns

GROUP = "user's prompts"
ARMS = ("baseline", "proposed", AA_CONTROL)


def test_few_operations_are_dots_and_many_a_density(make_result: Callable[..., ScenarioResult]) -> None:
    """Below a number of operations each is a dot; from it on there are an outline, a median and a bar."""
    for number, dotted in ((FEW - 1, True), (FEW, False)):
        rows = [
            (1, pair, place, arm, GROUP, "c", 1000 + pair * place * 50)
            for pair in range(number)
            for place, arm in enumerate(ARMS, 1)
        ]
        chart = draw(make_result(), columns(rows))
        assert chart is not None
        svg = chart.panels[0].svg("")
        assert (svg.count('class="m"') == 2) == dotted
        assert (svg.count('class="v"') == svg.count('class="b"') == svg.count('class="t"') == 2) != dotted


def test_the_table_has_the_quartiles(make_result: Callable[..., ScenarioResult]) -> None:
    """The table twin has the median and the number of operations; the A/A control is left out."""
    rows = [(1, pair, place, arm, GROUP, "c", 1000 * (pair + 1)) for pair in range(101) for place, arm in enumerate(ARMS)]
    chart = draw(make_result(), columns(rows))
    assert chart is not None
    assert [[cell.text for cell in row] for row in rows_of(chart)] == [
        [GROUP, arm, "51.0 µs", "101"] for arm in ("baseline", "proposed")
    ]


def test_equal_operations_are_drawn(make_result: Callable[..., ScenarioResult]) -> None:
    """Operations that all took the same time have a place on the axis, and not a density of no width."""
    rows = [(1, pair, place, arm, GROUP, "c", 1000) for pair in range(50) for place, arm in enumerate(ARMS)]
    chart = draw(make_result(), columns(rows))
    assert chart is not None
    assert "nan" not in chart.panels[0].svg("")


def test_nothing_timed_draws_nothing(make_result: Callable[..., ScenarioResult]) -> None:
    """Without samples there is no figure."""
    assert draw(make_result(), None) is None
    assert draw(make_result(), columns([])) is None


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_an_outline_starts_and_ends_at_its_foot(heights: list[int]) -> None:
    """Its area is closed below, and it has every height of the density."""
    points = [(3 * place, 40 - height) for place, height in enumerate(heights)]
    found = _corners(points, 40)
    assert {y for _, y in found} - {40} == {y for _, y in points} - {40}
    assert not found or found[0][1] == found[-1][1] == 40
    assert bool(found) == any(heights)
