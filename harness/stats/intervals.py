"""Pure functions from samples to figures: percentiles, paired ratios, intervals, growth exponents.

Every scenario imports this, in every process that times it: slow imports are made where they are needed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

QUANTILES = {"50": 0.50, "90": 0.90, "95": 0.95, "99": 0.99, "99.9": 0.999}
"""Percentile labels of the record and their quantiles."""

SAMPLES_BEYOND = 10
"""Samples that must lie beyond a percentile for it to be shown: p99 needs 1 000 samples, the median 20 (Rally's rule of thumb)."""


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval; the bounds are None without replication."""

    value: float
    low: float | None
    high: float | None


def percentiles(values: Sequence[int] | npt.NDArray[np.int64]) -> dict[str, float | None]:
    """Return the percentiles of `QUANTILES`, in the values' unit; None if fewer than `SAMPLES_BEYOND` samples lie beyond.

    Linear interpolation between order statistics (NumPy's default, type 7 of Hyndman and Fan 1996).
    """
    import numpy as np  # noqa: PLC0415 - see the module's docstring

    data = np.asarray(values, dtype=np.float64)
    return {label: float(np.quantile(data, q)) if is_supported(len(data), q) else None for label, q in QUANTILES.items()}


def is_supported(samples: int, quantile: float) -> bool:
    """Return whether `samples` are enough to show the quantile."""
    return samples > 0 and samples * (1 - quantile) >= SAMPLES_BEYOND * (1 - 1e-9)


def median(values: Sequence[float]) -> float:
    """Return the median of at least one value."""
    return float(statistics.median(values))


def paired_ratio(processes: Mapping[int, Sequence[tuple[float, float]]]) -> tuple[Interval, list[float]]:
    """Return the speedup of the second of each pair, with a 95 % interval, and each process's median ratio.

    `processes` maps a process number to its pairs (baseline time, arm time), both positive, in the same unit. Within a process the
    effect is the median of the log ratios; over processes it is the mean of those medians with Student's t interval, because the
    between-process variance is not reduced by more pairs (Kalibera and Jones 2013).
    """
    medians = [median([math.log(base / arm) for base, arm in pairs]) for _, pairs in sorted(processes.items()) if pairs]
    if not medians:
        raise ValueError("no pairs")
    centre = mean_interval(medians)
    bounds = (None if centre.low is None else math.exp(centre.low), None if centre.high is None else math.exp(centre.high))
    return Interval(math.exp(centre.value), *bounds), [math.exp(m) for m in medians]


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of at least one value with Student's 95 % t interval; no interval for a single value."""
    n = len(values)
    centre = math.fsum(values) / n
    if n == 1:
        return Interval(centre, None, None)
    half = t_quantile(0.975, n - 1) * _standard_error(values, centre)
    return Interval(centre, centre - half, centre + half)


def _standard_error(values: Sequence[float], mean: float) -> float:
    n = len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)


def t_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t distribution for a probability."""
    from scipy.special import stdtrit  # noqa: PLC0415 - only verdicts need it; scipy.stats takes three times as long to import

    return float(stdtrit(degrees, probability))


def t_tail(value: float, degrees: float) -> float:
    """Return the probability that a variable with Student's t distribution is above a value."""
    from scipy.special import stdtr  # noqa: PLC0415 - as above

    return float(stdtr(degrees, -value))


def p_of_no_effect(logs: Sequence[float]) -> float | None:
    """Return the two-sided p-value of Student's t test that the mean of `logs` is 0; None for one value."""
    n = len(logs)
    if n == 1:
        return None
    centre = math.fsum(logs) / n
    error = _standard_error(logs, centre)
    if error == 0:
        return 0.0 if centre else 1.0
    return 2 * t_tail(abs(centre) / error, n - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for multiple comparisons, in their order: Holm's step-down procedure (Holm 1979)."""
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[number] * (len(p_values) - place)))
        corrected[number] = highest
    return corrected


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the median with a distribution-free interval from order statistics (the sign test inverted).

    There is no interval if no pair of order statistics reaches `confidence`: fewer than six values at 95 %.
    """
    ordered = sorted(values)
    n = len(ordered)
    tail = 0.0
    reach = -1
    for k in range(n // 2):
        tail += math.comb(n, k) / 2**n
        if 2 * tail > 1 - confidence:
            break
        reach = k
    if reach < 0:
        return Interval(median(ordered), None, None)
    return Interval(median(ordered), ordered[reach], ordered[n - 1 - reach])


def at_least_by_chance(hits: int, trials: int, rate: float) -> float:
    """Return the probability of at least `hits` in independent trials: the binomial upper tail."""
    return math.fsum(math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(hits, trials + 1))


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive values."""
    return math.exp(math.fsum(math.log(v) for v in values) / len(values))


def growth_exponent(scales: Sequence[float], values: Sequence[float]) -> float:
    """Return k of value ~ scale^k, by least squares on logarithms, from at least two different scales.

    Raises:
        ValueError: fewer than two scales, or a value that is not positive.
    """
    if len(set(scales)) < 2:  # noqa: PLR2004 - a slope needs two points
        raise ValueError("a growth exponent needs two scales")
    if min(*scales, *values) <= 0:
        raise ValueError("a growth exponent needs positive values")
    return statistics.linear_regression([math.log(s) for s in scales], [math.log(v) for v in values]).slope
