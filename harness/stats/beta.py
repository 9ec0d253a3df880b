"""The beta distribution: all that the intervals would need of SciPy, which takes 113 MB and a third of a second to import.

Student's t (`harness.stats.intervals`) follows from it. The tests compare both with SciPy.
"""

import math

_TINY, _PRECISION = 1e-300, 1e-15


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
        change = 1.0
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_0(1 + term * d)
            c = _away_from_0(1 + term / c)
            value *= c * d
            change = c * d
        if abs(change - 1) < _PRECISION:
            break
    return value


def _away_from_0(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_quantile(a: float, b: float, probability: float) -> float:
    """Return the value below which a beta variable with shapes `a` and `b` lies with this probability.

    By Newton's method inside a bracket, which is halved wherever a step would leave it.
    """
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
