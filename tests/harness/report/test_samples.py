"""Raw samples by group and arm, and as ratios of pairs."""

import numpy as np

from harness.report.samples import Samples, latencies_ns, pair_ratios
from harness.results.store import SAMPLE_COLUMNS

SampleRow = tuple[int, int, int, str, str, str, int]


def columns(rows: list[SampleRow]) -> Samples:
    """Return raw samples as columns."""
    found = list(zip(*rows, strict=True)) or [()] * len(SAMPLE_COLUMNS)
    return {name: np.array(column) for name, column in zip(SAMPLE_COLUMNS, found, strict=True)}


def test_latencies_are_sorted_by_group_and_arm() -> None:
    """Each group and arm has its own operations, in ascending order."""
    rows = [(1, 1, 0, "b", "y", "c", 3), (1, 2, 0, "a", "x", "c", 2), (1, 1, 1, "b", "y", "c", 1), (1, 1, 0, "a", "y", "c", 5)]
    found = {key: values.tolist() for key, values in latencies_ns(columns(rows)).items()}
    assert found == {("x", "a"): [2.0], ("y", "a"): [5.0], ("y", "b"): [1.0, 3.0]}
    assert latencies_ns(columns([])) == {}


def test_a_pair_is_a_ratio_of_means_in_the_order_of_measuring() -> None:
    """Several operations of a slot are one; a pair without a baseline, or of no time, has no ratio."""
    rows = [
        (2, 1, 0, "baseline", "g", "c", 100),
        (2, 1, 1, "fast", "g", "c", 50),
        (1, 7, 0, "baseline", "g", "c", 100),
        (1, 7, 0, "baseline", "g", "c", 300),
        (1, 7, 1, "fast", "g", "c", 50),
        (1, 8, 0, "fast", "g", "c", 50),
        (1, 9, 0, "baseline", "g", "c", 50),
        (1, 9, 0, "fast", "g", "c", 0),
    ]
    assert pair_ratios(columns(rows)) == {("g", "fast"): [(1, 4.0), (2, 2.0)]}
