"""The logs of a process pair, from its pairs of slices."""

import math

import pytest

from harness.stats.slice_pairs import MEAN, MEDIAN, TAILS, ProcessPairLogs, SlicePair, process_pair_logs, supported


def test_a_tail_is_that_of_single_operations() -> None:
    """More than 5 in 100 take 60 times as long: p95 and p99 show it, as does the mean; p90 does not."""
    pairs = [SlicePair(20, [100] * 20, [100] * 18 + [6000, 6000 if n % 2 else 100]) for n in range(50)]
    found = process_pair_logs(pairs)
    assert found.operations == 1000
    assert found.logs["p99"] == pytest.approx(math.log(60))
    assert found.logs["p95"] == pytest.approx(math.log(60))
    assert found.logs["p90"] == 0
    assert found.logs[MEAN] == pytest.approx(math.log((18.5 + 1.5 * 60) / 20))


def test_the_median_is_that_of_pairs() -> None:
    """A drift that both versions share cancels in it."""
    found = process_pair_logs([SlicePair(1, [ns], [ns * 2]) for ns in (100, 1_000, 10_000)])
    assert found.logs[MEDIAN] == found.logs[MEAN] == pytest.approx(math.log(2))


def test_a_sum_of_operations_has_no_percentiles() -> None:
    """One slice that was timed as a whole leaves the median and the mean; a time of 0 counts as a nanosecond."""
    found = process_pair_logs([SlicePair(1, [100], [300]), SlicePair(1000, [100], [300])])
    assert found.logs == pytest.approx({MEDIAN: math.log(3), MEAN: math.log(3)})
    assert found.operations == 0
    assert process_pair_logs([SlicePair(1, [0], [0])]).logs[MEDIAN] == 0


@pytest.mark.parametrize(("operations", "count"), [(0, 0), (35, 0), (36, 1), (72, 2), (367, 2), (368, 3)])
def test_each_percentile_needs_operations_that_support_it(operations: int, count: int) -> None:
    """The process pair with the fewest operations decides."""
    pairs = [ProcessPairLogs({}, 5000), ProcessPairLogs({}, operations)]
    assert supported(pairs) == [MEDIAN, MEAN, *list(TAILS)[:count]]
