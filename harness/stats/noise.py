"""From times of the same work, in the same and in different processes, to the smallest change a machine can show. Pure functions.

Three noises matter, and none stands in for another: from one operation to the next inside a process, which pairing and repetition
take away; of a process against another on the same core, which only more processes take away; and of the machine over time, which
nothing takes away, and for which a stored time is no gate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from harness.stats.intervals import t_quantile

SECONDS = (10, 60, 300)
"""How long a measurement may take, for which the smallest visible change is told."""

MAD_TO_SD = 1.4826
"""The median absolute deviation of a normal distribution is so many times smaller than its standard deviation."""

MEDIAN_COST = 1.2533
"""How much wider a median's standard error is than a mean's, in a normal distribution: the square root of pi/2."""

MISSED = 0.20
"""How often a change of the smallest visible size is overlooked; it is seen the other four times in five."""

ALARM = 0.05
"""How often a change is seen where there is none, in either direction."""

FEWEST = 2


@dataclass(frozen=True)
class Twins:
    """Two fresh processes with the same code, on the same core, taking turns: each slice's operations in nanoseconds.

    `first` and `second` have a slice each a round, in the order of rounds; `seconds` is what all of it took, starting included.
    """

    first: list[list[int]]
    second: list[list[int]]
    seconds: float

    @property
    def effect(self) -> float:
        """The median over rounds of ln(second ÷ first), each slice with its mean operation: 0 if the processes are alike."""
        return float(np.median([math.log(_mean(b) / _mean(a)) for a, b in zip(self.first, self.second, strict=True)]))

    @property
    def slices(self) -> list[list[int]]:
        """All slices, round by round."""
        return [times for both in zip(self.first, self.second, strict=True) for times in both]


@dataclass(frozen=True)
class Noise:
    """How much times of the same work differ, as shares of themselves, and how long what was measured takes, in seconds.

    `operation`: one operation after the other in a process (robust standard deviation) · `pair`: the ratio of two neighbouring
    operations in a process (robust) · `processes`: the medians of fresh processes, one after another · `twins`: the ratio of two
    processes that take turns on a core · `drift`: the second half of the whole measurement against the first, as a ratio less 1.
    """

    operation: float
    pair: float
    processes: float
    twins: float
    drift: float
    operation_s: float
    twins_s: float
    number: int


def noise(measured: Sequence[Twins]) -> Noise:
    """Return the noise in at least two twins, measured one after another.

    Raises:
        ValueError: fewer than two twins, from which no spread can be told.
    """
    if len(measured) < FEWEST:
        raise ValueError("the noise between processes needs two twins")
    every = [times for twins in measured for times in twins.slices]
    neighbours = [math.log(times[i] / times[i + 1]) for times in every for i in range(0, len(times) - 1, 2)]
    processes = [np.concatenate([np.asarray(s) for s in side]) for twins in measured for side in (twins.first, twins.second)]
    within = np.concatenate([np.log(p) - np.log(np.median(p)) for p in processes])
    flat = np.concatenate([np.asarray(times) for times in every])
    half = len(flat) // 2
    return Noise(
        operation=robust_sd(within),
        pair=robust_sd(np.asarray(neighbours)),
        processes=float(np.std([math.log(np.median(p)) for p in processes], ddof=1)),
        twins=float(np.std([t.effect for t in measured], ddof=1)),
        drift=float(np.median(flat[half:]) / np.median(flat[:half])) - 1,
        operation_s=float(np.median(flat)) / 1e9,
        twins_s=math.fsum(t.seconds for t in measured) / len(measured),
        number=len(measured),
    )


def robust_sd(values: npt.NDArray[np.float64]) -> float:
    """Return a standard deviation that single outliers do not move: from the median absolute deviation."""
    return MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))


def visible_in_pairs(found: Noise, seconds: float) -> float | None:
    """Return the smallest change, as a share, that pairs inside one process show in so many seconds; None: no time for two pairs.

    From the standard error of a median of paired log ratios, with `ALARM` and `MISSED` for errors. It speaks of that process alone.
    """
    pairs = math.floor(seconds / (2 * found.operation_s))
    if pairs < FEWEST:
        return None
    reach = NormalDist().inv_cdf(1 - ALARM / 2) + NormalDist().inv_cdf(1 - MISSED)
    return math.expm1(reach * MEDIAN_COST * found.pair / math.sqrt(pairs))


def visible_in_twins(found: Noise, seconds: float) -> float | None:
    """Return the smallest change, as a share, between an old and a new version in processes that take turns; None: too little time.

    From Student's t over process pairs, with `ALARM` and `MISSED` for errors; a pair takes as long as it took the doctor.
    """
    pairs = math.floor(seconds / found.twins_s)
    if pairs < FEWEST:
        return None
    reach = t_quantile(1 - ALARM / 2, pairs - 1) + t_quantile(1 - MISSED, pairs - 1)
    return math.expm1(reach * found.twins / math.sqrt(pairs))


def _mean(times: Sequence[int]) -> float:
    return math.fsum(times) / len(times)
