"""The evidence of process pairs about one benchmark: pure functions over logs of new ÷ old, one per process pair.

A process pair contains many slices, but a bias of a process is in all of them: the unit is the process pair (Kalibera and Jones
2013). A first set of them screens, and only benchmarks that look slower there get a second set, which alone decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from harness.stats.intervals import Interval, t_quantile, t_tail
from harness.stats.sequential_test import log_e_value

ALPHA = 0.01
"""Probability of reporting a regression if there is none, over all benchmarks of a gate together."""

POWER = 0.95
"""Probability of detecting a slowdown of the smallest detectable size."""

LEAST = 4
"""The minimum number of process pairs for the interval of a mean trimmed at both ends."""


@dataclass(frozen=True)
class Effect:
    """The effect over process pairs."""

    interval: Interval
    """The log of new ÷ old with its 99 % interval."""

    error: float | None
    """Its standard error; None with too few process pairs."""

    p: float | None
    """The p-value of no effect; None with too few process pairs."""


def effect(logs: Sequence[float]) -> Effect:
    """Return the mean trimmed by one process pair at each end, with Student's t on it (Tukey and McLaughlin 1963).

    Usually one process in ten runs while another program uses the machine, and would make a plain t interval too wide to be useful.
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
    """Return whether a first set requires a second one: significantly slower, and by at least half the margin.

    Half, because the margin itself must not be missed: half of the estimates of a slowdown of that size are below it.
    """
    return seen.p is not None and seen.p <= ALPHA and seen.interval.value > math.log1p(margin / 2)


def within(seen: Effect, margin: float) -> bool:
    """Return whether the whole interval lies between -margin and +margin: two one-sided tests (Schuirmann 1987)."""
    limit, low, high = math.log1p(margin), seen.interval.low, seen.interval.high
    return low is not None and high is not None and -limit < low and high < limit


def recurs(logs: Sequence[float], questions: int, most: int, margin: float) -> bool | None:
    """Return whether a second set confirms a slowdown; None if it is undecided.

    Each process pair is slower or not, a coin toss whatever the noise, and the test (`sequential_test`) is valid after each of
    them. `questions` is the number of benchmarks with a second set, for which the e-values are corrected (Bonferroni); `most` is
    the limit of process pairs.
    """
    needed = math.log(questions / ALPHA)
    slower = sum(log > 0 for log in logs)
    enough = log_e_value(slower, len(logs)) >= needed
    if enough and len(logs) >= LEAST and effect(logs).interval.value > math.log1p(margin / 2):
        return True
    hopeless = log_e_value(slower + most - len(logs), most) < needed
    return False if hopeless or len(logs) >= most else None


def could_see(seen: Effect, n: int) -> float | None:
    """Return the smallest slowdown, as a share, that such a set detects with the probability POWER; None without an interval."""
    reach = _reach(seen, n)
    return None if reach is None else math.expm1(reach)


def process_pairs_needed(seen: Effect, n: int, margin: float) -> int | None:
    """Return the number of process pairs of this noise that detect a slowdown of `margin`; None without an interval."""
    reach = _reach(seen, n)
    return None if reach is None else max(LEAST, math.ceil(n * (reach / math.log1p(margin)) ** 2))


def _reach(seen: Effect, n: int) -> float | None:
    if seen.error is None:
        return None
    return seen.error * (t_quantile(1 - ALPHA / 2, n - 3) + NormalDist().inv_cdf(POWER))
