"""Does a schedule that stops what is decided bias intervals? Simulated runs with a known truth, with and without it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.bench.schedule import GroupPairs, Schedule, TrialPairs, is_decided
from harness.stats.intervals import Interval, paired_ratio
from tools.section import Requirement, Section, SectionTable
from tools.validation.coverage import is_plausible

TITLE = "Does stopping early bias intervals?"

RUNS = 400
PROCESSES, OVERHEAD_S, BUDGET_S = 5, 1.0, 30.0
PAIR_S = (0.004, 0.02, 0.1)
"""Seconds of a pair of each group of a run."""
PROMISED = 2.0
"""The promised ratio, on which a verdict is decided or not."""
TRUTHS = (1.0, PROMISED, 2.1, 4.0)
"""True ratios: no effect, exactly what was promised, a little more, and far more."""
SPREAD, PROCESS_BIAS = 0.3, 0.02
"""Standard deviations of a pair's log ratio within a process, and of a process's bias."""
_SEED = 20_261_130

_TEXT = (
    f"Each simulated run times {len(PAIR_S)} groups, whose pairs take {', '.join(f'{1e3 * s:g}' for s in PAIR_S)} ms, in"
    f" {PROCESSES} processes within {BUDGET_S:g} s, with the schedule of `harness run`: after each process it gives the next ones"
    f" their pairs, fewer where the promised ratio, {PROMISED:g}×, is clearly outside the interval, and more where it is not. A"
    f" pair's log ratio has a standard deviation of {SPREAD:g}, normal or with heavy tails (Student's t with 3 degrees of freedom),"
    f" a process's bias {PROCESS_BIAS:.0%}. Beside it the same without looking: the same pairs in every process."
)
_NOTES = ("**Pairs** are those of a group, on average: what stopping saves, and where it spends it.",)


@dataclass(frozen=True)
class Simulated:
    """The intervals of one group over all simulated runs, and the pairs that it had."""

    truth: float
    intervals: Sequence[Interval]
    pairs: float

    @property
    def held(self) -> list[bool | None]:
        """Whether each interval covers the truth."""
        return [i.low is not None and i.high is not None and i.low <= self.truth <= i.high for i in self.intervals]


def run(effort: float) -> Section:
    """Simulate runs with the schedule, and runs that look at nothing."""
    number = max(20, round(RUNS * effort))
    found = {
        (noise, truth, looks): simulate(noise, truth, number, looks=looks)
        for noise in ("normal", "heavy tails")
        for truth in TRUTHS
        for looks in (False, True)
    }
    return section(found)


def simulate(noise: str, truth: float, number: int, *, looks: bool) -> Simulated:
    """Return the intervals of `number` simulated runs whose groups all have this true ratio."""
    random = np.random.default_rng([_SEED, int(truth * 100), noise == "normal"])
    intervals, pairs = [], []
    for _ in range(number):
        for ratios in _run(noise, truth, random, looks=looks):
            intervals.append(interval(ratios))
            pairs.append(sum(map(len, ratios.values())))
    return Simulated(truth, intervals, float(np.mean(pairs)))


def interval(log_ratios: dict[int, list[float]]) -> Interval:
    """Return the interval of a group's ratio."""
    return paired_ratio({process: [(math.exp(log), 1.0) for log in logs] for process, logs in log_ratios.items()})[0]


def _run(noise: str, truth: float, random: np.random.Generator, *, looks: bool) -> list[dict[int, list[float]]]:
    """Simulate one run; return process → log ratios of each group."""
    groups = {f"{pair_s:g}": GroupPairs(f"{pair_s:g}", pair_s, pair_s / 3) for pair_s in PAIR_S}
    trial = TrialPairs(groups, PROCESSES, PROCESSES, OVERHEAD_S)
    schedule, left_s = Schedule({"run": trial}), BUDGET_S
    same, _ = schedule.next_process("run", left_s)
    ratios: dict[str, dict[int, list[float]]] = {name: {} for name in groups}
    for process in range(1, PROCESSES + 1):
        shares = schedule.next_process("run", left_s)[0] if looks else same
        left_s -= OVERHEAD_S
        for name, group in groups.items():
            draws = random.normal(0, 1, shares[name]) if noise == "normal" else random.standard_t(3, shares[name]) / math.sqrt(3)
            bias = random.normal(0, PROCESS_BIAS)
            ratios[name][process] = (math.log(truth) + bias + SPREAD * draws).tolist()
            group.pairs += shares[name]
            group.log_ratios = {"arm": ratios[name]}
            left_s -= shares[name] * PAIR_S[list(groups).index(name)]
            so_far = interval(ratios[name])
            group.is_decided = is_decided(so_far.value, so_far.low, so_far.high, [PROMISED])
        trial.done += 1
    return list(ratios.values())


def section(found: dict[tuple[str, float, bool], Simulated]) -> Section:
    """Return coverage with and without stopping, and the requirement that stopping costs none."""
    rows = []
    for noise, truth in dict.fromkeys((noise, truth) for noise, truth, _ in found):
        without, with_it = found[noise, truth, False], found[noise, truth, True]
        cells = [f"{simulated.held.count(True) / len(simulated.held):.1%}" for simulated in (without, with_it)]
        pairs = [f"{simulated.pairs:.0f}" for simulated in (without, with_it)]
        rows.append([f"{noise}, {truth:g}×", f"{len(with_it.held)}", *cells, *pairs])
    looked = {key: simulated for key, simulated in found.items() if key[2]}
    worst = min(simulated.held.count(True) / len(simulated.held) for simulated in looked.values())
    promised = [simulated for (_, truth, _), simulated in looked.items() if truth == PROMISED]
    false = sum(s.held.count(False) for s in promised) / sum(len(s.held) for s in promised)
    requirements = [
        Requirement(
            f"intervals of runs that stop early cover the truth 95 % of the time; at worst {worst:.1%}",
            all(is_plausible(simulated.held) for simulated in looked.values()),
        ),
        Requirement(
            f"at a true ratio of exactly what was promised, 5 % of the intervals exclude it: {false:.1%}",
            is_plausible([held for simulated in promised for held in simulated.held]),
        ),
    ]
    columns = ("noise, true ratio", "intervals", "covered, same pairs", "covered, stopping", "pairs, same", "pairs, stopping")
    return Section(TITLE, _TEXT, [SectionTable("Coverage with and without stopping", columns, rows)], requirements, _NOTES)
