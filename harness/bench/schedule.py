"""The number of pairs that each group gets: time goes where it buys precision (Kalibera and Jones 2013).

The number of fresh processes is fixed, and each of them times every group. What was measured so far only decides how many pairs the
next processes time: that makes their medians more precise and moves them nowhere, so an interval over processes keeps its coverage
whatever the schedule does (`make validation` shows it).
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.stats.intervals import t_quantile

MEDIAN_PAIRS, SLOW_PAIRS = 10, 6
"""Pairs of every group: a median of six has an interval, the range; ten leave one outlier on each side out of it."""
FEWEST = 1
"""The fewest pairs of a group in a process."""
P95_PAIRS, P99_PAIRS = 75, 370
"""Pairs for the 95th and the 99th percentile: their intervals exist from 72 and 368 operations on, of which each slot has one that
counts in full (`harness.stats.percentiles`); every process has the same number of pairs, rounded up."""
P99_BELOW_S = 0.005
"""Seconds of a baseline operation up to which its group gets the pairs for its 99th percentile."""
DECIDED_HALF_WIDTH, UNDECIDED_HALF_WIDTH = 0.05, 0.03
"""Half width of a ratio's interval that a group's pairs aim at, once its promises are decided and before."""
CLEAR = 2.0
"""Factor of an interval's width: a promise is decided if what it states lies outside the wider one."""
MOST_PAIRS, MOST_DECIDED_PAIRS = 2_000, 200
"""Limits of a group's pairs beyond those for its percentiles: while a promise is undecided, and once all are decided."""
SPARE = 0.03
"""Share of the time left that is not planned: what takes longer than expected leaves groups a few pairs short of a percentile."""
QUICK_PAIRS = 30
"""Limit of a group's pairs in a preview."""
_MAD_TO_DEVIATION = 1.4826
"""Standard deviation ÷ median absolute deviation, of a normal distribution."""
_OF_A_MEDIAN = math.pi / 2
"""Variance of a median ÷ variance of a mean of the same values, of a normal distribution."""
_FEW = 3


@dataclass
class GroupPairs:
    """One group of a trial: what its pairs cost, how many there are and what they show."""

    name: str
    pair_s: float | None = None
    """Seconds of one pair, its resets included; None as long as nothing is known."""
    operation_s: float | None = None
    """Seconds of the baseline's operation."""
    is_slow: bool = False
    """Whether it gets no more than `SLOW_PAIRS`."""
    is_quick: bool = False
    """Whether it gets no more than `QUICK_PAIRS`, and so no 95th percentile."""
    is_preview: bool = False
    """Whether it gets `SLOW_PAIRS` at least instead of `MEDIAN_PAIRS`."""
    is_decided: bool = False
    """Whether all promises that read it have a verdict that more pairs would not change."""
    pairs: int = 0
    """Pairs so far."""
    log_ratios: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    """Arm → process → the logarithm of baseline ÷ arm of each pair."""

    def at_least(self, processes_left: int) -> int:
        """Return the further pairs that it gets in any case: those of its median, and the fewest in each process to come."""
        wanted = SLOW_PAIRS if self.is_slow or self.is_preview else MEDIAN_PAIRS
        return max(wanted - self.pairs, FEWEST * processes_left) if processes_left else 0

    def levels(self, processes: int) -> tuple[int, ...]:
        """Return the numbers of pairs that it should have: for p95, p99, and the ratio's interval before and after a verdict."""
        if self.is_slow:
            return ()
        target, most = (DECIDED_HALF_WIDTH, MOST_DECIDED_PAIRS) if self.is_decided else (UNDECIDED_HALF_WIDTH, MOST_PAIRS)
        ratio = max((pairs_for(list(each.values()), processes, target) for each in self.log_ratios.values()), default=0)
        if self.is_quick:
            return 0, 0, min(ratio, QUICK_PAIRS), 0
        p99 = P99_PAIRS if self.operation_s is not None and self.operation_s <= P99_BELOW_S else P95_PAIRS
        return P95_PAIRS, p99, *((0, min(ratio, most)) if self.is_decided else (min(ratio, most), 0))


def is_decided(value: float, low: float | None, high: float | None, thresholds: Iterable[float | None]) -> bool:
    """Whether an interval is so far from all thresholds that more pairs would hardly change a verdict on them.

    None may lie inside the interval widened to `CLEAR` times its width: what was seen once may stop a group, so it has to be
    clearer than the interval that is shown, or stopping would add false verdicts.
    """
    if low is None or high is None:
        return False
    widened = value - CLEAR * (value - low), value + CLEAR * (high - value)
    return not any(widened[0] <= threshold <= widened[1] for threshold in thresholds if threshold is not None)


def pairs_for(processes: Sequence[Sequence[float]], number: int, half_width: float) -> int:
    """Return how many pairs, over `number` processes, give a ratio's 95 % interval this half width; 0 if nothing is known.

    `processes` are the log ratios of the pairs of each process so far. A process has a bias of its own that more of its pairs do
    not reduce (Kalibera and Jones 2013): where that alone makes the interval wider, the pairs that reduce the rest to as much are
    enough. As long as no process has a few pairs, the processes are taken as one.
    """
    pooled = [value for values in processes for value in values]
    known = [values for values in processes if len(values) >= _FEW] or [pooled] * (len(pooled) >= _FEW)
    if not known or number < 2:  # noqa: PLR2004 - an interval needs two processes
        return 0
    medians = [statistics.median(values) for values in known]
    deviations = [
        _MAD_TO_DEVIATION * statistics.median(abs(v - m) for v in values) for values, m in zip(known, medians, strict=True)
    ]
    within = _OF_A_MEDIAN * statistics.fmean(d * d for d in deviations)
    each = statistics.fmean(map(len, known))
    between = max(0.0, statistics.variance(medians) - within / each) if len(known) >= _FEW else 0.0
    allowed = number * (half_width / t_quantile(0.975, number - 1)) ** 2 - between
    per_process = within / max(allowed, between, 1e-9)
    return math.ceil(per_process) * number


def allocate(groups: Sequence[GroupPairs], least: Sequence[int], seconds: float, processes: int, default_s: float) -> list[int]:
    """Return how many further pairs each group gets in all processes to come, if there are these seconds for pairs.

    Every group gets its `least`. Then percentiles are supported, the cheapest first, whichever of them: the 95th of a dear group
    comes after the 99th of a cheap one. What is left makes intervals narrower, in equal parts, those of undecided groups first.
    `processes` is the number of processes of the whole run, `default_s` the seconds of a pair of which nothing is known.
    """
    costs = [max(1e-6, default_s if group.pair_s is None else group.pair_s) for group in groups]
    pairs = list(least)
    left_s = seconds - math.fsum(cost * number for cost, number in zip(costs, pairs, strict=True))
    levels = [group.levels(processes) for group in groups]

    def missing(place: int, level: int) -> int:
        wanted = levels[place][level] if level < len(levels[place]) else 0
        return max(0, wanted - groups[place].pairs - pairs[place])

    upgrades = [(costs[place] * missing(place, level), level, place) for level in range(2) for place in range(len(groups))]
    for _, level, place in sorted(upgrades):
        more = missing(place, level)
        if costs[place] * more <= left_s:
            pairs[place] += more
            left_s -= costs[place] * more
    for level in (2, 3):
        upgrades = sorted(
            (costs[place] * missing(place, level), level, place) for place in range(len(groups)) if missing(place, level)
        )
        for number, (_, _, place) in enumerate(upgrades):
            share_s = max(0.0, left_s) / (len(upgrades) - number)
            more = min(missing(place, level), int(share_s / costs[place]))
            pairs[place] += more
            left_s -= costs[place] * more
    return pairs


@dataclass
class TrialPairs:
    """One trial: its groups, the processes that time it, and what a process takes besides its pairs."""

    groups: dict[str, GroupPairs]
    processes: int
    """Fresh processes in all."""
    slow_processes: int
    """Processes that time slow groups too."""
    overhead_s: float
    """Seconds of a process besides its pairs: its start, instances, warm-up and end; a first estimate until one has run."""
    done: int = 0
    """Processes that have run."""

    def left(self, group: GroupPairs) -> int:
        """Return the number of processes that are still to time a group."""
        return max(0, (self.slow_processes if group.is_slow else self.processes) - self.done)

    def least(self) -> dict[str, int]:
        """Return group → the further pairs that it gets in any case."""
        return {name: group.at_least(self.left(group)) for name, group in self.groups.items()}

    def shares(self, pairs: Mapping[str, int]) -> dict[str, int]:
        """Return how many of these further pairs the next process times: an equal part, rounded up."""
        return {name: -(-pairs[name] // left) for name, group in self.groups.items() if (left := self.left(group))}


@dataclass
class Schedule:
    """The pairs of all trials of a run until its deadline."""

    trials: dict[str, TrialPairs]
    """The trials that are still timed, by their names."""
    first_pair_s: float = 0.05
    """Seconds of a pair of which nothing is known."""

    @property
    def overhead_s(self) -> float:
        """The seconds of all processes to come besides their pairs."""
        return math.fsum(trial.overhead_s * max(0, trial.processes - trial.done) for trial in self.trials.values())

    def planned(self, seconds: float) -> dict[str, dict[str, int]]:
        """Return trial → group → further pairs, if timing may take these seconds."""
        active = {name: trial for name, trial in self.trials.items() if trial.done < trial.processes}
        groups = [(name, group) for name, trial in active.items() for group in trial.groups.values()]
        processes = max((trial.processes for trial in active.values()), default=1)
        least = [number for trial in active.values() for number in trial.least().values()]
        pairs = allocate([group for _, group in groups], least, seconds - self.overhead_s, processes, self.first_pair_s)
        found: dict[str, dict[str, int]] = {name: {} for name in active}
        for (name, group), number in zip(groups, pairs, strict=True):
            found[name][group.name] = number
        return found

    def next_process(self, name: str, seconds: float) -> tuple[dict[str, int], float]:
        """Return group → pairs of a trial's next process, and the seconds that it is expected to take, of `seconds` for all."""
        trial, planned = self.trials[name], self.planned((1 - SPARE) * seconds)
        shares = trial.shares(planned[name])
        return shares, trial.overhead_s + self._pairs_s(trial, shares)

    def wanted_s(self, seconds: float) -> float:
        """Return how long timing is expected to take if it may take `seconds`."""
        planned = self.planned(seconds)
        return math.fsum(
            self.trials[name].overhead_s * (self.trials[name].processes - self.trials[name].done)
            + self._pairs_s(self.trials[name], pairs)
            for name, pairs in planned.items()
        )

    def minimum_s(self) -> float:
        """Return the seconds that all trials together need for the median of each of their groups."""
        return math.fsum(
            trial.overhead_s * (trial.processes - trial.done) + self._pairs_s(trial, trial.least())
            for trial in self.trials.values()
        )

    def fewest_s(self, name: str) -> float:
        """Return the seconds of a trial's next process if it times the fewest pairs that a process may."""
        trial = self.trials[name]
        return trial.overhead_s + self._pairs_s(trial, dict.fromkeys(trial.groups, FEWEST))

    def without_median(self) -> list[tuple[str, str]]:
        """Return (trial, group) of the groups that have too few pairs for their median to have an interval."""
        return [
            (name, group.name) for name, trial in self.trials.items() for group in trial.groups.values() if group.pairs < SLOW_PAIRS
        ]

    def _pairs_s(self, trial: TrialPairs, pairs: Mapping[str, int]) -> float:
        costs = {name: self.first_pair_s if group.pair_s is None else group.pair_s for name, group in trial.groups.items()}
        return math.fsum(costs[name] * number for name, number in pairs.items())
