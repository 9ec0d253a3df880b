"""Growth of a cost with the rows: only what grows."""

import re
from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harness.report.figures.growth import LINE, _apart, draw
from harness.report.plot import BOTTOM, TOP
from harness.results.run import Growth, ScenarioResult
from tests.harness.report.drawn import rows_of

GROUP = "user's prompts"


def test_a_cost_that_grows_for_an_arm_has_a_panel_with_all_arms(make_result: Callable[..., ScenarioResult]) -> None:
    """A flat arm stays next to the one that grows; a cost that is flat for all arms has no panel."""
    growing = Growth("baseline", GROUP, "vm_steps", [0.1, 1.0], [10.0, 100.0], 1.0)
    flat = Growth("optimised", GROUP, "vm_steps", [0.1, 1.0], [5.0, 5.0], 0.0)
    same = Growth("baseline", GROUP, "rows", [0.1, 1.0], [7.0, 7.5], 0.03)
    chart = draw(make_result(growth=[growing, flat, same]), None)
    assert chart is not None
    assert [panel.title for panel in chart.panels] == [f"{GROUP}, vm steps"]
    assert (len(chart.panels), chart.groups) == (1, 2)
    assert re.findall(r">(\d\.\d\d)</text>", chart.panels[0].svg("")) == ["1.00", "0.00"]
    assert [row[3].text for row in rows_of(chart)] == ["0.1: 10, 1: 100", "0.1: 5, 1: 5"]
    assert draw(make_result(growth=[same]), None) is None


@given(st.lists(st.integers(TOP, BOTTOM), min_size=1, max_size=8))
def test_labels_do_not_overlap(heights: list[int]) -> None:
    """Any labels of a panel are a line apart, in the order of their lines."""
    found = _apart(heights)
    ordered = sorted(found)
    assert all(b - a >= LINE for a, b in pairwise(ordered))
    assert max(found) <= BOTTOM
    assert sorted(range(len(heights)), key=lambda i: heights[i]) == sorted(range(len(heights)), key=lambda i: found[i])
