"""Percentiles of raw samples and their ratios, with intervals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.results.run import AA_CONTROL, Slot
from harness.stats.intervals import QUANTILES, bounding_ranks, samples_needed
from harness.stats.percentiles import PercentileEstimate, estimates, percentile_ratios


def samples(arm: str, times_ns: np.ndarray, processes: int = 5) -> list[Slot]:
    """Return one operation per pair, dealt out over processes."""
    return [Slot(n % processes + 1, n, 0, arm, "group", "case", [int(ns)]) for n, ns in enumerate(times_ns)]


def noise(seed: int, size: int = 2000) -> np.ndarray:
    """Return times of about a millisecond with a long tail."""
    return np.random.default_rng(seed).lognormal(np.log(1e6), 0.4, size)


def width(found: PercentileEstimate) -> float:
    """Return the upper bound of an interval ÷ its lower bound."""
    assert found.interval_ns is not None
    return found.interval_ns[1] / found.interval_ns[0]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=500), st.integers(1, 5))
def test_percentiles_are_ordered_and_inside_their_intervals(values: list[int], processes: int) -> None:
    """Each lies between the extremes and not below a lower one, and its bounding samples are samples on either side of it."""
    known = estimates(samples("arm", np.array(values), processes))
    values_ns = [x.value_ns for x in known.values()]
    assert values_ns == sorted(values_ns)
    times = [max(1, value) for value in values]
    assert all(min(times) <= ns <= max(times) for ns in values_ns)
    for found in known.values():
        if found.bounds_ns is not None:
            assert set(found.bounds_ns) <= set(times)
            assert found.bounds_ns[0] <= found.value_ns <= found.bounds_ns[1]
            assert found.interval_ns is not None
            assert found.interval_ns[0] <= found.bounds_ns[0] <= found.bounds_ns[1] <= found.interval_ns[1]


@given(st.integers(1, 500), st.sampled_from(sorted(QUANTILES)), st.integers(1, 7))
def test_a_percentile_is_supported_from_the_fewest_samples_on(number: int, label: str, processes: int) -> None:
    """With one operation per slot the number of samples decides, whatever processes they are from."""
    found = estimates(samples("arm", np.arange(1, number + 1), processes), [label])[label]
    assert (found.interval_ns is not None) is (number >= samples_needed(QUANTILES[label]))
    assert found.effective == number


def test_the_bounds_of_one_process_are_the_order_statistics() -> None:
    """Of 100 samples the 40th and the 61st bound the median; Student's interval needs a second process."""
    found = estimates(samples("arm", np.arange(1, 101) * 10, 1), ["50"])["50"]
    assert bounding_ranks(100, 0.5) == (40, 61)
    assert (found.value_ns, found.interval_ns) == (505, (400, 610))


def test_processes_that_differ_widen_the_interval() -> None:
    """The same times in processes of which one is slow know the median less well than dealt out over all of them."""
    times = np.sort(noise(5, 500))
    apart = [Slot(n // 100, n, 0, "arm", "g", "c", [int(ns)]) for n, ns in enumerate(times)]
    assert width(estimates(apart)["50"]) > 2 * width(estimates(samples("arm", times))["50"])


def test_students_interval_is_around_the_percentile_of_all_samples() -> None:
    """Two processes at 1 and 4 ms: the reach is 12.7 times the standard error of their logs."""
    slots = [Slot(n // 50, n, 0, "arm", "g", "c", [1_000_000 if n < 50 else 4_000_000]) for n in range(100)]
    found = estimates(slots, ["50"])["50"]
    assert found.value_ns == 2.5e6
    centre = math.log(2.5)
    reach = 12.7062 * math.sqrt((centre**2 + (math.log(4) - centre) ** 2) / 2)
    assert found.interval_ns == pytest.approx((2.5e6 * math.exp(-reach), 2.5e6 * math.exp(reach)), rel=1e-4)


def test_operations_of_one_slot_that_are_alike_count_as_one() -> None:
    """20 slots of 20 equal operations are worth about 20 samples, which support a median and no p90."""
    slots = [Slot(n % 4, n, 0, "arm", "g", "c", [int(ns)] * 20) for n, ns in enumerate(noise(6, 20))]
    known = estimates(slots)
    assert known["50"].effective == pytest.approx(20, rel=0.3)
    assert [label for label, x in known.items() if x.interval_ns] == ["50"]


def test_independent_operations_of_a_slot_count_as_they_are() -> None:
    """Where a slot has nothing in common, 400 operations in slots of 20 are worth nearly 400."""
    slots = [Slot(n % 4, n, 0, "arm", "g", "c", each.astype(int).tolist()) for n, each in enumerate(noise(7, 400).reshape(20, 20))]
    assert estimates(slots)["50"].effective > 250


def test_a_clock_that_stands_still_is_no_error() -> None:
    """Times of 0 ns count as 1 ns, so that they have logarithms."""
    found = estimates(samples("arm", np.zeros(100)))["50"]
    assert found.interval_ns == (1, 1)


@pytest.mark.parametrize("label", ["50", "95", "99"])
def test_fewer_samples_widen_the_interval(label: str) -> None:
    """A quarter of the samples knows a percentile less well."""
    times = noise(8, 8000)
    assert width(estimates(samples("arm", times[:2000]))[label]) > width(estimates(samples("arm", times))[label])


def test_a_shorter_tail_shows_where_it_is() -> None:
    """An arm whose slowest twentieth is cut to a third has the same median and a shorter p99."""
    times = noise(1)
    limit = np.quantile(times, 0.95)
    cut = np.where(times > limit, times / 3, times)
    found = {row.percentile: row for row in percentile_ratios(samples("baseline", times) + samples("arm", cut))}
    assert found["50"].ratio == pytest.approx(1.0, abs=0.05)
    assert found["99"].ratio is not None
    assert found["99"].low is not None
    assert found["99"].ratio > found["99"].low > 1


@settings(max_examples=10, deadline=None)
@given(st.floats(0.2, 5), st.integers(0, 100))
def test_a_factor_is_every_percentiles_ratio(factor: float, seed: int) -> None:
    """With the same times but for a factor, every ratio is that factor, and inside its interval."""
    times = noise(seed)
    for row in percentile_ratios(samples("baseline", times) + samples("arm", times / factor)):
        assert row.ratio == pytest.approx(factor, rel=0.003)
        assert row.low is not None
        assert row.high is not None
        assert row.low < factor < row.high


@settings(max_examples=10)
@given(st.integers(0, 100), st.integers(0, 100))
def test_exchanged_arms_invert_the_ratio_and_its_interval(one: int, other: int) -> None:
    """Times faster one way is times slower the other way, bounds included."""
    there = percentile_ratios(samples("baseline", noise(one)) + samples("arm", noise(other)))
    back = percentile_ratios(samples("baseline", noise(other)) + samples("arm", noise(one)))
    for row, inverse in zip(there, back, strict=True):
        assert row.ratio is not None
        assert row.low is not None
        assert row.high is not None
        assert (inverse.ratio, inverse.low, inverse.high) == pytest.approx((1 / row.ratio, 1 / row.high, 1 / row.low))


def test_a_percentile_that_samples_do_not_support_has_no_ratio() -> None:
    """300 samples support no p99: it is named, without a figure."""
    found = percentile_ratios(samples("baseline", noise(1, 300)) + samples("arm", noise(2, 300)))
    assert [(row.percentile, row.ratio is None, row.samples, row.effective_samples) for row in found] == [
        ("50", False, 300, 300),
        ("95", False, 300, 300),
        ("99", True, 300, 300),
    ]


def test_the_side_with_fewer_samples_decides() -> None:
    """An arm that repeats in a slot has more samples than a baseline that does not, and its ratios are supported no better."""
    once = samples("baseline", noise(1, 300))
    thrice = samples("arm", noise(2, 300)) * 4
    assert {row.samples for row in percentile_ratios(once + thrice)} == {300}


def test_the_control_is_no_arm_and_an_arm_needs_a_baseline() -> None:
    """Neither gives a row; pairs that lack a side count for nothing."""
    assert percentile_ratios(samples("baseline", noise(1, 50)) + samples(AA_CONTROL, noise(2, 50))) == []
    assert percentile_ratios(samples("arm", noise(1, 50))) == []
    apart = [Slot(1, 1, 0, "baseline", "g", "c", [5]), Slot(1, 2, 0, "arm", "g", "c", [5])]
    assert [(row.samples, row.ratio) for row in percentile_ratios(apart)] == [(0, None)] * 3


def test_a_ratio_of_one_process_has_no_interval() -> None:
    """Pairs inside one process cannot show what varies from process to process."""
    found = percentile_ratios(samples("baseline", noise(1, 500), 1) + samples("arm", noise(2, 500), 1))
    assert [(row.ratio is None, row.low, row.high) for row in found] == [(False, None, None)] * 3


def test_processes_slow_for_both_arms_do_not_widen_the_ratio() -> None:
    """A factor of each process that both sides have cancels in the ratio, though not in either side's own interval."""
    factors = np.tile([1.0, 1.5, 2.0, 2.5, 3.0], 400)
    both = samples("baseline", noise(3) * factors) + samples("arm", noise(4) * factors)
    median = percentile_ratios(both)[0]
    assert median.low is not None
    assert median.high is not None
    assert median.high / median.low < 1.3
    assert width(estimates(both[:2000])["50"]) > 2
