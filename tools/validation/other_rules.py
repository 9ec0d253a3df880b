"""False alarms and detected slowdowns of other tools' rules, on the same samples: their own code where it can be called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from harness.runtime.cores import choose_cores
from harness.stats.intervals import at_least_by_chance
from harness.stats.sequential_test import FASTER, SLOWER, first_conclusion
from tools.load_generator.programs import is_installed
from tools.section import Requirement, Section, SectionTable
from tools.servers import pinned
from tools.validation.paired_time import FEWEST_PAIRS, MARGIN, Stream, all_of, one_after_the_other, recorded

TITLE = "How do the rules of other tools perform on the same samples?"

INJECTED = (0, 3, 5)
SAME, SLOWED = 100, 25
"""Number of sequential comparisons: of the same work, and per slowdown."""

_CHANCE = 0.01
_TEXT = (
    f"{FEWEST_PAIRS} operations of each side, of a few milliseconds each, in two orders: in pairs of random order, the same samples"
    " as in the question about pairs; and all of one side before all of the other, as tools do that compare a run with an earlier"
    " one, but in one process within half a second; runs that are further apart differ more. Every rule gets the same samples."
)
_NOTES = (
    "A false alarm is any difference reported between equal sides; found is a slowdown reported as slower.",
    "The rule of pytest-benchmark detects slower only, so that equal sides have half the chance to raise its alarm.",
    f"Gates of 5 % are not meant for 3 %. {FEWEST_PAIRS} pairs are few for this harness as well: it would continue.",
)


@dataclass(frozen=True)
class Rule:
    """A rule that decides SLOWER, FASTER, or None for neither, by the code of a package; `paired` ones apply to pairs only."""

    name: str
    text: str
    decide: Callable[[Stream], str | None]
    needs: str = "scipy"
    paired: bool = False


def _ours(stream: Stream) -> str | None:
    found, _ = first_conclusion(stream.log_ratios, MARGIN)
    return found if found in {SLOWER, FASTER} else None


def benchmark_gate(statistic: Callable[[Sequence[float]], float], expression: str, stream: Stream) -> str | None:
    """Decide as pytest-benchmark's `--benchmark-compare-fail` does by an expression; it detects slower only."""
    check = import_module("pytest_benchmark.utils").parse_compare_fail(expression)
    before, after = ({check.field: statistic(times)} for times in (stream.base_ns, stream.other_ns))
    return SLOWER if check.fails(after, before) else None


def _pyperf_t(stream: Stream) -> str | None:
    significant, _ = import_module("pyperf._utils").is_significant(stream.base_ns, stream.other_ns)
    slower = np.mean(stream.other_ns) > np.mean(stream.base_ns)
    return (SLOWER if slower else FASTER) if significant else None


def _mann_whitney(stream: Stream) -> str | None:
    p = import_module("scipy.stats").mannwhitneyu(stream.base_ns, stream.other_ns).pvalue
    slower = np.median(stream.other_ns) > np.median(stream.base_ns)
    return (SLOWER if slower else FASTER) if p < 0.05 else None  # noqa: PLR2004 - its usual level


_OURS = f"looks after every pair; evidence of 99 % that the median pair is more than {MARGIN:.0%} slower, or faster."
_GATE = "its own code for `--benchmark-compare-fail={}`: one figure, no noise."
_GATES: dict[str, Callable[[Any], Any]] = {"mean:5%": np.mean, "median:5%": np.median, "min:5%": min}
RULES = (
    Rule("this harness", _OURS, _ours, "harness", paired=True),
    *(
        Rule(f"pytest-benchmark {gate}", _GATE.format(gate), partial(benchmark_gate, statistic, gate), "pytest_benchmark")
        for gate, statistic in _GATES.items()
    ),
    Rule("pyperf", "its own code for `compare_to`: a pooled t test at 5 % on all values.", _pyperf_t, "pyperf"),
    Rule("Mann-Whitney", "the U test at 5 %, the rule of benchstat.", _mann_whitney),
)
"""In the order of the table; this harness first."""


def run(effort: float) -> Section:
    """Apply every rule."""
    return section(recorded(effort), blocks(effort))


def blocks(effort: float) -> list[Stream]:
    """Return comparisons one after the other, timed on the core that workers use."""
    cores = choose_cores()
    each = {percent: max(2, round((SLOWED if percent else SAME) * effort)) for percent in INJECTED}
    with pinned(cores.all if cores.worker is None else {cores.worker}):
        return [one_after_the_other(percent, FEWEST_PAIRS) for percent, trials in each.items() for _ in range(trials)]


def section(pairs: Sequence[Stream], in_turn: Sequence[Stream]) -> Section:
    """Return what each rule decides on streams of pairs, and on comparisons one after the other."""
    # A stream with a slowdown goes on only while nothing is found, so that its later parts are the hard ones.
    cut = [piece for stream in pairs for piece in stream.pieces(FEWEST_PAIRS)[: 1 if stream.percent else None]]
    installed = [rule for rule in RULES if is_installed(rule.needs)]
    unpaired = [rule for rule in installed if not rule.paired]
    tables = [table("In pairs, in random order", cut, installed), table("One side after the other", in_turn, unpaired)]
    same = all_of(cut, 0)
    alarms = sum(RULES[0].decide(stream) is not None for stream in same)
    requirement = Requirement(
        f"this harness raises no more false alarms in pairs than 1 % and chance: {alarms} of {len(same)}",
        bool(same) and at_least_by_chance(alarms, len(same), 0.01) > _CHANCE,
    )
    missing = [f"**{rule.name}** is not installed here." for rule in RULES if rule not in installed]
    return Section(TITLE, _TEXT, tables, [requirement], [*(f"**{rule.name}**: {rule.text}" for rule in RULES), *missing, *_NOTES])


def table(title: str, streams: Sequence[Stream], rules: Sequence[Rule]) -> SectionTable:
    """Return how often each rule raises a false alarm, and detects a slowdown."""
    columns, rows = ["rule"], [[rule.name] for rule in rules]
    for percent in INJECTED:
        trials, counted = all_of(streams, percent), {SLOWER} if percent else {SLOWER, FASTER}
        columns.append(f"+{percent} % found of {len(trials)}" if percent else f"false alarms of {len(trials)}")
        for row, rule in zip(rows, rules, strict=True):
            hits = sum(rule.decide(stream) in counted for stream in trials)
            row.append(f"{hits / len(trials):.0%}" if trials else "–")
    return SectionTable(title, columns, rows)
