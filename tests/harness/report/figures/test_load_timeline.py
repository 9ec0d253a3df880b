"""A run under load over time."""

from dataclasses import replace

import numpy as np
import pytest

from harness.report.figures.load_timeline import PALE, SHADE, draw
from harness.report.svg import look
from harness.results.load import LoadResult, Tick
from harness.results.run import ScenarioResult


def changed(result: ScenarioResult, load: LoadResult, ticks: list[Tick]) -> ScenarioResult:
    """Return the result with other ticks."""
    return replace(result, load=replace(load, ticks=ticks))


def test_each_kind_of_figure_has_a_strip_on_one_axis(load_result: ScenarioResult) -> None:
    """Response, rate, CPU, memory and each count share the axis, which holds both processes one after another."""
    with look():
        drawing = draw(load_result, None)
    assert drawing is not None
    assert [axes.get_title(loc="left") for axes in drawing.axes] == [
        "response time, ms (log)",
        "operations per second",
        "CPU, % of a core",
        "resident memory, MB",
        "statements per operation",
        "cache hits per operation",
    ]
    assert len({axes.get_xlim() for axes in drawing.axes}) == 1
    assert drawing.axes[0].get_xlim()[1] == pytest.approx(2 * 30 + 0.5)


def test_blocks_are_shaded_and_warm_up_is_paler(load_result: ScenarioResult) -> None:
    """Each block has a shaded measured phase, and paler phases before and after it: those of one arm are one path."""
    with look():
        drawing = draw(load_result, None)
    assert drawing is not None
    corners = {SHADE: 0, PALE: 0}
    for patch in drawing.axes[0].patches:
        corners[patch.get_alpha() or 0.0] += np.asarray(patch.get_path().vertices).shape[0]
    assert corners == {SHADE: 5 * 12, PALE: 5 * 2 * 12}
    assert len(drawing.axes[0].patches) == 2 * 3


def test_gaps_and_single_ticks_are_drawn(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """One tick, a long pause, and missing figures are drawn; without ticks there is no figure."""
    one = under_load.ticks[5]
    bare = replace(one, at_s=90.0, p50_ns=None, p99_ns=None, cpu_percent={}, rss_bytes={}, counts={})
    with look():
        assert draw(changed(load_result, under_load, [one]), None) is not None
        gap = draw(changed(load_result, under_load, [one, bare, replace(bare, at_s=90.5)]), None)
        assert draw(changed(load_result, under_load, [bare]), None) is not None
        assert draw(changed(load_result, under_load, []), None) is None
    assert gap is not None
    assert draw(replace(load_result, load=None), None) is None


def test_only_figures_that_were_counted_have_a_strip(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Without processes and counts there are two strips."""
    bare = [replace(t, cpu_percent={}, rss_bytes={}, counts={}, errors=0) for t in under_load.ticks]
    with look():
        drawing = draw(changed(load_result, under_load, bare), None)
    assert drawing is not None
    assert len(drawing.axes) == 2
