"""Rates: bounds that are valid for few tries, and reductions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import NotMeasurableError
from harness.results.run import ScenarioResult, ScenarioStatus, WorkCount
from harness.stats.intervals import binomial_bounds
from harness.verdicts.measures import fewer_of, share_of


def result(before: float, after: float, tries: float = 40) -> ScenarioResult:
    """Return a result with two arms' rates."""
    counted = {"baseline": before, "optimised": after}
    exact = [WorkCount(arm, "", "errors_per_1000", value) for arm, value in counted.items()]
    exact += [WorkCount(arm, "", "tried", tries) for arm in counted]
    return ScenarioResult("s", "S", "S.", "s.py", "sqlite", 0.0, ScenarioStatus.OK, work_counts=exact)


@given(st.integers(1, 500), st.data())
def test_bounds_enclose_the_rate_and_stay_possible(tries: int, data: st.DataObject) -> None:
    """This holds from no hit to all hits, for any number of tries."""
    hits = data.draw(st.integers(0, tries))
    low, high = binomial_bounds(hits, tries)
    assert 0 <= low <= hits / tries <= high <= 1
    assert low < high


def test_the_bounds_are_those_of_clopper_and_pearson() -> None:
    """No hit in ten tries has an upper bound of 30.8 %, as in textbooks."""
    assert binomial_bounds(0, 10)[1] == pytest.approx(0.3085, abs=0.00005)


def test_more_tries_narrow_the_interval_of_a_reduction() -> None:
    """The same reduction from more tries has a narrower interval around the same value."""
    few, many = (fewer_of("errors_per_1000", "tried")(result(500, 0, tries), "optimised") for tries in (10, 1000))
    assert few.value == many.value == 1
    assert few.low is not None
    assert many.low is not None
    assert few.low < 0.5
    assert 0.98 < many.low <= 1
    assert many.note == "500 → 0 errors per 1000"


def test_without_errors_there_is_nothing_to_reduce() -> None:
    """A baseline without errors is not measurable."""
    with pytest.raises(NotMeasurableError, match="has no errors per 1000 in 40 tries"):
        fewer_of("errors_per_1000", "tried")(result(0, 0), "optimised")


def test_a_share_has_its_counts_in_the_note() -> None:
    """20 of 40 have bounds on both sides; without any try there is no share."""
    exact = [
        WorkCount("optimised", "", "hits", 20),
        WorkCount("optimised", "", "lookups", 40),
        WorkCount("optimised", "", "none", 0),
    ]
    found = ScenarioResult("s", "S", "S.", "s.py", "sqlite", 0.0, ScenarioStatus.OK, work_counts=exact)
    share = share_of("hits", "lookups")(found, "optimised")
    assert share.low is not None
    assert share.high is not None
    assert share.low < share.value == 0.5 < share.high
    assert share.note == "20 of 40 lookups"
    with pytest.raises(NotMeasurableError, match="optimised has no none"):
        share_of("none", "none")(found, "optimised")
