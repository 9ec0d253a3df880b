"""Validate interleaved timing of two versions: it must find a small slowdown, and none in the same code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.gate.against.compare import MARGIN, PairedTime, compare
from harness.gate.against.process import Side
from harness.results.gate import GateVerdict
from harness.runtime.cores import choose_cores
from harness.runtime.processes import environment
from harness.stats.intervals import at_least_by_chance
from harness.stats.process_pairs import ALPHA
from harness.verdicts import rates
from tools.validation.section import Requirement, Section, SectionTable
from tools.validation.times import side

TITLE = "Does timing two versions interleaved find a small slowdown, and none in the same code?"

INJECTED = {0: 30, 3: 20}
"""The additional work of the new version, in percent → the number of comparisons."""

BUDGET_S = 15.0
"""The budget of a comparison in seconds, including the second set of processes for a version that looks slower."""

MISSED = 0.05
_CHANCE = 0.05
_SAYS = (
    "The workload of the question about pairs as two versions of a program, each in ten fresh processes on one core, interleaved as in"
    f" `harness gate --against`, with {BUDGET_S:g} s per comparison. A slowdown must recur in fresh processes to be a regression. The"
    " new version does the same work, or more by the stated percentage."
)
_NOTES = (
    (
        f"This number of comparisons cannot show that false alarms are as rare as {ALPHA:.0%}, or that {1 - MISSED:.0%} are found:"
        " the requirement is broken only by more than chance allows at these rates. In brackets: the bounds of the true rate with"
        " 95 % confidence (Clopper and Pearson 1934)."
    ),
    f"The margin is {MARGIN:.0%}: a slowdown of exactly that size is the smallest that must be found.",
)


def run(effort: float) -> Section:
    """Compare the same and slower versions.

    Raises:
        SideError: a process failed.
    """
    return section({percent: compared(percent, max(1, round(number * effort))) for percent, number in INJECTED.items()})


def compared(percent: int, number: int) -> list[PairedTime]:
    """Compare `number` times, each with another seed."""
    old, new = (
        Side([sys.executable, str(Path(side.__file__)), str(p)], name, environment={"PYTHONPATH": environment()["PYTHONPATH"]})
        for p, name in ((0, "old"), (percent, "new"))
    )
    return [compare(old, new, BUDGET_S, seed=f"{percent}/{trial}") for trial in range(number)]


def section(found: dict[int, Sequence[PairedTime]]) -> Section:
    """Return the section: one row per slowdown of the new version."""
    rows = []
    for percent, times in found.items():
        verdicts = [time.verdict for time in times]
        shares = [time.ratio - 1 for time in times]
        detectable = [time.detectable for time in times if time.detectable is not None]
        rows.append(
            [
                f"+{percent} %",
                f"{len(times)}",
                *(
                    f"{verdicts.count(verdict)}"
                    for verdict in (GateVerdict.REGRESSED, GateVerdict.IMPROVED, GateVerdict.EQUIVALENT, GateVerdict.INCONCLUSIVE)
                ),
                f"{min(shares):+.2%} … {max(shares):+.2%}",
                f"{np.median(detectable):.1%}" if detectable else "–",
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
    alone = [] if choose_cores().worker is not None else ["This machine has one core, which other processes share."]
    return Section(TITLE, _SAYS, [SectionTable("Old version against new", columns, rows)], requirements, [*_NOTES, *alone])


def _rare(event: str, hits: int, trials: int, rate: float) -> Requirement:
    """Return the requirement that an event is not more frequent than chance allows at a rate."""
    between = rates.rate(hits, trials)
    bounds = f"[{between.low / 1000:.0%}, {between.high / 1000:.0%}]"
    return Requirement(f"{event}: {hits} of {trials} {bounds}", at_least_by_chance(hits, trials, rate) > _CHANCE)
