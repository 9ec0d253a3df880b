"""False alarms and detected slowdowns of other tools' rules, on the same samples."""

import os
from collections.abc import Sequence

from harness.runtime.cores import choose_cores
from harness.stats.intervals import at_least_by_chance
from harness.stats.sequential_test import FASTER, SLOWER
from tools.validation.section import Requirement, Section, SectionTable
from tools.validation.times.rules import RULES, Rule
from tools.validation.times.streams import FEWEST_PAIRS, Stream, all_of, one_after_the_other, recorded

TITLE = "How do the rules of other tools perform on the same samples?"

INJECTED = (0, 3, 5)
SAME, SLOWED = 100, 25
"""Number of sequential comparisons: of the same work, and per slowdown."""

_CHANCE = 0.01
_SAYS = (
    f"{FEWEST_PAIRS} operations of each side, of a few milliseconds each, in two orders: in pairs whose order a coin"
    " decides, the very samples of the question about pairs; and all of one side before all of the other, as tools do that"
    " compare a run with an earlier one. Every rule gets the same samples. One after the other, both sides still run in one"
    " process within half a second; runs that are further apart differ more."
)
_NOTES = (
    (
        "A false alarm is any difference reported between equal sides; found is a slowdown reported as slower. The rule of"
        " pytest-benchmark knows slower alone, so that equal sides have half as many chances to raise its alarm."
    ),
    f"Gates of 5 % are not meant for 3 %. {FEWEST_PAIRS} pairs are few for this harness as well: it would go on.",
)


def run(effort: float) -> Section:
    """Apply every rule.

    Raises:
        ScenarioFailedError: a process failed.
    """
    return section(recorded(effort), blocks(effort))


def blocks(effort: float) -> list[Stream]:
    """Return comparisons one after the other, timed on the core that workers use."""
    cores = choose_cores()
    if cores.worker is not None:
        os.sched_setaffinity(0, {cores.worker})
    try:
        each = {percent: max(2, round((SLOWED if percent else SAME) * effort)) for percent in INJECTED}
        return [one_after_the_other(percent, FEWEST_PAIRS) for percent, trials in each.items() for _ in range(trials)]
    finally:
        if cores.worker is not None:
            os.sched_setaffinity(0, cores.all)


def section(pairs: Sequence[Stream], in_turn: Sequence[Stream]) -> Section:
    """Return what each rule decides on streams of pairs, and on comparisons one after the other."""
    # A stream with a slowdown goes on only while nothing is found, so that its later parts are the hard ones.
    cut = [piece for stream in pairs for piece in stream.pieces(FEWEST_PAIRS)[: 1 if stream.percent else None]]
    tables = [
        table("In pairs, in random order", cut, [rule for rule in RULES if rule.is_installed]),
        table("One side after the other", in_turn, [rule for rule in RULES if rule.is_installed and not rule.paired]),
    ]
    same = all_of(cut, 0)
    alarms = sum(RULES[0].decide(stream) is not None for stream in same)
    requirement = Requirement(
        f"this harness raises no more false alarms in pairs than 1 % and chance: {alarms} of {len(same)}",
        bool(same) and at_least_by_chance(alarms, len(same), 0.01) > _CHANCE,
    )
    missing = [f"**{rule.name}** is not installed here." for rule in RULES if not rule.is_installed]
    return Section(TITLE, _SAYS, tables, [requirement], [*(f"**{rule.name}**: {rule.text}" for rule in RULES), *missing, *_NOTES])


def table(title: str, streams: Sequence[Stream], rules: Sequence[Rule]) -> SectionTable:
    """Return how often each rule raises a false alarm, and finds what is there."""
    columns = ["rule"]
    rows = [[rule.name] for rule in rules]
    for percent in INJECTED:
        trials = all_of(streams, percent)
        columns.append(f"+{percent} % found of {len(trials)}" if percent else f"false alarms of {len(trials)}")
        counted = {SLOWER} if percent else {SLOWER, FASTER}
        for row, rule in zip(rows, rules, strict=True):
            row.append(_share(sum(rule.decide(one) in counted for one in trials), len(trials)))
    return SectionTable(title, columns, rows)


def _share(hits: int, trials: int) -> str:
    return f"{hits / trials:.0%}" if trials else "–"
