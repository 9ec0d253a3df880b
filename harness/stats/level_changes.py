"""Lasting changes of the level of a noisy figure over a series of runs.

A run's figure has an error within the run, known from its interval, and runs of the same code differ as well. Both are taken into
account, by the larger of them: the mean error within the runs, and the spread between successive runs of the whole series, which a
few steps do not change since it is a median. Of fewer than `SPREAD_RUNS` runs it is unknown; of fewer than `SURE_RUNS` it may be
small by chance and is at least `ASSUMED`. A change has to exceed a margin, by which figures of the same code may differ
systematically, and

- the runs on both sides of it, up to `WINDOW` each, have to lie apart by more than the margin, every one of them: no single run
  makes a step, and the step is where the sides meet;
- the interval of the difference of both sides' means has to exclude the margin (Student's t, corrected by Bonferroni for the number
  of tests: the caller states how many places of how many series are tested together).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from harness.stats.intervals import Interval, t_quantile
from harness.stats.noise import MAD_TO_SD

WINDOW = 3
"""The number of runs on each side of a place that decide on it, where there are as many."""
SPREAD_RUNS = 4
"""The number of runs from which on their spread is known: the median of three differences, one of which may be a step."""
ROBUST = 0.6
"""The degrees of freedom of a spread, per difference: a median of differences varies more than a mean of squares."""
CAUTIOUS = 6.0
"""The factor from which on a spread is safely large, however few differences it comes from."""
SURE_RUNS, ASSUMED = 8, 0.05
"""The number of runs from which on their spread is not small by chance, and the spread that fewer runs have at least."""
ALPHA = 0.01
"""The probability of any false step, over all tests together."""


@dataclass(frozen=True)
class RunLevel:
    """The figure of one run, on the logarithmic scale."""

    log: float
    code: int
    """Runs with the same number measured the same code: there is no step between them."""
    error: float | None = None
    """The standard error within the run; None where it is unknown."""
    degrees: float = 1.0
    """The degrees of freedom of `error`."""


@dataclass(frozen=True)
class LevelChange:
    """A lasting change of the level."""

    place: int
    """The position of the first run after it."""
    change: Interval
    """The geometric mean of the runs after it ÷ that of the runs before it."""
    runs: tuple[int, int]
    """The number of runs on each side that show it."""


def places(series: Sequence[RunLevel], least: int) -> list[int]:
    """Return the positions of the first runs after a change of the code, with at least `least` runs on each side."""
    return [n for n in range(least, len(series) - least + 1) if series[n - 1].code != series[n].code]


def level_changes(series: Sequence[RunLevel], margin: float, least: int, tests: int) -> list[LevelChange]:
    """Return the lasting changes of a series, in its order.

    `margin` is the share by which the figure of the same code may differ, `least` the number of runs that each side needs, `tests`
    the number of places that are tested together.
    """
    found: list[LevelChange] = []
    spread = _spread(series) if len(series) >= SPREAD_RUNS else None
    wanted, stretches = places(series, least), [(0, len(series))]
    while stretches:  # the clearest step first: windows do not reach beyond it
        start, end = stretches.pop()
        best, widest = None, math.log1p(margin)
        for place in (place for place in wanted if start + least <= place <= end - least):
            before, after = series[max(start, place - WINDOW) : place], series[place : min(end, place + WINDOW)]
            gap = _gap(before, after)
            if gap > widest and (change := _change(before, after, math.log1p(margin), spread, len(series), tests)):
                best, widest = LevelChange(place, change, (len(before), len(after))), gap
        if best:
            found.append(best)
            stretches += [(start, best.place), (best.place, end)]
    return sorted(found, key=lambda change: change.place)


def _gap(before: Sequence[RunLevel], after: Sequence[RunLevel]) -> float:
    """Return the distance between two sides, each of which is entirely above or below the other; below 0 if they overlap."""
    sides = [[run.log for run in side] for side in (before, after)]
    return max(min(sides[1]) - max(sides[0]), min(sides[0]) - max(sides[1]))


def _spread(series: Sequence[RunLevel]) -> float:
    """Return the standard deviation between successive runs, robust against steps."""
    differences = [abs(b.log - a.log) for a, b in pairwise(series)]
    return MAD_TO_SD * median(differences) / math.sqrt(2)


def _change(
    before: Sequence[RunLevel], after: Sequence[RunLevel], allowed: float, spread: float | None, number: int, tests: int
) -> Interval | None:
    """Return the change of the level with its corrected interval; None if the interval does not exclude the margin."""
    both = [*before, *after]
    errors = [run.error for run in both if run.error is not None]
    within = fmean(error**2 for error in errors) if len(errors) == len(both) else None
    if within is None and spread is None:
        return None
    assumed, spread = ASSUMED if number < SURE_RUNS else 0.0, spread or 0.0
    own = sum(run.degrees for run in both)
    if within is not None and spread**2 <= within:
        errors_known = [(max(math.sqrt(within), assumed), own)]
    else:
        errors_known = [(max(spread, assumed), ROBUST * (number - 1))]
        if within is not None:  # of few differences, t is far wider than a spread that is safely large
            errors_known.append((max(math.sqrt(within), CAUTIOUS * spread, assumed), own))
    share = 1 / len(before) + 1 / len(after)
    reach = min(t_quantile(1 - ALPHA / tests / 2, degrees) * error * math.sqrt(share) for error, degrees in errors_known)
    difference = fmean(run.log for run in after) - fmean(run.log for run in before)
    if abs(difference) - allowed <= reach:
        return None
    return Interval(difference, difference - reach, difference + reach).through(math.exp)
