"""Percentiles of raw samples, and their ratios of two arms, with 95 % intervals.

An interval has two parts, and reaches as far as the wider one on either side:

- The samples are few. Two of them bound a percentile, whatever their distribution (`bounding_ranks`). Operations of one slot are
  alike and count as fewer: as n ÷ design effect (Kish 1965), which is the mean square between slots of the share of operations up
  to the percentile ÷ that within processes. The bounds are those that bound it in a sample of that size (Woodruff 1952).
- Processes differ, and so do the moments at which they run. Student's interval over the processes' own percentiles, around the
  percentile of all samples (sectioning, Asmussen and Glynn 2007), on the logarithmic scale.

Of a ratio, the first part combines the bounds of both sides as independent (Zou and Donner 2008); the second is of the processes'
own ratios, so that what slows both sides of a process does not widen it.

A percentile is supported if its first part exists. One process does not show how processes differ: the interval is then valid for
that process, and a ratio has none.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from harness.results.run import AA_CONTROL, BASELINE, PercentileRatio, Slot
from harness.stats.intervals import QUANTILES, Interval, bounding_ranks, is_supported, t_quantile

RATIO_LABELS = ("50", "95", "99")
"""The percentiles whose ratios are recorded."""
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PercentileEstimate:
    """A percentile of one arm in one group. Times are in nanoseconds and at least 1, so that they have logarithms."""

    value_ns: float
    """Of all samples, interpolated linearly (type 7 of Hyndman and Fan 1996)."""
    effective: float
    """The number of independent samples that would bound it as narrowly, at most that of the samples."""
    bounds_ns: tuple[float, float] | None
    """The samples that bound it; None if it is not supported."""
    processes_ns: list[float]
    """Each process's own."""

    @property
    def interval_ns(self) -> tuple[float, float] | None:
        """The 95 % interval; None if it is not supported."""
        if self.bounds_ns is None:
            return None
        reach = _reach([math.log(ns) for ns in self.processes_ns], math.log(self.value_ns)) or 0.0
        low, high = self.bounds_ns
        return min(low, self.value_ns * math.exp(-reach)), max(high, self.value_ns * math.exp(reach))


def estimates(slots: Sequence[Slot], labels: Iterable[str] = tuple(QUANTILES)) -> dict[str, PercentileEstimate]:
    """Return percentiles of `QUANTILES` by label, of the recorded operations of at least one slot."""
    counts = [len(slot.latencies_ns) for slot in slots]
    times_ns = np.maximum(1, np.concatenate([np.asarray(slot.latencies_ns, dtype=np.int64) for slot in slots]))
    process_of_slot = np.unique([slot.process for slot in slots], return_inverse=True)[1]
    slot_of, process_of = np.repeat(np.arange(len(slots)), counts), np.repeat(process_of_slot, counts)
    each = [times_ns[process_of == number] for number in range(int(process_of_slot.max()) + 1)]
    ordered, found, names = np.sort(times_ns), {}, list(labels)
    wanted = [QUANTILES[label] for label in names]
    values, of_processes = np.quantile(ordered, wanted).tolist(), [np.quantile(own, wanted).tolist() for own in each]
    for place, (label, quantile, value) in enumerate(zip(names, wanted, values, strict=True)):
        effective = float(len(ordered))
        if is_supported(effective, quantile):
            up_to = times_ns <= value
            effective /= _design_effect(times_ns < value if up_to.all() else up_to, slot_of, process_of)
        bounds = _bounding_samples(ordered, quantile, effective)
        found[label] = PercentileEstimate(value, effective, bounds, [own[place] for own in of_processes])
    return found


def _design_effect(is_up_to: npt.NDArray[np.bool_], slot_of: _Numbers, process_of: _Numbers) -> float:
    """Return the variance of a share of operations ÷ that of as many independent ones, at least 1."""
    values = is_up_to.astype(np.float64)
    processes, per_process = _means(process_of, values)
    slots, per_slot = _means(slot_of, values)
    process_of_slot = process_of[np.searchsorted(slot_of, np.arange(len(slots)))]
    within = float(np.sum(per_process * processes * (1 - processes)))
    between = float(np.sum(per_slot * (slots - processes[process_of_slot]) ** 2))
    if not within or len(slots) in (len(processes), len(values)):
        return 1.0
    return max(1.0, between / (len(slots) - len(processes)) * (len(values) - len(processes)) / within)


def _means(cluster_of: _Numbers, values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], _Numbers]:
    """Return each cluster's mean and the number of its values."""
    counts = np.bincount(cluster_of)
    return np.bincount(cluster_of, weights=values) / counts, counts


def _bounding_samples(ordered: _Numbers, quantile: float, effective: float) -> tuple[float, float] | None:
    """Return the samples at the places that bound a quantile among `effective` independent ones; None if those are too few."""
    number = math.floor(effective + 1e-9)
    ranks = bounding_ranks(number, quantile)
    if ranks is None:
        return None
    stretch = (len(ordered) + 1) / (number + 1)
    low, high = math.floor(ranks[0] * stretch + 1e-9), math.ceil(ranks[1] * stretch - 1e-9)
    return float(ordered[low - 1]), float(ordered[high - 1])


def _reach(logs: Sequence[float], centre: float) -> float | None:
    """Return half the width of Student's 95 % interval around `centre`, from each process's log; None for one process."""
    n = len(logs)
    if n == 1:
        return None
    return t_quantile(0.975, n - 1) * math.sqrt(math.fsum((log - centre) ** 2 for log in logs) / (n - 1) / n)


def percentile_ratio(base: PercentileEstimate, arm: PercentileEstimate) -> Interval | None:
    """Return the ratio baseline ÷ arm, both of the same processes; None if either side is not supported."""
    if base.bounds_ns is None or arm.bounds_ns is None:
        return None
    centre = math.log(base.value_ns / arm.value_ns)
    own = [math.log(b / a) for b, a in zip(base.processes_ns, arm.processes_ns, strict=True)]
    reach = _reach(own, centre)
    if reach is None:
        return Interval(math.exp(centre), None, None)
    (base_low, base_high), (arm_low, arm_high) = (
        [math.log(bound / side.value_ns) for bound in side.bounds_ns or ()] for side in (base, arm)
    )
    low, high = max(reach, math.hypot(base_low, arm_high)), max(reach, math.hypot(base_high, arm_low))
    return Interval(centre, centre - low, centre + high).through(math.exp)


def percentile_ratios(slots: Iterable[Slot]) -> list[PercentileRatio]:
    """Return baseline ÷ arm at each of `RATIO_LABELS`, for every arm in every group; the A/A control is left out.

    Only pairs that have both sides count. A percentile that either side does not support is there without a ratio.
    """
    taken: dict[str, dict[str, dict[tuple[int, int], list[Slot]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for s in slots:
        if s.arm != AA_CONTROL:
            taken[s.group][s.arm][s.process, s.pair].append(s)
    rows = []
    for group, arms in taken.items():
        base = arms.pop(BASELINE, {})
        for arm, own in arms.items() if base else ():
            both = sorted(base.keys() & own.keys())
            sides = [[slot for pair in both for slot in side[pair]] for side in (base, own)]
            fewest = min(sum(len(slot.latencies_ns) for slot in side) for side in sides)
            before, after = (estimates(side, RATIO_LABELS) if both else {} for side in sides)
            for label in RATIO_LABELS:
                row = PercentileRatio(arm, group, label, fewest, effective_samples=0.0)
                if both:
                    row = replace(row, effective_samples=min(before[label].effective, after[label].effective))
                    if found := percentile_ratio(before[label], after[label]):
                        row = replace(row, ratio=found.value, low=found.low, high=found.high)
                rows.append(row)
    return rows
