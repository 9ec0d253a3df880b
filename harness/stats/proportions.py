"""Compare two shares of failures: Fisher's exact test."""

import math
from statistics import NormalDist

MANY = 100_000
"""The number of failures above which the p-value is that of the normal approximation, with a correction for continuity."""


def fisher_p(failed: int, of: int, more_failed: int, more_of: int) -> float:
    """Return the one-sided p-value of the second share being no larger than the first (Fisher 1922).

    Given the total number of failures, those of the second side are hypergeometric; the p-value is the probability of its number or
    a greater one. It is exact for any sizes, and 1.0 where nothing failed.

    Raises:
        ValueError: a number is negative, or more failed than were tried.

    Example:
        >>> round(fisher_p(0, 8, 8, 8), 6)
        7.8e-05
    """
    if not (0 <= failed <= of and 0 <= more_failed <= more_of):
        raise ValueError(f"{failed} of {of} and {more_failed} of {more_of} failed")
    failures = failed + more_failed
    if failures > MANY:  # the sum would be as long; the normal distribution is exact enough by far
        share = failures / (of + more_of)
        variance = more_of * share * (1 - share) * of / (of + more_of - 1)
        return 1 - NormalDist().cdf((more_failed - 0.5 - more_of * share) / math.sqrt(variance)) if variance else 1.0
    most = min(failures, more_of)
    whole = _log_choose(of + more_of, failures)
    logs = [_log_choose(more_of, k) + _log_choose(of, failures - k) - whole for k in range(more_failed, most + 1)]
    top = max(logs)
    return min(1.0, math.exp(top) * math.fsum(math.exp(log - top) for log in logs))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) if 0 <= k <= n else -math.inf
