"""Does `harness gate --against` detect a small slowdown, and none in identical code? Pairs of processes on one core."""

import sys
from collections.abc import Sequence

import numpy as np

from harness.gate.against.budget import GateBudget
from harness.gate.against.compare import VersionCommand
from harness.gate.against.sequence import TimedPart, compare_all
from harness.gate.against.verdicts import MARGIN, PairedTime
from harness.results.gate import GateVerdict
from harness.runtime.child import child_environment
from harness.runtime.cores import choose_cores
from harness.stats.intervals import at_least_by_chance, binomial_bounds
from harness.stats.process_pairs import ALPHA
from tools.section import Requirement, Section, SectionTable
from tools.validation import workload

TITLE = "Does `harness gate --against` detect a small slowdown, and none in identical code?"

INJECTED = {0: 200, 3: 100, 5: 30}
"""Percent that the new version does more → number of comparisons."""

BUDGET_S = 40.0
"""Time budget of a comparison, which usually ends in a quarter of it."""

VERDICTS = (GateVerdict.REGRESSED, GateVerdict.IMPROVED, GateVerdict.EQUIVALENT, GateVerdict.INCONCLUSIVE)
MISSED, _CHANCE = 0.01, 0.05
_TEXT = (
    "The workload of the question about pairs as two versions of a program, in pairs of fresh processes on one core, interleaved as"
    f" by `harness gate --against`, for at most {BUDGET_S:g} s each, until it is decided. A slowdown has to recur in"
    " fresh processes to be reported."
)
_NOTES = (
    f"So few comparisons cannot prove that false alarms are as rare as {ALPHA:.0%}, or that {1 - MISSED:.0%} are found.",
    "A requirement is missed beyond what chance allows at these rates; in brackets: the true rate's 95 % confidence interval.",
    f"The margin is {MARGIN:.0%}: a slowdown of exactly that size is at the limit of what must be found.",
)


def run(effort: float) -> Section:
    """Compare."""
    return section({percent: compared(percent, max(1, round(number * effort))) for percent, number in INJECTED.items()})


def compared(percent: int, number: int) -> list[PairedTime]:
    """Return `number` comparisons, each with its own random order."""
    path = {"PYTHONPATH": child_environment()["PYTHONPATH"]}
    versions = (("old", 0), ("new", percent))
    old, new = (VersionCommand([sys.executable, workload.__file__, str(p)], name, environment=path) for name, p in versions)
    found: list[PairedTime] = []
    for trial in range(number):
        found += compare_all([TimedPart(old, new)], GateBudget(BUDGET_S), seed=f"{percent}/{trial}", overlap=True).times
    return found


def section(found: dict[int, Sequence[PairedTime]]) -> Section:
    """Return the section, by injected slowdown."""
    rows = []
    for percent, times in found.items():
        shares = [time.ratio - 1 for time in times if time.ratio is not None]
        seen = [time.detectable for time in times if time.detectable is not None]
        counts = [f"{sum(time.verdict == verdict for time in times)}" for verdict in VERDICTS]
        detectable = f"{np.median(seen):.1%}" if seen else "–"
        rows.append(
            [f"+{percent} %", f"{len(times)}", *counts, f"{min(shares):+.2%} … {max(shares):+.2%}" if shares else "–", detectable]
        )
    columns = ("new version", "comparisons", *VERDICTS, "measured", "detectable (median)")
    alarms = [time.verdict in {GateVerdict.REGRESSED, GateVerdict.IMPROVED} for time in found[0]]
    missed = {percent: [t.verdict != GateVerdict.REGRESSED for t in times] for percent, times in found.items() if percent}
    requirements = [_rare("false alarms on the same work", alarms, ALPHA)]
    requirements += [_rare(f"slowdowns of {percent} % missed", each, MISSED) for percent, each in missed.items()]
    alone = [] if choose_cores().worker is not None else ["This machine has one core, shared with everything else."]
    return Section(TITLE, _TEXT, [SectionTable("Old against new", columns, rows)], requirements, [*_NOTES, *alone])


def _rare(event: str, each: Sequence[bool], rate: float) -> Requirement:
    """Return the requirement that an event occurs no more often than a rate and chance allow."""
    hits, trials = sum(each), len(each)
    low, high = binomial_bounds(hits, trials)
    bounds = f"[{low:.0%}, {high:.0%}]"
    return Requirement(f"{event}: {hits} of {trials} {bounds}", at_least_by_chance(hits, trials, rate) > _CHANCE)
