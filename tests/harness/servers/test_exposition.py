"""A histogram read from its text says what Prometheus would say of it."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from harness.servers.exposition import Distribution, distribution, series
from service.observability.metrics import FINE, buckets_s

TIMES_S = st.lists(st.floats(1e-4, 9), min_size=1, max_size=30)


def exposed(times_s: dict[str, list[float]], bounds_s: tuple[float, ...] = buckets_s(FINE)) -> bytes:
    """Return the text of a histogram with one label, `kind`, and these observations."""
    registry = CollectorRegistry()
    histogram = Histogram("took_seconds", "", ["kind"], buckets=bounds_s, registry=registry)
    Counter("others", "", registry=registry).inc(7)
    for kind, values in times_s.items():
        for value in values:
            histogram.labels(kind).observe(value)
    return generate_latest(registry)


@settings(max_examples=25)
@given(TIMES_S, TIMES_S)
def test_series_are_added_up_or_chosen_by_label(first: list[float], second: list[float]) -> None:
    """All of them without a label, one with it, none with another's."""
    text = exposed({"a": first, "b": second})
    both, one = distribution(text, "took_seconds"), distribution(text, "took_seconds", kind="a")
    assert (both.count, one.count) == (len(first) + len(second), len(first))
    assert both.sum_s == pytest.approx(math.fsum(first + second))
    assert distribution(text, "took_seconds", kind="c") == distribution(text, "others") == Distribution()


@settings(max_examples=50)
@given(times_s=TIMES_S, share=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_quantile_is_in_the_bucket_of_the_true_one(times_s: list[float], share: float) -> None:
    """So that it is no further off than one step of the buckets."""
    told = distribution(exposed({"a": times_s}), "took_seconds").quantile(share)
    true = sorted(times_s)[max(0, math.ceil(share * len(times_s) - 1e-9) - 1)]
    bounds = buckets_s(FINE)
    number = bisect_left(bounds, true)
    assert (bounds[number - 1] if number else 0.0) <= told <= bounds[number]
    assert max(told / true, true / told) <= FINE * 1.01


def test_quantiles_at_the_ends_are_prometheus_own() -> None:
    """From 0 in the lowest bucket, the highest bound in the infinite one, and no number without observations."""
    assert distribution(exposed({"a": [0.5] * 4}, (1.0, 2.0)), "took_seconds").quantile(0.5) == pytest.approx(0.5)
    assert distribution(exposed({"a": [9.0]}, (1.0, 2.0)), "took_seconds").quantile(0.5) == 2.0
    assert math.isnan(Distribution().quantile(0.5))


@settings(max_examples=25)
@given(TIMES_S, TIMES_S)
def test_what_came_since_is_what_was_observed_meanwhile(before: list[float], after: list[float]) -> None:
    """The difference of two readings is a reading of the second half; since nothing, all of it."""
    first, both = (distribution(exposed({"a": times}), "took_seconds") for times in (before, before + after))
    since, alone = both.since(first), distribution(exposed({"a": after}), "took_seconds")
    assert since.at_most == alone.at_most
    assert since.sum_s == pytest.approx(alone.sum_s, abs=1e-9)
    assert both.since(Distribution()) == both


def test_histograms_with_other_bounds_do_not_mix() -> None:
    """Their difference would mean nothing."""
    with pytest.raises(ValueError, match="other bounds"):
        Distribution((1.0,), (1.0,)).since(Distribution((2.0,), (1.0,)))


def test_every_series_is_named_with_its_labels() -> None:
    """As they stand in the text: with _bucket, _sum, _count and _total."""
    found = series(exposed({"a": [1.0]}))
    assert found["took_seconds_bucket"] == {"kind", "le"}
    assert found["took_seconds_sum"] == found["took_seconds_count"] == {"kind"}
    assert found["others_total"] == frozenset()
