"""Pure functions from samples to figures: paired ratios, intervals, growth exponents.

Every scenario imports this, in every process that times it: what is heavy is imported where it is needed. The beta distribution is
all that the intervals would need of SciPy, which takes 113 MB and a third of a second to import; the tests compare with it.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

QUANTILES = {"50": 0.50, "90": 0.90, "95": 0.95, "99": 0.99, "99.9": 0.999}
"""Percentile labels of the record and their quantiles."""
MEDIAN = "50"
"""The percentile label of the median."""
OUTSIDE = 0.025
"""The probability that a quantile lies below its 95 % interval, and that it lies above it; each is at most this."""
_TINY, _PRECISION = 1e-300, 1e-15


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; the bounds are None where there is no replication to base one on."""

    value: float
    low: float | None
    high: float | None

    def through(self, function: Callable[[float], float], *, falling: bool = False) -> Interval:
        """Return the value and the bounds through a monotonic function; one that is `falling` swaps the bounds."""
        low, high = (None if bound is None else function(bound) for bound in (self.low, self.high))
        return Interval(function(self.value), *((high, low) if falling else (low, high)))


def is_supported(samples: float, quantile: float) -> bool:
    """Whether a number of independent samples is enough for a 95 % interval of a quantile, with both bounds among the samples."""
    return samples >= samples_needed(quantile)


@lru_cache
def samples_needed(quantile: float) -> int:
    """Return the fewest independent samples that support a quantile: 6 for the median, 72 for p95, 368 for p99.

    The quantile lies above all n samples with probability quantile^n and below all of them with (1 - quantile)^n; with the largest
    and the smallest sample as bounds, neither may be more than `OUTSIDE`.
    """
    return math.ceil(math.log(OUTSIDE) / math.log(max(quantile, 1 - quantile)))


def highest_supported(samples: float) -> float:
    """Return the highest quantile that a number of independent samples, above 0, supports; below 0.5 where not even the median."""
    return float(OUTSIDE ** (1 / samples))


@lru_cache(maxsize=4_096)
def bounding_ranks(samples: int, quantile: float) -> tuple[int, int] | None:
    """Return which of n independent samples, counted from 1 in ascending order, bound a quantile with 95 % confidence.

    The number of samples up to the quantile is binomial, whatever the distribution of the samples; each bound misses with a
    probability of at most `OUTSIDE` (David and Nagaraja 2003, section 7.1). None for fewer than `samples_needed`.
    """
    if not is_supported(samples, quantile):
        return None

    def at_least(count: int) -> float:
        """Return the probability that at least `count` samples, from 1 to all, are up to the quantile."""
        return beta_cdf(count, samples - count + 1, quantile)

    low = bisect.bisect_left(range(1, samples + 1), True, key=lambda count: at_least(count) < 1 - OUTSIDE)  # noqa: FBT003 - a key
    high = bisect.bisect_left(range(1, samples + 1), True, key=lambda count: at_least(count) <= OUTSIDE) + 1  # noqa: FBT003
    return max(1, low), min(high, samples)


def median(values: Sequence[float]) -> float:
    """Return the median of at least one value."""
    return float(statistics.median(values))


def paired_ratio(processes: Mapping[int, Sequence[tuple[float, float]]]) -> tuple[Interval, list[float]]:
    """Return how many times faster the second of each pair is, with a 95 % interval, and each process's median ratio.

    `processes` maps a process number to its pairs (baseline time, arm time), positive and in one unit. Inside a process the effect
    is the median of the log ratios; over processes it is their mean with Student's t interval, because a process carries a bias
    that no number of pairs inside it can cancel (Kalibera and Jones 2013).
    """
    medians = [median([math.log(base / arm) for base, arm in pairs]) for _, pairs in sorted(processes.items()) if pairs]
    if not medians:
        raise ValueError("no pairs")
    return mean_interval(medians).through(math.exp), [math.exp(m) for m in medians]


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of at least one value with Student's 95 % t interval; no interval for a single value."""
    centre, error = _mean_and_error(values)
    if error is None:
        return Interval(centre, None, None)
    half = t_quantile(0.975, len(values) - 1) * error
    return Interval(centre, centre - half, centre + half)


def _mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and its standard error; None for a single value."""
    n, mean = len(values), math.fsum(values) / len(values)
    return mean, None if n == 1 else math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)


@lru_cache(maxsize=1_024)
def t_quantile(probability: float, degrees: float) -> float:
    """Return the value below which a variable of Student's t with these degrees of freedom lies with this probability."""
    if probability < 0.5:  # noqa: PLR2004 - the median
        return -t_quantile(1 - probability, degrees)
    outside = 2 * (1 - probability)
    share = beta_quantile(0.5, degrees / 2, 1 - outside)  # t² / (degrees + t²), accurate for small t
    if share < 0.5:  # noqa: PLR2004 - half of its range
        return math.sqrt(degrees * share / (1 - share))
    rest = beta_quantile(degrees / 2, 0.5, outside)  # degrees / (degrees + t²), accurate for large t
    return math.sqrt(degrees * (1 - rest) / rest)


def t_tail(value: float, degrees: float) -> float:
    """Return the probability that a variable of Student's t with these degrees of freedom lies above a value."""
    square = value * value
    outside = beta_cdf(degrees / 2, 0.5, degrees / (degrees + square), square / (degrees + square))
    return outside / 2 if value >= 0 else 1 - outside / 2


def p_of_no_effect(logs: Sequence[float]) -> float | None:
    """Return how often chance alone gives a mean as far from 0 as that of `logs`, by Student's t test; None for one value."""
    centre, error = _mean_and_error(logs)
    if error is None:
        return None
    if error == 0:
        return 0.0 if centre else 1.0
    return 2 * t_tail(abs(centre) / error, len(logs) - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for multiple comparisons, in their order: Holm's step-down procedure (Holm 1979)."""
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[number] * (len(p_values) - place)))
        corrected[number] = highest
    return corrected


def at_least_by_chance(hits: int, trials: int, rate: float) -> float:
    """Return the probability of at least `hits` hits in independent trials: the binomial upper tail."""
    return beta_cdf(hits, trials - hits + 1, rate) if 0 < hits <= trials else float(hits <= 0)


def binomial_bounds(hits: float, tries: float) -> tuple[float, float]:
    """Return the 95 % bounds of a share of tries (Clopper and Pearson 1934), which hold for any number of tries above 0."""
    low = beta_quantile(hits, tries - hits + 1, 0.025) if hits else 0.0
    high = beta_quantile(hits + 1, tries - hits, 0.975) if hits < tries else 1.0
    return low, high


def growth_exponent(scales: Sequence[float], values: Sequence[float]) -> float:
    """Return k of value ~ scale^k, by least squares on logarithms; ValueError without two scales, or for values up to 0."""
    if len(set(scales)) < 2:  # noqa: PLR2004 - a slope needs two points
        raise ValueError("a growth exponent needs two scales")
    if min(*scales, *values) <= 0:
        raise ValueError("a growth exponent needs positive values")
    return statistics.linear_regression([math.log(s) for s in scales], [math.log(v) for v in values]).slope


def beta_cdf(a: float, b: float, x: float, rest: float | None = None) -> float:
    """Return the probability that a beta variable with shapes `a` and `b`, both above 0, is at most `x`: I_x(a, b).

    `rest` is 1 - x, where the caller knows it more accurately than from `x`. By Lentz's evaluation of the continued fraction of
    DLMF 8.17.22, which converges quickly below the mean.
    """
    rest = 1 - x if rest is None else rest
    if x <= 0 or rest <= 0:
        return float(x > 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(b, a, rest, x)
    return math.exp(_log_density(a, b, x) + math.log(x) + math.log1p(-x)) * _fraction(a, b, x) / a


def _log_density(a: float, b: float, x: float) -> float:
    return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x)


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _away_from_0(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_0(1 + term * d)
            c = _away_from_0(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value


def _away_from_0(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_quantile(a: float, b: float, probability: float) -> float:
    """Return the value below which a beta variable lies with this probability, by Newton's method inside a bracket."""
    low, high, x = 0.0, 1.0, a / (a + b)
    for _ in range(2_000):
        error = beta_cdf(a, b, x) - probability
        low, high = (low, x) if error > 0 else (x, high)
        density = math.exp(min(700.0, _log_density(a, b, x))) if 0 < x < 1 else 0.0
        following = x - error / density if density else math.nan
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) <= _PRECISION * x:
            return following
        x = following
    return x
