"""A machine's noise and the smallest change it can detect, from times of the same work within and between processes.

Three kinds of noise are independent: between operations of a process, which pairing and repetition reduce; between processes on the
same core, which only more processes reduce; and the machine's drift over time, which nothing reduces, so that a stored time cannot
be a gate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from harness.stats.intervals import t_quantile

SECONDS = (10, 60, 300)
"""Durations of a measurement for which the smallest detectable change is reported."""

MAD_TO_SD = 1.4826
"""Ratio of a normal distribution's standard deviation to its median absolute deviation."""

MEDIAN_COST = 1.2533
"""Ratio of the standard errors of median and mean in a normal distribution: the square root of pi/2."""

MISSED = 0.20
"""Probability of missing a change of the smallest detectable size: the power is 80 %."""

ALARM = 0.05
"""Probability of detecting a change, in either direction, if there is none."""

FEWEST = 2


@dataclass(frozen=True)
class ProcessPairTimes:
    """Two interleaved fresh processes with the same code on the same core."""

    first: list[list[int]]
    """The first process's slices, one per round: the nanoseconds of each operation."""

    second: list[list[int]]
    """The second process's slices."""

    seconds: float
    """Duration of the whole, process start included."""

    @property
    def effect(self) -> float:
        """The median over rounds of ln(second ÷ first) of the slices' mean operations: 0 if the processes are equally fast."""
        return float(np.median([math.log(_mean(b) / _mean(a)) for a, b in zip(self.first, self.second, strict=True)]))

    @property
    def slices(self) -> list[list[int]]:
        """All slices in the order of rounds."""
        return [times for both in zip(self.first, self.second, strict=True) for times in both]


@dataclass(frozen=True)
class Noise:
    """The variation of times of the same work, as shares of the time."""

    operation: float
    """Robust standard deviation of the operations of a process."""

    pair: float
    """Robust standard deviation of the ratio of two consecutive operations of a process."""

    processes: float
    """Standard deviation of the medians of consecutive fresh processes."""

    process_pairs: float
    """Standard deviation of the ratio of two interleaved processes on one core."""

    drift: float
    """The ratio of the second half of the measurement to the first, minus 1."""

    operation_s: float
    """Seconds of one operation."""

    process_pair_s: float
    """Seconds of one process pair."""

    number: int
    """Number of process pairs."""


def noise(measured: Sequence[ProcessPairTimes]) -> Noise:
    """Return the noise of at least two consecutive process pairs.

    Raises:
        ValueError: there are fewer than two, which have no spread.
    """
    if len(measured) < FEWEST:
        raise ValueError("the noise between processes needs two process pairs")
    every = [times for pair in measured for times in pair.slices]
    consecutive = [math.log(times[i] / times[i + 1]) for times in every for i in range(0, len(times) - 1, 2)]
    processes = [np.concatenate([np.asarray(s) for s in side]) for pair in measured for side in (pair.first, pair.second)]
    within = np.concatenate([np.log(p) - np.log(np.median(p)) for p in processes])
    flat = np.concatenate([np.asarray(times) for times in every])
    half = len(flat) // 2
    return Noise(
        operation=robust_sd(within),
        pair=robust_sd(np.asarray(consecutive)),
        processes=float(np.std([math.log(np.median(p)) for p in processes], ddof=1)),
        process_pairs=float(np.std([t.effect for t in measured], ddof=1)),
        drift=float(np.median(flat[half:]) / np.median(flat[:half])) - 1,
        operation_s=float(np.median(flat)) / 1e9,
        process_pair_s=math.fsum(t.seconds for t in measured) / len(measured),
        number=len(measured),
    )


def robust_sd(values: npt.NDArray[np.float64]) -> float:
    """Return a standard deviation that is robust against outliers, from the median absolute deviation."""
    return MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))


def detectable_in_pairs(found: Noise, seconds: float) -> float | None:
    """Return the smallest change, as a share, that pairs in one process detect within `seconds`; None if two pairs take longer.

    From the standard error of a median of paired log ratios, with the errors `ALARM` and `MISSED`. It is valid within that process
    only.
    """
    pairs = math.floor(seconds / (2 * found.operation_s))
    if pairs < FEWEST:
        return None
    reach = NormalDist().inv_cdf(1 - ALARM / 2) + NormalDist().inv_cdf(1 - MISSED)
    return math.expm1(reach * MEDIAN_COST * found.pair / math.sqrt(pairs))


def detectable_in_process_pairs(found: Noise, seconds: float) -> float | None:
    """Return the smallest change, as a share, that interleaved process pairs detect within `seconds`; None if two take longer.

    From Student's t over process pairs, with the errors `ALARM` and `MISSED`; a pair is as long as in the machine check.
    """
    pairs = math.floor(seconds / found.process_pair_s)
    if pairs < FEWEST:
        return None
    reach = t_quantile(1 - ALARM / 2, pairs - 1) + t_quantile(1 - MISSED, pairs - 1)
    return math.expm1(reach * found.process_pairs / math.sqrt(pairs))


def _mean(times: Sequence[int]) -> float:
    return math.fsum(times) / len(times)
