"""How Locust rounds: the same as Locust does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.importers.locust_rounding import failed, rounding_ms


def bucket(value_ms: float) -> float:
    """Locust's own rounding, as its documentation has it: to 1, 10, 100 or 1000 ms."""
    if value_ms < 100:
        return round(value_ms)
    if value_ms < 1_000:
        return round(value_ms, -1)
    return round(value_ms, -2) if value_ms < 10_000 else round(value_ms, -3)


@given(st.floats(0, 1e6))
def test_a_time_lies_no_further_from_its_bucket_than_is_said(value_ms: float) -> None:
    """Over all four ranges."""
    put = bucket(value_ms)
    assert abs(value_ms - put) <= rounding_ms(put) + 1e-9


@pytest.mark.parametrize("value_ms", [0.25, 3.7, 123.0, 1_250.0])
def test_what_is_no_bucket_of_locust_was_not_rounded_by_it(value_ms: float) -> None:
    """Somebody has given Locust finer buckets."""
    assert rounding_ms(value_ms) == 0


def test_nothing_failed_raises_no_warning() -> None:
    """And what did is named with its number."""
    assert failed({"GET /": 0}) == ()
    assert failed({"GET /": 3, "POST /": 0})[0].message == "failed: 3 × GET /"
