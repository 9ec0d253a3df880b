"""The page of what the review got right and wrong, from the record of the published run.

A promise is right if every place (engine and RTT) where it was decided kept it. Its figure is that of the first place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.report import promises
from harness.results.run import BASELINE, PromiseVerdict, Run, ScenarioResult, Verdict

PUBLISHED = Path(__file__).parents[1] / "reports" / "published"
KEPT = {PromiseVerdict.EXCEEDED, PromiseVerdict.CONFIRMED}
DECIDED = {*KEPT, PromiseVerdict.FELL_SHORT, PromiseVerdict.MISSED, PromiseVerdict.REFUTED}
HEAD = """\
# What the review got right and wrong

The review makes {promises}, which a run tested twice: literally, *as written*, and with the technique applied well,
*optimised*. This page sorts them by the outcome. It is made from the record of [that run](../../reports/published/report.md):
`{name}`, commit {commit}, on {places}. A promise counts as kept if it was kept everywhere where the data decide. The rules of a
verdict are in [verdicts](../verdicts.md#verdict-on-a-promise), the figures in full in the
[report](../../reports/published/report.html).
"""
KINDS = {
    "×": "times as fast",
    "time": "times as long",
    "less": "a share saved",
    "share": "a share",
    "works": "it works",
    "exponent": "growth",
}
"""Unit → the kind of the promise; all others are figures with a limit."""
LIMIT = "a limit"
NOT_ASKED = "not in the review"
"""In the text of a promise that the scenario added."""


class Outcome(StrEnum):
    """The outcome of a promise for both arms together."""

    RIGHT = "Right as written"
    OPTIMISED = "Right, but not as written"
    SMALLER = "Less than promised"
    WRONG = "Wrong"
    OPEN = "Not decided"


EXPLAINED: Mapping[Outcome, str] = {
    Outcome.RIGHT: "Followed literally, the advice keeps these promises.",
    Outcome.OPTIMISED: "The idea is right. The literal advice does not keep the promise, a better implementation does.",
    Outcome.SMALLER: "There is a gain, or a part of the cases holds; no implementation that was tried keeps the promise.",
    Outcome.WRONG: "No implementation that was tried shows a gain worth having.",
    Outcome.OPEN: "The data do not decide, or the figure could not be measured.",
}


@dataclass(frozen=True)
class TestedPromise:
    """One promise of the review, with its verdicts at every place."""

    name: str
    text: str
    unit: str
    written: Sequence[Verdict]
    """Of the arm that follows the advice literally."""
    optimised: Sequence[Verdict]

    @property
    def outcome(self) -> Outcome:
        """The outcome for both arms together."""
        if is_kept(self.written or self.optimised):
            return Outcome.RIGHT
        if is_kept(self.optimised):
            return Outcome.OPTIMISED
        found = decided([*self.written, *self.optimised])
        if not found or not decided(self.optimised or self.written):
            return Outcome.OPEN
        shows_gain = any(verdict.verdict in {*KEPT, PromiseVerdict.FELL_SHORT} for verdict in found)
        return Outcome.SMALLER if shows_gain else Outcome.WRONG


def decided(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts that the data decide."""
    return [verdict for verdict in verdicts if verdict.verdict in DECIDED]


def is_kept(verdicts: Sequence[Verdict]) -> bool:
    """Return whether a promise is decided somewhere, and kept wherever it is."""
    found = decided(verdicts)
    return bool(found) and all(verdict.verdict in KEPT for verdict in found)


def promises_of(results: Sequence[ScenarioResult]) -> list[TestedPromise]:
    """Return the promises of one scenario's results at all places; figures that nothing was promised about are left out."""
    literal = {arm.name for result in results for arm in result.arms if arm.as_written}
    found: dict[tuple[str, str], list[Verdict]] = {}
    for result in results:
        for verdict in result.verdicts:
            if verdict.verdict is not PromiseVerdict.MEASURED and verdict.arm != BASELINE and NOT_ASKED not in verdict.text:
                found.setdefault((verdict.promise, verdict.part), []).append(verdict)
    return [
        TestedPromise(
            " · ".join(filter(None, names)),
            verdicts[0].text,
            verdicts[0].unit,
            [verdict for verdict in verdicts if verdict.arm in literal],
            [verdict for verdict in verdicts if verdict.arm not in literal],
        )
        for names, verdicts in found.items()
    ]


def page_of(run: Run) -> str:
    """Return the page about a run."""
    by_name: dict[str, list[ScenarioResult]] = {}
    for result in run.scenarios:
        by_name.setdefault(result.name, []).append(result)
    found = [promise for results in by_name.values() for promise in promises_of(results)]
    places = list(dict.fromkeys(result.place for result in run.scenarios))
    head = HEAD.format(promises=f"{len(found)} promises", name=run.name, commit=run.commit, places=", ".join(places))
    parts = [head, *_kinds(found)]
    for outcome in Outcome:
        chosen = [promise for promise in found if promise.outcome is outcome]
        if chosen:
            parts.append(f"## {outcome}: {len(chosen)} of {len(found)}\n\n{EXPLAINED[outcome]}\n")
            parts.append("".join(f"- **{promise.name}**: {promise.text}. {_measured(promise)}\n" for promise in chosen))
    return "\n".join([*parts, *_faults(by_name)])


def _kinds(found: Sequence[TestedPromise]) -> Iterator[str]:
    yield "## By the kind of promise\n\nKept, of those that the data decide:\n"
    rows = ["| what was promised | as written | optimised |", "|---|--:|--:|"]
    for kind in [*KINDS.values(), LIMIT]:
        chosen = [promise for promise in found if KINDS.get(promise.unit, LIMIT) == kind]
        sides = [
            [side for side in sides if decided(side)] for sides in ([p.written for p in chosen], [p.optimised for p in chosen])
        ]
        if any(sides):
            cells = [f"{sum(map(is_kept, side))} of {len(side)}" if side else "–" for side in sides]
            rows.append(f"| {kind} | {' | '.join(cells)} |")
    yield "\n".join([*rows, ""])


def _measured(promise: TestedPromise) -> str:
    sides = (("as written", promise.written), ("optimised", promise.optimised))
    return "; ".join(f"{name}: {_figure(verdicts)}" for name, verdicts in sides if verdicts).capitalize() + "."


def _figure(verdicts: Sequence[Verdict]) -> str:
    """Return the verdict and the figure of the first place where it was decided, and at how many places others were made."""
    first = next(iter(decided(verdicts)), verdicts[0])
    text, interval = promises.measured(first)
    others = {verdict.verdict for verdict in decided(verdicts)} - {first.verdict}
    elsewhere = f", elsewhere also {' and '.join(sorted(others))}" if others else ""
    return _plain(f"{first.verdict}{elsewhere}, {' '.join(filter(None, (text, interval)))}".rstrip(", "))


def _faults(by_name: Mapping[str, Sequence[ScenarioResult]]) -> Iterator[str]:
    yield "## Faults of the advice as written\n\nEach was shown by running it; the evidence follows.\n"
    for results in by_name.values():
        shown = {finding.message: finding.evidence for result in results for finding in result.findings if finding.holds}
        if shown:
            yield f"### {results[0].title}\n"
            yield "".join(f"- {_plain(message)}: {_plain(evidence)}\n" for message, evidence in shown.items())


def _plain(text: str) -> str:
    """Return a text as Markdown that shows it as it is."""
    for mark in "\\`*_[]<>":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
