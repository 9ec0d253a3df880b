"""Latency by percentile: only where samples support the tail."""

from collections.abc import Callable
from dataclasses import replace

from harness.report.figures.percentiles import POINTS, draw
from harness.results.run import ArmResult, ScenarioResult
from tests.harness.report.test_samples import columns

GROUP = "user's prompts"
ROWS = [
    (1, pair, place, arm, GROUP, "c", 1000 + pair) for pair in range(200) for place, arm in enumerate(("baseline", "optimised"))
]


def test_only_groups_with_a_p90_have_a_panel(make_result: Callable[..., ScenarioResult]) -> None:
    """A group in which no arm has a p90 is left out, and counted."""
    result = make_result()
    short = [replace(x, group="few", percentiles_ns={"50": 1.0, "90": None}) for x in result.latencies]
    chart = draw(replace(result, latencies=[*result.latencies, *short]), columns(ROWS))
    assert chart is not None
    assert (len(chart.panels), chart.groups) == (1, 2)
    assert draw(replace(result, latencies=short), columns(ROWS)) is None
    assert draw(result, None) is None


def test_a_line_has_few_points(make_result: Callable[..., ScenarioResult]) -> None:
    """A line is short whatever the number of operations; the card's table has the percentiles."""
    result = make_result()
    chart = draw(result, columns(ROWS))
    assert chart is not None
    svg = chart.panels[0].svg("")
    lines = [piece.partition('"')[0] for piece in svg.split('class="l" d="')[1:]]
    assert len(lines) == 2
    assert all(len(line) <= POINTS * 7 for line in lines)
    assert chart.table is None


def test_more_arms_than_colours_have_no_panel(make_result: Callable[..., ScenarioResult]) -> None:
    """Lines that would look alike are not drawn."""
    one = make_result().latencies[0]
    names = ["baseline", *(f"only {number}" for number in range(9))]
    result = make_result(arms=[ArmResult(name, "") for name in names], latencies=[replace(one, arm=name) for name in names])
    assert draw(result, columns(ROWS)) is None
    assert draw(replace(result, latencies=result.latencies[:4]), columns(ROWS)) is not None
