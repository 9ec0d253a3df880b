"""The pairs of slices of one process pair, and what they say about it: the logs of new ÷ old at the median, the mean and the tails.

A slice of quick operations has only their sum, because reading the clock for each would change it. Percentiles of single operations
then do not exist; the mean shows what is rare and long.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.intervals import is_supported, median

MEDIAN, MEAN = "median", "mean"
TAILS = {"p90": 0.90, "p95": 0.95, "p99": 0.99}
"""The percentiles of single operations that are tested, and their quantiles."""


@dataclass(frozen=True)
class SlicePair:
    """The times of the same case and number of repetitions in both versions."""

    repeats: int
    old_ns: Sequence[int]
    """The nanoseconds of each repetition, or of all together."""
    new_ns: Sequence[int]

    @property
    def log(self) -> float:
        """The log of new ÷ old."""
        return math.log(max(1, sum(self.new_ns)) / max(1, sum(self.old_ns)))


@dataclass(frozen=True)
class ProcessPairLogs:
    """The logs of new ÷ old of one benchmark in one process pair."""

    logs: dict[str, float]
    """By `MEDIAN`, `MEAN` and, of single operations, `TAILS`."""
    operations: int = 0
    """The number of operations per version that were timed one by one."""


def process_pair_logs(pairs: Sequence[SlicePair]) -> ProcessPairLogs:
    """Return the logs of a process pair with at least one pair of slices.

    The median is that of the pairs' logs, which cancels the machine's drift. The others compare all times of the two versions, both
    of which had the same cases, alternating.
    """
    times_ns = [ns for pair in pairs for ns in pair.old_ns], [ns for pair in pairs for ns in pair.new_ns]
    old_ns, new_ns = (max(1, sum(side)) for side in times_ns)
    logs = {MEDIAN: median([pair.log for pair in pairs]), MEAN: math.log(new_ns / old_ns)}
    if not all(len(pair.old_ns) == len(pair.new_ns) == pair.repeats for pair in pairs):
        return ProcessPairLogs(logs)
    import numpy as np  # noqa: PLC0415 - the command line starts without it

    old, new = (np.maximum(side, 1) for side in times_ns)
    for label, quantile in TAILS.items():
        logs[label] = float(np.log(np.quantile(new, quantile) / np.quantile(old, quantile)))
    return ProcessPairLogs(logs, len(old))


def supported(found: Sequence[ProcessPairLogs]) -> list[str]:
    """Return what a set of process pairs can be asked about: percentiles only where each process pair supports them."""
    fewest = min(pair.operations for pair in found)
    return [MEDIAN, MEAN, *(label for label, quantile in TAILS.items() if is_supported(fewest, quantile))]
