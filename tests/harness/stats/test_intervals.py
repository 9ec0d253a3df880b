"""Statistics: what holds for any data, and the textbook's figures."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import intervals as stats

TIMES = st.floats(min_value=1e-6, max_value=1e6)


@pytest.mark.parametrize(("label", "needed"), [("50", 6), ("90", 36), ("95", 72), ("99", 368), ("99.9", 3688)])
def test_the_fewest_samples_have_the_extremes_as_bounds(label: str, needed: int) -> None:
    """One sample less lies entirely below the quantile, or above it, in more than 2.5 % of the cases: 0.95^71 is 0.0262."""
    quantile = stats.QUANTILES[label]
    assert stats.samples_needed(quantile) == needed
    assert max(quantile, 1 - quantile) ** needed <= 0.025 < max(quantile, 1 - quantile) ** (needed - 1)
    assert (stats.is_supported(needed - 1, quantile), stats.is_supported(needed, quantile)) == (False, True)
    assert stats.bounding_ranks(needed - 1, quantile) is None
    assert (stats.bounding_ranks(needed, quantile) or (0, 0))[1] == needed
    assert stats.highest_supported(needed) >= quantile > stats.highest_supported(needed - 1)


@pytest.mark.parametrize(
    ("samples", "quantile", "ranks"),
    [
        (6, 0.5, (1, 6)),
        (10, 0.5, (2, 9)),
        (25, 0.5, (8, 18)),
        (100, 0.5, (40, 61)),
        (100, 0.95, (90, 100)),
        (1000, 0.99, (983, 997)),
    ],
)
def test_the_bounding_ranks_are_the_textbooks(samples: int, quantile: float, ranks: tuple[int, int]) -> None:
    """Those of the median are in the tables of the sign test; all are the binomial distribution's."""
    assert stats.bounding_ranks(samples, quantile) == ranks


@given(st.integers(1, 3000), st.sampled_from(sorted(stats.QUANTILES)))
def test_bounding_ranks_are_as_narrow_as_2_5_percent_on_either_side_allow(samples: int, label: str) -> None:
    """The share of samples up to the quantile is binomial: one rank further inside would miss it too often."""
    quantile = stats.QUANTILES[label]
    found = stats.bounding_ranks(samples, quantile)
    assert (found is None) is (samples < stats.samples_needed(quantile))
    if found is not None:
        low, high = found
        assert 1 <= low < high <= samples

        def at_least(count: int) -> float:
            return stats.beta_cdf(count, samples - count + 1, quantile)

        assert 1 - at_least(low) <= 0.025 < 1 - at_least(low + 1)
        assert at_least(high) <= 0.025 < at_least(high - 1)


@given(st.floats(0.1, 10), st.lists(TIMES, min_size=1, max_size=20))
def test_a_constant_ratio_is_found_exactly(factor: float, times: list[float]) -> None:
    """If the baseline always takes `factor` times as long, the paired ratio is that factor, with no width."""
    pairs = [(t * factor, t) for t in times]
    interval, processes = stats.paired_ratio({1: pairs, 2: pairs})
    assert interval.value == pytest.approx(factor)
    assert interval.low == pytest.approx(factor)
    assert processes == pytest.approx([factor, factor])


@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=9))
def test_swapping_the_arms_inverts_the_ratio(pairs: list[tuple[float, float]]) -> None:
    """Twice as fast one way is half as fast the other way."""
    there, _ = stats.paired_ratio({1: pairs, 2: pairs[:1]})
    back, _ = stats.paired_ratio({1: [(b, a) for a, b in pairs], 2: [(b, a) for a, b in pairs[:1]]})
    assert there.value * back.value == pytest.approx(1)


def test_one_process_gives_no_interval() -> None:
    """Pairs inside one process cannot show what varies from process to process."""
    interval, _ = stats.paired_ratio({1: [(2.0, 1.0)] * 50})
    assert (interval.low, interval.high) == (None, None)


def test_no_pairs_is_an_error() -> None:
    """A ratio out of nothing is refused."""
    with pytest.raises(ValueError, match="no pairs"):
        stats.paired_ratio({1: []})


def test_the_t_interval_is_the_textbooks() -> None:
    """Five values, four degrees of freedom: 2.776 standard errors each side."""
    interval = stats.mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert interval.high is not None
    assert interval.high - 3 == pytest.approx(2.7764451 * math.sqrt(2.5 / 5), rel=1e-6)


def test_the_t_interval_covers_at_its_stated_rate() -> None:
    """Of many intervals over five normal draws, about 95 % hold the true mean."""
    rng = random.Random(7)
    intervals = [stats.mean_interval([rng.gauss(0, 1) for _ in range(5)]) for _ in range(2000)]
    held = sum(i.low <= 0 <= i.high for i in intervals if i.low is not None and i.high is not None)
    assert 0.935 <= held / 2000 <= 0.965


@given(st.floats(-3, 3), st.lists(st.floats(0.01, 100), min_size=2, max_size=6, unique_by=lambda x: round(math.log(x), 2)))
def test_a_power_law_gives_its_exponent(exponent: float, scales: list[float]) -> None:
    """The k of cost = scale^k is recovered, whatever it is."""
    assert stats.growth_exponent(scales, [s**exponent for s in scales]) == pytest.approx(exponent, abs=1e-6)


@pytest.mark.parametrize(("scales", "values"), [([1.0, 1.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 1.0])])
def test_a_growth_exponent_needs_two_scales_and_positive_values(scales: list[float], values: list[float]) -> None:
    """What has no slope is refused."""
    with pytest.raises(ValueError, match="a growth exponent needs"):
        stats.growth_exponent(scales, values)


@pytest.mark.parametrize(
    ("hits", "trials", "chance"), [(0, 9, 1.0), (1, 1, 0.05), (2, 10, 0.0861), (3, 10, 0.0115), (10, 10, 0.05**10)]
)
def test_the_binomial_tail_is_the_textbooks(hits: int, trials: int, chance: float) -> None:
    """How often chance alone gives at least so many hits at 5 % each."""
    assert stats.at_least_by_chance(hits, trials, 0.05) == pytest.approx(chance, rel=5e-3)


def test_the_p_value_is_the_textbooks() -> None:
    """Mean 3 over a standard error of √0.5 with four degrees of freedom; nothing from one value, all or nothing without spread."""
    assert stats.p_of_no_effect([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(0.01323, rel=1e-3)
    assert stats.p_of_no_effect([1.0]) is None
    assert (stats.p_of_no_effect([2.0, 2.0]), stats.p_of_no_effect([0.0, 0.0])) == (0.0, 1.0)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=9))
def test_the_p_value_agrees_with_the_interval(logs: list[float]) -> None:
    """Below 5 % exactly where the 95 % interval leaves 0 out."""
    interval, p = stats.mean_interval(logs), stats.p_of_no_effect(logs)
    assert p is not None
    assert interval.low is not None
    assert interval.high is not None
    if not math.isclose(p, 0.05, rel_tol=1e-6):
        assert (p < 0.05) == (not interval.low <= 0 <= interval.high)


def test_holm_is_the_textbooks() -> None:
    """The least is multiplied by their number, the next by one less, and none falls below one before it."""
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_keeps_the_order_and_never_makes_smaller(p_values: list[float]) -> None:
    """A corrected p-value lies between itself and 1, and what was smaller stays no larger."""
    corrected = stats.holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    assert [c for _, c in sorted(zip(p_values, corrected, strict=True))] == sorted(corrected)
