"""A histogram of times that merges without loss: log-linear buckets, whole nanoseconds, relative error at most 0.1 %.

Each power of two is divided into 512 equal buckets (values below 1024 ns have one each), as in HdrHistogram (Tene 2012), so that a
bucket's middle is within 1/1024 of every value recorded in it. Buckets are the same in every process: the sum of two histograms is
the histogram of all their values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from harness.results.load import LatencySummary
from harness.stats.intervals import QUANTILES, is_supported

RELATIVE_ERROR = 2.0**-10
"""Limit of a percentile's difference from the recorded value, as a share of that value."""

_HALF_BITS = 9
_HALF = 1 << _HALF_BITS
_EXACT_BITS = _HALF_BITS + 1
_EXACT = 1 << _EXACT_BITS
_EMPTY_MIN_NS = 1 << 63


def bucket_of(ns: int) -> int:
    """Return the number of the bucket of a time in nanoseconds; numbers ascend with times, without gaps."""
    shift = ns.bit_length() - _EXACT_BITS
    return ns if shift <= 0 else (shift << _HALF_BITS) + (ns >> shift)


def bounds_ns(bucket: int) -> tuple[int, int]:
    """Return a bucket's lowest time and the next bucket's, in nanoseconds."""
    if bucket < _EXACT:
        return bucket, bucket + 1
    shift = (bucket >> _HALF_BITS) - 1
    lower = (bucket - (shift << _HALF_BITS)) << shift
    return lower, lower + (1 << shift)


class HistogramWire(msgspec.Struct, frozen=True):
    """A histogram as a message between processes: plain numbers for JSON and MessagePack."""

    buckets: list[int]
    """Numbers of the buckets with operations, ascending."""

    counts: list[int]
    """Operations in each of them."""

    sum_ns: int = 0
    """Sum of all times; below 2**63."""

    min_ns: int | None = None
    """Shortest time; None without operations."""

    max_ns: int | None = None
    """Longest time; None without operations."""


@dataclass(slots=True)
class Histogram:
    """Counts of operations by bucket of their time."""

    counts: dict[int, int] = field(default_factory=dict)
    """Bucket → its operations; contains no zeros."""

    operations: int = 0
    """Operations in all buckets."""

    sum_ns: int = 0
    """Exact sum of all times."""

    _min_ns: int = _EMPTY_MIN_NS
    _max_ns: int = -1

    def record(self, ns: int) -> None:
        """Count one operation.

        Raises:
            ValueError: the time is negative.
        """
        if ns < self._min_ns:  # negative times are checked in this rare branch only: they are below every minimum
            if ns < 0:
                raise ValueError(f"an operation cannot take {ns} ns")
            self._min_ns = ns
        if ns > self._max_ns:  # noqa: PLR1730 - a call of max would cost as much as the rest
            self._max_ns = ns
        shift = ns.bit_length() - _EXACT_BITS  # `bucket_of`, without the cost of a call
        bucket = ns if shift <= 0 else (shift << _HALF_BITS) + (ns >> shift)
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + 1
        self.operations += 1
        self.sum_ns += ns

    def record_many(self, ns: npt.NDArray[np.int64]) -> None:
        """Count operations from their times, shape (n,), as `record` does one by one.

        Raises:
            ValueError: a time is negative.
        """
        if not ns.size:
            return
        if ns.min() < 0:
            raise ValueError(f"an operation cannot take {ns.min()} ns")
        # Beyond 2**53 the exponent of a float may be one too high; bucket numbers come out the same with either.
        shift = np.maximum(np.frexp(ns.astype(np.float64))[1].astype(np.int64) - _EXACT_BITS, 0)
        buckets, numbers = np.unique((shift << _HALF_BITS) + (ns >> shift), return_counts=True)
        for bucket, number in zip(buckets.tolist(), numbers.tolist(), strict=True):
            self.counts[bucket] = self.counts.get(bucket, 0) + number
        self.operations += ns.size
        self.sum_ns += sum(ns.tolist())  # Python's integers do not overflow
        self._min_ns = min(self._min_ns, int(ns.min()))
        self._max_ns = max(self._max_ns, int(ns.max()))

    def add(self, other: Histogram) -> None:
        """Add all operations of another histogram."""
        counts = self.counts
        for bucket, number in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + number
        self.operations += other.operations
        self.sum_ns += other.sum_ns
        self._min_ns = min(self._min_ns, other._min_ns)
        self._max_ns = max(self._max_ns, other._max_ns)

    @classmethod
    def merged(cls, histograms: Iterable[Histogram]) -> Histogram:
        """Return a new histogram of all operations of any number of histograms."""
        whole = cls()
        for histogram in histograms:
            whole.add(histogram)
        return whole

    @property
    def min_ns(self) -> int | None:
        """The shortest time, exact; None without operations."""
        return self._min_ns if self.operations else None

    @property
    def max_ns(self) -> int | None:
        """The longest time, exact; None without operations."""
        return self._max_ns if self.operations else None

    @property
    def mean_ns(self) -> float | None:
        """The mean time, exact; None without operations."""
        return self.sum_ns / self.operations if self.operations else None

    def arrays(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return the middles of the buckets in nanoseconds, ascending and clipped to the extreme times, and their operations."""
        buckets = np.fromiter(self.counts.keys(), dtype=np.int64, count=len(self.counts))
        numbers = np.fromiter(self.counts.values(), dtype=np.int64, count=len(self.counts))
        ascending = np.argsort(buckets)
        buckets = buckets[ascending]
        shift = np.maximum((buckets >> _HALF_BITS) - 1, 0)  # `bounds_ns`, vectorised
        lower = (buckets - (shift << _HALF_BITS)) << shift
        middles = lower + (np.ldexp(1.0, shift) - 1) / 2
        return np.clip(middles, self._min_ns, self._max_ns) if self.counts else middles, numbers[ascending]

    def percentile_ns(self, q: float) -> float | None:
        """Return the quantile `q` (0 to 1) of the times; None without operations.

        Interpolated between order statistics as `harness.stats.intervals.percentiles` does, each taken at its bucket's middle.

        Raises:
            ValueError: `q` is not from 0 to 1.
        """
        return self.percentiles_ns([q])[0]

    def percentiles_ns(self, qs: Iterable[float]) -> list[float | None]:
        """Return several percentiles as `percentile_ns` does, at the cost of one.

        Raises:
            ValueError: one is not from 0 to 1.
        """
        wanted = list(qs)
        if not all(0 <= q <= 1 for q in wanted):
            raise ValueError(f"percentiles are shares from 0 to 1, not {wanted}")
        if not self.operations:
            return [None] * len(wanted)
        middles, numbers = self.arrays()
        reached = np.cumsum(numbers)
        found: list[float | None] = []
        for q in wanted:
            rank = q * (self.operations - 1)
            below, above = (float(middles[np.searchsorted(reached, r, side="right")]) for r in (math.floor(rank), math.ceil(rank)))
            found.append(below + (above - below) * (rank - math.floor(rank)))
        return found

    def fraction_above(self, limit_ns: float) -> float | None:
        """Return the share of operations that took longer than a limit; None without operations.

        Operations in the limit's bucket count by the part of it above the limit: only those within 0.1 % of the limit are not
        exact.
        """
        if not self.operations:
            return None
        if limit_ns >= self._max_ns:
            return 0.0
        if limit_ns < self._min_ns:
            return 1.0
        own = bucket_of(int(limit_ns))
        lower, upper = bounds_ns(own)
        above = sum(number for bucket, number in self.counts.items() if bucket > own)
        return (above + self.counts.get(own, 0) * (upper - 1 - int(limit_ns)) / (upper - lower)) / self.operations

    def times(self) -> LatencySummary:
        """Return the distribution for the record; percentiles that too few operations support are None."""
        found = dict(zip(QUANTILES, self.percentiles_ns(QUANTILES.values()), strict=True))
        supported = {label: ns if is_supported(self.operations, QUANTILES[label]) else None for label, ns in found.items()}
        return LatencySummary(self.operations, self.mean_ns, self.min_ns, self.max_ns, supported)

    def to_wire(self) -> HistogramWire:
        """Return a message from which another process can rebuild this histogram."""
        ordered = sorted(self.counts)
        return HistogramWire(ordered, [self.counts[b] for b in ordered], self.sum_ns, self.min_ns, self.max_ns)

    @classmethod
    def from_wire(cls, wire: HistogramWire) -> Histogram:
        """Return the histogram of a message that `to_wire` returned.

        Raises:
            ValueError: the numbers of buckets and counts differ.
        """
        counts = dict(zip(wire.buckets, wire.counts, strict=True))
        least, most = (_EMPTY_MIN_NS, -1) if wire.min_ns is None or wire.max_ns is None else (wire.min_ns, wire.max_ns)
        return cls(counts, sum(wire.counts), wire.sum_ns, least, most)
