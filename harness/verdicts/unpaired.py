"""Compare two sets of times that were measured in separate runs: a weaker verdict than that of pairs.

Pairs cancel drift; separate runs do not. The interval shows how well each run knows its own figures, not how much two runs of the
same code differ. That is the `drift`, and a change has to be beyond it significantly. Nothing can be shown to be equal.

The median, the percentiles above it and the mean are tested, each against a drift of its own, and corrected for their number
(Holm 1979): a tail that became slower is a regression, however much faster the median is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from harness.results.run import PromiseVerdict
from harness.stats.intervals import QUANTILES, Interval, holm

DRIFT = 0.25
"""The default drift of a median, as a share, from runs of the same code on two shared cores. Two such runs give a better value."""
DRIFT_EXPONENTS = {"median": 1.0, "p90": 1.5, "p95": 2.0, "p99": 3.0, "mean": 2.0}
"""The figures that are tested, and the powers of 1 + drift by which they may change: by 25 %, 40 %, 56 %, 95 % and 56 % by default.
Two runs of the same code on two shared cores differed in p90 by 1.3, in p95 by 1.4 times the log standard deviation of their
medians, and single stalls move p99 and the mean further."""
TAILS_FIRST = ("mean", "median", "p90", "p95", "p99")
"""The figures, the one that is named last first if several changed alike."""
SIGNIFICANT = 0.05
"""The corrected p-value, two-sided, below which a change beyond the drift counts."""
MIN_VALUES = 4
"""The number of values that each run needs: with fewer, runs do not overlap too often by chance (Mann-Whitney)."""
MIN_BOOTSTRAP = 6
"""The number of values below which their range contains the median too rarely (sign test), and resampled medians even more so."""
ASSUMED_BEYOND = 10
"""The number of values that are assumed beyond a figure of a file that does not state their number."""
RESAMPLES = 10_000
SEED = 20_260_101
"""Fixed, so that the same files give the same interval."""
TINY = float(np.finfo(np.float64).tiny)
NORMAL = NormalDist()
MAX_LOG = 200.0
"""The largest logarithm of a factor, so that products of two are finite."""

Values = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]
"""Distinct values, ascending, and the number of occurrences of each."""


@dataclass(frozen=True)
class Unpaired:
    """The times of one run, in any one unit."""

    median: float
    samples: int | None
    """The number of values that the figures rest on, None where unknown."""
    values: npt.NDArray[np.float64]
    """The distinct independent values, ascending; empty where only aggregates exist."""
    counts: npt.NDArray[np.int64]
    """The number of occurrences of each of `values`."""
    rounding: float = 0.0
    """The largest distance of the true figures from the given ones, if the tool rounds."""
    mean: float | None = None
    percentiles: Mapping[str, float] = field(default_factory=dict)
    """`p90`, `p95` and `p99`, of those that the number of values supports."""
    calls: Values | None = None
    """The times of single operations, for the percentiles; None where unknown."""
    deviation: float | None = None
    """The standard deviation of the independent values, if only that is known: an approximate interval comes from it."""
    maximum: float | None = None

    @property
    def figures(self) -> dict[str, float]:
        """Every figure that can be compared; the mean of a few values is too uncertain."""
        has_mean = self.mean is not None and not (self.is_raw and self.counts.sum() < MIN_BOOTSTRAP)
        return {"median": self.median, **self.percentiles} | ({"mean": self.mean or 0.0} if has_mean else {})

    @property
    def is_raw(self) -> bool:
        """Whether the independent values are known."""
        return bool(self.counts.size)


@dataclass(frozen=True)
class FigureChange:
    """The change of one figure."""

    figure: str
    """One of `DRIFT_EXPONENTS`."""
    before: float
    after: float
    drift: float
    """The share by which the figure of the same code may differ."""
    p: float
    """The corrected p-value of a change within the drift."""

    @property
    def log_ratio(self) -> float:
        """The log of before ÷ after, above 0 is faster; infinite where one is 0."""
        return (
            math.log(self.before / self.after)
            if self.before > 0 < self.after
            else math.copysign(math.inf, self.before - self.after)
        )

    @property
    def change(self) -> float | None:
        """The ratio after ÷ before; None where one is 0."""
        return self.after / self.before if self.before > 0 < self.after else None


@dataclass(frozen=True)
class UnpairedOutcome:
    """The verdict on two runs, with the ratio of the medians before ÷ after: above 1 is faster."""

    verdict: PromiseVerdict
    ratio: float | None
    """None where a median is 0."""
    low: float | None
    """The lower bound of the 95 % interval; None where a run has only aggregates."""
    high: float | None
    reason: str
    worst: FigureChange | None = None
    """The figure that decided; None where nothing did."""
    also: tuple[str, ...] = ()
    """The other figures with the same verdict."""


def compare(before: Unpaired, after: Unpaired, drift: float = DRIFT) -> UnpairedOutcome:
    """Return the verdict on two runs; `drift` is the share by which medians of the same code may differ, at least 0.

    One figure that is slower beyond its drift is a regression, whatever the others are.
    """
    interval = Interval(math.nan, None, None)
    if before.median > 0 < after.median:
        interval = median_ratio(before, after)
    ratio = None if math.isnan(interval.value) else interval.value
    few = [run.samples for run in (before, after) if run.samples is not None and run.samples < MIN_VALUES]
    if few:
        reason = f"a median of {min(few)} value{'s' * (min(few) != 1)} is not enough; {MIN_VALUES} are needed"
        return UnpairedOutcome(PromiseVerdict.INCONCLUSIVE, ratio, None, None, reason)
    changes = _changes(before, after, drift)
    low, high = (None, None) if ratio is None or interval.low is None else _with_rounding(before, after, interval)
    for verdict, direction in ((PromiseVerdict.REGRESSED, -1), (PromiseVerdict.IMPROVED, 1)):
        found = [change for change in changes if change.p < SIGNIFICANT and change.log_ratio * direction > 0]
        if found:
            worst, *others = sorted(found, key=_severity)
            reason = f"{_certainty(before, after, worst.figure)} is beyond {_limit(worst.drift)}"
            return UnpairedOutcome(verdict, ratio, low, high, reason, worst, tuple(other.figure for other in others))
    return UnpairedOutcome(PromiseVerdict.INCONCLUSIVE, ratio, low, high, _undecided(before, after, drift, changes))


def _severity(change: FigureChange) -> tuple[float, int]:
    """Return the place in the order of changes: the largest first; of those within about 10 %, the highest percentile."""
    return -round(min(abs(change.log_ratio), MAX_LOG), 1), -TAILS_FIRST.index(change.figure)


def _undecided(before: Unpaired, after: Unpaired, drift: float, changes: list[FigureChange]) -> str:
    """Return why a comparison is inconclusive."""
    if not changes:
        return "a median is 0, so there is no ratio"
    beyond = [change.figure for change in changes if abs(change.log_ratio) > math.log1p(change.drift)]
    if beyond:
        return f"beyond the drift at {', '.join(beyond)}, but the values are too few or vary too much to show it"
    cause = "the machine" if before.rounding + after.rounding == 0 else "the machine and rounding"
    return f"within {_limit(drift)}, so {cause} may explain it"


def _limit(drift: float) -> str:
    return f"the drift of {drift:.3g}×" if drift >= 1 else f"the drift of {drift * 100:.3g} %"


def _certainty(before: Unpaired, after: Unpaired, figure: str) -> str:
    """Return the subject of a reason: how well the change of a figure is known."""
    known = [_sample(run, figure) is not None for run in (before, after)]
    if all(known):
        return "the whole interval"
    stated = figure in {"median", "mean"} and all(
        k or run.deviation is not None for k, run in zip(known, (before, after), strict=True)
    )
    return "the whole approximate interval" if stated else "the change, whose interval is unknown,"


def _changes(before: Unpaired, after: Unpaired, drift: float) -> list[FigureChange]:
    """Return the change of every figure that both runs have, and that is not 0 in one of them without rounding."""
    found = []
    known = after.figures
    draws = _generators(before, after)
    for figure, old in before.figures.items():
        if figure not in known or (min(old, known[figure]) <= 0 and before.rounding + after.rounding == 0):
            continue
        if max(old, known[figure]) <= 0:
            continue
        allowed = (1 + drift) ** DRIFT_EXPONENTS[figure] - 1
        change = FigureChange(figure, old, known[figure], allowed, 1.0)
        found.append(replace(change, p=_p(before, after, change, draws)))
    corrected = holm([change.p for change in found])
    return [replace(change, p=p) for change, p in zip(found, corrected, strict=True)]


def _generators(before: Unpaired, after: Unpaired) -> tuple[np.random.Generator, np.random.Generator]:
    """Return a generator per run, the same ones for the same two runs in either order: exchanged runs exchange their verdicts."""
    swapped = (before.median, before.mean or 0.0, before.samples or 0) > (after.median, after.mean or 0.0, after.samples or 0)
    seeds = [SEED, SEED + 1]
    first, second = (np.random.default_rng(seed) for seed in (reversed(seeds) if swapped else seeds))
    return first, second


def _p(before: Unpaired, after: Unpaired, change: FigureChange, generators: tuple[np.random.Generator, ...]) -> float:
    """Return the two-sided p-value of a change within the drift, with rounding in its favour: 1 where the figures are within."""
    limit = 1 + change.drift

    def within(old: npt.NDArray[np.float64], new: npt.NDArray[np.float64]) -> float:
        """Return the share of resampled figures whose change is within the drift, of the direction that is more often beyond."""
        slower = new - after.rounding > (old + before.rounding) * limit
        faster = old - before.rounding > (new + after.rounding) * limit
        return 1 - max(float(slower.mean()), float(faster.mean()))

    if within(np.array([change.before]), np.array([change.after])):
        return 1.0
    fewest = min(int(before.counts.sum()), int(after.counts.sum()))
    if change.figure == "median" and MIN_VALUES <= fewest < MIN_BOOTSTRAP:
        apart = not within(before.values[[0, -1]], after.values[[-1, 0]])
        return 2 / math.comb(int(before.counts.sum() + after.counts.sum()), fewest) if apart else 1.0
    drawn = [_draws(run, change.figure, g) for run, g in zip((before, after), generators, strict=True)]
    return min(1.0, 2 * (within(*drawn) * RESAMPLES + 1) / (RESAMPLES + 1))


def median_ratio(before: Unpaired, after: Unpaired) -> Interval:
    """Return the ratio of the medians, before ÷ after, with a 95 % bootstrap interval (percentile method, Efron 1979).

    The median of a resample is the order statistic at n·U with U from Beta((n + 1)/2, (n + 1)/2), exactly so for odd n (Maritz and
    Jarrett 1978; Harrell and Davis 1982). With fewer than `MIN_BOOTSTRAP` values it is the range of all ratios of a value before to
    one after, which misses a common factor in 2 of C(n + m, n) orders (Mann and Whitney 1947); with fewer than `MIN_VALUES` none.
    From a standard deviation it is approximate; of other aggregates there is none.
    """
    ratio = before.median / after.median
    numbers = [int(run.counts.sum()) if run.is_raw else run.samples or 0 for run in (before, after)]
    if min(numbers) < MIN_VALUES or not all(run.is_raw or run.deviation is not None for run in (before, after)):
        return Interval(ratio, None, None)
    if min(numbers) < MIN_BOOTSTRAP and before.is_raw and after.is_raw:
        (b_min, b_max), (a_min, a_max) = (_no_zeros(run.values[[0, -1]], run.rounding) for run in (before, after))
        return Interval(ratio, float(b_min) / float(a_max), float(b_max) / float(a_min))  # plain numbers overflow to infinity
    old, new = (_draws(run, "median", g) for run, g in zip((before, after), _generators(before, after), strict=True))
    low, high = (float(bound) for bound in np.quantile(old / new, [0.025, 0.975]))
    return Interval(ratio, min(low, ratio), max(high, ratio))


def _sample(run: Unpaired, figure: str) -> Values | None:
    """Return the values from which a figure can be resampled; None where they are unknown or too few."""
    if figure.startswith("p") and run.calls is not None:
        return run.calls
    number = int(run.counts.sum())
    return (run.values, run.counts) if number >= MIN_BOOTSTRAP and (figure == "median" or number == run.samples) else None


def _draws(run: Unpaired, figure: str, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return `RESAMPLES` values that a figure could have had: resampled, from an approximate error, or all the same if unknown."""
    sample = _sample(run, figure)
    value = max(run.figures[figure], run.rounding / 2 or TINY)
    if sample is None:
        error, number = _relative_error(run, figure)
        return _lognormal(value, error, number, generator) if error else np.full(RESAMPLES, value)
    values, counts = sample
    number = int(counts.sum())
    if figure == "mean":  # the central limit theorem, on the log ratio so that no mean is below 0
        spread = math.sqrt(float(np.average((values - value) ** 2, weights=counts)) / (number - 1))
        return _lognormal(value, spread / value, number, generator)
    quantile = 0.5 if figure == "median" else QUANTILES[figure[1:]]
    cumulative = np.cumsum(counts)
    places = generator.beta((number + 1) * quantile, (number + 1) * (1 - quantile), RESAMPLES) * number
    found = values[np.searchsorted(cumulative, np.minimum(places, number - 1).astype(np.int64), side="right")]
    return _no_zeros(found, run.rounding)


def _lognormal(value: float, error: float, number: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return `RESAMPLES` values around `value`, whose logarithm has a standard error from `number` values."""
    return value * np.exp(np.clip(error * generator.standard_t(max(1, number - 1), RESAMPLES), -MAX_LOG, MAX_LOG))


def _relative_error(run: Unpaired, figure: str) -> tuple[float, int]:
    """Return the approximate standard error of a figure's logarithm, 0 where nothing is known about it, and the number of values.

    From the stated deviation as for normal values; or from the independent values' own spread, if the figure is of others; or else
    as for lognormal values with the run's other figures: the error of a quantile is √(q(1-q)/n) ÷ the density there. Of an unknown
    number of values, `ASSUMED_BEYOND` of them are beyond the figure.
    """
    value, number = run.figures[figure], int(run.counts.sum())
    if value <= 0:
        return 0.0, 1
    if number > 1:
        mean = float(np.average(run.values, weights=run.counts))
        return math.sqrt(float(np.average((run.values - mean) ** 2, weights=run.counts)) / (number - 1)) / mean, number
    quantile = QUANTILES[figure[1:]] if figure.startswith("p") else 0.5
    number = run.samples or round(ASSUMED_BEYOND / (1 - quantile))
    if run.deviation is not None and figure in {"median", "mean"}:
        return run.deviation / value / math.sqrt(number) * (math.sqrt(math.pi / 2) if figure == "median" else 1.0), number
    spread = _log_spread(run, value, number)
    if figure == "mean":
        of_largest = (run.maximum or 0.0) / value / number  # a deviation is no smaller than that of one value from the others
        return max(of_largest, math.sqrt(math.expm1(min(spread**2, MAX_LOG)) / number)), number
    return spread * math.sqrt(quantile * (1 - quantile) / number) / NORMAL.pdf(NORMAL.inv_cdf(quantile)), number


def _log_spread(run: Unpaired, value: float, number: int) -> float:
    """Return the standard deviation of the times' logarithms, at most: by the figures above the median, and by those next to one.

    On normal paper it is the slope of a line from the median to a percentile, or to the maximum of `number` values, and from a
    figure to its neighbours.
    """
    if run.median <= 0:
        return 0.0
    known = {NORMAL.inv_cdf(QUANTILES[label[1:]]): ns for label, ns in run.percentiles.items()}
    if run.maximum is not None:
        known[NORMAL.inv_cdf(number / (number + 1))] = run.maximum
    points = [(0.0, math.log(run.median)), *((z, math.log(ns)) for z, ns in sorted(known.items()) if z > 0 and ns > 0)]
    chords = [(points[0], point) for point in points[1:]]
    chords += [pair for pair in pairwise(points) if math.log(value) in {pair[0][1], pair[1][1]}]
    return max((max(0.0, y - x) / (b - a) for (a, x), (b, y) in chords if b > a), default=0.0)


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
