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
MIN_PAIRS = 2
"""The number of pairs, of operations or processes, below which there is no spread."""


@dataclass(frozen=True)
class ProcessPairTimes:
    """Two interleaved fresh processes with the same code on the same core."""

    first: list[list[int]]
    """The first process's slices, one per round: the nanoseconds of each operation, the same number in each."""
    second: list[list[int]]
    """The second process's slices."""
    seconds: float
    """Duration of the whole, process start included."""


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
    process_pair_s: float
    number: int
    """Number of process pairs."""


def noise(measured: Sequence[ProcessPairTimes]) -> Noise:
    """Return the noise of consecutive process pairs, all with as many rounds; ValueError for fewer than two of them."""
    if len(measured) < MIN_PAIRS:
        raise ValueError("the noise between processes needs two process pairs")
    times = np.array([(pair.first, pair.second) for pair in measured], dtype=np.float64)  # process pair, side, round, operation
    logs = np.log(times)
    medians = np.median(logs, axis=(2, 3))
    slices = np.log(times.mean(axis=3))
    in_order = times.swapaxes(1, 2).ravel()
    half = len(in_order) // 2
    consecutive = logs[..., : logs.shape[3] // 2 * 2].reshape(-1, 2)
    return Noise(
        operation=robust_sd(logs - medians[..., None, None]),
        pair=robust_sd(consecutive[:, 0] - consecutive[:, 1]),
        processes=float(np.std(medians, ddof=1)),
        process_pairs=float(np.std(np.median(slices[:, 1] - slices[:, 0], axis=1), ddof=1)),
        drift=float(np.median(in_order[half:]) / np.median(in_order[:half])) - 1,
        operation_s=float(np.median(in_order)) / 1e9,
        process_pair_s=math.fsum(pair.seconds for pair in measured) / len(measured),
        number=len(measured),
    )


def robust_sd(values: npt.NDArray[np.float64]) -> float:
    """Return a standard deviation that is robust against outliers, from the median absolute deviation."""
    return MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))


def detectable_in_pairs(found: Noise, seconds: float) -> float | None:
    """Return the smallest change, as a share, that pairs in one process detect within `seconds`; None if two pairs take longer.

    From the standard error of a median of paired log ratios, with the errors `ALARM` and `MISSED`; valid in that process only.
    """
    pairs = math.floor(seconds / (2 * found.operation_s))
    if pairs < MIN_PAIRS:
        return None
    reach = NormalDist().inv_cdf(1 - ALARM / 2) + NormalDist().inv_cdf(1 - MISSED)
    return math.expm1(reach * MEDIAN_COST * found.pair / math.sqrt(pairs))


def detectable_in_process_pairs(found: Noise, seconds: float) -> float | None:
    """Return the smallest change, as a share, that interleaved process pairs detect within `seconds`; None if two take longer.

    From Student's t over process pairs, with the errors `ALARM` and `MISSED`; a pair is as long as in the machine check.
    """
    pairs = math.floor(seconds / found.process_pair_s)
    if pairs < MIN_PAIRS:
        return None
    reach = t_quantile(1 - ALARM / 2, pairs - 1) + t_quantile(1 - MISSED, pairs - 1)
    return math.expm1(reach * found.process_pairs / math.sqrt(pairs))
