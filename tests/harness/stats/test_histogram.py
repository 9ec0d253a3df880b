"""Histograms that merge without loss, and intervals from them."""

import itertools
import math
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.histogram import (
    MIN_CYCLES,
    Histogram,
    HistogramWire,
    bounds_ns,
    latency_ratios,
    summary,
)
from harness.stats.intervals import QUANTILES, is_supported

NS = st.one_of(st.integers(0, 5000), st.integers(0, 2**40), st.integers(0, 2**62))
TIMES = st.lists(NS, max_size=300)
TIMES_WITH_A_SUM = st.lists(st.one_of(st.integers(0, 5000), st.integers(0, 2**40), st.integers(0, 2**54)), max_size=300)
"""Times whose sum is below 2**63, which is the largest that the wire formats carry."""


RELATIVE_ERROR = 2.0**-10
"""The largest distance of a percentile from the recorded value that it stands for, as a share of that value."""


def of(values: list[int]) -> Histogram:
    """Return the histogram of values recorded one by one."""
    histogram = Histogram()
    for ns in values:
        histogram.record(ns)
    return histogram


def bucket_of(ns: int) -> int:
    """Return the bucket's number of a time."""
    (bucket,) = of([ns]).counts
    return bucket


def as_array(values: list[int]) -> npt.NDArray[np.int64]:
    """Return values as an array, which may be empty."""
    return np.array(values, dtype=np.int64)


@given(NS)
def test_a_buckets_values_are_within_the_error(ns: int) -> None:
    """A value is inside its bucket's bounds, whose middle is within 0.1 % of it."""
    lower, upper = bounds_ns(bucket_of(ns))
    assert lower <= ns < upper
    assert abs((lower + upper - 1) / 2 - ns) <= ns * RELATIVE_ERROR


@given(st.integers(0, 25_000))
def test_buckets_are_contiguous(bucket: int) -> None:
    """A bucket ends where the next begins, and both ends map to their bucket."""
    lower, upper = bounds_ns(bucket)
    assert upper == bounds_ns(bucket + 1)[0]
    assert (bucket_of(lower), bucket_of(upper - 1)) == (bucket, bucket)


@given(TIMES)
def test_recording_many_equals_recording_each(values: list[int]) -> None:
    """Both ways give the same histogram, up to the largest times."""
    together = Histogram()
    together.record_many(as_array(values[:100]))
    together.record_many(as_array(values[100:]))
    assert together == of(values)


@pytest.mark.parametrize("bits", range(53, 63))
def test_recording_many_is_exact_beyond_the_precision_of_floats(bits: int) -> None:
    """Just below a power of two a float rounds up, and the bucket is correct nevertheless."""
    together = Histogram()
    values = [2**bits - 1, 2**bits, 2**bits + 1]
    together.record_many(as_array(values))
    assert together == of(values)


@given(st.lists(TIMES, max_size=5))
def test_merging_equals_recording_all(parts: list[list[int]]) -> None:
    """The sum of several histograms is the histogram of all values."""
    assert Histogram.merged(of(p) for p in parts) == of([ns for p in parts for ns in p])


@given(st.lists(NS, min_size=1, max_size=300), st.floats(0, 1))
def test_percentiles_match_numpy_within_the_error(values: list[int], q: float) -> None:
    """Any percentile is within 0.1 % of the exact one, and between minimum and maximum."""
    found = of(values).percentile_ns(q)
    assert found is not None
    assert found == pytest.approx(float(np.quantile(as_array(values).astype(float), q)), rel=RELATIVE_ERROR * 1.001, abs=1e-6)
    assert float(min(values)) <= found <= float(max(values))


@given(st.lists(NS, min_size=1, max_size=300), st.lists(st.floats(0, 1), max_size=9).map(sorted))
def test_higher_percentiles_are_not_lower(values: list[int], qs: list[float]) -> None:
    """Percentiles ascend, and several at once equal each of them."""
    histogram = of(values)
    found = histogram.percentiles_ns(qs)
    assert found == [histogram.percentile_ns(q) for q in qs]
    assert all(a is not None and b is not None and a <= b * (1 + 1e-12) for a, b in pairwise(found))


@given(st.lists(NS, min_size=1, max_size=300))
def test_figures_that_need_no_buckets_are_exact(values: list[int]) -> None:
    """Count, sum, mean, minimum and maximum are exact, and the arrays hold every operation in ascending order."""
    histogram = of(values)
    assert (histogram.operations, histogram.sum_ns) == (len(values), sum(values))
    assert (histogram.min_ns, histogram.max_ns, histogram.mean_ns) == (min(values), max(values), sum(values) / len(values))
    middles, numbers = histogram.arrays()
    assert numbers.sum() == len(values)
    assert (np.diff(middles) > 0).all()


def test_an_empty_histogram_has_no_times() -> None:
    """Without operations figures are None instead of zero."""
    nothing = Histogram()
    assert (nothing.min_ns, nothing.max_ns, nothing.mean_ns) == (None, None, None)
    assert nothing.percentile_ns(0.5) is None
    assert set(nothing.summary().percentiles_ns.values()) == {None}
    assert nothing.arrays()[0].shape == nothing.arrays()[1].shape == (0,)


@pytest.mark.parametrize("samples", [5, 6, 71, 72, 367, 368, 10_000])
def test_the_summary_has_only_supported_percentiles(samples: int) -> None:
    """The percentiles are the same as those of samples, within 0.1 %."""
    values = [1000 + 7 * i for i in range(samples)]
    times = of(values).summary()
    for label, q in QUANTILES.items():
        expected = pytest.approx(np.quantile(values, q), rel=RELATIVE_ERROR) if is_supported(samples, q) else None
        assert times.percentiles_ns[label] == expected
    assert (times.operations, times.min_ns, times.max_ns) == (samples, 1000, values[-1])
    assert times.intervals_ns == {}


@given(TIMES_WITH_A_SUM)
def test_a_histogram_can_be_sent_as_json_and_as_messagepack(values: list[int]) -> None:
    """The decoded histogram equals the encoded one, in msgspec's formats and as plain data, which Locust sends."""
    histogram, sent = of(values), of(values).to_wire()
    assert Histogram.from_wire(msgspec.json.decode(msgspec.json.encode(sent), type=HistogramWire)) == histogram
    assert Histogram.from_wire(msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=HistogramWire)) == histogram
    msgpack = pytest.importorskip("msgpack", reason="Locust's own format, which comes with it")
    plain = msgpack.loads(msgpack.dumps(msgspec.to_builtins(sent)), strict_map_key=False)
    assert Histogram.from_wire(msgspec.convert(plain, HistogramWire)) == histogram


def test_an_incomplete_wire_is_rejected() -> None:
    """Buckets without counts raise an error."""
    with pytest.raises(ValueError, match="zip"):
        Histogram.from_wire(HistogramWire([1, 2], [1]))


@pytest.mark.parametrize("before", [[], [5]])
def test_a_negative_time_is_rejected(before: list[int]) -> None:
    """It raises an error, and the histogram is unchanged."""
    histogram = of(before)
    with pytest.raises(ValueError, match="cannot be negative: -1 ns"):
        histogram.record(-1)
    with pytest.raises(ValueError, match="cannot be negative: -1 ns"):
        histogram.record_many(as_array([3, -1]))
    assert histogram == of(before)


@pytest.mark.parametrize("q", [-0.1, 1.1, 95, math.nan])
def test_a_percentile_is_given_as_a_share(q: float) -> None:
    """The 95th percentile is 0.95; 95 raises an error."""
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        Histogram().percentile_ns(q)


CYCLES, OPERATIONS = 12, 60
SIMULATIONS = 120


def histogram(values_ns: npt.ArrayLike) -> Histogram:
    """Return the histogram of times."""
    made = Histogram()
    made.record_many(np.asarray(values_ns).astype(np.int64))
    return made


def drifting(generator: np.random.Generator, gain: float, cycles: int = CYCLES) -> list[dict[str, Histogram]]:
    """Return cycles of two arms on a machine whose speed drifts by a third, nearly equally for both arms of a cycle."""
    drift = np.exp(np.cumsum(generator.normal(0, 0.12, cycles)))
    made = []
    for speed in drift:
        own = speed * np.exp(generator.normal(0, 0.03, 2))
        # Coarse times keep the buckets few and the test quick; they are far finer than the interval.
        arms = [np.round(generator.exponential(2_000_000 * s, OPERATIONS) / 20_000 + 5) * 20_000 for s in (own[0], own[1] / gain)]
        made.append({"baseline": histogram(arms[0]), "optimised": histogram(arms[1])})
    return made


@given(st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=60), min_size=1, max_size=6))
@settings(max_examples=25)
def test_percentiles_are_those_of_all_operations(blocks: list[list[int]]) -> None:
    """They do not depend on the distribution over cycles, within the histogram's error."""
    found = summary({0: [histogram(b) for b in blocks]})
    everything = list(itertools.chain(*blocks))
    assert found.operations == len(everything)
    for label, q in QUANTILES.items():
        value = found.percentiles_ns[label]
        assert (value is not None) is is_supported(len(everything), q)
        if value is not None:
            assert value == pytest.approx(np.quantile(everything, q), rel=2e-3)


@given(st.lists(st.lists(st.integers(1, 10**9), min_size=20, max_size=60), min_size=MIN_CYCLES, max_size=8))
@settings(max_examples=15)
def test_an_interval_lies_within_the_recorded_times(blocks: list[list[int]]) -> None:
    """A resample contains recorded times only, and its bounds are in order."""
    found = summary({0: [histogram(b) for b in blocks]})
    everything = list(itertools.chain(*blocks))
    for label, interval in found.intervals_ns.items():
        assert (interval is None) is (found.percentiles_ns[label] is None)
        if interval is not None:
            low, high = interval
            assert min(everything) * 0.998 <= low <= high <= max(everything) * 1.002


def test_equal_cycles_have_an_interval_without_width() -> None:
    """Every resample has the same distribution."""
    block = histogram(np.arange(1, 101) * 1000)
    found = summary({process: [block] * 3 for process in range(2)})
    value = found.percentiles_ns["50"]
    assert found.intervals_ns["50"] == pytest.approx((value, value), rel=2e-2)


@pytest.mark.parametrize("processes", [1, 2])
def test_few_cycles_have_figures_without_intervals(processes: int) -> None:
    """Three blocks of each arm, all load workers together, are too few for an interval."""
    cycles = drifting(np.random.default_rng(1), 2.0, MIN_CYCLES - 1)
    spread = {p: cycles[p::processes] for p in range(processes)}
    assert all(r.low is None and r.high is None and r.ratio > 1 for r in latency_ratios(spread, "mix"))
    assert set(summary({p: [c["baseline"] for c in found] for p, found in spread.items()}).intervals_ns.values()) == {None}


def test_the_same_cycles_give_the_same_intervals() -> None:
    """The bootstrap is seeded, so that a report is reproducible."""
    cycles = {0: drifting(np.random.default_rng(2), 1.5)}
    assert latency_ratios(cycles, "mix") == latency_ratios(cycles, "mix")


def test_the_ratio_of_an_arm_to_itself_is_exactly_one() -> None:
    """Both are resampled together, cycle by cycle, so that drift cancels."""
    cycles = [{"baseline": c["baseline"], "optimised": c["baseline"]} for c in drifting(np.random.default_rng(3), 1.0)]
    for ratio in latency_ratios({0: cycles}, "mix"):
        assert (ratio.ratio, ratio.low, ratio.high) == (1, 1, 1)


def test_a_percentile_needs_the_support_of_both_arms() -> None:
    """60 operations of the slower arm support a p90 and no p95, however many the other arm has."""
    cycles = [{"baseline": histogram(np.full(12, 2e6)), "optimised": histogram(np.full(300, 1e6))} for _ in range(5)]
    assert [r.percentile for r in latency_ratios({0: cycles}, "mix")] == ["50", "90"]


def test_only_cycles_of_both_arms_count() -> None:
    """A cycle that was cut short before an arm's block does not count for that arm's ratio and number of cycles."""
    cycles = drifting(np.random.default_rng(4), 1.5)
    cut = [*cycles, {"baseline": histogram(np.full(500, 9e9))}]
    assert latency_ratios({0: cut}, "mix") == latency_ratios({0: cycles}, "mix")
    assert {r.cycles for r in latency_ratios({0: cut}, "mix")} == {CYCLES}


def test_empty_input_has_no_ratios() -> None:
    """Without cycles, operations or a baseline there are no ratios, and the distribution is empty."""
    assert latency_ratios({}, "mix") == []
    assert latency_ratios({0: [{"optimised": histogram([1])}]}, "mix") == []
    assert latency_ratios({0: [{"baseline": Histogram(), "optimised": Histogram()}] * 5}, "mix") == []
    empty = summary({0: [Histogram()] * 5})
    assert empty.operations == 0
    assert set(empty.intervals_ns.values()) == {None}


def test_differing_load_workers_widen_the_interval() -> None:
    """The interval of the same cycles is wider if they come from two load workers that differ."""
    cycles = drifting(np.random.default_rng(5), 2.0, 12)
    biased = [
        {"baseline": c["baseline"], "optimised": _slowed(c["optimised"], 1.3)} for c in drifting(np.random.default_rng(6), 2.0, 12)
    ]

    def width(processes: dict[int, list[dict[str, Histogram]]]) -> float:
        median = latency_ratios(processes, "mix")[0]
        assert median.low is not None
        assert median.high is not None
        return median.high / median.low

    assert width({0: cycles, 1: biased}) > width({0: [*cycles, *biased]})


def test_the_interval_covers_the_true_ratio_despite_drift() -> None:
    """In about 95 % of simulated runs on a drifting machine, the true ratio is inside the interval."""
    generator = np.random.default_rng(7)
    covered = 0
    for _ in range(SIMULATIONS):
        median = latency_ratios({0: drifting(generator, 1.5)}, "mix")[0]
        assert median.low is not None
        assert median.high is not None
        covered += median.low <= 1.5 <= median.high
    assert 0.88 <= covered / SIMULATIONS <= 0.995


def _slowed(block: Histogram, factor: float) -> Histogram:
    middles, numbers = block.arrays()
    return histogram(np.repeat(middles * factor, numbers))
