"""Detection of injected slowdowns by pairs inside a process, timed as a run times its arms."""

from collections.abc import Sequence

import numpy as np

from harness.stats.sequential_test import ALPHA, FASTER, SAME, SLOWER, first_conclusion
from tools.validation.section import Requirement, Section, SectionTable
from tools.validation.times.streams import LONGEST_S, MARGIN, Stream, all_of, recorded
from tools.validation.times.workload import INJECTED

TITLE = "Do pairs inside a process detect small slowdowns, and none in identical work?"

BUDGETS_S = (1.0, 3.0, LONGEST_S)
MOST_FALSE, LEAST_FOUND, MUST_FIND = 0.01, 0.95, 3
"""Highest share of false alarms on the same work; lowest share of detected slowdowns of MUST_FIND percent."""

_TEXT = (
    "An operation of a few milliseconds on SQLite in memory is timed in pairs with a twin that does exactly the injected"
    " share more, each side with a separate database, in a fresh process, by the worker that times a run's arms. The rule is"
    f" evaluated after every pair and stops at evidence of {1 - ALPHA:.0%} that the median pair is more than {MARGIN:.0%} slower,"
    " or faster, or neither. Seconds are those spent in slots, the control's among them."
)
_NOTES = (
    f"A slowdown of {MARGIN:.0%} is at the rule's limit: an alarm is neither required nor forbidden.",
    "All of this is within single processes; variance between processes is covered by the intervals over processes.",
)


def run(effort: float) -> Section:
    """Time the same work and injected slowdowns."""
    return section(recorded(effort))


def section(streams: Sequence[Stream]) -> Section:
    """Return the section for streams of each slowdown, and of the same work."""
    same = {budget_s: alarms(all_of(streams, 0), budget_s) for budget_s in BUDGETS_S}
    found = {percent: [seconds_until_found(s) for s in all_of(streams, percent)] for percent in INJECTED if percent}
    parts, false = len(same[BUDGETS_S[0]]), sum(conclusion in {SLOWER, FASTER} for conclusion in same[BUDGETS_S[0]])
    must = [seconds is not None and seconds <= LONGEST_S for seconds in found[MUST_FIND]]
    quiet = f"the same work raises at most {MOST_FALSE:.0%} false alarms: {false} of {parts} within {BUDGETS_S[0]:g} s"
    sharp = f"{MUST_FIND} % is found at least {LEAST_FOUND:.0%} of the time within {LONGEST_S:g} s: {sum(must)} of {len(must)}"
    requirements = [
        Requirement(quiet, bool(parts) and false <= MOST_FALSE * parts),
        Requirement(sharp, bool(must) and sum(must) >= LEAST_FOUND * len(must)),
    ]
    return Section(TITLE, _TEXT, [_same(same), _found(streams, found), _bias(streams)], requirements, _NOTES)


def alarms(streams: Sequence[Stream], budget_s: float) -> list[str | None]:
    """Return the conclusion from each part of `budget_s` seconds."""
    return [first_conclusion(part.log_ratios, MARGIN)[0] for stream in streams for part in stream.cut(budget_s)]


def seconds_until_found(stream: Stream) -> float | None:
    """Return the seconds until the slowdown was found; None if it was not."""
    conclusion, pairs = first_conclusion(stream.log_ratios, MARGIN)
    return stream.spent_ns[pairs - 1] / 1e9 if conclusion == SLOWER else None


def _same(same: dict[float, list[str | None]]) -> SectionTable:
    rows = [
        [f"{budget_s:g} s", f"{len(each)}", *(f"{each.count(conclusion)}" for conclusion in (SLOWER, FASTER, SAME, None))]
        for budget_s, each in same.items()
    ]
    text = f"False alarms are those in the columns “{SLOWER}” and “{FASTER}”. All rows are cut from the same streams."
    return SectionTable("The same work", ("within", "comparisons", SLOWER, FASTER, f"within {MARGIN:.0%}", "open"), rows, text)


def _found(streams: Sequence[Stream], found: dict[int, list[float | None]]) -> SectionTable:
    rows = []
    for percent, seconds in found.items():
        known = [s for s in seconds if s is not None]
        pairs = [first_conclusion(s.log_ratios, MARGIN)[1] for s in all_of(streams, percent) if seconds_until_found(s) is not None]
        within = [f"{sum(s <= budget_s for s in known)}" for budget_s in BUDGETS_S]
        typical = [f"{np.median(pairs):.0f}", f"{np.median(known):.2f} s"] if known else ["–", "–"]
        rows.append([f"+{percent} %", f"{len(seconds)}", *within, *typical])
    columns = ("slowdown", "processes", *(f"found within {b:g} s" for b in BUDGETS_S), "pairs needed (median)", "time (median)")
    return SectionTable("Injected slowdowns", columns, rows)


def _bias(streams: Sequence[Stream]) -> SectionTable:
    rows = []
    for percent in INJECTED:
        medians = [float(np.median(s.log_ratios)) for s in all_of(streams, percent)]
        shares = np.expm1(medians)
        rows.append([f"+{percent} %", f"{len(medians)}", f"{np.median(shares):+.2%}", f"{shares.min():+.2%} … {shares.max():+.2%}"])
    columns, text = ("slowdown", "processes", "median of processes", "least … most"), "Medians over each process's pairs."
    return SectionTable("The measured slowdown of the twin", columns, rows, text)
