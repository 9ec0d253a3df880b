"""Do confidence intervals cover the truth as often as stated? Simulated times with a known truth and four kinds of noise."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.results.run import BASELINE, Sample
from harness.stats import intervals as statistics
from harness.stats.intervals import Interval
from harness.stats.percentile_ratios import percentile_ratios
from harness.verdicts.unpaired import Unpaired, median_ratio
from tools.validation.section import Requirement, Section, SectionTable

TITLE = "Do confidence intervals cover the truth as often as stated?"

SIMULATIONS = 1000
PROCESSES, PAIRS = 5, 60
RATIO = 1.05
"""How many times longer the second side takes, in truth."""

SPREAD = 0.05
"""The standard deviation of an operation's noise, on the log scale."""

PROCESS_BIAS = 0.02
"""The same of the bias that lasts for one process and differs between the sides."""

AUTOCORRELATION = 0.7
STATED = 0.95
_SEED = 20_260_101
_CHANCE = 0.01

Logs = npt.NDArray[np.float64]
"""Logs of times, shape (processes, pairs)."""

Noise = Callable[[np.random.Generator], tuple[Logs, Logs]]
"""The noise of both sides."""

_SAYS = (
    f"Times of two sides are simulated, {PROCESSES} processes of {PAIRS} pairs each: the second side takes {RATIO:g} times as long,"
    f" each process has a bias of its own on each side (standard deviation {PROCESS_BIAS:.0%}), and each operation its noise. For"
    " every method the table shows how often its interval covered the truth; all of them state 95 %."
)
_NOTES = (
    (
        "**independent** noise is normal; **heavy tails** are Pareto's with a shape of 1.5, whose variance is infinite;"
        f" **autocorrelated** noise keeps {AUTOCORRELATION:g} of the previous operation's, independently on each side; in **drift**"
        " the machine becomes half as fast again, for both sides alike, while the pairs are taken."
    ),
    (
        "Unpaired times are those of the first process of one side and of the second process of the other. Such an interval"
        " contains neither the processes' bias nor drift, which is why the verdict on unpaired times adds a drift to it, and"
        " nothing is required of it here."
    ),
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
    """A method that gives an interval.

    `required` names the noises in which it must cover the truth as often as stated; `share` is the share of simulations.
    """

    name: str
    holds: Holds
    required: Sequence[str]
    share: float = 1.0


def independent(random: np.random.Generator) -> tuple[Logs, Logs]:
    """Return normal noise."""
    one, other = random.normal(0, SPREAD, (2, PROCESSES, PAIRS))
    return one, other


def heavy_tails(random: np.random.Generator) -> tuple[Logs, Logs]:
    """Return noise with occasional very long operations."""
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


NOISES: Mapping[str, Noise] = {
    "independent": independent,
    "heavy tails": heavy_tails,
    "autocorrelated": autocorrelated,
    "drift": drift,
}


def made(noise: Noise, random: np.random.Generator) -> SimulatedTimes:
    """Return times of both sides."""
    one, other = noise(random)
    bias_one, bias_other = random.normal(0, PROCESS_BIAS, (2, PROCESSES, 1))
    return SimulatedTimes(one + bias_one, other + bias_other + math.log(RATIO))


def over_processes(times: SimulatedTimes) -> bool | None:
    """Test the interval of a run's ratios."""
    rows = zip(np.exp(times.one).tolist(), np.exp(times.other).tolist(), strict=True)
    pairs = {process: list(zip(one, other, strict=True)) for process, (one, other) in enumerate(rows)}
    return _within(statistics.paired_ratio(pairs)[0], 1 / RATIO)


def percentile(label: str) -> Holds:
    """Return a test of the interval for a percentile's ratio."""

    def holds(times: SimulatedTimes) -> bool | None:
        samples = [
            Sample(process, pair, 0, arm, "group", "case", round(1e6 * math.exp(log)))
            for arm, logs in ((BASELINE, times.one), ("arm", times.other))
            for process, row in enumerate(logs)
            for pair, log in enumerate(row.tolist())
        ]
        found = next(row for row in percentile_ratios(samples) if row.percentile == label)
        return _within(Interval(found.ratio or math.nan, found.low, found.high), 1 / RATIO)

    return holds


def unpaired(times: SimulatedTimes) -> bool | None:
    """Test the interval of two runs' medians: of one side's first process, and of the other's second."""
    before, after = np.sort(np.exp(times.one[0])), np.sort(np.exp(times.other[1]))
    sides = [Unpaired(float(np.median(side)), PAIRS, side, np.ones(PAIRS, dtype=np.int64)) for side in (before, after)]
    return _within(median_ratio(*sides), 1 / RATIO)


def _within(interval: Interval, truth: float) -> bool | None:
    return None if interval.low is None or interval.high is None else interval.low <= truth <= interval.high


METHODS = (
    Method("ratio over processes (Student's t)", over_processes, tuple(NOISES)),
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
    """Return the outcomes of `number` simulations; every method gets the same simulated times, reproducibly."""
    random = np.random.default_rng([_SEED, list(NOISES).index(noise)])
    return [method.holds(made(NOISES[noise], random)) for _ in range(number)]


def section(lines: Sequence[tuple[Method, Mapping[str, Sequence[bool | None]]]]) -> Section:
    """Return how often each method's interval covered the truth, per noise."""
    rows, requirements = [], []
    for method, held in lines:
        number = len(next(iter(held.values())))
        rows.append([method.name, f"{number}", *(_share(one) for one in held.values())])
        if method.required:
            short = [noise for noise in method.required if not is_plausible(held[noise])]
            worst = min(_rate(held[noise]) for noise in method.required)
            noises = ", ".join(method.required)
            text = f"{method.name}: the truth is covered {STATED:.0%} of the time in {noises}; at worst {worst:.1%}"
            requirements.append(Requirement(text, not short))
    table = SectionTable("Coverage of intervals that state 95 %", ("interval", "simulations", *NOISES), rows)
    return Section(TITLE, _SAYS, [table], requirements, _NOTES)


def is_plausible(held: Sequence[bool | None]) -> bool:
    """Whether the number of misses is plausible for an interval that covers as often as stated; a missing interval is a miss."""
    misses = sum(one is not True for one in held)
    return bool(held) and statistics.at_least_by_chance(misses, len(held), 1 - STATED) > _CHANCE


def _rate(held: Sequence[bool | None]) -> float:
    return sum(one is True for one in held) / len(held)


def _share(held: Sequence[bool | None]) -> str:
    return f"{_rate(held):.1%}" + (f" ({sum(one is None for one in held)} without)" if None in held else "")
