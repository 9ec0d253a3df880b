"""Coverage of intervals whose pairs a schedule has chosen by what it saw."""

import pytest

from harness.stats.intervals import Interval
from tools.validation import stopping
from tools.validation.stopping import Simulated, section, simulate


def test_stopping_spends_pairs_where_nothing_is_decided() -> None:
    """A group at the promised ratio gets more pairs than one far from it; without looking all get the same."""
    pairs = {truth: simulate("normal", truth, 10, looks=True).pairs for truth in (2.0, 4.0)}
    assert pairs[2.0] > 1.3 * pairs[4.0]
    assert simulate("normal", 2.0, 3, looks=False).pairs == simulate("normal", 4.0, 3, looks=False).pairs


@pytest.mark.parametrize(("bound", "met"), [(0.9, True), (1.1, False)])
def test_intervals_that_miss_the_truth_miss_the_requirement(bound: float, *, met: bool) -> None:
    """The requirement is met by intervals that contain the truth, and missed by others."""
    intervals = [Interval(1.5, bound * truth, 5.0) for truth in [2.0] * 50]
    found = {("normal", 2.0, looks): Simulated(2.0, intervals, 100.0) for looks in (False, True)}
    answer = section(found)
    assert answer.title == stopping.TITLE
    assert [requirement.met for requirement in answer.requirements] == [met, met]
