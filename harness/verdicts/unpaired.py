"""Compare two sets of times that were measured in separate runs: a weaker verdict than that of pairs.

Pairs cancel drift; separate runs do not. The interval shows how well each run knows its own median, not how much two runs of the
same code differ. That is the `drift`, and a change has to reach beyond it as a whole. Nothing can be shown to be equal.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.results.run import PromiseVerdict
from harness.stats.intervals import Interval

DRIFT = 0.25
"""The default drift, as a share, from runs of the same code in separate processes on two shared cores. Two runs of the same code on
the machine in question give a better value."""

MIN_VALUES = 4
"""The number of values that each run needs: with fewer on both, even runs that do not overlap occur by chance too often
(Mann-Whitney)."""

MIN_BOOTSTRAP = 6
"""The number of values below which their range contains the median too rarely (sign test), and resampled medians even more so."""

RESAMPLES = 10_000
SEED = 20_260_101
"""Fixed, so that the same files give the same interval."""

TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Unpaired:
    """The times of one run, in any one unit."""

    median: float
    samples: int | None
    """The number of values that the median rests on, None where unknown."""
    values: npt.NDArray[np.float64]
    """The distinct independent values, ascending; empty where only aggregates exist."""
    counts: npt.NDArray[np.int64]
    """The number of occurrences of each of `values`."""
    rounding: float = 0.0
    """The largest distance of the true median from the given one, if the tool rounds."""

    @property
    def known(self) -> bool:
        """Whether there are enough values for an interval."""
        return int(self.counts.sum()) >= MIN_VALUES


@dataclass(frozen=True)
class UnpairedOutcome:
    """The verdict on two runs, with the ratio before ÷ after: above 1 is faster."""

    verdict: PromiseVerdict
    ratio: float | None
    """None where a median is 0."""
    low: float | None
    """The lower bound of the 95 % interval; None where a run has only aggregates."""
    high: float | None
    reason: str


def compare(before: Unpaired, after: Unpaired, drift: float = DRIFT) -> UnpairedOutcome:
    """Return the verdict on two medians; `drift` is the share by which two runs of the same code may differ, at least 0."""
    if before.median <= 0 or after.median <= 0:
        return UnpairedOutcome(PromiseVerdict.INCONCLUSIVE, None, None, None, "a median was rounded to 0, so there is no ratio")
    interval = median_ratio(before, after)
    low, high = _with_rounding(before, after, interval)
    bounds: tuple[float | None, float | None] = (None, None) if interval.low is None else (low, high)
    few = [run.samples for run in (before, after) if run.samples is not None and run.samples < MIN_VALUES]
    if few:
        reason = f"a median of {min(few)} value{'s' * (min(few) != 1)} is not enough; {MIN_VALUES} are needed"
        return UnpairedOutcome(PromiseVerdict.INCONCLUSIVE, interval.value, None, None, reason)
    limit = f"the drift of {drift:.3g}×" if drift >= 1 else f"the drift of {drift * 100:.3g} %"
    subject = "the whole interval" if interval.low is not None else "the change, whose interval is unknown,"
    if low > 1 + drift:
        return UnpairedOutcome(PromiseVerdict.IMPROVED, interval.value, *bounds, f"{subject} is beyond {limit}")
    if high < 1 / (1 + drift):
        return UnpairedOutcome(PromiseVerdict.REGRESSED, interval.value, *bounds, f"{subject} is beyond {limit}")
    cause = "the machine" if before.rounding + after.rounding == 0 else "the machine and rounding"
    return UnpairedOutcome(PromiseVerdict.INCONCLUSIVE, interval.value, *bounds, f"within {limit}, so {cause} may explain it")


def median_ratio(before: Unpaired, after: Unpaired) -> Interval:
    """Return the ratio of the medians, before ÷ after, with a 95 % bootstrap interval (percentile method, Efron 1979).

    The median of a resample need not be resampled: it is the order statistic at n·U with U from Beta((n + 1)/2, (n + 1)/2), exactly
    so for odd n (Maritz and Jarrett 1978; Harrell and Davis 1982), whatever n is. Where a run has fewer than `MIN_BOOTSTRAP`
    values, it is the range of all ratios of a value before to one after, which misses a common factor in 2 of C(n + m, n) orders
    (Mann and Whitney 1947). There is no interval where a run has fewer than `MIN_VALUES` values.
    """
    ratio = before.median / after.median
    if not (before.known and after.known):
        return Interval(ratio, None, None)
    if min(before.counts.sum(), after.counts.sum()) < MIN_BOOTSTRAP:
        (b_min, b_max), (a_min, a_max) = (_no_zeros(run.values[[0, -1]], run.rounding) for run in (before, after))
        return Interval(ratio, float(b_min / a_max), float(b_max / a_min))
    generator = np.random.default_rng(SEED)
    ratios = _resampled(before, generator) / _resampled(after, generator)
    low, high = (float(bound) for bound in np.quantile(ratios, [0.025, 0.975]))
    return Interval(ratio, min(low, ratio), max(high, ratio))


def _resampled(run: Unpaired, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return medians of `RESAMPLES` resamples."""
    cumulative = np.cumsum(run.counts)
    total = int(cumulative[-1])
    places = np.minimum(generator.beta((total + 1) / 2, (total + 1) / 2, RESAMPLES) * total, total - 1).astype(np.int64)
    found = run.values[np.searchsorted(cumulative, places, side="right")]
    return _no_zeros(found, run.rounding)


def _no_zeros(values: npt.NDArray[np.float64], rounding: float) -> npt.NDArray[np.float64]:
    """Return `values` with those that were rounded to 0 at half their rounding, so that there are ratios."""
    return np.maximum(values, rounding / 2 or TINY)


def _with_rounding(before: Unpaired, after: Unpaired, interval: Interval) -> tuple[float, float]:
    """Return the bounds of the ratio, or the ratio itself, moved apart by the possible rounding of both medians."""
    low = interval.value if interval.low is None else interval.low
    high = interval.value if interval.high is None else interval.high
    off_before, off_after = before.rounding / before.median, after.rounding / after.median
    lowest = low * max(0.0, 1 - off_before) / (1 + off_after)
    highest = high * (1 + off_before) / (1 - off_after) if off_after < 1 else math.inf
    return lowest, highest
