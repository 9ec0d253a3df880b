"""Histograms read from the text of metrics give the quantiles of their observations; without Prometheus there is a reason."""

import math
from bisect import bisect_left
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from harness.errors import NotMeasurableError
from harness.servers import prometheus
from harness.servers.prometheus import Distribution, distribution, series

STEP = 1.1
BOUNDS_S = tuple(50e-6 * STEP**number for number in range(130))
"""Bounds of buckets, up to more than 10 s."""


def test_without_a_program_it_is_not_measurable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(prometheus.PATH_VARIABLE, raising=False)
    with pytest.raises(NotMeasurableError, match="install Prometheus"), prometheus.scraper(tmp_path, "127.0.0.1:1"):
        pass


TIMES_S = st.lists(st.floats(1e-4, 9), min_size=1, max_size=30)


def exposed(times_s: dict[str, list[float]], bounds_s: tuple[float, ...] = BOUNDS_S) -> bytes:
    """Return the exposed text of a histogram with one label, `kind`, and these observations."""
    registry = CollectorRegistry()
    histogram = Histogram("took_seconds", "", ["kind"], buckets=bounds_s, registry=registry)
    Counter("others", "", registry=registry).inc(7)
    for kind, values in times_s.items():
        for value in values:
            histogram.labels(kind).observe(value)
    return generate_latest(registry)


@settings(max_examples=25)
@given(TIMES_S, TIMES_S)
def test_series_are_added_up_or_selected_by_label(first: list[float], second: list[float]) -> None:
    """Without a label all series count, with one the matching series, with an unknown one none."""
    text = exposed({"a": first, "b": second})
    both, one = distribution(text, "took_seconds"), distribution(text, "took_seconds", kind="a")
    assert (both.count, one.count) == (len(first) + len(second), len(first))
    assert both.sum_s == pytest.approx(math.fsum(first + second))
    assert distribution(text, "took_seconds", kind="c") == distribution(text, "others") == Distribution()


@settings(max_examples=50)
@given(times_s=TIMES_S, share=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_quantile_is_in_the_bucket_of_the_true_one(times_s: list[float], share: float) -> None:
    """Its error is at most one bucket."""
    estimated = distribution(exposed({"a": times_s}), "took_seconds").quantile(share)
    true = sorted(times_s)[max(0, math.ceil(share * len(times_s) - 1e-9) - 1)]
    number = bisect_left(BOUNDS_S, true)
    assert (BOUNDS_S[number - 1] if number else 0.0) <= estimated <= BOUNDS_S[number] * (1 + 1e-12)
    assert max(estimated / true, true / estimated) <= STEP * 1.01


def test_quantiles_in_the_outer_buckets_are_prometheus() -> None:
    """They start from 0 in the lowest bucket, are the highest bound in the infinite one, and NaN without observations."""
    assert distribution(exposed({"a": [0.5] * 4}, (1.0, 2.0)), "took_seconds").quantile(0.5) == pytest.approx(0.5)
    assert distribution(exposed({"a": [9.0]}, (1.0, 2.0)), "took_seconds").quantile(0.5) == 2.0
    assert math.isnan(Distribution().quantile(0.5))


@settings(max_examples=25)
@given(TIMES_S, TIMES_S)
def test_since_returns_the_observations_between_two_readings(before: list[float], after: list[float]) -> None:
    """The difference of two readings is a reading of the second half; since an empty one, all of it."""
    first, both = (distribution(exposed({"a": times}), "took_seconds") for times in (before, before + after))
    since, alone = both.since(first), distribution(exposed({"a": after}), "took_seconds")
    assert since.cumulative == alone.cumulative
    assert since.sum_s == pytest.approx(alone.sum_s, abs=1e-9)
    assert both.since(Distribution()) == both


def test_histograms_with_different_bounds_cannot_be_subtracted() -> None:
    """Their difference has no meaning."""
    with pytest.raises(ValueError, match="different bounds"):
        Distribution((1.0,), (1.0,)).since(Distribution((2.0,), (1.0,)))


def test_every_series_is_named_with_its_labels() -> None:
    """The names are those of the text, with _bucket, _sum, _count and _total."""
    found = series(exposed({"a": [1.0]}))
    assert found["took_seconds_bucket"] == {"kind", "le"}
    assert found["took_seconds_sum"] == found["took_seconds_count"] == {"kind"}
    assert found["others_total"] == frozenset()
