"""What process pairs show about one benchmark: pure functions over logs of new ÷ old, one a process pair.

Inside a process pair there are many slices, but a bias that lasts a process is in all of them: the unit is the process pair
(Kalibera and Jones 2013). A first set of them screens, and only what looks slower there meets a second set, which alone decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from harness.stats.intervals import Interval, t_quantile, t_tail
from harness.stats.sequential_test import log_e_value

ALPHA = 0.01
"""How often a regression may be reported where there is none, over all benchmarks of a gate together."""

POWER = 0.95
"""How often a slow-down of the smallest size that is said to be visible would be seen."""

LEAST = 4
"""With fewer process pairs, a mean trimmed at both ends has no interval."""


@dataclass(frozen=True)
class Effect:
    """The log of new ÷ old over process pairs, with its 99 % interval, standard error and p; None with too few."""

    interval: Interval
    error: float | None
    p: float | None


def effect(logs: Sequence[float]) -> Effect:
    """Return the mean trimmed by one process pair at each end, with Student's t on it (Tukey and McLaughlin 1963).

    One process in ten that ran while somebody else used the machine is usual, and would widen a plain t interval beyond use.
    """
    ordered = sorted(logs)
    n = len(ordered)
    if n < LEAST:
        return Effect(Interval(math.fsum(ordered) / n, None, None), None, None)
    kept = ordered[1:-1]
    centre = math.fsum(kept) / len(kept)
    winsorised = [kept[0], *kept, kept[-1]]
    mean = math.fsum(winsorised) / n
    spread = math.sqrt(math.fsum((x - mean) ** 2 for x in winsorised) / (n - 1))
    error = spread * math.sqrt(n) / len(kept)
    half = t_quantile(1 - ALPHA / 2, len(kept) - 1) * error
    p = 2 * t_tail(abs(centre) / error, len(kept) - 1) if error else float(centre == 0)
    return Effect(Interval(centre, centre - half, centre + half), error, p)


def looks_slower(seen: Effect, margin: float) -> bool:
    """Whether a first set calls for a second: shown to be slower, and by half the margin or more.

    Half, because the margin itself must not be missed: an estimate of a slow-down of just that much is below it every other time.
    """
    return seen.p is not None and seen.p <= ALPHA and seen.interval.value > math.log1p(margin / 2)


def within(seen: Effect, margin: float) -> bool:
    """Whether the whole interval lies between -margin and +margin: two one-sided tests (Schuirmann 1987)."""
    limit, low, high = math.log1p(margin), seen.interval.low, seen.interval.high
    return low is not None and high is not None and -limit < low and high < limit


def recurs(logs: Sequence[float], questions: int, most: int, margin: float) -> bool | None:
    """Return whether a second set confirms a slow-down; None while it may still.

    A process pair is slower or is not, a coin's side whatever the noise, and the bet on slower (`sequential_test`) may be
    looked at after each of them. `questions` is how many benchmarks have a second set: their e-values are corrected by Bonferroni;
    `most` is how many process pairs there may be.
    """
    needed = math.log(questions / ALPHA)
    slower = sum(log > 0 for log in logs)
    enough = log_e_value(slower, len(logs)) >= needed
    if enough and len(logs) >= LEAST and effect(logs).interval.value > math.log1p(margin / 2):
        return True
    hopeless = log_e_value(slower + most - len(logs), most) < needed
    return False if hopeless or len(logs) >= most else None


def could_see(seen: Effect, n: int) -> float | None:
    """Return the smallest slow-down, as a share, that such a set shows with a chance of POWER; None without an interval."""
    reach = _reach(seen, n)
    return None if reach is None else math.expm1(reach)


def process_pairs_needed(seen: Effect, n: int, margin: float) -> int | None:
    """Return how many process pairs as noisy as these would show a slow-down of `margin`; None without an interval."""
    reach = _reach(seen, n)
    return None if reach is None else max(LEAST, math.ceil(n * (reach / math.log1p(margin)) ** 2))


def _reach(seen: Effect, n: int) -> float | None:
    if seen.error is None:
        return None
    return seen.error * (t_quantile(1 - ALPHA / 2, n - 3) + NormalDist().inv_cdf(POWER))
