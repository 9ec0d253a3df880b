"""The histogram: every value within 0.1 %, merging loses nothing, and it travels between processes unchanged."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import intervals as statistics
from harness.stats.histogram import RELATIVE_ERROR, Histogram, HistogramWire, bounds_ns, bucket_of

NS = st.one_of(st.integers(0, 5000), st.integers(0, 2**40), st.integers(0, 2**62))
TIMES = st.lists(NS, max_size=300)
TIMES_WITH_A_SUM = st.lists(st.one_of(st.integers(0, 5000), st.integers(0, 2**40), st.integers(0, 2**54)), max_size=300)
"""Times whose sum is below 2**63, which is the largest that the wire formats carry."""


def of(values: list[int]) -> Histogram:
    """Return the histogram of values recorded one by one."""
    histogram = Histogram()
    for ns in values:
        histogram.record(ns)
    return histogram


def as_array(values: list[int]) -> npt.NDArray[np.int64]:
    """Return values as an array, also where there are none."""
    return np.array(values, dtype=np.int64)


@given(NS)
def test_a_bucket_holds_its_values_within_the_error(ns: int) -> None:
    """A value lies inside its bucket's bounds, whose middle is within 0.1 % of it."""
    lower, upper = bounds_ns(bucket_of(ns))
    assert lower <= ns < upper
    assert abs((lower + upper - 1) / 2 - ns) <= ns * RELATIVE_ERROR
    assert RELATIVE_ERROR < 0.001


@given(st.integers(0, 25_000))
def test_buckets_follow_each_other_without_a_gap(bucket: int) -> None:
    """Where one bucket ends the next begins, and both ends know their bucket."""
    lower, upper = bounds_ns(bucket)
    assert upper == bounds_ns(bucket + 1)[0]
    assert (bucket_of(lower), bucket_of(upper - 1)) == (bucket, bucket)


@given(TIMES)
def test_recording_many_at_once_is_recording_each(values: list[int]) -> None:
    """Both ways give the same histogram, up to the largest times."""
    together = Histogram()
    together.record_many(as_array(values[:100]))
    together.record_many(as_array(values[100:]))
    assert together == of(values)


@pytest.mark.parametrize("bits", range(53, 63))
def test_recording_many_is_exact_where_floats_are_not(bits: int) -> None:
    """Just below a power of two a float rounds up; the bucket is the right one all the same."""
    together = Histogram()
    values = [2**bits - 1, 2**bits, 2**bits + 1]
    together.record_many(as_array(values))
    assert together == of(values)


@given(st.lists(TIMES, max_size=5))
def test_merging_is_recording_all(parts: list[list[int]]) -> None:
    """The sum of several histograms is the histogram of all their values."""
    assert Histogram.merged(of(p) for p in parts) == of([ns for p in parts for ns in p])


@given(st.lists(NS, min_size=1, max_size=300), st.floats(0, 1))
def test_percentiles_are_numpys_within_the_error(values: list[int], q: float) -> None:
    """Any percentile is within 0.1 % of the one from the values themselves, and inside the extremes."""
    found = of(values).percentile_ns(q)
    assert found is not None
    assert found == pytest.approx(float(np.quantile(as_array(values).astype(float), q)), rel=RELATIVE_ERROR * 1.001, abs=1e-6)
    assert min(values) <= found <= max(values)


@given(st.lists(NS, min_size=1, max_size=300), st.lists(st.floats(0, 1), max_size=9).map(sorted))
def test_higher_percentiles_are_not_lower(values: list[int], qs: list[float]) -> None:
    """Percentiles ascend, and several at once are the same as each."""
    histogram = of(values)
    found = histogram.percentiles_ns(qs)
    assert found == [histogram.percentile_ns(q) for q in qs]
    assert all(a is not None and b is not None and a <= b * (1 + 1e-12) for a, b in pairwise(found))


@given(st.lists(NS, min_size=1, max_size=300))
def test_what_needs_no_buckets_is_exact(values: list[int]) -> None:
    """Count, sum, mean and extremes have no error, and the arrays hold every operation in ascending order."""
    histogram = of(values)
    assert (histogram.operations, histogram.sum_ns) == (len(values), sum(values))
    assert (histogram.min_ns, histogram.max_ns, histogram.mean_ns) == (min(values), max(values), sum(values) / len(values))
    middles, numbers = histogram.arrays()
    assert numbers.sum() == len(values)
    assert (np.diff(middles) > 0).all()


@given(st.lists(NS, min_size=1, max_size=300), NS)
def test_the_share_above_a_limit_is_exact_but_for_the_limits_own_bucket(values: list[int], limit: int) -> None:
    """It lies between the shares above the ends of the limit's bucket."""
    lower, upper = bounds_ns(bucket_of(limit))
    share = of(values).fraction_above(limit)
    assert share is not None
    above_upper, above_lower = (sum(v >= end for v in values) / len(values) for end in (upper, lower))
    assert above_upper - 1e-12 <= share <= above_lower + 1e-12


@given(st.lists(st.integers(0, 1023), min_size=1), st.floats(-1, 1100))
def test_the_share_above_a_limit_is_exact_for_short_times(values: list[int], limit: float) -> None:
    """Below 1024 ns every nanosecond has its own bucket."""
    assert of(values).fraction_above(limit) == pytest.approx(sum(v > limit for v in values) / len(values))


def test_nothing_recorded_has_no_times() -> None:
    """Without operations there is nothing to say, rather than a zero."""
    nothing = Histogram()
    assert (nothing.min_ns, nothing.max_ns, nothing.mean_ns) == (None, None, None)
    assert (nothing.percentile_ns(0.5), nothing.fraction_above(1)) == (None, None)
    assert set(nothing.times().percentiles_ns.values()) == {None}
    assert nothing.arrays()[0].shape == nothing.arrays()[1].shape == (0,)


@pytest.mark.parametrize("samples", [19, 20, 999, 1000, 10_000])
def test_the_record_shows_only_what_the_count_supports(samples: int) -> None:
    """The same percentiles are shown as of samples, and those within 0.1 %."""
    values = [1000 + 7 * i for i in range(samples)]
    times, exact = of(values).times(), statistics.percentiles(values)
    assert times.percentiles_ns == {k: None if v is None else pytest.approx(v, rel=RELATIVE_ERROR) for k, v in exact.items()}
    assert (times.operations, times.min_ns, times.max_ns) == (samples, 1000, values[-1])
    assert times.intervals_ns == {}


@given(TIMES_WITH_A_SUM)
def test_a_histogram_travels_as_json_and_as_messagepack(values: list[int]) -> None:
    """The decoded histogram equals the encoded one, in msgspec's formats and as plain data, which Locust sends."""
    histogram, sent = of(values), of(values).to_wire()
    assert Histogram.from_wire(msgspec.json.decode(msgspec.json.encode(sent), type=HistogramWire)) == histogram
    assert Histogram.from_wire(msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=HistogramWire)) == histogram
    msgpack = pytest.importorskip("msgpack", reason="Locust's own format, which comes with it")
    plain = msgpack.loads(msgpack.dumps(msgspec.to_builtins(sent)), strict_map_key=False)
    assert Histogram.from_wire(msgspec.convert(plain, HistogramWire)) == histogram


def test_a_wire_that_was_cut_is_refused() -> None:
    """Buckets without counts make no histogram."""
    with pytest.raises(ValueError, match="zip"):
        Histogram.from_wire(HistogramWire([1, 2], [1]))


@pytest.mark.parametrize("before", [[], [5]])
def test_a_negative_time_is_refused(before: list[int]) -> None:
    """Time does not run backwards; whoever subtracts the wrong way round is told, and the histogram stays as it was."""
    histogram = of(before)
    with pytest.raises(ValueError, match="cannot take -1 ns"):
        histogram.record(-1)
    with pytest.raises(ValueError, match="cannot take -1 ns"):
        histogram.record_many(as_array([3, -1]))
    assert histogram == of(before)


@pytest.mark.parametrize("q", [-0.1, 1.1, 95, math.nan])
def test_a_percentile_is_a_share(q: float) -> None:
    """The 95th percentile is asked for as 0.95; 95 is a mistake."""
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        Histogram().percentile_ns(q)
