"""The weaker verdict: whether one set of times is shorter than another that was measured at another moment.

Pairs cancel what drifts; here nothing does. How well each run knows its own median is in the interval, and how far two runs of the
same code differ is not: it comes on top, as `drift`, and a change has to reach beyond both. Nothing can be called equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.results.run import PromiseVerdict
from harness.stats.intervals import Interval

VERDICTS = (PromiseVerdict.REGRESSED, PromiseVerdict.IMPROVED, PromiseVerdict.INCONCLUSIVE)
"""Every verdict there is on unpaired times, the most pressing first."""

DRIFT = 0.25
"""What is taken for drift unless a person says otherwise, as a share: trials of the same code in separate processes on two shared
cores are behind it. Two runs of the same code on the machine in question, compared, tell it better."""

LEAST = 4
"""So many values a side needs: with fewer on both, even sides that do not overlap come about by chance too often (Mann-Whitney)."""

FEW = 6
"""With fewer values than this on a side, their whole range holds the median too rarely (sign test), and resampling even more so."""

RESAMPLES = 10_000
SEED = 20_260_101
"""Fixed, so that the same files give the same interval."""

TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Unpaired:
    """One side of a comparison, in any one unit of time.

    `values` are what stands for itself, ascending and each once, with their `counts`; both are empty where only aggregates exist.
    `samples` is how many values the median rests on, None where nobody says; `rounding` how far off the tool's rounding may put it.
    """

    median: float
    samples: int | None
    values: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    rounding: float = 0.0

    @property
    def known(self) -> bool:
        """Whether there are values enough for an interval."""
        return int(self.counts.sum()) >= LEAST


@dataclass(frozen=True)
class UnpairedOutcome:
    """How many times faster the second is, with a 95 % interval where both sides have values, and what may be concluded."""

    verdict: PromiseVerdict
    ratio: float | None
    low: float | None
    high: float | None
    reason: str


def compare(before: Unpaired, after: Unpaired, drift: float = DRIFT) -> UnpairedOutcome:
    """Return the verdict on two medians; `drift` is the share by which two runs of the same code may differ, at least 0."""
    if before.median <= 0 or after.median <= 0:
        return UnpairedOutcome(
            PromiseVerdict.INCONCLUSIVE, None, None, None, "a median of 0 was rounded away, and no ratio can be told"
        )
    interval = median_ratio(before, after)
    low, high = interval.low, interval.high
    least, most = _rounded(before, after, interval)
    if low is not None:
        low, high = least, most
    few = [side.samples for side in (before, after) if side.samples is not None and side.samples < LEAST]
    if few:
        because = f"a median of {min(few)} value{'s' * (min(few) != 1)} says too little; {LEAST} are needed"
        return UnpairedOutcome(PromiseVerdict.INCONCLUSIVE, interval.value, None, None, because)
    limit = f"the drift of {drift:.3g}×" if drift >= 1 else f"the drift of {drift * 100:.3g} %"
    how = "the whole interval" if low is not None else "the change, of which no interval is known,"
    if least > 1 + drift:
        return UnpairedOutcome(PromiseVerdict.IMPROVED, interval.value, low, high, f"{how} is beyond {limit}")
    if most < 1 / (1 + drift):
        return UnpairedOutcome(PromiseVerdict.REGRESSED, interval.value, low, high, f"{how} is beyond {limit}")
    inside = (
        "cannot be told from the machine" if before.rounding + after.rounding == 0 else "cannot be told from machine and rounding"
    )
    return UnpairedOutcome(PromiseVerdict.INCONCLUSIVE, interval.value, low, high, f"within {limit}, the difference {inside}")


def median_ratio(before: Unpaired, after: Unpaired) -> Interval:
    """Return the ratio of the medians, before ÷ after, with a 95 % bootstrap interval (percentile method, Efron 1979).

    The median of a resample need not be resampled: it is the order statistic at n·U with U from Beta((n + 1)/2, (n + 1)/2), exactly
    so for odd n (Maritz and Jarrett 1978; Harrell and Davis 1982), whatever n is. Where a side has fewer than `FEW` values, it is
    the range of all ratios of a value before to one after, which leaves out a common factor in 2 of C(n + m, n) orders (Mann and
    Whitney 1947). No interval where a side has fewer than `LEAST` values.
    """
    ratio = before.median / after.median
    if not (before.known and after.known):
        return Interval(ratio, None, None)
    if min(before.counts.sum(), after.counts.sum()) < FEW:
        (b_least, b_most), (a_least, a_most) = (_no_less(side.values[[0, -1]], side.rounding) for side in (before, after))
        return Interval(ratio, float(b_least / a_most), float(b_most / a_least))
    generator = np.random.default_rng(SEED)
    ratios = _resampled(before, generator) / _resampled(after, generator)
    low, high = (float(bound) for bound in np.quantile(ratios, [0.025, 0.975]))
    return Interval(ratio, min(low, ratio), max(high, ratio))


def _resampled(side: Unpaired, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return medians of `RESAMPLES` resamples."""
    cumulative = np.cumsum(side.counts)
    total = int(cumulative[-1])
    places = np.minimum(generator.beta((total + 1) / 2, (total + 1) / 2, RESAMPLES) * total, total - 1).astype(np.int64)
    found = side.values[np.searchsorted(cumulative, places, side="right")]
    return _no_less(found, side.rounding)


def _no_less(values: npt.NDArray[np.float64], rounding: float) -> npt.NDArray[np.float64]:
    """Return `values` with what was rounded to 0 at half its rounding, so that there are ratios."""
    return np.maximum(values, rounding / 2 or TINY)


def _rounded(before: Unpaired, after: Unpaired, interval: Interval) -> tuple[float, float]:
    """Return the bounds of the ratio, or the ratio itself, moved apart by what rounding may have done to both medians."""
    low = interval.value if interval.low is None else interval.low
    high = interval.value if interval.high is None else interval.high
    off_before, off_after = before.rounding / before.median, after.rounding / after.median
    least = low * max(0.0, 1 - off_before) / (1 + off_after)
    most = high * (1 + off_before) / (1 - off_after) if off_after < 1 else math.inf
    return least, most
