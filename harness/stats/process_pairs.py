"""Statistics of process pairs: pure functions over the logs of new ÷ old of one benchmark, one log per process pair.

A process pair contains many slices, but a bias that lasts as long as a process is in all of them, so the unit is the process pair
(Kalibera and Jones 2013). A first set screens. Only a benchmark that looks slower there gets a second set, which alone decides.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from harness.stats.intervals import Interval, t_quantile, t_tail
from harness.stats.sequential_test import log_e_value

ALPHA = 0.01
"""The largest probability of reporting a regression where there is none, over all benchmarks of a gate together: of medians, and
again of means and tails. It is far lower, because only what looks slower by chance in the first set can be reported at all."""
POWER = 0.95
"""The probability of detecting a slowdown of the size that is reported as detectable."""
MIN_PROCESS_PAIRS = 4
"""With fewer process pairs, a mean trimmed at both ends has no interval."""


@dataclass(frozen=True)
class Effect:
    """The log of new ÷ old over process pairs."""

    interval: Interval
    """The trimmed mean with its 99 % interval; without bounds if there are too few process pairs."""
    error: float | None
    """The standard error, None with too few process pairs."""
    p: float | None
    """The two-sided p-value against no difference, None with too few process pairs."""


def effect(logs: Sequence[float]) -> Effect:
    """Return the mean trimmed by one process pair at each end, with Student's t on it (Tukey and McLaughlin 1963).

    About one process in ten runs while something else uses the machine, which would make a plain t interval uselessly wide.
    """
    n = len(logs)
    if n < MIN_PROCESS_PAIRS:
        return Effect(Interval(math.fsum(logs) / n, None, None), None, None)
    kept = sorted(logs)[1:-1]
    centre = math.fsum(kept) / len(kept)
    error = statistics.stdev([kept[0], *kept, kept[-1]]) * math.sqrt(n) / len(kept)  # of the Winsorised logs
    half = t_quantile(1 - ALPHA / 2, len(kept) - 1) * error
    p = 2 * t_tail(abs(centre) / error, len(kept) - 1) if error else float(centre == 0)
    return Effect(Interval(centre, centre - half, centre + half), error, p)


def looks_slower(first: Effect, margin: float) -> bool:
    """Return whether a first set calls for a second: significantly slower, and by at least half the margin.

    Half, because a slowdown of exactly the margin must be found, and its estimate is below the margin every other time.
    """
    return first.p is not None and first.p <= ALPHA and first.interval.value > math.log1p(margin / 2)


def within(first: Effect, margin: float) -> bool:
    """Return whether the whole interval lies between -margin and +margin: two one-sided tests (Schuirmann 1987)."""
    limit, low, high = math.log1p(margin), first.interval.low, first.interval.high
    return low is not None and high is not None and -limit < low and high < limit


def recurs(logs: Sequence[float], tests: int, limit: int, margin: float) -> bool | None:
    """Return whether a second set confirms a slowdown; None while it is undecided.

    Without a difference, a process pair is slower with probability ½ whatever the noise, and the e-value (`sequential_test`) may be
    checked after each of them. `tests` is the number of figures that have a second set, by which the e-values are corrected
    (Bonferroni); `limit` is the largest number of process pairs.
    """
    needed = math.log(tests / ALPHA)
    slower = sum(log > 0 for log in logs)
    enough = log_e_value(slower, len(logs)) >= needed
    if enough and len(logs) >= MIN_PROCESS_PAIRS and effect(logs).interval.value > math.log1p(margin / 2):
        return True
    hopeless = log_e_value(slower + limit - len(logs), limit) < needed
    return False if hopeless or len(logs) >= limit else None


def detectable(found: Effect, n: int) -> float | None:
    """Return the smallest slowdown, as a share, that `n` process pairs detect with probability POWER; None without an interval."""
    return None if found.error is None else math.expm1(_reach(found.error, n))


def process_pairs_needed(found: Effect, n: int, margin: float) -> int | None:
    """Return the number of equally noisy process pairs that would detect a slowdown of `margin`; None without an interval."""
    if found.error is None:
        return None
    return max(MIN_PROCESS_PAIRS, math.ceil(n * (_reach(found.error, n) / math.log1p(margin)) ** 2))


def _reach(error: float, n: int) -> float:
    """Return the smallest detectable log ratio."""
    return error * (t_quantile(1 - ALPHA / 2, n - 3) + NormalDist().inv_cdf(POWER))
