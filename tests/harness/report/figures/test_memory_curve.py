"""Tests of the memory curve: drawn where an operation adds more than a mebibyte."""

from collections.abc import Callable
from dataclasses import replace

from harness.report.figures.memory_curve import DRAWN_BYTES, draw
from harness.results.run import Memory, ScenarioResult


def test_groups_that_add_little_are_not_drawn(make_result: Callable[..., ScenarioResult]) -> None:
    """A panel per group in which an arm adds more than the limit, with every arm of it; nothing where there is none."""
    curve = [(0.0, 50_000_000), (0.1, 51_000_000)]
    small = Memory("baseline", "small", 50_000_000, 50_000_000 + DRAWN_BYTES, 0.1, curve)
    large = replace(small, group="large", peak_bytes=small.peak_bytes + 1)
    assert draw(make_result(memory=[small]), None) is None
    drawing = draw(make_result(memory=[small, large, replace(small, group="large", arm="optimised")]), None)
    assert drawing is not None
    (panel,) = (axes for axes in drawing.axes if axes.get_visible())
    assert len(panel.lines) == 4  # a curve and a mark for each arm
