"""Figures of a run under load: percentiles and their ratios from histograms, with intervals over processes and cycles."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.histogram import Histogram
from harness.stats.intervals import percentiles
from harness.stats.load_intervals import FEWEST_CYCLES, ratios, times

CYCLES, OPERATIONS = 12, 60
SIMULATIONS = 120


def histogram(values_ns: npt.ArrayLike) -> Histogram:
    """Return the histogram of times."""
    made = Histogram()
    made.record_many(np.asarray(values_ns).astype(np.int64))
    return made


def drifting(generator: np.random.Generator, gain: float, cycles: int = CYCLES) -> list[dict[str, Histogram]]:
    """Return cycles of two arms on a machine whose speed wanders by a third, both arms of a cycle alike but for a little."""
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
def test_the_percentiles_are_those_of_all_operations_together(blocks: list[list[int]]) -> None:
    """However they are spread over cycles, to a histogram's exactness."""
    found = times({0: [histogram(b) for b in blocks]})
    everything = list(itertools.chain(*blocks))
    assert found.operations == len(everything)
    for label, expected in percentiles(everything).items():
        value = found.percentiles_ns[label]
        assert (value is None) is (expected is None)
        if value is not None:
            assert value == pytest.approx(expected, rel=2e-3)


@given(st.lists(st.lists(st.integers(1, 10**9), min_size=20, max_size=60), min_size=FEWEST_CYCLES, max_size=8))
@settings(max_examples=15)
def test_an_interval_lies_within_what_the_cycles_saw(blocks: list[list[int]]) -> None:
    """A resample has nothing in it that no cycle had, and its bounds are in order."""
    found = times({0: [histogram(b) for b in blocks]})
    everything = list(itertools.chain(*blocks))
    for label, interval in found.intervals_ns.items():
        assert (interval is None) is (found.percentiles_ns[label] is None)
        if interval is not None:
            low, high = interval
            assert min(everything) * 0.998 <= low <= high <= max(everything) * 1.002


def test_cycles_that_are_all_alike_have_an_interval_without_width() -> None:
    """Whatever is drawn, it is the same distribution."""
    block = histogram(np.arange(1, 101) * 1000)
    found = times({process: [block] * 3 for process in range(2)})
    value = found.percentiles_ns["50"]
    assert found.intervals_ns["50"] == pytest.approx((value, value), rel=2e-2)


@pytest.mark.parametrize("processes", [1, 2])
def test_few_cycles_have_figures_and_no_intervals(processes: int) -> None:
    """Three blocks of each arm, all processes together, are too few to say how surely."""
    cycles = drifting(np.random.default_rng(1), 2.0, FEWEST_CYCLES - 1)
    spread = {p: cycles[p::processes] for p in range(processes)}
    assert all(r.low is None and r.high is None and r.ratio > 1 for r in ratios(spread, "mix"))
    assert set(times({p: [c["baseline"] for c in found] for p, found in spread.items()}).intervals_ns.values()) == {None}


def test_the_same_cycles_give_the_same_intervals() -> None:
    """The bootstrap is seeded, so that a report made again says the same."""
    cycles = {0: drifting(np.random.default_rng(2), 1.5)}
    assert ratios(cycles, "mix") == ratios(cycles, "mix")


def test_an_arm_against_itself_is_exactly_one() -> None:
    """Both are resampled together, cycle by cycle, so that drift has nothing to add."""
    cycles = [{"baseline": c["baseline"], "optimised": c["baseline"]} for c in drifting(np.random.default_rng(3), 1.0)]
    for ratio in ratios({0: cycles}, "mix"):
        assert (ratio.ratio, ratio.low, ratio.high) == (1, 1, 1)


def test_a_percentile_that_either_arm_does_not_support_is_left_out() -> None:
    """150 operations of the slower arm show a p90 and no p95, however many the other had."""
    cycles = [{"baseline": histogram(np.full(30, 2e6)), "optimised": histogram(np.full(300, 1e6))} for _ in range(5)]
    assert [r.percentile for r in ratios({0: cycles}, "mix")] == ["50", "90"]


def test_only_cycles_of_both_arms_count() -> None:
    """A cycle that was cut short before an arm's block is left out of that arm's ratio, and of its number of cycles."""
    cycles = drifting(np.random.default_rng(4), 1.5)
    cut = [*cycles, {"baseline": histogram(np.full(500, 9e9))}]
    assert ratios({0: cut}, "mix") == ratios({0: cycles}, "mix")
    assert {r.cycles for r in ratios({0: cut}, "mix")} == {CYCLES}


def test_nothing_measured_is_nothing_said() -> None:
    """Without cycles, without operations and without a baseline there are no ratios, and an empty distribution."""
    assert ratios({}, "mix") == []
    assert ratios({0: [{"optimised": histogram([1])}]}, "mix") == []
    assert ratios({0: [{"baseline": Histogram(), "optimised": Histogram()}] * 5}, "mix") == []
    empty = times({0: [Histogram()] * 5})
    assert empty.operations == 0
    assert set(empty.intervals_ns.values()) == {None}


def test_processes_that_differ_widen_the_interval() -> None:
    """The same cycles say less when they come from two processes that each have a bias of their own."""
    cycles = drifting(np.random.default_rng(5), 2.0, 12)
    biased = [
        {"baseline": c["baseline"], "optimised": _slowed(c["optimised"], 1.3)} for c in drifting(np.random.default_rng(6), 2.0, 12)
    ]

    def width(processes: dict[int, list[dict[str, Histogram]]]) -> float:
        median = ratios(processes, "mix")[0]
        assert median.low is not None
        assert median.high is not None
        return median.high / median.low

    assert width({0: cycles, 1: biased}) > width({0: [*cycles, *biased]})


def test_the_interval_covers_the_true_ratio_in_spite_of_drift() -> None:
    """Of many simulated runs on a machine that drifts, about nineteen in twenty have the true ratio inside the interval."""
    generator = np.random.default_rng(7)
    covered = 0
    for _ in range(SIMULATIONS):
        median = ratios({0: drifting(generator, 1.5)}, "mix")[0]
        assert median.low is not None
        assert median.high is not None
        covered += median.low <= 1.5 <= median.high
    assert 0.88 <= covered / SIMULATIONS <= 0.995


def _slowed(block: Histogram, factor: float) -> Histogram:
    middles, numbers = block.arrays()
    return histogram(np.repeat(middles * factor, numbers))
