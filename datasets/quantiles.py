"""Distributions as tables of 65 536 quantiles: a 16-bit lane of a stream is looked up, without floating-point arithmetic.

The tables are computed in pure Python and hold integers, so no machine's vector instructions can round a row differently.
"""

import math
from collections.abc import Mapping
from functools import cache, lru_cache
from itertools import accumulate
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

CELLS = 1 << 16  # quantiles per table; the outermost are 4.3 standard deviations from the mean
_FRACTION_BITS = 28


@cache
def _standard_normal() -> tuple[float, ...]:
    inverse = NormalDist().inv_cdf
    return tuple(inverse((cell + 0.5) / CELLS) for cell in range(CELLS))


def _table(values: list[int]) -> NDArray[np.int64]:
    table = np.array(values, dtype=np.int64)
    table.flags.writeable = False  # shared by every caller through the cache
    return table


@cache
def normal(mean: float, deviation: float, low: int, high: int) -> NDArray[np.int64]:
    """Return the quantiles of a normal distribution, rounded and clipped to low … high."""
    return _table([min(max(round(mean + deviation * z), low), high) for z in _standard_normal()])


@cache
def log_normal(median: float, sigma: float, low: int, high: int) -> NDArray[np.int64]:
    """Return the quantiles of a log-normal distribution, rounded and clipped to low … high."""
    return _table([min(max(round(median * math.exp(sigma * z)), low), high) for z in _standard_normal()])


@cache
def _exponential_knots(mean: int, limit: int) -> NDArray[np.int64]:
    share = -math.expm1(-limit / mean)
    return _table([round(-mean * math.log1p(-share * knot / CELLS)) for knot in range(CELLS + 1)])


def exponential(numbers: NDArray[np.uint64], mean: int, limit: int) -> NDArray[np.int64]:
    """Return one exponential value below `limit` per 64-bit number, interpolated between quantiles.

    `mean` is that of the untruncated distribution. Interpolation keeps values as fine as their unit: with a plain table of 65 536
    instants, most of a million rows would share theirs.
    """
    knots = _exponential_knots(mean, limit)
    cell = (numbers >> np.uint64(48)).astype(np.int64)
    fraction = ((numbers >> np.uint64(48 - _FRACTION_BITS)) & np.uint64((1 << _FRACTION_BITS) - 1)).astype(np.int64)
    return knots[cell] + ((knots[cell + 1] - knots[cell]) * fraction >> _FRACTION_BITS)


@cache
def early_share(unchanged: float, power: int) -> NDArray[np.int64]:
    """Return the quantiles of a share, in units of 1/65 536: 0 with probability `unchanged`, else u**power."""
    first = round(unchanged * CELLS)
    return _table([0] * first + [int(((cell + 0.5) / (CELLS - first)) ** power * CELLS) for cell in range(CELLS - first)])


def part_of(span: NDArray[np.int64], share: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `share` / 65 536 of a span, exactly; spans up to 2**47."""
    return span * share >> 16


def below(probability: float) -> int:
    """Return the lane value below which an event of this probability occurs."""
    return round(probability * CELLS)


class Choice:
    """Labels with their probabilities, drawn by a lane; the rounding remainder goes to the last label."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        edges = [round(share * CELLS) for share in accumulate(weights.values())]
        edges[-1] = CELLS
        counts = np.diff(edges, prepend=0)
        self._labels = np.array(list(weights), dtype=object)
        self._codes = np.repeat(np.arange(len(edges), dtype=np.uint8), counts)

    def codes(self, lane: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Return each draw's position among the labels."""
        return self._codes[lane]

    def labels(self, codes: NDArray[np.uint8]) -> list[str]:
        """Return the labels at these positions."""
        return self._labels[codes].tolist()  # type: ignore[no-any-return]  # an object array's list is untyped


@lru_cache(maxsize=8)
def zipf_shares(ranks: int, theta: float = 0.99) -> NDArray[np.float64]:
    """Return the cumulative probabilities of ranks 0 … ranks - 1 under a bounded Zipf law; the last is 1."""
    weights = (math.pow(rank, -theta) for rank in range(1, ranks + 1))
    sums = np.fromiter(accumulate(weights), dtype=np.float64, count=ranks)
    shares: NDArray[np.float64] = sums / sums[-1]
    shares.flags.writeable = False
    return shares


def zipf(uniform: NDArray[np.float64], ranks: int, theta: float = 0.99) -> NDArray[np.int64]:
    """Return one rank per uniform number in [0, 1); rank 0 is the most popular."""
    return np.searchsorted(zipf_shares(ranks, theta), uniform, side="right").astype(np.int64)
