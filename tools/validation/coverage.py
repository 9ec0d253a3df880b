"""Do intervals hold the truth as often as they say? Made-up times whose truth is known, with four kinds of noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.results.run import BASELINE, Sample
from harness.stats import intervals as statistics
from harness.stats import sequential_test as evidence
from harness.stats.intervals import Interval
from harness.stats.percentile_ratios import percentile_ratios
from harness.verdicts.unpaired import Unpaired, median_ratio
from tools.validation.section import Requirement, Section, SectionTable

TITLE = "Do intervals hold the truth as often as they say?"

SIMULATIONS = 1000
PROCESSES, PAIRS = 5, 60
RATIO = 1.05
"""How many times longer the second side takes, in truth."""

SPREAD = 0.05
"""The standard deviation of an operation's noise, on the log scale."""

PROCESS_BIAS = 0.02
"""The same of what lasts a process and is each side's own."""

AUTOCORRELATION = 0.7
STATED = 0.95
_SEED = 20_260_101
_CHANCE = 0.01

Logs = npt.NDArray[np.float64]
"""Logs of times, shape (processes, pairs)."""

Noise = Callable[[np.random.Generator], tuple[Logs, Logs]]
"""The noise of both sides."""

_SAYS = (
    f"Times of two sides are made up, {PROCESSES} processes of {PAIRS} pairs each: the second side takes {RATIO:g} times as long,"
    f" each process has a bias of its own on each side (standard deviation {PROCESS_BIAS:.0%}), and each operation its noise. For"
    " every method the table says how often its interval held the truth; all of them state 95 %."
)
_NOTES = (
    (
        "**independent** noise is normal; **heavy tails** are Pareto's with a shape of 1.5, whose variance is infinite;"
        f" **autocorrelated** noise remembers {AUTOCORRELATION:g} of the operation before, on each side by itself; in **drift** the"
        " machine becomes half as fast again, for both sides alike, while the pairs are taken."
    ),
    (
        "Intervals inside a process are about that process, and take its pairs for independent of each other. Noise that each side"
        " remembers by itself breaks this, so nothing is required there; the interval over processes does not care."
    ),
    (
        "Unpaired times are those of the first process of one side and of the second process of the other. Neither the processes'"
        " bias nor drift is in such an interval, which is why the verdict on unpaired times adds a drift to it, and nothing is"
        " required of it here."
    ),
)


@dataclass(frozen=True)
class Made:
    """Logs of both sides' times, and how much longer the second side takes in the first process, its bias included, as a log."""

    one: Logs
    other: Logs
    first_truth: float


Holds = Callable[[Made], bool | None]
"""Whether a method's interval holds the truth; None for no interval."""


@dataclass(frozen=True)
class Method:
    """A way to an interval. `required` names the noises in which it must hold as often as stated; `share` is of the simulations."""

    name: str
    holds: Holds
    required: Sequence[str]
    share: float = 1.0


def independent(random: np.random.Generator) -> tuple[Logs, Logs]:
    """Return normal noise."""
    one, other = random.normal(0, SPREAD, (2, PROCESSES, PAIRS))
    return one, other


def heavy_tails(random: np.random.Generator) -> tuple[Logs, Logs]:
    """Return noise with now and then a very long operation."""
    one, other = np.log1p(SPREAD * random.pareto(1.5, (2, PROCESSES, PAIRS)))
    return one, other


def autocorrelated(random: np.random.Generator) -> tuple[Logs, Logs]:
    """Return noise that each side remembers by itself: AR(1)."""
    noise = random.normal(0, SPREAD, (2, PROCESSES, PAIRS))
    for place in range(1, PAIRS):
        fresh = math.sqrt(1 - AUTOCORRELATION**2) * noise[..., place]
        noise[..., place] = AUTOCORRELATION * noise[..., place - 1] + fresh
    return noise[0], noise[1]


def drift(random: np.random.Generator) -> tuple[Logs, Logs]:
    """Return normal noise on a machine that becomes slower and slower."""
    one, other = independent(random)
    slower = np.linspace(0, math.log(1.5), PROCESSES * PAIRS).reshape(PROCESSES, PAIRS)
    return one + slower, other + slower


NOISES: Mapping[str, Noise] = {
    "independent": independent,
    "heavy tails": heavy_tails,
    "autocorrelated": autocorrelated,
    "drift": drift,
}


def made(noise: Noise, random: np.random.Generator) -> Made:
    """Return times of both sides."""
    one, other = noise(random)
    bias_one, bias_other = random.normal(0, PROCESS_BIAS, (2, PROCESSES, 1))
    truth = math.log(RATIO)
    return Made(one + bias_one, other + bias_other + truth, truth + float(bias_other[0, 0] - bias_one[0, 0]))


def over_processes(times: Made) -> bool | None:
    """Try the interval of a run's ratios."""
    rows = zip(np.exp(times.one).tolist(), np.exp(times.other).tolist(), strict=True)
    pairs = {process: list(zip(one, other, strict=True)) for process, (one, other) in enumerate(rows)}
    return _within(statistics.paired_ratio(pairs)[0], 1 / RATIO)


def inside(find: Callable[[Sequence[float]], Interval]) -> Holds:
    """Return the trial of an interval for the median over the first process's pairs."""
    return lambda times: _within(find((times.other[0] - times.one[0]).tolist()), times.first_truth)


def percentile(label: str) -> Holds:
    """Return the trial of the interval for a percentile's ratio."""

    def holds(times: Made) -> bool | None:
        samples = [
            Sample(process, pair, 0, arm, "group", "case", round(1e6 * math.exp(log)))
            for arm, logs in ((BASELINE, times.one), ("arm", times.other))
            for process, row in enumerate(logs)
            for pair, log in enumerate(row.tolist())
        ]
        found = next(row for row in percentile_ratios(samples) if row.percentile == label)
        return _within(Interval(found.ratio or math.nan, found.low, found.high), 1 / RATIO)

    return holds


def unpaired(times: Made) -> bool | None:
    """Try the interval of two runs' medians: of one side's first process, and of the other's second."""
    before, after = np.sort(np.exp(times.one[0])), np.sort(np.exp(times.other[1]))
    sides = [Unpaired(float(np.median(side)), PAIRS, side, np.ones(PAIRS, dtype=np.int64)) for side in (before, after)]
    return _within(median_ratio(*sides), 1 / RATIO)


def _within(interval: Interval, truth: float) -> bool | None:
    return None if interval.low is None or interval.high is None else interval.low <= truth <= interval.high


FAIR = ("independent", "heavy tails", "drift")
METHODS = (
    Method("ratio over processes (Student's t)", over_processes, tuple(NOISES)),
    Method("median of a process's pairs (sign test)", inside(statistics.median_interval), FAIR),
    Method("the same, valid after every pair (evidence)", inside(evidence.median_interval), FAIR),
    Method("ratio of p95 (blocks of pairs)", percentile("95"), tuple(NOISES), 0.2),
    Method("unpaired medians (bootstrap)", unpaired, ()),
)


def run(effort: float) -> Section:
    """Simulate."""
    lines = []
    for method in METHODS:
        number = max(20, round(SIMULATIONS * method.share * effort))
        lines.append((method, {noise: simulated(method, noise, number) for noise in NOISES}))
    return section(lines)


def simulated(method: Method, noise: str, number: int) -> list[bool | None]:
    """Return what became of so many simulations; the same every time, and the same times for every method."""
    random = np.random.default_rng([_SEED, list(NOISES).index(noise)])
    return [method.holds(made(NOISES[noise], random)) for _ in range(number)]


def section(lines: Sequence[tuple[Method, Mapping[str, Sequence[bool | None]]]]) -> Section:
    """Return how often each method's interval held the truth, in each noise."""
    rows, requirements = [], []
    for method, held in lines:
        number = len(next(iter(held.values())))
        rows.append([method.name, f"{number}", *(_share(one) for one in held.values())])
        if method.required:
            short = [noise for noise in method.required if not is_kept(held[noise])]
            worst = min(_rate(held[noise]) for noise in method.required)
            says = (
                f"{method.name}: the truth is held {STATED:.0%} of the time in {', '.join(method.required)}; at worst {worst:.1%}"
            )
            requirements.append(Requirement(says, not short))
    table = SectionTable("How often an interval that states 95 % held the truth", ("interval", "simulations", *NOISES), rows)
    return Section(TITLE, _SAYS, [table], requirements, _NOTES)


def is_kept(held: Sequence[bool | None]) -> bool:
    """Whether so few misses are no surprise for an interval that holds as often as stated; a missing interval is a miss."""
    misses = sum(one is not True for one in held)
    return bool(held) and statistics.at_least_by_chance(misses, len(held), 1 - STATED) > _CHANCE


def _rate(held: Sequence[bool | None]) -> float:
    return sum(one is True for one in held) / len(held)


def _share(held: Sequence[bool | None]) -> str:
    return f"{_rate(held):.1%}" + (f" ({sum(one is None for one in held)} without)" if None in held else "")
