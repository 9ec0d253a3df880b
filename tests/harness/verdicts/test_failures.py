"""The verdict on failed operations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.gate import GateVerdict
from harness.verdicts.failures import Failures, judge, percent


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((0, 8), (8, 8), GateVerdict.REGRESSED),
        ((0, 1), (1, 1), GateVerdict.REGRESSED),  # all of it, however few
        ((0, 4000), (1600, 4000), GateVerdict.REGRESSED),
        ((0, 4000), (4000, 4000), GateVerdict.REGRESSED),
        ((4000, 4000), (0, 4000), GateVerdict.IMPROVED),
        ((1600, 4000), (0, 4000), GateVerdict.IMPROVED),
        ((5, 5), (9, 9), GateVerdict.NOT_COMPARABLE),
        ((0, 3), (1, 3), GateVerdict.INCONCLUSIVE),  # a third of three: not shown, and not a pass either
        ((1, 3), (0, 3), GateVerdict.EQUAL),
        ((14, 2000), (34, 2000), GateVerdict.INCONCLUSIVE),  # p = 0.3 %: seen once in some hundred runs of the same code
        ((20, 2000), (26, 2000), GateVerdict.EQUAL),  # chance explains that
        ((1, 2000), (20, 2000), GateVerdict.REGRESSED),
        ((0, 100_000), (90, 100_000), GateVerdict.EQUAL),  # within the tolerance of 0.1 %
        ((0, 100_000), (150, 100_000), GateVerdict.REGRESSED),
        ((0, 0), (0, 0), GateVerdict.EQUAL),
    ],
)
def test_failures_have_a_verdict_of_their_own(before: tuple[int, int], after: tuple[int, int], verdict: GateVerdict) -> None:
    """The share that failed decides, by more than the tolerance and significantly."""
    assert judge(Failures(*before), Failures(*after))[0] == verdict


def test_the_reason_names_both_shares() -> None:
    """The sentence shows how many failed and how that changed."""
    reason = judge(Failures(0, 4000), Failures(1600, 4000))[1]
    assert reason == "more operations failed: 1,600 of 4,000 (0 % → 40 %)"


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(1, 50))
def test_regressed_one_way_is_never_regressed_the_other_way(errors: int, of: int, more: int, more_of: int) -> None:
    """Exchanging the sides exchanges the verdict."""
    before, after = Failures(min(errors, of), of), Failures(min(more, more_of), more_of)
    both = {judge(before, after)[0], judge(after, before)[0]}
    assert both != {GateVerdict.REGRESSED}
    assert (GateVerdict.IMPROVED in both) == (GateVerdict.REGRESSED in both)


def test_a_share_is_100_percent_only_if_all_failed() -> None:
    """Rounding does not hide those that succeeded."""
    assert percent(Failures(115_078, 115_126)) == "99.9 %"
    assert [percent(Failures(*counts)) for counts in ((8, 8), (0, 8), (1, 3))] == ["100 %", "0 %", "33.3 %"]
