"""Ratios of percentiles from raw samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.results.run import AA_CONTROL, Slot
from harness.stats.percentile_ratios import percentile_ratios


def samples(arm: str, times_ns: np.ndarray, processes: int = 5) -> list[Slot]:
    """Return one operation per pair, dealt out over processes."""
    return [Slot(n % processes + 1, n, 0, arm, "group", "case", [int(ns)]) for n, ns in enumerate(times_ns)]


def noise(seed: int, size: int = 2000) -> np.ndarray:
    """Return times of about a millisecond with a long tail."""
    return np.random.default_rng(seed).lognormal(np.log(1e6), 0.4, size)


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
    """With the same times but for a factor, every ratio is that factor, whatever is drawn."""
    times = noise(seed)
    for row in percentile_ratios(samples("baseline", times) + samples("arm", times / factor)):
        assert row.ratio == pytest.approx(factor, rel=0.003)
        assert row.low == pytest.approx(factor, rel=0.003)
        assert row.high == pytest.approx(factor, rel=0.003)


def test_what_samples_do_not_resolve_has_no_ratio() -> None:
    """300 samples have three beyond p99: it is named, without a figure."""
    found = percentile_ratios(samples("baseline", noise(1, 300)) + samples("arm", noise(2, 300)))
    assert [(row.percentile, row.ratio is None, row.samples) for row in found] == [
        ("50", False, 300),
        ("95", False, 300),
        ("99", True, 300),
    ]


def test_the_side_with_fewer_samples_decides() -> None:
    """An arm that repeats in a slot has more samples than a baseline that does not, and is resolved no better."""
    once = samples("baseline", noise(1, 300))
    thrice = samples("arm", noise(2, 300)) * 4
    assert {row.samples for row in percentile_ratios(once + thrice)} == {300}


def test_the_control_is_no_arm_and_an_arm_needs_a_baseline() -> None:
    """Neither gives a row; pairs that lack a side count for nothing."""
    assert percentile_ratios(samples("baseline", noise(1, 50)) + samples(AA_CONTROL, noise(2, 50))) == []
    assert percentile_ratios(samples("arm", noise(1, 50))) == []
    apart = [Slot(1, 1, 0, "baseline", "g", "c", [5]), Slot(1, 2, 0, "arm", "g", "c", [5])]
    assert [row.samples for row in percentile_ratios(apart)] == [0, 0, 0]


def test_blocks_keep_what_neighbours_share() -> None:
    """Where neighbours are alike, an interval is wider than with the same times in any order."""
    random = np.random.default_rng(3)
    slow = np.repeat(random.lognormal(np.log(1e6), 0.5, 25), 40)
    other = np.repeat(random.lognormal(np.log(1e6), 0.5, 25), 40)
    together = percentile_ratios(samples("baseline", slow, 1) + samples("arm", other, 1))[0]
    mixed = percentile_ratios(samples("baseline", random.permutation(slow), 1) + samples("arm", random.permutation(other), 1))[0]
    assert together.high is not None
    assert together.low is not None
    assert mixed.high is not None
    assert mixed.low is not None
    assert together.high / together.low > mixed.high / mixed.low
