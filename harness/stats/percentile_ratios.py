"""The tails of arms against the baseline's: ratios of percentiles with block-bootstrap intervals, from a run's raw samples.

Pairs close in time share the machine's state, in both arms. So each process's pairs are cut into blocks of neighbours, and blocks
are drawn whole, both arms of a block together (Künsch 1989); processes are drawn before them, as `latency_ratios` draws load
workers and their cycles.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from harness.results.run import AA_CONTROL, BASELINE, PercentileRatio, Slot
from harness.stats.histogram import Histogram, latency_ratios

LABELS = ("50", "95", "99")
BLOCKS = 10
"""Into how many blocks a process's pairs are cut: enough to draw from, each long enough to hold what neighbours share."""
_Pairs = dict[int, dict[int, list[Sequence[int]]]]
"""Process → pair → the nanoseconds of the operations of each of its slots."""


def percentile_ratios(slots: Iterable[Slot]) -> list[PercentileRatio]:
    """Return baseline ÷ arm at each of `LABELS`, for every arm in every group; the A/A control is left out.

    A percentile with fewer than 10 samples beyond it on either side is there without a ratio: it cannot be resolved.
    """
    taken: dict[str, dict[str, _Pairs]] = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list))))
    for s in slots:
        if s.arm != AA_CONTROL:
            taken[s.group][s.arm][s.process][s.pair].append(s.latencies_ns)
    rows = []
    for group, arms in taken.items():
        base = arms.pop(BASELINE, {})
        for arm, processes in arms.items() if base else ():
            blocks = {process: _blocks(arm, base[process], pairs) for process, pairs in processes.items() if process in base}
            fewest = min(sum(block[name].operations for each in blocks.values() for block in each) for name in (BASELINE, arm))
            found = {ratio.percentile: (ratio.ratio, ratio.low, ratio.high) for ratio in latency_ratios(blocks, group)}
            rows += [PercentileRatio(arm, group, label, fewest, *found.get(label, ())) for label in LABELS]
    return rows


def _blocks(
    arm: str, base: Mapping[int, list[Sequence[int]]], other: Mapping[int, list[Sequence[int]]]
) -> list[dict[str, Histogram]]:
    """Return a process's pairs, those that have both sides, in their order and cut into at most `BLOCKS` blocks of neighbours."""
    both = sorted(base.keys() & other.keys())
    parts = np.array_split(np.array(both), min(BLOCKS, len(both))) if both else []
    return [{BASELINE: _histogram(base, part.tolist()), arm: _histogram(other, part.tolist())} for part in parts]


def _histogram(pairs: Mapping[int, list[Sequence[int]]], numbers: Sequence[int]) -> Histogram:
    found = Histogram()
    found.record_many(np.concatenate([np.asarray(slot, dtype=np.int64) for number in numbers for slot in pairs[number]]))
    return found
