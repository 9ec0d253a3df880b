"""Statistics of process pairs: pure functions over the logs of new ÷ old of one benchmark, one log per process pair.

A process pair contains many slices, but a bias that lasts as long as a process is in all of them, so the unit is the process pair
(Kalibera and Jones 2013). Their number is not fixed: a caller that looks after each of them, and stops when something shows, needs
tests that hold at every look (Waudby-Smith and Ramdas 2024; Johari, Pekelis and Walsh 2022 on fixed tests that do not). Such tests
decide; what looks slower by Student's t is only a suspicion, which process pairs from then on have to confirm.
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
again of means and tails. It is far lower, because only what has looked slower by chance before can be reported at all."""
POWER = 0.95
"""The probability of detecting a slowdown of the size that is reported as detectable."""
MIN_PROCESS_PAIRS = 4
"""With fewer process pairs, a mean trimmed at both ends has no interval."""
SPARE, MOST = 10, 400
"""The process pairs of a second set beyond twice the fewest possible, and the largest number that is predicted."""


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


def is_shown(hits: int, n: int, tests: int) -> bool:
    """Return whether `hits` of `n` process pairs on one side of a line show that the median lies there, in any of `tests` tests.

    If it does not, a process pair lies there with probability ½ at most, whatever the noise, and the e-value (`sequential_test`)
    may be looked at after each of them. Bonferroni's correction keeps that true of all tests together.
    """
    return log_e_value(hits, n) >= math.log(tests / ALPHA)


def fewest_hits(n: int, tests: int) -> int | None:
    """Return the smallest number of hits of `n` that shows a median; None if not even all of them do."""
    return next((hits for hits in range((n + 1) // 2, n + 1) if is_shown(hits, n, tests)), None)


def median_interval(logs: Sequence[float], tests: int) -> Interval:
    """Return the trimmed mean with bounds of the median that hold for all `tests` and at every number of process pairs.

    A confidence sequence from order statistics (Howard and Ramdas 2022): the lines above or below which the process pairs show the
    median to be. Without bounds while there are too few process pairs.
    """
    n, ordered = len(logs), sorted(logs)
    value, hits = effect(logs).interval.value, fewest_hits(n, tests)
    if hits is None:
        return Interval(value, None, None)
    return Interval(value, ordered[n - hits], ordered[hits - 1])


def within(logs: Sequence[float], tests: int, margin: float) -> bool:
    """Return whether the median is shown to lie between -margin and +margin: two one-sided tests (Schuirmann 1987)."""
    limit = math.log1p(margin)
    return is_shown(min(sum(log < limit for log in logs), sum(log > -limit for log in logs)), len(logs), tests)


def slower(logs: Sequence[float], tests: int, margin: float) -> bool:
    """Return whether the median is shown to be slower, by at least half the margin as estimated."""
    return is_shown(sum(log > 0 for log in logs), len(logs), tests) and effect(logs).interval.value > math.log1p(margin / 2)


def faster(logs: Sequence[float], tests: int, margin: float) -> bool:
    """Return whether the median is shown to be faster, by at least half the margin as estimated."""
    return is_shown(sum(log < 0 for log in logs), len(logs), tests) and effect(logs).interval.value < -math.log1p(margin / 2)


def limit(tests: int) -> int:
    """Return the number of process pairs after which a second set that has not shown a slowdown does not confirm it."""
    return 2 * further(0, 0, tests) + SPARE


def further(hits: int, n: int, tests: int) -> int:
    """Return how many more process pairs would show a median if as large a share of them are hits as so far, at most `MOST`."""
    share = (hits + 1) / (n + 1) if n else 1.0
    enough = (k for k in range(MOST + 1) if is_shown(min(n + k, int(hits + share * k)), n + k, tests))
    return next(enough, MOST)


def detectable(found: Effect, n: int) -> float | None:
    """Return the smallest slowdown, as a share, that `n` process pairs detect with probability POWER; None without an interval."""
    return None if found.error is None else math.expm1(_reach(found.error, n))


def _reach(error: float, n: int) -> float:
    """Return the smallest detectable log ratio."""
    return error * (t_quantile(1 - ALPHA / 2, n - 3) + NormalDist().inv_cdf(POWER))
