"""The times of an arm as pytest-benchmark's statistics: figures of its recorded operations, and a limited number of their times.

pytest-benchmark computes its figures in pure Python and writes every time on a line of its own: a million of them take a minute and
40 MB. So the figures are computed here, of all recorded operations, and their times are thinned. The slowest operation may not be
among them, since it would then count as often as hundreds of others: the figures state it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pytest_benchmark.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from harness.results.run import Slot

LIMIT = 10_000
"""Limit of the recorded times of an item: p99.9 is supported by this number, and it takes half a megabyte of JSON."""


class OperationTimes(Stats):
    """The statistics of one item, as pytest-benchmark reads them: in seconds, by the attributes that it would compute itself."""

    stddev_outliers: int = 0
    iqr_outliers: int = 0

    def __init__(self, slots: Sequence[Slot]) -> None:
        """Compute the figures of the recorded operations, and the minimum, maximum and mean of all; record at most `LIMIT`."""
        super().__init__()  # type: ignore[no-untyped-call] # pytest-benchmark has no types
        times_ns = np.concatenate([np.asarray(slot.latencies_ns, dtype=np.int64) for slot in slots])
        totals = [slot.totals for slot in slots]
        mean = sum(each.total_ns for each in totals) / sum(each.operations for each in totals) / 1e9
        least, most = min(each.min_ns for each in totals) / 1e9, max(each.max_ns for each in totals) / 1e9
        self.data: list[float] = (thinned(times_ns) / 1e9).tolist()
        times_s = times_ns / 1e9
        q1, median, q3 = (float(value) for value in np.quantile(times_s, (0.25, 0.5, 0.75)))
        total = mean * len(times_s)
        stddev = float(times_s.std(ddof=1)) if len(times_s) > 1 else 0.0
        fences = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
        inside = times_s[(times_s >= fences[0]) & (times_s <= fences[1])]
        figures: dict[str, Any] = {
            "min": least,
            "max": most,
            "mean": mean,
            "stddev": stddev,
            "rounds": len(times_s),
            "median": median,
            "q1": q1,
            "q3": q3,
            "iqr": q3 - q1,
            "ld15iqr": float(inside.min()),
            "hd15iqr": float(inside.max()),
            "iqr_outliers": len(times_s) - len(inside),
            "stddev_outliers": int(np.count_nonzero((times_s < mean - stddev) | (times_s > mean + stddev))),
            "total": total,
            "ops": len(times_s) / total if total else 0.0,
        }
        vars(self).update(figures)  # in place of properties that compute them from `data`


def thinned(times_ns: npt.NDArray[np.int64], limit: int = LIMIT) -> npt.NDArray[np.int64]:
    """Return at most `limit` of the times, in their order, whose quantiles and mean are those of all.

    The sorted times are cut into `limit` parts, each of which is represented by the time next to its mean.
    """
    if len(times_ns) <= limit:
        return times_ns
    order = np.argsort(times_ns, kind="stable")
    ordered = times_ns[order]
    bounds = np.linspace(0, len(ordered), limit + 1).round().astype(np.int64)
    starts, ends = bounds[:-1], bounds[1:]
    means = np.add.reduceat(ordered, starts) / (ends - starts)
    above = np.clip(np.searchsorted(ordered, means), starts, ends - 1)
    below = np.maximum(above - 1, starts)
    nearest = np.where(means - ordered[below] < ordered[above] - means, below, above)
    kept: npt.NDArray[np.int64] = times_ns[np.sort(order[nearest])]
    return kept
