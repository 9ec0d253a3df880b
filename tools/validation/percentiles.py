"""Do the intervals of percentiles cover the truth as often as stated? Simulated operations that have more or less in common."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.results.run import BASELINE, Slot
from harness.stats.intervals import QUANTILES, bounding_ranks
from harness.stats.percentiles import RATIO_LABELS, estimates, percentile_ratios
from tools.section import Requirement, Section, SectionTable
from tools.validation.coverage import AUTOCORRELATION, PROCESS_BIAS, RATIO, SPREAD, STATED, is_plausible

TITLE = "Do the intervals of percentiles cover the truth as often as stated?"
SIMULATIONS = 1000
PROCESSES, PAIRS = 5, 100
SLOT_SPREAD = SPREAD / 2
"""The standard deviation of the part that the operations of one slot share, on the log scale."""
POPULATION = 2_000_000
"""The number of operations whose percentiles are the truth."""
PERCENTILE, RATIOS, PLAIN = "percentile", "ratio of percentiles", "percentile, all operations independent"
_SEED = 20_260_101

Logs = npt.NDArray[np.float64]
"""Logs of times, shape (processes, pairs, operations per slot)."""
Held = Mapping[tuple[str, str], Sequence[bool | None]]
"""(interval, label) → whether it covered the truth in each simulation; None without an interval."""

_TEXT = (
    f"Operations of two sides are simulated, {PROCESSES} processes of {PAIRS} pairs each, the second side {RATIO:g} times as slow."
    " The table shows how often the 95 % interval covered the percentile of all operations there could be, and the ratio of the two"
    " sides' percentiles. The last rows count every operation as independent, as the order statistics of one sample do."
)
_NOTES = (
    f"Noise is normal with a standard deviation of {SPREAD:.0%}, **heavy tails** are Pareto's with a shape of 1.5.",
    f"**slots** have 8 operations that share {SLOT_SPREAD:.1%}; **processes** differ by {PROCESS_BIAS:.0%}.",
    f"**autocorrelated** noise keeps {AUTOCORRELATION:g} of the previous pair's; in **drift** all times grow by half over the run.",
    "An interval that is not there, because slots that are alike support no p99, is left out of its share and counted beside it.",
)


@dataclass(frozen=True)
class CorrelatedTimes:
    """A distribution of times that operations have partly in common. Standard deviations are on the log scale."""

    operations: int = 1
    """Per slot."""
    slot: float = 0.0
    process: float = 0.0
    drift: float = 0.0
    """The log of the last pair's time ÷ the first one's."""
    autocorrelation: float = 0.0
    heavy: bool = False

    def _noise(self, random: np.random.Generator, shape: tuple[int, ...]) -> Logs:
        return np.log1p(SPREAD * random.pareto(1.5, shape)) if self.heavy else random.normal(0, SPREAD, shape)

    def times(self, random: np.random.Generator) -> Logs:
        """Return one side's times."""
        logs = self._noise(random, (PROCESSES, PAIRS, self.operations))
        for place in range(1, PAIRS if self.autocorrelation else 0):
            fresh = math.sqrt(1 - self.autocorrelation**2) * logs[:, place]
            logs[:, place] = self.autocorrelation * logs[:, place - 1] + fresh
        shared = random.normal(0, self.slot, (PROCESSES, PAIRS, 1)) + random.normal(0, self.process, (PROCESSES, 1, 1))
        return logs + shared + np.linspace(0, self.drift, PROCESSES * PAIRS).reshape(PROCESSES, PAIRS, 1)

    def truth(self) -> dict[str, float]:
        """Return the logs of the percentiles of `RATIO_LABELS` of all operations, each of a process and a slot of its own."""
        random = np.random.default_rng(_SEED)
        logs = self._noise(random, (POPULATION,)) + random.normal(0, math.hypot(self.slot, self.process), POPULATION)
        logs += np.linspace(0, self.drift, POPULATION)
        return {label: float(np.quantile(logs, QUANTILES[label])) for label in RATIO_LABELS}


SITUATIONS = {
    "independent": CorrelatedTimes(),
    "heavy tails": CorrelatedTimes(heavy=True),
    "slots": CorrelatedTimes(operations=8, slot=SLOT_SPREAD),
    "processes": CorrelatedTimes(process=PROCESS_BIAS),
    "autocorrelated": CorrelatedTimes(autocorrelation=AUTOCORRELATION),
    "drift": CorrelatedTimes(drift=math.log(1.5)),
    "all of them": CorrelatedTimes(8, SLOT_SPREAD, PROCESS_BIAS, math.log(1.5), heavy=True),
}


def run(effort: float) -> Section:
    """Simulate."""
    number = max(20, round(SIMULATIONS * effort))
    return section({name: simulated(situation, number) for name, situation in SITUATIONS.items()})


def simulated(situation: CorrelatedTimes, number: int) -> Held:
    """Return the outcomes of `number` simulations, reproducibly."""
    random, truth = np.random.default_rng(_SEED), situation.truth()
    held: dict[tuple[str, str], list[bool | None]] = {
        (kind, label): [] for kind in (PERCENTILE, RATIOS, PLAIN) for label in RATIO_LABELS
    }
    for _ in range(number):
        base, other = situation.times(random), situation.times(random) + math.log(RATIO)
        taken = [slot for arm, logs in ((BASELINE, base), ("arm", other)) for slot in slots(arm, logs)]
        known, ordered = estimates(taken[: len(taken) // 2], RATIO_LABELS), np.sort(base, axis=None)
        ratios = {row.percentile: (row.low, row.high) for row in percentile_ratios(taken)}
        for label in RATIO_LABELS:
            time_ns, ranks = 1e9 * math.exp(truth[label]), bounding_ranks(len(ordered), QUANTILES[label])
            held[PERCENTILE, label].append(_within(known[label].interval_ns, time_ns))
            held[RATIOS, label].append(_within(ratios[label], 1 / RATIO))
            held[PLAIN, label].append(_within(ranks and (ordered[ranks[0] - 1], ordered[ranks[1] - 1]), truth[label]))
    return held


def slots(arm: str, logs: Logs) -> list[Slot]:
    """Return times as slots, in nanoseconds of about a second."""
    times_ns = np.rint(1e9 * np.exp(logs)).astype(np.int64)
    return [Slot(p, p * PAIRS + i, 0, arm, "group", "case", times_ns[p, i]) for p in range(PROCESSES) for i in range(PAIRS)]


def _within(bounds: tuple[float | None, float | None] | None, truth: float) -> bool | None:
    low, high = bounds or (None, None)
    return None if low is None or high is None else bool(low <= truth <= high)


def section(found: Mapping[str, Held]) -> Section:
    """Return how often each interval covered the truth, per situation."""
    rows, requirements = [], []
    for kind, label in next(iter(found.values())):
        held = {name: [each for each in situation[kind, label] if each is not None] for name, situation in found.items()}
        missing = {name: len(situation[kind, label]) - len(held[name]) for name, situation in found.items()}
        shares = {name: each.count(True) / len(each) if each else math.nan for name, each in held.items()}
        without = [f" ({missing[name]} without)" if missing[name] else "" for name in shares]
        cells = [f"{share:.1%}{none}" for share, none in zip(shares.values(), without, strict=True)]
        rows.append([f"p{label}, {kind}", *cells])
        if kind != PLAIN:
            text = f"p{label}, {kind}: the truth is covered {STATED:.0%} of the time; at worst {min(shares.values()):.1%}"
            requirements.append(Requirement(text, all(is_plausible(each) for each in held.values())))
    number = max(len(each) for situation in found.values() for each in situation.values())
    table = SectionTable(f"Coverage of intervals that state 95 %, of {number} simulations", ("interval", *found), rows)
    return Section(TITLE, _TEXT, [table], requirements, _NOTES)
