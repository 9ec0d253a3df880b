"""Latency against throughput."""

from dataclasses import replace

import numpy as np

from harness.report.figures.capacity import draw
from harness.report.svg import look
from harness.results.load import LoadResult
from harness.results.run import ScenarioResult


def test_each_kind_has_a_panel_with_its_limit(load_result: ScenarioResult) -> None:
    """Each panel has the objective's limit as a line at 150 ms, and a label per sustained level."""
    with look():
        drawing = draw(load_result, None)
    assert drawing is not None
    assert [axes.get_title(loc="left") for axes in drawing.axes] == ["operations per second", "concurrent users"]
    for axes, unit in zip(drawing.axes, ("/s", "users"), strict=True):
        assert any(np.array_equal(line.get_ydata(), [150e6, 150e6]) for line in axes.lines)
        words = [text.get_text() for text in axes.texts]
        assert "p95 < 150 ms" in words
        assert sum(word.endswith(unit) for word in words) == 3


def test_failed_steps_are_hollow(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """There is a filled mark per sustained step and a hollow one per failed step."""
    one = under_load.capacities[0]
    with look():
        drawing = draw(replace(load_result, load=replace(under_load, capacities=[one])), None)
    assert drawing is not None
    marks = [line for line in drawing.axes[0].lines if line.get_markersize() == 6.0 and line.get_linestyle() == "None"]
    hollow = [line.get_markerfacecolor() == "none" for line in marks]
    assert hollow.count(False) == sum(step.sustained is True for step in one.steps)
    assert hollow.count(True) == sum(step.sustained is False for step in one.steps)


def test_a_search_without_times_draws_nothing(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Steps without the percentile, and no search at all, leave nothing to draw."""
    empty = [replace(c, steps=[replace(s, percentiles_ns={}) for s in c.steps]) for c in under_load.capacities]
    with look():
        assert draw(replace(load_result, load=replace(under_load, capacities=empty)), None) is None
        assert draw(replace(load_result, load=None), None) is None


def test_an_objective_for_errors_only_has_no_line(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Without a limit of time the 95th percentile is drawn and nothing is shaded."""
    found = [replace(c, objective="errors < 1 %", sustained=None) for c in under_load.capacities]
    with look():
        drawing = draw(replace(load_result, load=replace(under_load, capacities=found)), None)
    assert drawing is not None
    assert not drawing.axes[0].texts
    assert not drawing.axes[0].patches
