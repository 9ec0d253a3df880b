"""Ratios of percentiles with block-bootstrap intervals, from a run's raw samples.

Pairs close in time share the machine's state, in both arms. So each process's pairs are divided into blocks of consecutive ones,
and whole blocks are drawn, both arms of a block together (Künsch 1989). Processes are drawn first, as `load_intervals` does with
the cycles of processes, by the same code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from harness.results.run import AA_CONTROL, BASELINE, PercentileRatio, Sample
from harness.stats import load_intervals as load
from harness.stats.histogram import Histogram
from harness.stats.intervals import QUANTILES, is_supported

LABELS = ("50", "95", "99")
BLOCKS = 10
"""Number of blocks of a process's pairs: enough to draw from, and each longer than the correlation of consecutive pairs."""

_Pairs = dict[int, dict[int, list[int]]]
"""Process → pair → the nanoseconds of its operations."""


def percentile_ratios(samples: Iterable[Sample]) -> list[PercentileRatio]:
    """Return baseline ÷ arm at each of `LABELS`, for every arm in every group, without the A/A control.

    A percentile with fewer than 10 samples beyond it in either arm has no ratio.
    """
    taken: dict[str, dict[str, _Pairs]] = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list))))
    for s in samples:
        if s.arm != AA_CONTROL:
            taken[s.group][s.arm][s.process][s.pair].append(s.latency_ns)
    return [
        row
        for group, arms in taken.items()
        for arm, pairs in arms.items()
        if arm != BASELINE and BASELINE in arms
        for row in _rows(group, arm, arms[BASELINE], pairs)
    ]


def _rows(group: str, arm: str, base: _Pairs, other: _Pairs) -> list[PercentileRatio]:
    blocks = {process: _blocks(arm, base[process], pairs) for process, pairs in other.items() if process in base}
    fewest = min(sum(block[name].operations for each in blocks.values() for block in each) for name in (BASELINE, arm))
    found = {ratio.percentile: ratio for ratio in load.ratios(blocks, group)} if fewest else {}
    rows = []
    for label in LABELS:
        ratio = found.get(label) if is_supported(fewest, QUANTILES[label]) else None
        if ratio is None:
            rows.append(PercentileRatio(arm, group, label, fewest))
        else:
            rows.append(PercentileRatio(arm, group, label, fewest, ratio.ratio, ratio.low, ratio.high))
    return rows


def _blocks(arm: str, base: Mapping[int, Sequence[int]], other: Mapping[int, Sequence[int]]) -> list[dict[str, Histogram]]:
    """Return a process's complete pairs in at most `BLOCKS` blocks of consecutive ones."""
    both = sorted(base.keys() & other.keys())
    parts = np.array_split(np.array(both), min(BLOCKS, len(both))) if both else []
    return [{BASELINE: _histogram(base, part.tolist()), arm: _histogram(other, part.tolist())} for part in parts]


def _histogram(pairs: Mapping[int, Sequence[int]], numbers: Sequence[int]) -> Histogram:
    found = Histogram()
    found.record_many(np.array([ns for number in numbers for ns in pairs[number]], dtype=np.int64))
    return found
