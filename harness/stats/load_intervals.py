"""Percentiles of a load run and their ratios, from histograms, with bootstrap intervals over cycles.

A cycle is one block of every arm, in quick succession, so that the machine's drift affects all arms of a cycle equally: a ratio is
bootstrapped with both arms' blocks of the same cycles. Cycles belong to worker processes, whose bias is not reduced by more cycles
(Kalibera and Jones 2013), therefore processes are drawn first, then cycles within them (Davison and Hinkley 1997, section 3.8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from harness.results.load import LatencySummary, LoadRatio
from harness.results.run import BASELINE
from harness.stats.histogram import Histogram
from harness.stats.intervals import QUANTILES, is_supported, t_quantile

RESAMPLES = 1000
FEWEST_CYCLES = 4
"""The minimum number of cycles, in all processes together, for an interval."""

_SEED = 20_260_101
_CONFIDENCE = 0.95

_Rows = npt.NDArray[np.float64]


def times(processes: Mapping[int, Sequence[Histogram]]) -> LatencySummary:
    """Return an arm's distribution from the histograms of its blocks, with 95 % intervals of percentiles.

    `processes` maps a process number to one histogram per cycle. A percentile that too few operations support is None; so is its
    interval, and every interval from fewer than `FEWEST_CYCLES` cycles.
    """
    parts = [list(cycles) for _, cycles in sorted(processes.items()) if cycles]
    whole = Histogram.merged(h for cycles in parts for h in cycles).times()
    drawn = _draws([len(cycles) for cycles in parts])
    supported = [label for label in QUANTILES if is_supported(whole.operations, QUANTILES[label])]
    if drawn is None or not supported:
        return replace(whole, intervals_ns=dict.fromkeys(QUANTILES))
    found = _percentiles([h for cycles in parts for h in cycles], drawn, supported)
    reach = _reach(parts)
    intervals = {label: _bounds(found[:, supported.index(label)], reach) if label in supported else None for label in QUANTILES}
    return replace(whole, intervals_ns=intervals)


def ratios(processes: Mapping[int, Sequence[Mapping[str, Histogram]]], group: str) -> list[LoadRatio]:
    """Return baseline ÷ arm at each percentile: process number → its cycles → arm → the histogram of its block.

    Only cycles with both arms count. A percentile that the operations of either arm do not support is left out.
    """
    arms = dict.fromkeys(arm for cycles in processes.values() for cycle in cycles for arm in cycle if arm != BASELINE)
    return [ratio for arm in arms for ratio in _ratios(processes, arm, group)]


def _ratios(processes: Mapping[int, Sequence[Mapping[str, Histogram]]], arm: str, group: str) -> list[LoadRatio]:
    both = [[c for c in cycles if arm in c and BASELINE in c] for _, cycles in sorted(processes.items())]
    parts = [cycles for cycles in both if cycles]
    paired = {name: [cycle[name] for cycles in parts for cycle in cycles] for name in (BASELINE, arm)}
    base, other = (Histogram.merged(blocks) for blocks in paired.values())
    fewest = min(base.operations, other.operations)
    supported = [label for label in QUANTILES if is_supported(fewest, QUANTILES[label])]
    before, after = (h.percentiles_ns(QUANTILES[label] for label in supported) for h in (base, other))
    drawn = _draws([len(cycles) for cycles in parts]) if supported else None
    found = None
    if drawn is not None:
        numerator, denominator = (_percentiles(blocks, drawn, supported) for blocks in paired.values())
        found = np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
    rows = []
    for place, (label, b, a) in enumerate(zip(supported, before, after, strict=True)):
        if not a or b is None:  # a time of 0 is only possible with a fake clock
            continue
        bounds = None if found is None else _bounds(found[:, place], _reach(parts))
        low, high = bounds or (None, None)
        rows.append(LoadRatio(arm, group, label, b / a, low, high, sum(map(len, parts))))
    return rows


def _draws(cycles: Sequence[int]) -> _Rows | None:
    """Return the count of each cycle in each resample, shape (RESAMPLES, all cycles), from the number of cycles of each process.

    It depends on these numbers only; None if there are too few cycles.
    """
    if sum(cycles) < FEWEST_CYCLES:
        return None
    generator = np.random.default_rng(_SEED)
    drawn = generator.multinomial(len(cycles), [1 / len(cycles)] * len(cycles), size=RESAMPLES)
    # A process that is drawn k times contributes k fresh samples, each of as many cycles as it has.
    inside = [generator.multinomial(drawn[:, p] * n, [1 / n] * n) for p, n in enumerate(cycles)]
    return np.concatenate(inside, axis=1).astype(np.float64)


def _percentiles(blocks: Sequence[Histogram], drawn: _Rows, labels: Sequence[str]) -> _Rows:
    """Return the percentiles of each resample's blocks together, in nanoseconds, shape (RESAMPLES, labels); NaN if they are empty.

    Interpolated between order statistics, as `Histogram.percentile_ns` does.
    """
    middles, _ = (whole := Histogram.merged(blocks)).arrays()
    buckets = np.array(sorted(whole.counts))
    counts = np.zeros((len(blocks), len(buckets)))
    for row, block in zip(counts, blocks, strict=True):
        row[np.searchsorted(buckets, list(block.counts))] = list(block.counts.values())
    reached = np.cumsum(drawn @ counts, axis=1)
    totals = reached[:, -1]
    # One search for all resamples: an offset lifts each row above the row before it, so that they ascend together.
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


def _reach(parts: Sequence[Sequence[object]]) -> float:
    """Return the share of resamples that lies outside either end of the interval.

    Less than 2.5 % for few units, because the bootstrap's spread is too small then: the expanded percentile interval (Hesterberg
    2015) is as wide as Student's. The units are processes, or cycles if there is one process.
    """
    units = len(parts) if len(parts) > 1 else len(parts[0])
    half = (1 - _CONFIDENCE) / 2
    return NormalDist().cdf(t_quantile(half, units - 1) * (units / (units - 1)) ** 0.5)


def _bounds(found: npt.NDArray[np.float64], reach: float) -> tuple[float, float] | None:
    sound = found[np.isfinite(found)]
    if len(sound) < RESAMPLES / 2:
        return None
    low, high = np.quantile(sound, [reach, 1 - reach])
    return float(low), float(high)
