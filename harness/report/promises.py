"""Verdicts side by side: a row per promise, a column per arm or per place, and each verdict's position on one common axis."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.report.blocks import Cell, Table, TableKind, status
from harness.report.numbers import DASH, interval
from harness.results.run import AA_CONTROL, BASELINE, ArmResult, PromiseVerdict, Run, ScenarioResult, ScenarioStatus, Verdict
from harness.verdicts.promise import EXPONENT, LESS, TIME, WORKS, format_figure

OUTCOMES = tuple(v for v in PromiseVerdict if v not in {PromiseVerdict.IMPROVED, PromiseVerdict.REGRESSED})
"""The verdicts that a promise can have, best first; the other two are of compared files."""

COLUMNS = 4
"""The most arms that have a column of their own; verdicts of further arms get rows."""


@dataclass(frozen=True)
class KeptShare:
    """A verdict on the common axis: 1 is the promise's lower bound, and from 1 on the promise is kept."""

    value: float
    """Infinite if nothing is left of the cost."""
    low: float | None
    high: float | None
    promised_high: float | None
    """The promise's upper bound on the axis."""
    neutral: float | None
    """"No effect" on the axis."""
    exact: bool
    """Whether it is an exact count, which has no interval."""


@dataclass(frozen=True)
class PromiseRow:
    """One promise, or a part of one, of one scenario result."""

    result: ScenarioResult
    anchor: str
    """The id of the scenario's card on the page."""
    where: str
    """The place, for a scenario that ran at several."""
    promise: str
    part: str
    text: str
    verdicts: tuple[Verdict, ...]

    @property
    def name(self) -> str:
        """The promise and its part: `N2 · list`."""
        return f"{self.promise} · {self.part}" if self.part else self.promise

    @property
    def label(self) -> str:
        """The promise, its part and its place: `N2 · list · RTT 5 ms`."""
        return f"{self.name} · {self.where}" if self.where else self.name

    def of(self, arm: str) -> Verdict | None:
        """Return the verdict of one arm, if it was tried."""
        return next((v for v in self.verdicts if v.arm == arm), None)


@dataclass(frozen=True)
class EnginePlace:
    """An engine at one RTT."""

    engine: str
    rtt_ms: float

    @property
    def label(self) -> str:
        """The place in words: `postgres, RTT 5 ms`."""
        return f"{self.engine}, RTT {self.rtt_ms:g} ms"


def anchors(run: Run) -> list[str]:
    """Return the id of each scenario's card, in the run's order: readable, unique, the same in a part of the run."""
    texts = [f"{r.name}-{r.engine}" + (f"-rtt-{r.rtt_ms:g}" if r.rtt_ms else "") for r in run.scenarios]
    slugs = [f"card-{re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')}" for text in texts]
    taken: Counter[str] = Counter()
    found = []
    for slug in slugs:
        taken[slug] += 1
        found.append(slug if taken[slug] == 1 else f"{slug}-{taken[slug]}")
    return found


def locations(run: Run) -> list[str]:
    """Return for each result what distinguishes it from others of its scenario: its engine, its RTT, both or nothing."""
    return [_location(result, [r for r in run.scenarios if r.name == result.name]) for result in run.scenarios]


def _location(result: ScenarioResult, same: list[ScenarioResult]) -> str:
    engine = result.engine if len({r.engine for r in same}) > 1 else ""
    rtt = f"RTT {result.rtt_ms:g} ms" if len({r.rtt_ms for r in same}) > 1 else ""
    return ", ".join(text for text in (engine, rtt) if text)


def named(name: str, where: str) -> str:
    """Return a name with its location, if there is one."""
    return f"{name}, {where}" if where else name


def rows(run: Run) -> list[PromiseRow]:
    """Return every promise of a run, in the order of its scenarios."""
    each = zip(run.scenarios, anchors(run), locations(run), strict=True)
    return [row for result, anchor, where in each for row in rows_of(result, anchor, where)]


def rows_of(result: ScenarioResult, anchor: str = "", where: str = "") -> Iterator[PromiseRow]:
    """Yield the promises of one scenario result in their order, parts apart. A second verdict on one arm gets its own row."""
    found: dict[tuple[str, str, str, int], list[Verdict]] = {}
    for verdict in result.verdicts:
        again = sum(_identity(v) == _identity(verdict) for row in found.values() for v in row)
        found.setdefault((verdict.promise, verdict.part, verdict.text, again), []).append(verdict)
    for (promise, part, text, _), verdicts in found.items():
        yield PromiseRow(result, anchor, where, promise, part, text, tuple(verdicts))


def _identity(verdict: Verdict) -> tuple[str, str, str, str]:
    return (verdict.promise, verdict.part, verdict.text, verdict.arm)


def arms_of(promises: Iterable[PromiseRow]) -> list[str]:
    """Return the arms that have verdicts, in the scenarios' order."""
    found: dict[str, None] = {}
    tried: set[str] = set()
    for row in promises:
        tried.update(v.arm for v in row.verdicts)
        found |= dict.fromkeys([*(arm.name for arm in row.result.arms), *(v.arm for v in row.verdicts)])
    return [arm for arm in found if arm in tried and arm not in {BASELINE, AA_CONTROL}]


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
    counts, parts = tally(run), []
    for arm in arms_of(rows(run)):
        counted = [f"{of_arm[arm]} {outcome}" for outcome, of_arm in counts.items() if of_arm[arm]]
        if counted:
            parts.append(f"{arm}: {', '.join(counted)}.")
    return " ".join(parts)


def heading(run: Run) -> str:
    """Return the head of the column with the promises' texts."""
    return "the review says" if run.review else "claim"


def figure(verdict: Verdict) -> str:
    """Return the measured figure in its unit; empty if none was measured."""
    return "" if verdict.value is None else format_figure(verdict.value, verdict.unit, verdict.checks)


def verdict_cell(verdict: Verdict | None, *, link: str = "") -> Cell:
    """Return a verdict with its figure, interval and sentence."""
    if verdict is None:
        return Cell(DASH, "not tried on this arm")
    return Cell(figure(verdict), verdict.sentence, _bounds(verdict), status(verdict.verdict), link)


def _bounds(verdict: Verdict) -> str:
    low, high = verdict.low, verdict.high
    if low is None or high is None or low == high:
        return ""
    if verdict.unit in {LESS, "share"}:
        return f"{interval(low * 100, high * 100)} %"
    return f"{interval((low - 1) * 100, (high - 1) * 100)} %" if verdict.unit == TIME else interval(low, high)


def promise_table(promises: Sequence[PromiseRow], head: str, *, linked: bool = False) -> Table:
    """Return a row per promise and a column per arm."""
    arms = columns_of(promises)
    made = []
    for row in promises:
        label = Cell(row.label, link=row.anchor if linked else "")
        made.append((label, Cell(row.text), *(verdict_cell(row.of(arm)) for arm in arms)))
        further = [v for v in row.verdicts if v.arm not in arms]
        made += [(label, Cell(f"arm {v.arm}"), verdict_cell(v), *([Cell("")] * (len(arms) - 1))) for v in further]
    names = 2 + len(arms)
    return Table("", ("promise", head, *arms), tuple(made), names=names, kind=TableKind.VERDICTS)


def matrix_table(run: Run) -> Table:
    """Return a row per promise and arm, a column per place."""
    arms = columns_of(rows(run))
    made = []
    for row in matrix(run):
        first = next(cell for cell in row if cell)
        tried = [arm for arm in arms if any(cell and cell.of(arm) for cell in row)]
        for number, arm in enumerate(tried):
            label = (Cell(first.name, first.text), Cell(first.text)) if not number else (Cell(""), Cell(""))
            made.append((*label, Cell(arm), *(_matrix_cell(cell, arm) for cell in row)))
    head = ("promise", heading(run), "arm", *(place.label for place in places(run)))
    return Table("Verdicts by engine and RTT", head, tuple(made), names=len(head), wide=(heading(run),), kind=TableKind.MATRIX)


def _matrix_cell(row: PromiseRow | None, arm: str) -> Cell:
    verdict = row.of(arm) if row else None
    if row is None or verdict is None:
        return Cell("")
    return verdict_cell(verdict, link="" if row.result.status == ScenarioStatus.NOT_RUN else row.anchor)


def legend() -> str:
    """Return the signs of all verdicts with their words, for a matrix."""
    signs = (f"{status(outcome).label}{', nothing promised' if outcome == PromiseVerdict.MEASURED else ''}" for outcome in OUTCOMES)
    return "  ".join(signs)


def places(run: Run) -> list[EnginePlace]:
    """Return the places at which something was tried, engines in the run's order, each by rising RTT; all if nothing was tried.

    A place at which nothing was run has no column; `not_run` has the reason.
    """
    found = dict.fromkeys(_place(result) for result in run.scenarios if result.status != ScenarioStatus.NOT_RUN)
    found = found or dict.fromkeys(map(_place, run.scenarios))
    engines = list(dict.fromkeys(place.engine for place in found))
    return sorted(found, key=lambda place: (engines.index(place.engine), place.rtt_ms))


def at(run: Run, place: EnginePlace) -> Run:
    """Return the part of a run that was measured at one place."""
    return replace(run, scenarios=[result for result in run.scenarios if _place(result) == place])


def matrix(run: Run) -> list[list[PromiseRow | None]]:
    """Return every promise of a run at each of `places`, None where it has no verdict, in the order of the scenarios."""
    columns = places(run)
    found: dict[tuple[str, str, str, str, int], list[PromiseRow | None]] = {}
    for result, anchor in zip(run.scenarios, anchors(run), strict=True):
        again: Counter[tuple[str, str, str]] = Counter()
        for row in rows_of(result, anchor) if _place(result) in columns else ():
            identity = (row.promise, row.part, row.text)
            cells = found.setdefault((result.name, *identity, again[identity]), [None] * len(columns))
            cells[columns.index(_place(result))] = row
            again[identity] += 1
    return list(found.values())


def not_run(run: Run) -> Iterator[tuple[EnginePlace, str, list[ScenarioResult]]]:
    """Yield the scenarios that were not run, by place and reason."""
    found: dict[tuple[EnginePlace, str], list[ScenarioResult]] = {}
    for result in run.scenarios:
        if result.status == ScenarioStatus.NOT_RUN:
            found.setdefault((_place(result), result.error or "no reason was recorded"), []).append(result)
    for (place, reason), results in found.items():
        yield place, reason, results


def _place(result: ScenarioResult) -> EnginePlace:
    return EnginePlace(result.engine, result.rtt_ms)


def broken_arms(results: Sequence[ScenarioResult]) -> list[tuple[ScenarioResult, ArmResult]]:
    """Return the arms that cannot run as written, once per reason, whatever the number of engines and RTTs."""
    found: dict[tuple[str, str, str], tuple[ScenarioResult, ArmResult]] = {}
    for result in results:
        for arm in result.arms:
            if arm.cannot_run:
                found.setdefault((result.name, arm.name, arm.cannot_run), (result, arm))
    return list(found.values())


def kept(verdict: Verdict) -> KeptShare | None:
    """Return a verdict's position on the common axis; None if it has none.

    Times faster and floors: measured ÷ promised. A share less: promised remainder ÷ measured remainder, so that 50 % less counts as
    twice. Limits: limit ÷ measured. Exponents: promised ÷ measured growth over ten times the rows. Promises that merely work, and
    figures without a promise, have no position.
    """
    promised = verdict.promised_low
    if promised is None or verdict.value is None or verdict.unit == WORKS:
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
    if verdict.unit == LESS:
        if promised >= 1:
            return None
        return infinite if value >= 1 else (1 - promised) / (1 - value)
    if verdict.unit == EXPONENT and verdict.less_is_better:
        return float(10.0 ** (promised - value))
    if promised <= 0:
        return None
    if verdict.less_is_better:
        return infinite if value <= 0 else promised / value
    return max(value, 0.0) / promised
