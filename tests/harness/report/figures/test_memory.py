"""The memory curve: drawn where an operation adds more than a mebibyte."""

from collections.abc import Callable
from dataclasses import replace

from harness.report.figures.memory import DRAWN_BYTES, POINTS, draw
from harness.results.run import Memory, ScenarioResult
from tests.harness.report.drawn import rows_of

CURVE = [(0.0, 50_000_000), (0.1, 51_000_000)]
SMALL = Memory("baseline", "small", 50_000_000, 50_000_000 + DRAWN_BYTES, 0.1, CURVE)
LARGE = replace(SMALL, group="large", peak_bytes=SMALL.peak_bytes + 1)


def test_groups_that_add_little_are_not_drawn(make_result: Callable[..., ScenarioResult]) -> None:
    """A panel per group in which an arm adds more than the limit, with every arm of it; nothing where there is none."""
    assert draw(make_result(memory=[SMALL]), None) is None
    chart = draw(make_result(memory=[SMALL, LARGE, replace(LARGE, arm="optimised")]), None)
    assert chart is not None
    (panel,) = chart.panels
    assert (panel.title, chart.groups) == ("large, MB", 2)
    assert panel.svg("").count('<path class="l"') == 2
    assert [(row[1].text, row[2].text) for row in rows_of(chart)] == [("baseline", "1.05"), ("optimised", "1.05")]


def test_long_curves_keep_their_peak(make_result: Callable[..., ScenarioResult]) -> None:
    """Of a curve of thousands of samples few points are drawn, its highest among them."""
    curve = [(number / 1000, 50_000_000 + (9_000_000 if number == 1234 else number)) for number in range(5000)]
    chart = draw(make_result(memory=[replace(LARGE, peak_bytes=59_000_000, curve=curve)]), None)
    assert chart is not None
    drawn = chart.panels[0].svg("")
    assert len(drawn) < POINTS * 30
    assert rows_of(chart)[0][2].text == "9.00"


def test_a_failed_operation_has_a_cross(make_result: Callable[..., ScenarioResult]) -> None:
    """An operation that did not complete ends in a cross, and the table says so."""
    chart = draw(make_result(memory=[replace(LARGE, error="MemoryError", limit_bytes=51_000_000)]), None)
    assert chart is not None
    assert "m-8 0l8-8" in chart.panels[0].svg("")
    assert '<path class="o"' in chart.panels[0].svg("")
    assert rows_of(chart)[0][-1].text == "failed"
