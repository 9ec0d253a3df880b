"""Latency against throughput."""

import itertools
import re
from dataclasses import replace

from harness.report.figures.capacity import draw
from harness.results.load import LoadResult
from harness.results.run import ArmResult, ScenarioResult


def dots_of(svg: str, kind: str) -> int:
    """Return the number of dots of a class."""
    return sum(data.count("h0") for data in re.findall(rf'class="{kind}" d="([^"]*)"', svg))


def test_each_kind_has_a_panel_with_its_limit(load_result: ScenarioResult) -> None:
    """Each panel has the objective's limit as a line at 150 ms, and a label per sustained level."""
    chart = draw(load_result, None)
    assert chart is not None
    assert [panel.title for panel in chart.panels] == ["operations per second: p95, ms", "concurrent users: p95, ms"]
    for panel, unit in zip(chart.panels, ("/s", "users"), strict=True):
        words = re.findall(r">([^<]+)</text>", panel.svg(""))
        assert "p95 &lt; 150 ms" in words
        assert panel.svg("").count('class="o h"') == panel.svg("").count('class="z"') == 1
        assert sum(word.endswith(unit) for word in words) == 3


def test_labels_of_levels_meet_neither_each_other_nor_points(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """However many arms sustain the same level, each label has a row of its own, below all points."""
    one = under_load.capacities[0]
    names = ["proposed", "optimised", *(f"arm {number}" for number in range(4))]
    found = [replace(one, arm=name) for name in names]
    arms = [load_result.arms[0], *(ArmResult(name, "") for name in names)]
    chart = draw(replace(load_result, arms=arms, load=replace(under_load, capacities=found)), None)
    assert chart is not None
    svg = chart.panels[0].svg("")
    labels = sorted(int(y) for y, text in re.findall(r'y="(\d+)">([^<]+)</text>', svg) if re.fullmatch(r"[\d.,]+/s", text))
    assert len(labels) == len(names)
    assert min(b - a for a, b in itertools.pairwise(labels)) >= 14
    points = [int(y) for data in re.findall(r'class="[cmq]" d="([^"]*)"', svg) for y in re.findall(r"M\d+ (\d+)h0", data)]
    assert points
    assert max(points) < labels[0] - 8


def test_failed_steps_are_hollow(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """There is a large mark per decided step, hollow for a failed one, and a small one per undecided step."""
    one = under_load.capacities[0]
    steps = [replace(s, achieved_per_s=100.0 * 1.5**number) for number, s in enumerate(one.steps)]
    chart = draw(replace(load_result, load=replace(under_load, capacities=[replace(one, steps=steps)])), None)
    assert chart is not None
    svg = chart.panels[0].svg("")
    assert dots_of(svg, "c") == sum(step.sustained is not None and step.invalid is None for step in steps)
    assert dots_of(svg, "q") == sum(step.sustained is False and step.invalid is None for step in steps)


def test_a_search_without_times_draws_nothing(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Steps without the percentile, and no search at all, leave nothing to draw."""
    empty = [replace(c, steps=[replace(s, percentiles_ns={}) for s in c.steps]) for c in under_load.capacities]
    assert draw(replace(load_result, load=replace(under_load, capacities=empty)), None) is None
    assert draw(replace(load_result, load=None), None) is None


def test_an_objective_for_errors_only_has_no_line(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Without a limit of time the 95th percentile is drawn and nothing is shaded."""
    found = [replace(c, objective="errors < 1 %", sustained=None) for c in under_load.capacities]
    chart = draw(replace(load_result, load=replace(under_load, capacities=found)), None)
    assert chart is not None
    assert not any(mark in chart.panels[0].svg("") for mark in ('class="z"', 'class="o h"', "p95 &lt;"))
