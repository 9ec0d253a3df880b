"""Do confidence intervals cover the truth as often as stated? Simulated times with a known truth and four kinds of noise."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.stats import intervals as statistics
from harness.stats.intervals import Interval
from harness.verdicts.unpaired import Unpaired, median_ratio
from tools.section import Requirement, Section, SectionTable

TITLE = "Do confidence intervals cover the truth as often as stated?"

SIMULATIONS = 1000
PROCESSES, PAIRS = 5, 60
RATIO = 1.05
"""The true time of the second side ÷ that of the first."""

SPREAD, PROCESS_BIAS = 0.05, 0.02
"""The standard deviations of an operation's noise, and of a process's bias on each side, on the log scale."""

AUTOCORRELATION, STATED = 0.7, 0.95
_SEED, _CHANCE = 20_260_101, 0.01

Logs = npt.NDArray[np.float64]
"""Logs of times, shape (processes, pairs)."""

_TEXT = (
    f"Times of two sides are simulated, {PROCESSES} processes of {PAIRS} pairs each: the second side takes {RATIO:g} times as long,"
    f" each process has a separate bias on each side (standard deviation {PROCESS_BIAS:.0%}), and each operation its noise. For"
    " every method the table shows how often its interval covered the truth; all of them state 95 %."
)
_NOTES = (
    "**independent** noise is normal; **heavy tails** are Pareto's with a shape of 1.5, whose variance is infinite.",
    f"**autocorrelated** noise keeps {AUTOCORRELATION:g} of the previous operation's; in **drift** all times grow by half.",
    "Unpaired times are those of one process per side; their interval contains neither the processes' bias nor drift.",
    "That is why the verdict on unpaired times adds a drift to their interval, and nothing is required of it here.",
)


@dataclass(frozen=True)
class SimulatedTimes:
    """Logs of both sides' times."""

    one: Logs
    other: Logs


Holds = Callable[[SimulatedTimes], bool | None]
"""Whether a method's interval covers the truth; None without an interval."""


@dataclass(frozen=True)
class Method:
    """A method that gives an interval, and the noises in which it must cover the truth."""

    name: str
    holds: Holds
    required: Sequence[str]


def independent(random: np.random.Generator) -> tuple[Logs, Logs]:
    """Return normal noise."""
    one, other = random.normal(0, SPREAD, (2, PROCESSES, PAIRS))
    return one, other


def _heavy_tails(random: np.random.Generator) -> tuple[Logs, Logs]:
    one, other = np.log1p(SPREAD * random.pareto(1.5, (2, PROCESSES, PAIRS)))
    return one, other


def autocorrelated(random: np.random.Generator) -> tuple[Logs, Logs]:
    """Return AR(1) noise, independent on each side."""
    noise = random.normal(0, SPREAD, (2, PROCESSES, PAIRS))
    for place in range(1, PAIRS):
        fresh = math.sqrt(1 - AUTOCORRELATION**2) * noise[..., place]
        noise[..., place] = AUTOCORRELATION * noise[..., place - 1] + fresh
    return noise[0], noise[1]


def drift(random: np.random.Generator) -> tuple[Logs, Logs]:
    """Return normal noise on a machine that becomes slower over time."""
    one, other = independent(random)
    slower = np.linspace(0, math.log(1.5), PROCESSES * PAIRS).reshape(PROCESSES, PAIRS)
    return one + slower, other + slower


NOISES = {"independent": independent, "heavy tails": _heavy_tails, "autocorrelated": autocorrelated, "drift": drift}


def made(noise: Callable[[np.random.Generator], tuple[Logs, Logs]], random: np.random.Generator) -> SimulatedTimes:
    """Return times of both sides."""
    one, other = noise(random)
    bias_one, bias_other = random.normal(0, PROCESS_BIAS, (2, PROCESSES, 1))
    return SimulatedTimes(one + bias_one, other + bias_other + math.log(RATIO))


def _over_processes(times: SimulatedTimes) -> bool | None:
    rows = zip(np.exp(times.one).tolist(), np.exp(times.other).tolist(), strict=True)
    pairs = {process: list(zip(one, other, strict=True)) for process, (one, other) in enumerate(rows)}
    return _within(statistics.paired_ratio(pairs)[0], 1 / RATIO)


def _unpaired(times: SimulatedTimes) -> bool | None:
    before, after = np.sort(np.exp(times.one[0])), np.sort(np.exp(times.other[1]))
    sides = [Unpaired(float(np.median(side)), PAIRS, side, np.ones(PAIRS, dtype=np.int64)) for side in (before, after)]
    return _within(median_ratio(*sides), 1 / RATIO)


def _within(interval: Interval, truth: float) -> bool | None:
    return None if interval.low is None or interval.high is None else interval.low <= truth <= interval.high


METHODS = (
    Method("ratio over processes (Student's t)", _over_processes, tuple(NOISES)),
    Method("unpaired medians (bootstrap)", _unpaired, ()),
)


def run(effort: float) -> Section:
    """Simulate."""
    number = max(20, round(SIMULATIONS * effort))
    return section([(method, {noise: simulated(method, noise, number) for noise in NOISES}) for method in METHODS])


def simulated(method: Method, noise: str, number: int) -> list[bool | None]:
    """Return the outcomes of `number` simulations; every method gets the same simulated times, reproducibly."""
    random = np.random.default_rng([_SEED, list(NOISES).index(noise)])
    return [method.holds(made(NOISES[noise], random)) for _ in range(number)]


def section(lines: Sequence[tuple[Method, Mapping[str, Sequence[bool | None]]]]) -> Section:
    """Return how often each method's interval covered the truth, per noise."""
    rows, requirements = [], []
    for method, held in lines:
        shares = {noise: each.count(True) / len(each) for noise, each in held.items()}
        without = [f" ({each.count(None)} without)" if None in each else "" for each in held.values()]
        cells = [f"{share:.1%}{none}" for share, none in zip(shares.values(), without, strict=True)]
        rows.append([method.name, f"{len(held['independent'])}", *cells])
        if method.required:
            worst, noises = min(shares[noise] for noise in method.required), ", ".join(method.required)
            text = f"{method.name}: the truth is covered {STATED:.0%} of the time in {noises}; at worst {worst:.1%}"
            requirements.append(Requirement(text, all(is_plausible(held[noise]) for noise in method.required)))
    table = SectionTable("Coverage of intervals that state 95 %", ("interval", "simulations", *NOISES), rows)
    return Section(TITLE, _TEXT, [table], requirements, _NOTES)


def is_plausible(held: Sequence[bool | None]) -> bool:
    """Whether the number of misses is plausible for an interval that covers as often as stated; a missing interval is a miss."""
    misses = len(held) - held.count(True)
    return bool(held) and statistics.at_least_by_chance(misses, len(held), 1 - STATED) > _CHANCE
