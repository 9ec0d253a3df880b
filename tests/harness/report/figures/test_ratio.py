"""The ratio by process with its pairs."""

import re
from collections.abc import Callable
from dataclasses import replace

from harness.report.figures.ratio import DOTS, draw
from harness.report.numbers import ratio_with_interval
from harness.results.run import AA_CONTROL, ArmResult, Ratio, ScenarioResult
from tests.harness.report.test_samples import columns

GROUP = "user's prompts"


def test_every_arm_has_a_row_with_its_ratio(make_result: Callable[..., ScenarioResult]) -> None:
    """Also without samples: the processes come from the record. The A/A control is the last row."""
    result = make_result()
    chart = draw(result, None)
    assert chart is not None
    svg = chart.panels[0].svg("")
    assert re.findall(r"<text x[^>]*>([^<]*)<", svg) == ["proposed", "optimised", AA_CONTROL]
    assert svg.count('class="b"') == svg.count('class="c"') == len(result.ratios)
    assert 'class="d"' not in svg
    assert all(ratio_with_interval(ratio) in svg for ratio in result.ratios)
    assert chart.table is None


def test_at_most_some_pairs_are_drawn(make_result: Callable[..., ScenarioResult]) -> None:
    """Of many pairs every k-th is drawn, and both numbers are known."""
    rows = [
        (process, pair, place, arm, GROUP, "c", 1000 + 7 * pair * (place + 1))
        for process in range(3)
        for pair in range(500)
        for place, arm in enumerate(("baseline", "proposed", "optimised", AA_CONTROL))
    ]
    chart = draw(make_result(), columns(rows))
    assert chart is not None
    assert chart.dots is not None
    drawn, pairs = chart.dots
    assert pairs == 4500
    assert DOTS * 0.9 < drawn <= DOTS


def test_a_run_under_load_has_no_ratio_of_pairs(load_result: ScenarioResult, make_result: Callable[..., ScenarioResult]) -> None:
    """Under load the ratios are of percentiles; without ratios there is no figure."""
    assert draw(load_result, None) is None
    assert draw(make_result(ratios=[]), None) is None


def test_many_arms_are_all_drawn(make_result: Callable[..., ScenarioResult]) -> None:
    """Rows are named, so that more arms than colours can be told apart."""
    names = [f"only {number}" for number in range(9)]
    ratios = [Ratio(name, GROUP, 2.0, None, None, [], 1) for name in names]
    chart = draw(make_result(arms=[ArmResult(name, "") for name in ("baseline", *names)], ratios=ratios), None)
    assert chart is not None
    assert all(f">{name}</text>" in chart.panels[0].svg("") for name in names)
    assert 'class="b"' not in chart.panels[0].svg("")


def test_infinite_ratios_are_at_the_edge(make_result: Callable[..., ScenarioResult]) -> None:
    """A ratio that does not fit on a logarithmic axis does not break the others."""
    one = make_result().ratios[0]
    chart = draw(make_result(ratios=[one, replace(one, arm="optimised", ratio=float("inf"), high=float("inf"))], verdicts=[]), None)
    assert chart is not None
    assert "nan" not in chart.panels[0].svg("")
