"""Verdicts side by side: a row per promise, a column per arm or per place, and each verdict's position on one common axis."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.language import gettext, mark, word
from harness.report.blocks import PRELIMINARY, Cell, Table, TableKind, cells, status
from harness.report.numbers import DASH
from harness.results.run import (
    AA_CONTROL,
    BASELINE,
    UNPAIRED_VERDICTS,
    PromiseVerdict,
    Run,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
)
from harness.verdicts.promise import EXPONENT, LESS, WORKS, format_claim, format_figure, format_measured, sentence

OUTCOMES = tuple(v for v in PromiseVerdict if v not in UNPAIRED_VERDICTS or v == PromiseVerdict.INCONCLUSIVE)
"""The verdicts that a promise can have, best first; the others are of compared files."""

COLUMNS = 4
"""The most arms that have a column of their own; verdicts of further arms get rows."""


@dataclass(frozen=True)
class LocatedResult:
    """A scenario result and its location in the run."""

    result: ScenarioResult
    anchor: str
    """The id of the scenario's card on the page: readable, unique, the same in a part of the run."""
    where: str
    """The location as far as it distinguishes the result from others of its scenario: engine, RTT, both or nothing."""
    preliminary: bool = False
    """Whether the run was a quick one: every verdict may differ in a full run."""

    def named(self, name: str) -> str:
        """Return a name with the location, if there is one."""
        return f"{name}, {self.where}" if self.where else name


@dataclass(frozen=True)
class PromiseRow:
    """One promise, or a part of one, of one scenario result."""

    result: ScenarioResult
    anchor: str
    where: str
    promise: str
    part: str
    text: str
    again: int
    """The number of rows above it with the same promise, part and text."""
    verdicts: tuple[Verdict, ...]
    preliminary: bool = False
    """Whether the run was a quick one."""

    @property
    def name(self) -> str:
        """The promise and its part: `N2 · list`."""
        return f"{self.promise} · {self.part}" if self.part else self.promise

    @property
    def label(self) -> str:
        """The promise, its part and its location: `N2 · list · RTT 5 ms`."""
        return f"{self.name} · {self.where}" if self.where else self.name

    def of(self, arm: str) -> Verdict | None:
        """Return the verdict of one arm, if it was tried."""
        return next((v for v in self.verdicts if v.arm == arm), None)

    def cell(self, arm: str) -> Cell:
        """Return the verdict of one arm with its figure."""
        return verdict_cell(self.of(arm), preliminary=self.preliminary)


def stop_reason(result: ScenarioResult) -> str:
    """Return why a scenario failed, or did not come to its end."""
    if result.error:
        return result.error
    if result.status == ScenarioStatus.INTERRUPTED:
        return gettext("it was measured in part")
    return gettext("no error was recorded")


def located(run: Run) -> list[LocatedResult]:
    """Return every result of a run with its location, in the run's order."""
    taken: Counter[str] = Counter()
    found = []
    for r in run.scenarios:
        text = f"{r.name}-{r.engine}" + (f"-rtt-{r.rtt_ms:g}" if r.rtt_ms else "")
        slug = f"card-{re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')}"
        taken[slug] += 1
        same = [other for other in run.scenarios if other.name == r.name]
        engine = [r.engine] if len({other.engine for other in same}) > 1 else []
        rtt = [f"RTT {r.rtt_ms:g} ms"] if len({other.rtt_ms for other in same}) > 1 else []
        anchor = slug if taken[slug] == 1 else f"{slug}-{taken[slug]}"
        found.append(LocatedResult(r, anchor, ", ".join(engine + rtt), run.settings.quick))
    return found


def rows(run: Run) -> list[PromiseRow]:
    """Return every promise of a run, in the order of its scenarios."""
    return [row for x in located(run) for row in rows_of(x, x.where)]


def rows_of(located_result: LocatedResult, where: str = "") -> Iterator[PromiseRow]:
    """Yield the promises of one scenario result in their order, parts apart. A second verdict on one arm gets its own row."""
    result = located_result.result
    seen: Counter[tuple[str, str, str, str]] = Counter()
    found: defaultdict[tuple[str, str, str, int], list[Verdict]] = defaultdict(list)
    for v in result.verdicts:
        found[v.promise, v.part, v.text, seen[v.promise, v.part, v.text, v.arm]].append(v)
        seen[v.promise, v.part, v.text, v.arm] += 1
    for identity, verdicts in found.items():
        yield PromiseRow(result, located_result.anchor, where, *identity, tuple(verdicts), located_result.preliminary)


def arms_of(promises: Sequence[PromiseRow]) -> list[str]:
    """Return the arms that have verdicts, in the scenarios' order."""
    tried = {v.arm for row in promises for v in row.verdicts} - {BASELINE, AA_CONTROL}
    names = (name for row in promises for name in (*(a.name for a in row.result.arms), *(v.arm for v in row.verdicts)))
    return [arm for arm in dict.fromkeys(names) if arm in tried]


def columns_of(promises: Sequence[PromiseRow]) -> list[str]:
    """Return the arms that get a column, in their order: all, or the `COLUMNS` that have the most verdicts."""
    arms = arms_of(promises)
    counts = Counter(v.arm for row in promises for v in row.verdicts)
    return [arm for arm in arms if arm in sorted(arms, key=lambda name: -counts[name])[:COLUMNS]]


def tally(run: Run) -> dict[PromiseVerdict, Counter[str]]:
    """Return the number of promises with each verdict, best first, by arm; scenarios that were not run have none."""
    tried = [v for r in run.scenarios if r.status != ScenarioStatus.NOT_RUN for v in r.verdicts]
    return {outcome: Counter(v.arm for v in tried if v.verdict == outcome) for outcome in OUTCOMES}


def tally_sentence(run: Run) -> str:
    """Return the tally as text, arm by arm: `proposed: 1 confirmed, 2 fell short. optimised: 3 confirmed.`."""
    counts = tally(run)
    counted = [
        (arm, [gettext("{number} {verdict}", number=by[arm], verdict=word(outcome)) for outcome, by in counts.items() if by[arm]])
        for arm in arms_of(rows(run))
    ]
    return " ".join(gettext("{arm}: {figures}.", arm=arm, figures=gettext(", ").join(found)) for arm, found in counted if found)


def heading(run: Run) -> str:
    """Return the head of the column with the promises' texts."""
    return mark("the review says") if run.review else mark("claim")


def measured(verdict: Verdict) -> tuple[str, str]:
    """Return the measured figure in its unit, and its interval; empty if none was measured."""
    if verdict.value is None:
        return "", ""
    return format_measured(verdict.value, verdict.low, verdict.high, verdict.unit, verdict.checks)


def promised(verdict: Verdict) -> str:
    """Return what was promised, in its unit: `5–10×`, `at most 10 ms`; a dash if nothing was."""
    if verdict.promised_low is None:
        return DASH
    if verdict.unit == WORKS:
        return format_figure(verdict.promised_low, WORKS)
    if verdict.unit == EXPONENT:
        claim = format_figure(verdict.promised_low, EXPONENT)
    else:
        claim = format_claim(verdict.promised_low, verdict.promised_high, verdict.unit)
    return gettext("at most {figure}", figure=claim) if verdict.less_is_better else claim


def verdict_cell(verdict: Verdict | None, *, link: str = "", preliminary: bool = False) -> Cell:
    """Return a verdict with its figure, interval and sentence."""
    if verdict is None:
        return Cell(DASH, gettext("not tried on this arm"))
    text, bounds = measured(verdict)
    return Cell(text, sentence(verdict), bounds, status(verdict.verdict, preliminary=preliminary), link)


def promise_table(promises: Sequence[PromiseRow], head: str) -> Table:
    """Return a row per promise and a column per arm."""
    arms = columns_of(promises)
    made = []
    for row in promises:
        label = Cell(row.label)
        made.append(cells(label, row.text, *(row.cell(arm) for arm in arms)))
        further = [v for v in row.verdicts if v.arm not in arms]
        made += [
            cells(label, gettext("arm {arm}", arm=v.arm), verdict_cell(v, preliminary=row.preliminary), *([""] * (len(arms) - 1)))
            for v in further
        ]
    return Table("", (mark("promise"), head, *arms), tuple(made), names=2 + len(arms), kind=TableKind.VERDICTS)


def matrix_table(run: Run) -> Table:
    """Return a row per promise and arm, a column per place."""
    arms = columns_of(rows(run))
    made = []
    for row in matrix(run):
        first = next(cell for cell in row if cell)
        tried = [arm for arm in arms if any(cell and cell.of(arm) for cell in row)]
        for number, arm in enumerate(tried):
            label = ("", "") if number else (Cell(first.name, first.text), first.text)
            made.append(cells(*label, arm, *(_matrix_cell(cell, arm) for cell in row)))
    head = ("promise", heading(run), mark("arm"), *places(run))
    return Table(
        gettext("Verdicts by engine and RTT"), head, tuple(made), names=len(head), wide=(heading(run),), kind=TableKind.MATRIX
    )


def _matrix_cell(row: PromiseRow | None, arm: str) -> Cell:
    verdict = row.of(arm) if row else None
    if row is None or verdict is None:
        return Cell("")
    link = "" if row.result.status == ScenarioStatus.NOT_RUN else row.anchor
    return verdict_cell(verdict, link=link, preliminary=row.preliminary)


def legend() -> str:
    """Return the signs of all verdicts with their words, for a matrix."""
    signs = [
        gettext("{verdict}, nothing promised", verdict=status(v).label) if v == PromiseVerdict.MEASURED else status(v).label
        for v in OUTCOMES
    ]
    return "  ".join([*signs, gettext("{sign} preliminary", sign=PRELIMINARY)])


def places(run: Run) -> list[str]:
    """Return the places at which something was tried, engines in the run's order, each by rising RTT; all if nothing was tried.

    A place at which nothing was run has no column; `not_run` has the reason.
    """
    tried = [result for result in run.scenarios if result.status != ScenarioStatus.NOT_RUN] or run.scenarios
    engines = [result.engine for result in tried]
    return list(
        dict.fromkeys(result.place for result in sorted(tried, key=lambda result: (engines.index(result.engine), result.rtt_ms)))
    )


def at(run: Run, place: str) -> Run:
    """Return the part of a run that was measured at one place."""
    return replace(run, scenarios=[result for result in run.scenarios if result.place == place])


def matrix(run: Run) -> list[list[PromiseRow | None]]:
    """Return every promise of a run at each of `places`, None where it has no verdict, in the order of the scenarios."""
    columns = places(run)
    found: defaultdict[tuple[str, str, str, str, int], dict[str, PromiseRow]] = defaultdict(dict)
    for row in rows(run):
        if (place := row.result.place) in columns:
            found[row.result.name, row.promise, row.part, row.text, row.again][place] = row
    return [[by_place.get(place) for place in columns] for by_place in found.values()]


def not_run(run: Run) -> dict[tuple[str, str], list[ScenarioResult]]:
    """Return the scenarios that were not run, by place and reason."""
    found: defaultdict[tuple[str, str], list[ScenarioResult]] = defaultdict(list)
    for result in run.scenarios:
        if result.status == ScenarioStatus.NOT_RUN:
            found[result.place, result.error or gettext("no reason was recorded")].append(result)
    return found


def kept(verdict: Verdict) -> Verdict | None:
    """Return a verdict with its figures on a common axis, where 1 is the promise's lower bound; None if it has no position there.

    Times faster and floors: measured ÷ promised. A share less: promised remainder ÷ measured remainder, so that 50 % less counts as
    twice, and infinite if nothing is left. Limits: limit ÷ measured. Exponents: promised ÷ measured growth over ten times the rows.
    Promises that merely work, and figures without a promise, have no position.
    """
    value = None if verdict.unit == WORKS else _share(verdict, verdict.value)
    if value is None:
        return None
    bounds = [_share(verdict, bound) for bound in (verdict.low, verdict.high)]
    known = sorted(bound for bound in bounds if bound is not None)
    low, high = known if len(known) == len(bounds) else (None, None)
    promised_high, neutral = _share(verdict, verdict.promised_high), _share(verdict, verdict.neutral)
    return replace(verdict, value=value, low=low, high=high, promised_high=promised_high, neutral=neutral)


def _share(verdict: Verdict, value: float | None) -> float | None:
    promised = verdict.promised_low
    if value is None or promised is None:
        return None
    limit, cost = promised, value
    if verdict.unit == LESS:
        limit, cost = 1 - promised, 1 - value
    elif verdict.unit == EXPONENT and verdict.less_is_better:
        limit, cost = 10.0**promised, 10.0**value
    if limit <= 0:
        return None
    if verdict.less_is_better or verdict.unit == LESS:
        return limit / cost if cost > 0 else math.inf
    return max(value, 0.0) / promised
