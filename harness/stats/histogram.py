"""Latency histograms that merge without loss, and percentiles and ratios from them with bootstrap confidence intervals.

Buckets are log-linear, of whole nanoseconds, as in HdrHistogram (Tene 2012): each power of two is divided into 512 equal buckets
(values below 1024 ns have one each), whose middle is within 1/1024 of every value recorded in it. They are the same in every
process, therefore the sum of two histograms is the histogram of all values.

Intervals come from a bootstrap over cycles. A cycle is one block of every arm, one soon after the other, so that drift affects all
arms alike, and a ratio is of both arms' blocks of the same cycles. Cycles lie inside load workers, each of which has a bias that no
number of its cycles can cancel (Kalibera and Jones 2013), therefore workers are resampled first, then cycles inside them (Davison
and Hinkley 1997, section 3.8).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from harness.results.load import LatencySummary, LoadRatio
from harness.results.run import BASELINE
from harness.stats.intervals import QUANTILES, is_supported, t_quantile

RESAMPLES = 1000
MIN_CYCLES = 4
"""With fewer cycles, all load workers together, there is no interval."""
_SEED = 20_260_101
_Rows = npt.NDArray[np.float64]
_HALF_BITS = 9
_HALF = 1 << _HALF_BITS
_EXACT_BITS = _HALF_BITS + 1
_EXACT = 1 << _EXACT_BITS
_EMPTY_MIN_NS = 1 << 63


def bounds_ns(bucket: int) -> tuple[int, int]:
    """Return a bucket's lowest time and that of the next bucket, in nanoseconds."""
    if bucket < _EXACT:
        return bucket, bucket + 1
    shift = (bucket >> _HALF_BITS) - 1
    lower = (bucket - (shift << _HALF_BITS)) << shift
    return lower, lower + (1 << shift)


class HistogramWire(msgspec.Struct, frozen=True):
    """A histogram as it is sent between processes: plain numbers that survive JSON and MessagePack."""

    buckets: list[int]
    """Bucket numbers, ascending."""
    counts: list[int]
    """The operations in each of `buckets`."""
    sum_ns: int = 0
    min_ns: int | None = None
    max_ns: int | None = None


@dataclass(slots=True)
class Histogram:
    """Counts of operations by bucket of their time."""

    counts: dict[int, int] = field(default_factory=dict)
    """Bucket number → its operations, without zeros."""
    operations: int = 0
    sum_ns: int = 0
    _min_ns: int = _EMPTY_MIN_NS
    _max_ns: int = -1

    def record(self, ns: int) -> None:
        """Count one operation; ValueError if its time is negative."""
        if ns < self._min_ns:  # a negative time is below every minimum, so this rare branch checks for it
            if ns < 0:
                raise ValueError(f"a time cannot be negative: {ns} ns")
            self._min_ns = ns
        if ns > self._max_ns:  # noqa: PLR1730 - a call of max would cost as much as everything else here
            self._max_ns = ns
        shift = ns.bit_length() - _EXACT_BITS
        bucket = ns if shift <= 0 else (shift << _HALF_BITS) + (ns >> shift)
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + 1
        self.operations += 1
        self.sum_ns += ns

    def record_many(self, ns: npt.NDArray[np.int64]) -> None:
        """Count operations by their times in nanoseconds, shape (n,), as `record` does one by one."""
        if not ns.size:
            return
        if ns.min() < 0:
            raise ValueError(f"a time cannot be negative: {ns.min()} ns")
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
        """Add another histogram's operations."""
        counts = self.counts
        for bucket, number in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + number
        self.operations += other.operations
        self.sum_ns += other.sum_ns
        self._min_ns = min(self._min_ns, other._min_ns)
        self._max_ns = max(self._max_ns, other._max_ns)

    @classmethod
    def merged(cls, histograms: Iterable[Histogram]) -> Histogram:
        """Return a new histogram of all operations of some histograms."""
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
        """Return each bucket's middle in nanoseconds, ascending, clipped to the shortest and longest time, and its operations."""
        buckets = np.fromiter(self.counts.keys(), dtype=np.int64, count=len(self.counts))
        numbers = np.fromiter(self.counts.values(), dtype=np.int64, count=len(self.counts))
        ascending = np.argsort(buckets)
        buckets = buckets[ascending]
        shift = np.maximum((buckets >> _HALF_BITS) - 1, 0)  # `bounds_ns`, vectorised
        lower = (buckets - (shift << _HALF_BITS)) << shift
        middles = lower + (np.ldexp(1.0, shift) - 1) / 2
        return np.clip(middles, self._min_ns, self._max_ns) if self.counts else middles, numbers[ascending]

    def percentile_ns(self, q: float) -> float | None:
        """Return the time within which a share `q` (0 to 1) of the operations stays, interpolated as by NumPy; None without any."""
        return self.percentiles_ns([q])[0]

    def percentiles_ns(self, qs: Iterable[float]) -> list[float | None]:
        """Return several percentiles as `percentile_ns` does, in one pass; ValueError if one is not from 0 to 1."""
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

    def summary(self) -> LatencySummary:
        """Return the distribution for the record; percentiles are None if too few operations support them."""
        found = dict(zip(QUANTILES, self.percentiles_ns(QUANTILES.values()), strict=True))
        supported = {label: ns if is_supported(self.operations, QUANTILES[label]) else None for label, ns in found.items()}
        return LatencySummary(self.operations, self.mean_ns, self.min_ns, self.max_ns, supported)

    def to_wire(self) -> HistogramWire:
        """Return this histogram in the form that is sent to another process."""
        ordered = sorted(self.counts)
        return HistogramWire(ordered, [self.counts[b] for b in ordered], self.sum_ns, self.min_ns, self.max_ns)

    @classmethod
    def from_wire(cls, wire: HistogramWire) -> Histogram:
        """Return the histogram that `to_wire` encoded; ValueError if the numbers of buckets and counts differ."""
        counts = dict(zip(wire.buckets, wire.counts, strict=True))
        minimum, maximum = (_EMPTY_MIN_NS, -1) if wire.min_ns is None or wire.max_ns is None else (wire.min_ns, wire.max_ns)
        return cls(counts, sum(wire.counts), wire.sum_ns, minimum, maximum)


def summary(workers: Mapping[int, Sequence[Histogram]]) -> LatencySummary:
    """Return an arm's distribution with 95 % intervals of its percentiles, from load worker → one histogram per cycle.

    A percentile that too few operations support is None; so is its interval, and every interval from fewer than `MIN_CYCLES`.
    """
    parts = [list(cycles) for _, cycles in sorted(workers.items()) if cycles]
    blocks = [h for cycles in parts for h in cycles]
    whole = Histogram.merged(blocks).summary()
    supported = _supported(whole.operations)
    bounds: dict[str, tuple[float, float] | None] = dict.fromkeys(QUANTILES)
    if supported and (drawn := _draws(parts)) is not None:
        columns = _percentiles(blocks, drawn, supported).T
        bounds |= {label: _bounds(column, parts) for label, column in zip(supported, columns, strict=True)}
    return replace(whole, intervals_ns=bounds)


def latency_ratios(workers: Mapping[int, Sequence[Mapping[str, Histogram]]], group: str) -> list[LoadRatio]:
    """Return baseline ÷ arm at each percentile, from load worker → its cycles → arm → the histogram of its block.

    Only cycles with blocks of both arms count. Percentiles that either arm's operations do not support are left out.
    """
    arms = dict.fromkeys(arm for cycles in workers.values() for cycle in cycles for arm in cycle if arm != BASELINE)
    return [ratio for arm in arms for ratio in _arm_ratios(workers, arm, group)]


def _arm_ratios(workers: Mapping[int, Sequence[Mapping[str, Histogram]]], arm: str, group: str) -> list[LoadRatio]:
    both = [[c for c in cycles if arm in c and BASELINE in c] for _, cycles in sorted(workers.items())]
    parts = [cycles for cycles in both if cycles]
    paired = [[cycle[name] for cycles in parts for cycle in cycles] for name in (BASELINE, arm)]
    base, other = map(Histogram.merged, paired)
    supported = _supported(min(base.operations, other.operations))
    before, after = (h.percentiles_ns(QUANTILES[label] for label in supported) for h in (base, other))
    bounds: Sequence[tuple[float, float] | None] = [None] * len(supported)
    if supported and (drawn := _draws(parts)) is not None:
        numerator, denominator = (_percentiles(blocks, drawn, supported) for blocks in paired)
        ratios = np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
        bounds = [_bounds(column, parts) for column in ratios.T]
    return [
        LoadRatio(arm, group, label, b / a, low, high, len(paired[0]))
        for label, b, a, (low, high) in zip(supported, before, after, [found or (None, None) for found in bounds], strict=True)
        if a and b is not None  # a time of zero occurs only with a clock that stands still
    ]


def _supported(operations: int) -> list[str]:
    return [label for label, quantile in QUANTILES.items() if is_supported(operations, quantile)]


def _draws(parts: Sequence[Sequence[object]]) -> _Rows | None:
    """Return each cycle's count in each resample, shape (RESAMPLES, all cycles), from their numbers alone; None for too few."""
    cycles = [len(part) for part in parts]
    if sum(cycles) < MIN_CYCLES:
        return None
    generator = np.random.default_rng(_SEED)
    drawn = generator.multinomial(len(cycles), [1 / len(cycles)] * len(cycles), size=RESAMPLES)
    # A worker that is drawn k times contributes k independent samples of its cycles.
    inside = [generator.multinomial(drawn[:, p] * n, [1 / n] * n) for p, n in enumerate(cycles)]
    return np.concatenate(inside, axis=1).astype(np.float64)


def _percentiles(blocks: Sequence[Histogram], drawn: _Rows, labels: Sequence[str]) -> _Rows:
    """Return the percentiles of each resample, shape (RESAMPLES, labels), interpolated as by `Histogram`; NaN if it is empty."""
    middles, _ = (whole := Histogram.merged(blocks)).arrays()
    buckets = np.array(sorted(whole.counts))
    counts = np.zeros((len(blocks), len(buckets)))
    for row, block in zip(counts, blocks, strict=True):
        row[np.searchsorted(buckets, list(block.counts))] = list(block.counts.values())
    reached = np.cumsum(drawn @ counts, axis=1)
    totals = reached[:, -1]
    # One search for all resamples: each row is lifted above the row before it, so that the whole array ascends.
    lift = np.arange(len(totals)) * (totals.max() + 1)
    lifted = (reached + lift[:, None]).ravel()
    last = np.arange(1, len(totals) + 1) * len(buckets) - 1
    found = np.empty((len(totals), len(labels)))
    for column, label in enumerate(labels):
        rank = QUANTILES[label] * np.maximum(totals - 1, 0)
        below, above = (
            middles[np.minimum(np.searchsorted(lifted, edge + lift, side="right"), last) % len(buckets)]
            for edge in (np.floor(rank), np.ceil(rank))
        )
        found[:, column] = np.where(totals > 0, below + (above - below) * (rank - np.floor(rank)), np.nan)
    return found


def _bounds(found: npt.NDArray[np.float64], parts: Sequence[Sequence[object]]) -> tuple[float, float] | None:
    """Return the 95 % interval of a percentile's resamples; None if most are of no operation.

    With few units, load workers or the cycles of a single one, the bootstrap's spread is too small, so less than 2.5 % of the
    resamples lie beyond either end: the expanded percentile interval (Hesterberg 2015), which is as wide as Student's.
    """
    finite = found[np.isfinite(found)]
    if len(finite) < RESAMPLES / 2:
        return None
    units = len(parts) if len(parts) > 1 else len(parts[0])
    beyond = NormalDist().cdf(t_quantile(0.025, units - 1) * (units / (units - 1)) ** 0.5)
    low, high = np.quantile(finite, [beyond, 1 - beyond])
    return float(low), float(high)
