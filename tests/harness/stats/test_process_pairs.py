"""What process pairs show: pure functions, held by properties and by simulated noise whose truth is known."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import process_pairs as evidence

MARGIN = 0.03
LOGS = st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=30)


@given(LOGS, st.floats(-1, 1))
def test_an_effect_moves_with_its_logs(logs: list[float], shift: float) -> None:
    """Every log greater by the same makes the effect and both bounds greater by that."""
    before, after = evidence.effect(logs).interval, evidence.effect([log + shift for log in logs]).interval
    assert before.low is not None
    assert before.high is not None
    assert (after.value, after.low, after.high) == pytest.approx(
        (before.value + shift, before.low + shift, before.high + shift), abs=1e-9
    )


@given(st.lists(st.floats(-0.01, 0.01), min_size=9, max_size=9), st.floats(-3, 3))
def test_one_wild_process_pair_moves_the_effect_no_further_than_the_others_reach(logs: list[float], wild: float) -> None:
    """The mean stays inside the range of the others, whatever one of ten says."""
    assert -0.01 <= evidence.effect([*logs, wild]).interval.value <= 0.01


@given(LOGS, st.floats(0.001, 1))
def test_what_looks_slower_is_so_by_half_the_margin(logs: list[float], margin: float) -> None:
    """However sure it is, less than that calls for no second set."""
    seen = evidence.effect(logs)
    assert not evidence.looks_slower(seen, margin) or math.expm1(seen.interval.value) > margin / 2


def test_precision_does_not_hide_what_must_be_found() -> None:
    """A slow-down known to be a little below the margin is within it, and looks slower all the same."""
    logs = [0.0270 + 0.0001 * i for i in range(10)]
    assert evidence.within(logs, 1, MARGIN)
    assert evidence.looks_slower(evidence.effect(logs), MARGIN)
    assert evidence.slower(logs, 1, MARGIN)


def test_three_process_pairs_show_nothing() -> None:
    """Without an interval nothing is slower, within, or visible."""
    logs = [0.3, 0.3, 0.3]
    assert not evidence.looks_slower(evidence.effect(logs), MARGIN)
    assert not evidence.within(logs, 1, MARGIN)
    seen = evidence.median_interval(logs, 1)
    assert (seen.low, seen.high) == (None, None)
    assert evidence.detectable(evidence.effect(logs), 3) is None


def test_the_fewest_process_pairs_that_show_anything() -> None:
    """Known answers: the e-value of n hits of n is (2^(n+1) - 1) / (n + 1), and it has to reach 100 per test."""
    for tests in (1, 3, 64, 1000):
        fewest = next(n for n in range(1, 60) if (2 ** (n + 1) - 1) / (n + 1) >= 100 * tests)
        assert evidence.fewest_hits(fewest, tests) == fewest
        assert evidence.fewest_hits(fewest - 1, tests) is None
        assert evidence.further(0, 0, tests) == fewest


def test_a_slowdown_is_shown_by_its_signs() -> None:
    """Nine of nine are enough for one test, not for five; an estimate below half the margin never is."""
    assert not evidence.slower([0.03] * 8, 1, MARGIN)
    assert evidence.slower([0.03] * 9, 1, MARGIN)
    assert not evidence.slower([0.03] * 9, 5, MARGIN)
    assert not evidence.slower([0.005] * 50, 1, MARGIN)
    assert evidence.faster([-0.03] * 9, 1, MARGIN)


@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=40), st.integers(1, 100), st.floats(0.001, 0.3))
def test_an_interval_is_what_the_tests_do_not_exclude(logs: list[float], tests: int, margin: float) -> None:
    """It lies inside the margin exactly if the median is shown to, and above 0 only if the median is shown to be slower."""
    seen = evidence.median_interval(logs, tests)
    if seen.low is None or seen.high is None:
        assert not evidence.within(logs, tests, margin)
        return
    limit = math.log1p(margin)
    assert evidence.within(logs, tests, margin) == (-limit < seen.low and seen.high < limit)
    assert (seen.low > 0) == evidence.is_shown(sum(log > 0 for log in logs), len(logs), tests)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 100))
def test_further_process_pairs_decide_if_they_are_like_those_before(hits: int, misses: int, tests: int) -> None:
    """With as large a share of hits, one fewer does not."""
    n = hits + misses
    more = evidence.further(hits, n, tests)
    share = (hits + 1) / (n + 1) if n else 1.0
    if 0 < more < evidence.MOST:
        assert evidence.is_shown(min(n + more, int(hits + share * more)), n + more, tests)
        assert not evidence.is_shown(min(n + more - 1, int(hits + share * (more - 1))), n + more - 1, tests)


def test_intervals_hold_whenever_they_are_looked_at() -> None:
    """In 400 sequences of up to 60 process pairs, at most 1 % of the intervals ever exclude the true median."""
    coin = random.Random("coverage")
    missed = 0
    for _ in range(400):
        logs: list[float] = []
        for _ in range(60):
            logs.append(coin.gauss(0.01, 0.02))
            seen = evidence.median_interval(logs, 1)
            if seen.low is not None and seen.high is not None and not seen.low <= 0.01 <= seen.high:
                missed += 1
                break
    assert missed <= 8  # each of the two sides at most 1 %


@given(st.integers(0, 2**32))
def test_more_noise_hides_more(seed: int) -> None:
    """Twice the deviations hide twice the effect."""
    coin = random.Random(seed)
    logs = [coin.gauss(0, 0.02) for _ in range(10)]
    quiet, loud = evidence.effect(logs), evidence.effect([2 * log for log in logs])
    seen = evidence.detectable(quiet, 10), evidence.detectable(loud, 10)
    assert seen[0] is not None
    assert seen[1] is not None
    assert math.log1p(seen[1]) == pytest.approx(2 * math.log1p(seen[0]))
