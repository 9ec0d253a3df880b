"""The beta distribution and Student's t agree with SciPy's."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from harness.stats.intervals import beta_cdf, beta_quantile, t_quantile, t_tail

shapes = st.floats(0.5, 10_000)
degrees = st.floats(1, 10_000)


@given(shapes, shapes, st.floats(0, 1))
def test_the_distribution_function_is_scipys(a: float, b: float, x: float) -> None:
    """To ten digits, for small and large shapes and in both tails."""
    assert beta_cdf(a, b, x) == pytest.approx(float(special.betainc(a, b, x)), rel=1e-8, abs=1e-12)


@given(st.integers(0, 5_000), st.integers(1, 5_000), st.sampled_from([0.005, 0.025, 0.5, 0.975, 0.995]))
def test_the_bounds_of_a_rate_are_scipys(hits: int, misses: int, probability: float) -> None:
    """The quantiles that Clopper and Pearson's interval takes, from no hit to all but one."""
    expected = float(special.betaincinv(hits + 1, misses, probability))
    assert beta_quantile(hits + 1, misses, probability) == pytest.approx(expected, rel=1e-9)


@given(degrees, st.floats(-50, 50))
def test_the_tail_of_students_t_is_scipys(df: float, value: float) -> None:
    """On both sides of 0, in relative terms, because small probabilities decide."""
    assert t_tail(value, df) == pytest.approx(float(special.stdtr(df, -value)), rel=1e-8)


@given(degrees, st.floats(0.0001, 0.9999))
def test_the_quantile_of_students_t_is_scipys(df: float, probability: float) -> None:
    """For every probability that an interval or a power calculation takes."""
    assert t_quantile(probability, df) == pytest.approx(float(special.stdtrit(df, probability)), rel=1e-8, abs=1e-8)


def test_known_values() -> None:
    """From the tables: 95 % intervals over 2, 5 and very many processes, and the ends of the range."""
    assert t_quantile(0.975, 1) == pytest.approx(math.tan(math.pi * 0.475), rel=1e-12)
    assert t_quantile(0.975, 4) == pytest.approx(2.7764451051978, rel=1e-12)
    assert t_quantile(0.975, 1e6) == pytest.approx(1.95996636, rel=1e-7)
    assert [beta_cdf(2, 3, 0), beta_cdf(2, 3, 1), beta_cdf(1, 1, 0.25)] == pytest.approx([0, 1, 0.25])
    assert t_tail(0, 3) == pytest.approx(0.5)
