"""Unpaired times: verdicts on the medians of two separate runs."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.run import UNPAIRED_VERDICTS, PromiseVerdict
from harness.verdicts.unpaired import DRIFT, MIN_VALUES, Unpaired, compare, median_ratio

TIMES = st.lists(st.floats(1.0, 1e9), min_size=1, max_size=30)


def raw(values: list[float] | npt.NDArray[np.float64], rounding: float = 0.0) -> Unpaired:
    """Return raw values as the times of a run."""
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    return Unpaired(float(np.median(values)), len(values), distinct, counts.astype(np.int64), rounding)


def aggregate(median: float, samples: int | None, rounding: float = 0.0) -> Unpaired:
    """Return the times of a run of which only the median is known."""
    return Unpaired(median, samples, np.empty(0), np.empty(0, dtype=np.int64), rounding)


@given(TIMES, TIMES)
def test_the_interval_contains_the_ratio_of_the_medians(before: list[float], after: list[float]) -> None:
    """There is an interval where both runs have enough values, and it contains the ratio."""
    found = median_ratio(raw(before), raw(after))
    assert found.value == pytest.approx(float(np.median(before) / np.median(after)))
    assert (found.low is not None) == (min(len(before), len(after)) >= MIN_VALUES)
    if found.low is not None and found.high is not None:
        assert found.low <= found.value <= found.high


@given(TIMES, TIMES, st.floats(0, 5))
def test_swapping_the_runs_swaps_the_verdict(before: list[float], after: list[float], drift: float) -> None:
    """An improvement one way is not one the other way, and the verdict is always one of three."""
    one, other = compare(raw(before), raw(after), drift), compare(raw(after), raw(before), drift)
    assert {one.verdict, other.verdict} <= set(UNPAIRED_VERDICTS)
    assert not (one.verdict == other.verdict != PromiseVerdict.INCONCLUSIVE)


@given(TIMES, st.floats(0, 5))
def test_the_same_times_are_never_called_a_change(times: list[float], drift: float) -> None:
    """The same times are inconclusive, since two separate runs cannot show equality."""
    assert compare(raw(times), raw(times), drift).verdict == PromiseVerdict.INCONCLUSIVE


def test_a_change_beyond_the_drift_is_judged() -> None:
    """With the whole interval beyond the drift, the second run improved or regressed."""
    slow, fast = [100.0 + i for i in range(20)], [50.0 + i / 2 for i in range(20)]
    faster, slower = compare(raw(slow), raw(fast)), compare(raw(fast), raw(slow))
    assert (faster.verdict, slower.verdict) == (PromiseVerdict.IMPROVED, PromiseVerdict.REGRESSED)
    assert faster.low is not None
    assert faster.low > 1 + DRIFT
    assert slower.high is not None
    assert slower.high < 1 / (1 + DRIFT)
    assert "beyond the drift of 25 %" in faster.reason


def test_a_change_within_the_drift_is_inconclusive_however_precise_both_runs_are() -> None:
    """A thousand equal values have an exact median, but the machine may have drifted."""
    found = compare(raw([1.2] * 1000), raw([1.0] * 1000))
    assert found.verdict == PromiseVerdict.INCONCLUSIVE
    assert (found.low, found.high) == (1.2, 1.2)
    assert "so the machine may explain it" in found.reason
    assert compare(raw([1.2] * 1000), raw([1.0] * 1000), drift=0.1).verdict == PromiseVerdict.IMPROVED


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (2.0, 1.0, PromiseVerdict.IMPROVED),
        (1.0, 2.0, PromiseVerdict.REGRESSED),
        (1.0, 1.2, PromiseVerdict.INCONCLUSIVE),
        (1.2, 1.0, PromiseVerdict.INCONCLUSIVE),
    ],
)
def test_aggregates_give_no_interval_and_a_verdict_only_beyond_the_drift(before: float, after: float, verdict: str) -> None:
    """This holds whether or not the number of values is known."""
    for samples in (100, None):
        found = compare(aggregate(before, samples), aggregate(after, samples))
        assert (found.verdict, found.low, found.high) == (verdict, None, None)


@pytest.mark.parametrize("few", [raw([1.0]), raw([1.0] * (MIN_VALUES - 1)), aggregate(1.0, 3)])
def test_too_few_values_are_inconclusive_however_large_the_change(few: Unpaired) -> None:
    """A few measurements do not show their noise; the reason states how many are needed."""
    found = compare(raw([100.0] * 50), few)
    assert found.verdict == PromiseVerdict.INCONCLUSIVE
    assert "is not enough; 4 are needed" in found.reason


def test_a_median_that_was_rounded_to_zero_gives_no_ratio() -> None:
    """It is not an error: Locust writes 0 for times below half a millisecond."""
    found = compare(aggregate(0.0, 100), aggregate(5.0, 100))
    assert (found.verdict, found.ratio) == (PromiseVerdict.INCONCLUSIVE, None)


def test_rounding_may_explain_the_whole_change() -> None:
    """One rounded millisecond may be half or one and a half; a hundred may not."""
    assert compare(aggregate(2.0, 500, 0.5), aggregate(1.0, 500, 0.5)).verdict == PromiseVerdict.INCONCLUSIVE
    assert compare(aggregate(200.0, 500, 0.5), aggregate(100.0, 500, 0.5)).verdict == PromiseVerdict.IMPROVED
    wide = compare(raw([2.0] * 50, rounding=0.5), raw([1.0] * 50, rounding=0.5))
    assert wide.low == pytest.approx(1.0)
    assert wide.high == pytest.approx(5.0)


def test_rounding_as_large_as_the_median_leaves_the_interval_open() -> None:
    """The second run may be arbitrarily fast, so that the upper bound is infinite."""
    found = compare(raw([10.0] * 50, rounding=0.5), raw([0.5] * 50, rounding=0.5))
    assert found.high == math.inf


def test_the_interval_covers_the_true_ratio() -> None:
    """On skewed times, from four values per run on, at least 90 % of 150 seeded trials are covered; 95 % is the target."""
    generator = np.random.default_rng(7)
    for number in (4, 5, 6, 9, 31):
        hits = 0
        for _ in range(150):
            before, after = generator.lognormal(0, 0.5, number), generator.lognormal(0, 0.5, number)
            found = median_ratio(raw(before), raw(after))
            assert found.low is not None
            assert found.high is not None
            hits += found.low <= 1 <= found.high
        assert hits >= 135


def test_the_same_files_give_the_same_interval() -> None:
    """The seed is fixed."""
    values = [float(i) for i in range(1, 40)]
    assert median_ratio(raw(values), raw(values[::-1])) == median_ratio(raw(values), raw(values))


def with_tails(values: npt.NDArray[np.float64], *, is_raw: bool, samples: bool = True) -> Unpaired:
    """Return simulated times with every figure that their number supports, with or without the single values."""
    number, tails = len(values), {"p90": 0.9, "p95": 0.95, "p99": 0.99}
    known = {label: float(np.quantile(values, q)) for label, q in tails.items() if number * (1 - q) >= 10}
    made = raw(values) if is_raw else aggregate(float(np.median(values)), number if samples else None)
    return replace(made, mean=float(values.mean()), percentiles=known, maximum=float(values.max()))


@pytest.mark.parametrize("is_raw", [True, False])
@pytest.mark.parametrize(("quantile", "figure"), [(0.88, {"p90", "p95", "p99"}), (0.94, {"p95", "p99"}), (0.985, {"p99"})])
def test_a_slower_tail_is_a_regression_whatever_the_median_is(quantile: float, figure: set[str], *, is_raw: bool) -> None:
    """The worst figure is named; it does not matter whether single values are known. Back, it is an improvement of the tail."""
    values = np.random.default_rng(3).lognormal(0, 0.2, 4_000)
    slow = np.where(values > np.quantile(values, quantile), values * 60, values) / 1.4
    before, after = with_tails(values, is_raw=is_raw), with_tails(slow, is_raw=is_raw)
    forth, back = compare(before, after), compare(after, before)
    assert forth.worst is not None
    assert forth.worst.figure in figure
    assert forth.verdict == PromiseVerdict.REGRESSED
    assert forth.ratio == pytest.approx(1.4, rel=0.01)
    assert back.worst is not None
    assert back.worst.figure in {*figure, "median"}


def test_each_figure_has_a_drift_of_its_own() -> None:
    """A tail varies more between runs of the same code than the median, so that a larger change of it is inconclusive."""
    values = np.random.default_rng(4).lognormal(0, 0.1, 4_000)
    slower = np.where(values > np.quantile(values, 0.985), values * 1.8, values)
    found = compare(with_tails(values, is_raw=True), with_tails(slower, is_raw=True))
    assert found.verdict == PromiseVerdict.INCONCLUSIVE
    assert compare(with_tails(values, is_raw=True), with_tails(values * 1.5, is_raw=True)).verdict == PromiseVerdict.REGRESSED


def test_one_slow_operation_does_not_decide() -> None:
    """It moves the mean of a thousand by a factor, and the maximum, but not what is typical."""
    values = np.random.default_rng(5).lognormal(0, 0.1, 1_000)
    stalled = np.append(values[:-1], 5_000.0)
    for is_raw in (True, False):
        found = compare(with_tails(values, is_raw=is_raw), with_tails(stalled, is_raw=is_raw))
        assert found.verdict == PromiseVerdict.INCONCLUSIVE
        assert "too few or vary too much" in found.reason


@pytest.mark.parametrize("is_raw", [True, False])
def test_the_same_code_is_rarely_beyond_the_drift(*, is_raw: bool) -> None:
    """Of 240 pairs of runs with stalls, each with a drift of 5 %, none has a verdict, with single values or without."""
    generator = np.random.default_rng(6)
    for number in (8, 40, 300, 1_500):
        for _ in range(60):
            both = []
            for _ in range(2):
                values = generator.lognormal(generator.normal(0, 0.05), 0.4, number)
                stalls = generator.random(number) < 0.01 * math.exp(generator.normal(0, 0.3))
                both.append(with_tails(np.where(stalls, values * 4, values), is_raw=is_raw))
            assert compare(both[0], both[1]).verdict == PromiseVerdict.INCONCLUSIVE


def test_a_deviation_gives_an_approximate_interval() -> None:
    """It is about that of the values themselves, the reason says that it is approximate, and a wide one is inconclusive."""
    values = np.random.default_rng(8).normal(100, 10, 200)
    before, after = (replace(aggregate(float(np.median(v)), 200), deviation=float(v.std())) for v in (values, values * 2))
    found, exact = compare(before, after), compare(raw(values), raw(values * 2))
    assert found.verdict == PromiseVerdict.REGRESSED
    assert "the whole approximate interval" in found.reason
    assert None not in (found.low, found.high, exact.low, exact.high)
    assert found.low == pytest.approx(exact.low, rel=0.03)
    assert found.high == pytest.approx(exact.high, rel=0.03)
    wide = [replace(side, deviation=side.median * 9, samples=20) for side in (before, after)]
    assert compare(wide[0], wide[1]).verdict == PromiseVerdict.INCONCLUSIVE


def test_more_figures_need_more_certainty() -> None:
    """Holm's correction: a change that one figure shows just so is not shown by one of five."""
    generator = np.random.default_rng(11)
    before, after = (generator.lognormal(centre, 0.5, 60) for centre in (0.0, 0.48))
    alone = compare(raw(before), raw(after))
    flat = dict.fromkeys(("p90", "p95", "p99"), 9.0)
    five = [replace(raw(values), percentiles=flat, mean=1.0) for values in (before, after)]
    among = compare(five[0], five[1])
    assert (alone.verdict, among.verdict) == (PromiseVerdict.REGRESSED, PromiseVerdict.INCONCLUSIVE)


@given(TIMES, TIMES)
def test_exchanged_runs_exchange_their_verdicts(before: list[float], after: list[float]) -> None:
    """Also with means: an improvement is a regression back, and a regression is one back only in another figure."""
    old, new = (replace(raw(values), mean=float(np.mean(values))) for values in (before, after))
    forth, back = compare(old, new), compare(new, old)
    if forth.verdict == PromiseVerdict.IMPROVED:
        assert back.verdict == PromiseVerdict.REGRESSED
    if forth.worst is not None and back.worst is not None and forth.verdict == back.verdict:
        assert forth.worst.figure != back.worst.figure
