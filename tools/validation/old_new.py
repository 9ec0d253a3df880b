"""Does `harness gate --against` detect a small slowdown, and none in identical code? Pairs of processes on one core."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.gate.against.compare import MARGIN, PairedTime, VersionCommand, compare_all
from harness.results.gate import GateVerdict
from harness.runtime.child import child_environment
from harness.runtime.cores import choose_cores
from harness.stats.intervals import at_least_by_chance
from harness.stats.process_pairs import ALPHA
from harness.verdicts import rates
from tools.validation.section import Requirement, Section, SectionTable
from tools.validation.times import side

TITLE = "Does `harness gate --against` detect a small slowdown, and none in identical code?"

INJECTED = {0: 30, 3: 20}
"""Percent that the new version does more → number of comparisons."""

BUDGET_S = 15.0
"""Time budget of a comparison, including the second set of processes that confirms a suspected slowdown."""

MISSED = 0.05
_CHANCE = 0.05
_SAYS = (
    "The workload of the question about pairs as two versions of a program, each in ten fresh processes on one core, interleaved as"
    f" `harness gate --against` times them, with {BUDGET_S:g} s per comparison. A slowdown has to appear again in fresh"
    " processes before it is reported. The new version does the same work, or exactly the stated share more."
)
_NOTES = (
    (
        f"This number of comparisons cannot prove that false alarms are as rare as {ALPHA:.0%}, or that {1 - MISSED:.0%} are found:"
        " a requirement is missed only beyond what chance allows at these rates. In brackets: the 95 % confidence interval of the"
        " true rate (Clopper and Pearson 1934)."
    ),
    f"The margin is {MARGIN:.0%}: a slowdown of exactly that size is at the limit of what must be found.",
)


def run(effort: float) -> Section:
    """Compare.

    Raises:
        VersionError: a process failed.
    """
    return section({percent: compared(percent, max(1, round(number * effort))) for percent, number in INJECTED.items()})


def compared(percent: int, number: int) -> list[PairedTime]:
    """Return `number` comparisons, each with its own random order."""
    old, new = (
        VersionCommand(
            [sys.executable, str(Path(side.__file__)), str(p)], name, environment={"PYTHONPATH": child_environment()["PYTHONPATH"]}
        )
        for p, name in ((0, "old"), (percent, "new"))
    )
    return [time for trial in range(number) for time in compare_all(old, new, BUDGET_S, seed=f"{percent}/{trial}")]


def section(found: dict[int, Sequence[PairedTime]]) -> Section:
    """Return the section, by injected slowdown."""
    rows = []
    for percent, times in found.items():
        words = [time.verdict for time in times]
        shares = [time.ratio - 1 for time in times]
        seen = [time.detectable for time in times if time.detectable is not None]
        rows.append(
            [
                f"+{percent} %",
                f"{len(times)}",
                *(
                    f"{words.count(word)}"
                    for word in (GateVerdict.REGRESSED, GateVerdict.IMPROVED, GateVerdict.EQUIVALENT, GateVerdict.INCONCLUSIVE)
                ),
                f"{min(shares):+.2%} … {max(shares):+.2%}",
                f"{np.median(seen):.1%}" if seen else "–",
            ]
        )
    columns = (
        "new version",
        "comparisons",
        GateVerdict.REGRESSED,
        GateVerdict.IMPROVED,
        GateVerdict.EQUIVALENT,
        GateVerdict.INCONCLUSIVE,
        "measured",
        "detectable (median)",
    )
    requirements = [
        _rare(
            "false alarms on the same work",
            sum(t.verdict in {GateVerdict.REGRESSED, GateVerdict.IMPROVED} for t in found[0]),
            len(found[0]),
            ALPHA,
        )
    ]
    requirements += [
        _rare(f"slowdowns of {percent} % missed", sum(t.verdict != GateVerdict.REGRESSED for t in times), len(times), MISSED)
        for percent, times in found.items()
        if percent
    ]
    alone = [] if choose_cores().worker is not None else ["This machine has one core, shared with everything else."]
    return Section(TITLE, _SAYS, [SectionTable("Old against new", columns, rows)], requirements, [*_NOTES, *alone])


def _rare(what: str, hits: int, trials: int, rate: float) -> Requirement:
    """Return the requirement that something happens no more often than a rate and chance allow."""
    between = rates.rate(hits, trials)
    bounds = f"[{between.low / 1000:.0%}, {between.high / 1000:.0%}]"
    return Requirement(f"{what}: {hits} of {trials} {bounds}", at_least_by_chance(hits, trials, rate) > _CHANCE)
