"""Fisher's exact test of two shares."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.proportions import MANY, fisher_p


@pytest.mark.parametrize(
    ("counts", "p"),
    [((0, 8, 8, 8), 1 / 12870), ((1, 4, 3, 4), 17 / 70), ((0, 10, 0, 10), 1.0), ((3, 4, 1, 4), 69 / 70), ((0, 0, 5, 5), 1.0)],
)
def test_known_tables_have_their_p_value(counts: tuple[int, int, int, int], p: float) -> None:
    """The p-values of tables that can be enumerated by hand."""
    assert fisher_p(*counts) == pytest.approx(p, abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_it_is_the_tail_of_the_hypergeometric_distribution(of: int, more_of: int, failed: int, more_failed: int) -> None:
    """The same sum in whole numbers."""
    failed, more_failed = min(failed, of), min(more_failed, more_of)
    failures = failed + more_failed
    ways = sum(math.comb(more_of, k) * math.comb(of, failures - k) for k in range(more_failed, min(failures, more_of) + 1))
    assert fisher_p(failed, of, more_failed, more_of) == pytest.approx(ways / math.comb(of + more_of, failures), rel=1e-9)


def test_millions_of_operations_are_no_obstacle() -> None:
    """A share that doubles in ten million operations is significant, one that is equal is not."""
    assert fisher_p(1_000, 10_000_000, 2_000, 10_000_000) < 1e-9
    assert fisher_p(1_000, 10_000_000, 1_000, 10_000_000) > 0.4


def test_impossible_numbers_are_refused() -> None:
    """More failures than operations cannot be."""
    with pytest.raises(ValueError, match="5 of 4"):
        fisher_p(5, 4, 0, 1)


def test_the_approximation_of_many_failures_continues_the_exact_value() -> None:
    """Just below and above the limit the p-values are alike, and above it no number is an obstacle."""
    of = 10 * MANY
    below, above = (fisher_p(half, of, half + 500, of) for half in (MANY // 2 - 300, MANY // 2 - 200))
    assert above == pytest.approx(below, rel=0.02)
    assert fisher_p(10**8, 10**9, 10**8 + 10**6, 10**9) < 1e-9
    assert fisher_p(10**9, 10**9, 10**9, 10**9) == 1.0
