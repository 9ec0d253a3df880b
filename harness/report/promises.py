"""Verdicts side by side: one row a promise, its arms beside each other, and where each lies on the axis they share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.report.numbers import power
from harness.results.run import ArmResult, PromiseVerdict, Run, ScenarioResult, ScenarioStatus, Verdict
from harness.verdicts.promise import format_value

PROPOSED = "proposed"
OPTIMISED = "optimised"
HEADINGS = {PROPOSED: "As proposed", OPTIMISED: "Done right"}
"""The two arms every promise is read by; further arms are shown under their own names."""

SIGNS = {
    PromiseVerdict.EXCEEDED: "▲",
    PromiseVerdict.CONFIRMED: "✓",
    PromiseVerdict.FELL_SHORT: "▽",
    PromiseVerdict.REFUTED: "✗",
    PromiseVerdict.INCONCLUSIVE: "?",
    PromiseVerdict.WITHHELD: "⊘",
    PromiseVerdict.NOT_MEASURED: "–",
    PromiseVerdict.MEASURED: "•",
}
"""A sign for each verdict, always beside its word."""


@dataclass(frozen=True)
class KeptShare:
    """A verdict on the common axis: 1 is the promise's lower bound, right of it the promise is kept.

    `promised_high` and `neutral` are the promise's upper bound and "no effect" on the same axis. A bound of infinity means that
    nothing is left of the cost; `exact` figures have no interval.
    """

    value: float
    low: float | None
    high: float | None
    promised_high: float | None
    neutral: float | None
    exact: bool


@dataclass(frozen=True)
class PromiseRow:
    """One promise, or a part of one, of one scenario result: its verdicts by arm, and the id of its scenario's card."""

    result: ScenarioResult
    anchor: str
    where: str
    promise: str
    part: str
    text: str
    verdicts: tuple[Verdict, ...]

    @property
    def label(self) -> str:
        """The promise and what tells it apart: `N2 · list · 5 ms away`."""
        return " · ".join(text for text in (self.promise, self.part, self.where) if text)

    def of(self, arm: str) -> Verdict | None:
        """Return the verdict of one arm, if it was tried."""
        return next((v for v in self.verdicts if v.arm == arm), None)

    @property
    def others(self) -> list[Verdict]:
        """The verdicts of arms beyond the proposed and the optimised one."""
        return [v for v in self.verdicts if v.arm not in HEADINGS]


def anchors(run: Run) -> list[str]:
    """Return the id of each scenario's card, in the run's order: readable, the same in a part of the run, and unique."""
    texts = [f"{r.name}-{r.engine}" + (f"-rtt-{r.rtt_ms:g}" if r.rtt_ms else "") for r in run.scenarios]
    slugs = [f"card-{re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')}" for text in texts]
    taken: Counter[str] = Counter()
    found = []
    for slug in slugs:
        taken[slug] += 1
        found.append(slug if taken[slug] == 1 else f"{slug}-{taken[slug]}")
    return found


def places(run: Run) -> list[str]:
    """Return what tells each result apart from the others of its scenario: its engine, its distance, or nothing."""
    return [_place(result, [r for r in run.scenarios if r.name == result.name]) for result in run.scenarios]


def _place(result: ScenarioResult, same: list[ScenarioResult]) -> str:
    engine = result.engine if len({r.engine for r in same}) > 1 else ""
    distance = f"RTT {result.rtt_ms:g} ms" if len({r.rtt_ms for r in same}) > 1 else ""
    return ", ".join(text for text in (engine, distance) if text)


def rows(run: Run) -> list[PromiseRow]:
    """Return every promise of a run, in the order of its scenarios."""
    each = zip(run.scenarios, anchors(run), places(run), strict=True)
    return [row for result, anchor, where in each for row in rows_of(result, anchor, where)]


def rows_of(result: ScenarioResult, anchor: str = "", where: str = "") -> Iterator[PromiseRow]:
    """Yield the promises of one scenario result in their order, parts apart. A second verdict of one arm is a row of its own."""
    found: dict[tuple[str, str, str, int], list[Verdict]] = {}
    for verdict in result.verdicts:
        again = sum(_identity(v) == _identity(verdict) for row in found.values() for v in row)
        found.setdefault((verdict.promise, verdict.part, verdict.text, again), []).append(verdict)
    for (promise, part, says, _), verdicts in found.items():
        yield PromiseRow(result, anchor, where, promise, part, says, tuple(verdicts))


def _identity(verdict: Verdict) -> tuple[str, str, str, str]:
    return (verdict.promise, verdict.part, verdict.text, verdict.arm)


def tally(run: Run) -> dict[str, Counter[str]]:
    """Return, for each verdict word, best first, how many promises ended so by arm; what was not run ended in none."""
    counts: dict[str, Counter[str]] = {word: Counter() for word in PromiseVerdict}
    for result in (r for r in run.scenarios if r.status != ScenarioStatus.NOT_RUN):
        for verdict in result.verdicts:
            counts.setdefault(verdict.verdict, Counter())[verdict.arm] += 1
    return counts


def heading(arm: str) -> str:
    """Return an arm's name as the reports call it."""
    return HEADINGS.get(arm, arm)


def figure(verdict: Verdict) -> str:
    """Return the measured figure in its own unit, a plain yes or no for what merely works; empty where none was measured."""
    if verdict.value is None:
        return ""
    if verdict.unit == "works" and verdict.value in {0.0, 1.0}:
        return "works" if verdict.value else "does not work"
    if verdict.unit == "exponent":
        return power(verdict.value)
    return format_value(verdict.value, verdict.unit)


def broken_arms(results: Sequence[ScenarioResult]) -> list[tuple[ScenarioResult, ArmResult]]:
    """Return the arms that cannot run as written, once for each reason, however many engines and distances it goes for."""
    found: dict[tuple[str, str, str], tuple[ScenarioResult, ArmResult]] = {}
    for result in results:
        for arm in result.arms:
            if arm.cannot_run:
                found.setdefault((result.name, arm.name, arm.cannot_run), (result, arm))
    return list(found.values())


def kept(verdict: Verdict) -> KeptShare | None:
    """Place a verdict on the common axis, or return None where it has no place there.

    "So many times faster" and floors: measured ÷ promised. "A share less": what the promise leaves of the cost ÷ what was left
    of it, so that 50 % less counts as twice. Limits: limit ÷ measured. Exponents: the promised growth over ten times the rows ÷
    the measured one. What merely works, and costs that nobody promised, have no place.
    """
    promised = verdict.promised_low
    if promised is None or verdict.value is None or verdict.unit == "works":
        return None
    value = _share(verdict, verdict.value)
    if value is None:
        return None
    exact = verdict.low is not None and verdict.low == verdict.value == verdict.high
    bounds = [] if exact else [_share(verdict, b) for b in (verdict.low, verdict.high) if b is not None]
    known = sorted(b for b in bounds if b is not None)
    low, high = (known[0], known[1]) if len(known) == 2 else (None, None)  # noqa: PLR2004 - both ends or no interval
    promised_high = None if verdict.promised_high is None else _share(verdict, verdict.promised_high)
    neutral = None if verdict.neutral is None else _share(verdict, verdict.neutral)
    return KeptShare(value, low, high, promised_high, neutral, exact)


def _share(verdict: Verdict, value: float) -> float | None:
    promised = verdict.promised_low
    assert promised is not None
    infinite = float("inf")
    if verdict.unit == "less":
        if promised >= 1:
            return None
        return infinite if value >= 1 else (1 - promised) / (1 - value)
    if verdict.unit == "exponent" and verdict.less_is_better:
        return float(10.0 ** (promised - value))
    if promised <= 0:
        return None
    if verdict.less_is_better:
        return infinite if value <= 0 else promised / value
    return max(value, 0.0) / promised
