"""The conclusion of a run: a sentence, five figures, and a row per optimisation and place. The first screen of every report.

What to do and how far to trust it is decided in `harness.verdicts.advice`; here are only the texts and figures of it.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from harness.language import gettext, listed, mark, ngettext, word
from harness.report import promises
from harness.report.blocks import Cell, CellStatus, Table, TableKind, Tone, cells
from harness.report.numbers import DASH, clock_time, elapsed, percent, unit_of
from harness.report.promises import LocatedResult, located
from harness.report.tables import MEMORY_RESOLUTION_BYTES
from harness.results.load import ALL
from harness.results.names import short, shortened, visible
from harness.results.run import (
    AA_CONTROL,
    BASELINE,
    Memory,
    Priority,
    PromiseVerdict,
    Run,
    RunKind,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
)
from harness.stats.ablation import are_ablated
from harness.verdicts import tails
from harness.verdicts.advice import KEPT, Action, Advice, ArmCase, ArmGain, Trust, advise
from harness.verdicts.promise import LESS, NOT_ENOUGH, TIME, TIMES, WORKS, format_claim, format_figure, format_measured

STATUSES = {
    Action.DO: ("✓", Tone.GOOD),
    Action.OPTIMISED: ("◆", Tone.GREAT),
    Action.LEAVE: ("✗", Tone.BAD),
    Action.UNDECIDED: ("?", Tone.OPEN),
}
NOTHING = mark("No scenario finished: there is nothing to judge.")
NAME, SUBJECT, PIECE, ARM = 60, 36, 80, 16
"""The most characters of an optimisation's name, of the subject of a catch, of a catch, and of an arm's name."""
PIECES = 2
"""The number of catches that a row names."""
NARROW, SHORT = 20, 10
"""The most characters of an optimisation's and of an arm's name in a terminal of 80 columns."""
EXPECTED = 0.05
"""The share of A/A controls whose 95 % interval excludes 1 by chance."""
FARTHEST = 100.0
"""The end of the axis of the bars, as times, in both directions: what lies beyond is drawn at the end."""
NEAREST = 2.0
"""The axis always reaches this far."""


@dataclass(frozen=True)
class GainBar:
    """A gain on the rows' common logarithmic axis, in percent of its width from the left."""

    at: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ConclusionRow:
    """One optimisation at one place."""

    name: str
    located: LocatedResult
    advice: Advice
    promised: str
    literal: Cell
    optimised: Cell
    percentiles: tuple[tuple[str, str], ...]
    """`p50` and `p95` → before → after of the arm that the advice is about."""
    group: str
    """The group of cases that the percentiles are of."""
    memory: str
    catches: tuple[str, ...]
    literal_bar: GainBar | None = None
    optimised_bar: GainBar | None = None

    @property
    def status(self) -> CellStatus:
        """The action, with its sign."""
        return CellStatus(word(self.advice.action), *STATUSES[self.advice.action])

    @property
    def narrow_name(self) -> str:
        """The name, or the scenario's if that is too long for a terminal."""
        return self.name if len(self.name) <= NARROW else shortened(visible(self.located.result.name), NARROW)

    @property
    def chosen(self) -> Cell:
        """The gain of the arm that the advice is about."""
        return self.literal if self.advice.chosen is self.advice.literal else self.optimised

    @property
    def catch(self) -> str:
        """The first catches, and the number of the others."""
        more = len(self.catches) - PIECES
        shown = "; ".join(self.catches[:PIECES])
        return ngettext("{catches}; {count} more", "{catches}; {count} more", more, catches=shown) if more > 0 else shown


@dataclass(frozen=True)
class PlaceConclusion:
    """The rows of one engine at one RTT, sorted by what to do and by gain."""

    label: str
    rows: tuple[ConclusionRow, ...]
    one: float
    """The position of 1× on the axis of the bars, in percent."""


@dataclass(frozen=True)
class KeyFigure:
    """A figure of the whole run with its label."""

    value: str
    label: str

    @property
    def sentence(self) -> str:
        """The figure as a sentence of its own."""
        return gettext("{value} {label}.", value=f"{self.value[:1].upper()}{self.value[1:]}", label=self.label)


@dataclass(frozen=True)
class Conclusion:
    """The conclusion of a run."""

    where: str
    heading: str
    sentence: str
    figures: tuple[KeyFigure, ...]
    places: tuple[PlaceConclusion, ...]
    literal: str
    """The head of the literal arms' column; empty without such an arm."""
    optimised: str

    @property
    def rows(self) -> list[ConclusionRow]:
        """The rows of all places."""
        return [row for place in self.places for row in place.rows]

    def by_place(self) -> list[tuple[str, list[ConclusionRow | None]]]:
        """Return each optimisation's name with its row at each place, None where it was not tried."""
        found: dict[str, dict[str, ConclusionRow]] = {}
        for place in self.places:
            for row in place.rows:
                found.setdefault(row.located.result.name, {})[place.label] = row
        return [(next(iter(rows.values())).name, [rows.get(place.label) for place in self.places]) for rows in found.values()]


def is_there(run: Run) -> bool:
    """Return whether a run has a conclusion: it measured in pairs, or nothing was measured at all, and is not an ablation."""
    ablated = any(result.ablation or are_ablated(arm.name for arm in result.arms) for result in run.scenarios)
    return run.kind == RunKind.PAIRS and not ablated


def conclude(run: Run) -> Conclusion:
    """Return the conclusion of a run of pairs."""
    parts = _parts(run)
    counted = [part for part in parts if not part.is_whole]
    whole = [part for part in parts if part.is_whole]
    names = Counter((part.title, part.found.result.place) for part in counted)
    rows = [_row(part, unique=names[part.title, part.found.result.place] == 1) for part in counted]
    rows = [row for row in rows if row.located.result.place in promises.places(run)]
    ends = _axis(rows)
    places = tuple(
        PlaceConclusion(label, tuple(sorted((_drawn(r, ends) for r in rows if r.located.result.place == label), key=_order)), one)
        for one in (_at(1.0, ends),)
        for label in promises.places(run)
    )
    literal = _head(row.advice.literal for row in rows)
    optimised = _head(row.advice.optimised for row in rows)
    made = Conclusion(where(run), "", "", (), places, literal, optimised)
    made = replace(made, heading=_heading(run, made))
    return replace(made, sentence=_sentence(made, whole), figures=tuple(_figures(run, made)))


def of_results(run: Run) -> list[ConclusionRow]:
    """Return the row of every result, also of everything together, in the run's order."""
    return [_row(part, unique=True) for part in _parts(run)]


def table(made: Conclusion, most: int, *, actions: bool = True) -> Table:
    """Return at most `most` rows of a run at one place, for a terminal: a line each, with more columns where it is wide.

    Without `actions`, as of a preview, there is neither what to do nor how far to trust it.
    """
    rows = []
    for row in made.places[0].rows[:most]:
        gains = [Cell(row.literal.text), row.optimised] if made.literal else [row.optimised]
        changes = dict(row.percentiles)
        trust = [word(row.advice.trust)] if actions else []
        more = [changes.get("p50", DASH), changes.get("p95", DASH), row.memory, *trust, row.catch]
        action = [Cell("", status=row.status)] if actions else []
        rows.append(cells(row.narrow_name, row.promised, *gains, *action, *more))
    action_name, trust_name, catch = texts = (gettext("what to do"), gettext("trust"), gettext("the catch"))
    wide = ("p50", "p95", gettext("memory"), *([trust_name] if actions else []), catch)
    arms = (made.literal, made.optimised) if made.literal else (made.optimised,)
    action_head = (action_name,) if actions else ()
    shown = (shortened(arm, SHORT) for arm in arms)
    head = (gettext("optimisation"), gettext("promised"), *shown, *action_head, *wide)
    return Table("", head, tuple(rows), wide=wide, texts=texts, kind=TableKind.VERDICTS, is_one_line=True)


def matrix(made: Conclusion, most: int) -> Table:
    """Return what to do about at most `most` optimisations at each place, with the gain of the arm to do."""
    rows = [
        cells(
            next(row.narrow_name for row in found if row),
            *(Cell(row.chosen.text, status=row.status) if row else Cell("") for row in found),
        )
        for _, found in made.by_place()[:most]
    ]
    head = (gettext("optimisation"), *(place.label.replace(", RTT", "") for place in made.places))
    return Table("", head, tuple(rows), wide=head[2:], kind=TableKind.MATRIX, is_one_line=True)


@dataclass(frozen=True)
class _Part:
    """One result with what the review says of its area."""

    found: LocatedResult
    advice: Advice
    title: str
    priority: Priority | None
    is_whole: bool
    """Whether it tests everything together: a review has priorities, and this is none of them."""


def _parts(run: Run) -> list[_Part]:
    """Return every result of a run with its advice."""
    from harness.verdicts.controls import failed_controls  # noqa: PLC0415 - needs NumPy, which the other texts do without

    priorities = {p.area: p for p in run.review.priorities} if run.review else {}
    made = []
    for found, failed in zip(located(run), failed_controls(run.scenarios), strict=True):
        result = found.result
        area = _area(run, result.name)
        priority = priorities.get(area)
        answers = None if priority is None else priority.answers
        advice = advise(result, answers=answers, failed_controls=failed, quick=run.settings.quick)
        title = run.review.areas.get(area, "") if run.review else ""
        title = short(title or result.title or result.name, NAME)
        title = title[:1].upper() + title[1:]
        made.append(_Part(found, advice, title, priority, bool(area and priorities and priority is None)))
    if all(part.is_whole for part in made):
        return [replace(part, is_whole=False) for part in made]
    return made


def _area(run: Run, name: str) -> str:
    """Return the review's area that most promises of a scenario belong to, wherever it was run; empty without one."""
    areas = run.review.areas if run.review else {}
    found = [v.promise[:1] for result in run.scenarios if result.name == name for v in result.verdicts]
    known = Counter(area for area in found if area in areas)
    return known.most_common(1)[0][0] if known else ""


def _row(part: _Part, *, unique: bool) -> ConclusionRow:
    result, advice, case = part.found.result, part.advice, part.advice.chosen
    group, percentiles = _percentiles(result, case)
    lead = [v for v in advice.lead if v.promised_low is not None]
    promised = part.priority.gain if part.priority else _promised(lead)
    name = part.title if unique else shortened(f"{part.title}: {visible(result.name)}", NAME)
    return ConclusionRow(
        name=name,
        located=part.found,
        advice=advice,
        promised=shortened(visible(promised), ARM) or DASH,
        literal=_gain_cell(advice.literal),
        optimised=_gain_cell(advice.optimised),
        percentiles=percentiles,
        group=visible(group),
        memory=_memory(result, case),
        catches=tuple(short(text, PIECE) for text in _catches(result, advice)),
    )


def _promised(lead: Sequence[Verdict]) -> str:
    """Return what was promised: the claim, or the range of several of one unit."""
    if not lead or len({v.unit for v in lead}) > 1:
        return ""
    lows = [v.promised_low for v in lead if v.promised_low is not None]
    highs = [v.promised_low if v.promised_high is None else v.promised_high for v in lead]
    return format_claim(min(lows), max(high for high in highs if high is not None), lead[0].unit)


def _gain_cell(case: ArmCase | None) -> Cell:
    """Return an arm's gain with its interval; without one a dash or a word, with the reason."""
    if case is None:
        return Cell(DASH, gettext("there is no such arm"))
    if case.gain is None:
        if case.errors and not case.failed_checks:
            return Cell(gettext("cannot run"), next(iter(case.errors.values())))
        return Cell(DASH, case.reason or gettext("no gain was promised"))
    gain = case.gain
    if not math.isfinite(gain.value):
        return Cell("∞", gettext("nothing is left"))
    text, bounds = format_measured(gain.value, gain.low, gain.high, gain.unit)
    return Cell(text, case.arm, bounds)


def _percentiles(result: ScenarioResult, case: ArmCase | None) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the first group of an arm's gain that has a median on both sides, with p50 and p95 before → after."""
    timed = {(x.arm, x.group): x for x in result.latencies}
    wanted = case.gain.groups if case and case.gain and case.gain.groups else tuple(result.groups)
    for group in wanted:
        before, after = timed.get((BASELINE, group)), timed.get((case.arm if case else "", group))
        if before and after and before.percentiles_ns.get("50") is not None and after.percentiles_ns.get("50") is not None:
            changes = {label: _change(before.percentiles_ns.get(label), after.percentiles_ns.get(label)) for label in ("50", "95")}
            return group, tuple((f"p{label}", text) for label, text in changes.items() if text)
    return "", ()


def _change(before_ns: float | None, after_ns: float | None) -> str:
    """Return a percentile before → after in the unit of the larger one; empty if one is missing."""
    if before_ns is None or after_ns is None:
        return ""
    unit = unit_of([max(before_ns, after_ns)])
    return f"{unit.write(before_ns)} → {unit.write(after_ns)} {unit.name}"


def _measured_memory(result: ScenarioResult, arm: str) -> tuple[Memory, Memory] | None:
    """Return the memory of the baseline and of an arm in the group that takes most; None if no group has both."""
    known = {(m.arm, m.group): m for m in result.memory if m.has_figures and m.scale == 1 and m.limit_bytes is None}
    pairs = [(m, known[arm, m.group]) for (name, _), m in known.items() if name == BASELINE and (arm, m.group) in known]
    return max(pairs, key=lambda pair: max(m.added_bytes for m in pair), default=None)


def _memory(result: ScenarioResult, case: ArmCase | None) -> str:
    """Return the memory that one operation adds, before → after; a dash if it was not measured."""
    pair = _measured_memory(result, case.arm) if case else None
    if pair is None:
        return DASH
    before, after = (m.added_bytes for m in pair)
    if abs(before - after) < MEMORY_RESOLUTION_BYTES:
        return gettext("equal")
    return f"{before / 1e6:.1f} → {after / 1e6:.1f} MB"


def _catches(result: ScenarioResult, advice: Advice) -> list[str]:
    """Return what speaks against doing it, the most important first; last the reasons why not as written."""
    literal, case = advice.literal, advice.chosen
    found = [advice.reason] if advice.reason else []
    if case:
        found += _broken(case)
        own = [v for v in result.verdicts if v.arm == case.arm]
        found += [_lost(v, v.value) for v in own if _is_loss(v) and v.value is not None]
        slow = tails.slower(result.percentile_ratios, {(x.arm, x.group): x.percentiles_ns for x in result.latencies})
        for (arm, group), text in slow.items():
            if arm == case.arm:
                label, _, change = text.partition(" (")[0].partition(": ")
                name = short(group, SUBJECT)
                found.append(gettext("{subject}: slower at {percentile}, {change}", subject=name, percentile=label, change=change))
        pair = _measured_memory(result, case.arm)
        if pair and pair[1].added_bytes - pair[0].added_bytes > MEMORY_RESOLUTION_BYTES:
            more = (pair[1].added_bytes - pair[0].added_bytes) / 1e6
            found.append(gettext("{size} MB more memory", size=f"{more:.1f}"))
    found = list(dict.fromkeys(found))
    if literal and literal is not case and (broken := _broken(literal)):
        found.insert(PIECES - 1, gettext("as written, {problem}", problem=broken[0]))
    return found


def _broken(case: ArmCase) -> list[str]:
    """Return that an arm cannot run somewhere, and its failed checks."""
    failed = [_failed(v, v.value) for v in case.failed_checks if v.value is not None]
    stopped = [
        gettext("{group} cannot run: {error}", group=short(group, ARM), error=short(error, SUBJECT))
        for group, error in case.errors.items()
    ]
    return failed + stopped[:1]


def _failed(verdict: Verdict, value: float) -> str:
    """Return a failed check in words: `“own writes” fails (12 reads)`."""
    check = short(_about(verdict), SUBJECT)
    if verdict.unit == WORKS and not value:
        return gettext("“{check}” fails", check=check)
    return gettext("“{check}” fails ({figure})", check=check, figure=format_figure(value, verdict.unit, verdict.checks))


def _lost(verdict: Verdict, value: float) -> str:
    """Return a loss in words: `insert: 10.5 % more time`, `with writes: worse, 0.80×`."""
    subject = short(_about(verdict), SUBJECT)
    if verdict.unit == TIME and math.isfinite(value):
        return gettext("{subject}: {percent} more time", subject=subject, percent=percent(value - 1).removeprefix("+"))
    return gettext("{subject}: worse, {figure}", subject=subject, figure=format_figure(value, verdict.unit))


def _about(verdict: Verdict) -> str:
    """Return the subject of a verdict in short: its part, or its promise's text without remarks in brackets."""
    is_named = verdict.part and verdict.part != "as written"
    return re.sub(r" \([^()]*\)", "", verdict.part if is_named else verdict.text)


def _is_loss(verdict: Verdict) -> bool:
    """Return whether the whole interval of a time is a loss."""
    if verdict.unit == TIMES:
        return verdict.high is not None and verdict.high < 1
    return verdict.unit == TIME and verdict.low is not None and verdict.low > 1


def _axis(rows: Iterable[ConclusionRow]) -> tuple[float, float]:
    """Return the ends of the common axis of all rows, as times."""
    values = []
    for case in chain.from_iterable((row.advice.literal, row.advice.optimised) for row in rows):
        if case and case.gain:
            values += [case.gain.times]
    known = [min(max(value, 1 / FARTHEST), FARTHEST) for value in values if value > 0]
    return min([1 / NEAREST, *(value / 1.25 for value in known)]), max([NEAREST, *(value * 1.25 for value in known)])


def _at(value: float, ends: tuple[float, float]) -> float:
    """Return the position of a gain on the axis, in percent; of one beyond it, the end."""
    low, high = ends
    inside = min(max(value, low), high)
    return round(100 * math.log(inside / low) / math.log(high / low), 1)


def _drawn(row: ConclusionRow, ends: tuple[float, float]) -> ConclusionRow:
    bars = list[GainBar | None]()
    for case in (row.advice.literal, row.advice.optimised):
        gain = case.gain if case else None
        if gain is None:
            bars.append(None)
            continue
        low, high = (None if x is None else replace(gain, value=x).times for x in (gain.low, gain.high))
        is_exact = low == high
        bars.append(
            GainBar(
                _at(gain.times, ends),
                None if low is None or is_exact else _at(low, ends),
                None if high is None or is_exact else _at(high, ends),
            )
        )
    return replace(row, literal_bar=bars[0], optimised_bar=bars[1])


def _order(row: ConclusionRow) -> tuple[int, float, str]:
    """Return the key of the order: what to do, then the gain, the largest first."""
    case = row.advice.chosen
    return list(Action).index(row.advice.action), -(case.gain.times if case and case.gain else 0.0), row.name


def _head(cases: Iterable[ArmCase | None]) -> str:
    """Return the head of a column: the arms' name if they share one; empty without an arm."""
    names = {case.arm for case in cases if case}
    return shortened(visible(names.pop()), ARM) if len(names) == 1 else gettext("several arms") if names else ""


def where(run: Run) -> str:
    """Return where and when a run was measured, and how long that took."""
    settings = run.settings
    rtts = ", ".join(f"{rtt:g}" for rtt in settings.rtts_ms) or "0"
    took = elapsed(run.started_at, run.finished_at)
    facts = (
        ", ".join(settings.engines),
        gettext("{size} data", size=settings.size) if settings.size else "",
        f"RTT {rtts} ms",
        clock_time(run.started_at),
        "" if took == DASH else took,
    )
    return " · ".join(visible(fact) for fact in facts if fact)


def _heading(run: Run, made: Conclusion) -> str:
    """Return the conclusion in one sentence."""
    names = list(dict.fromkeys(row.located.result.name for row in made.rows))
    if not names:
        return gettext(NOTHING)
    if run.settings.quick:
        return ngettext(
            "A preview of {count} optimisation on {size} data: it decides nothing.",
            "A preview of {count} optimisations on {size} data: it decides nothing.",
            len(names),
            size=visible(run.settings.size) or DASH,
        )
    if len(made.places) > 1:
        return _heading_of_places(made, names)
    counts = Counter(row.advice.action for row in made.rows)
    if len(counts) == 1:
        (action,), number = counts, len(made.rows)
        forms = _AS_WRITTEN if action == Action.DO and made.literal else _SAME[action]
        return gettext(forms[min(number, len(forms)) - 1], name=made.rows[0].name, count=f"{number:,}")
    clauses = [_clause(action, counts[action], made=made, follows=bool(counts[Action.DO])) for action in Action if counts[action]]
    return gettext("Of {total} optimisations, {clauses}.", total=f"{len(made.rows):,}", clauses=listed(clauses))


_AS_WRITTEN = (
    mark("{name}: worth doing as written."),
    mark("Both optimisations are worth doing as written."),
    mark("All {count} optimisations are worth doing as written."),
)
_SAME = {
    Action.DO: (
        mark("{name}: worth doing."),
        mark("Both optimisations are worth doing."),
        mark("All {count} optimisations are worth doing."),
    ),
    Action.OPTIMISED: (
        mark("{name}: worth doing only if optimised."),
        mark("Both optimisations are worth doing only if optimised."),
        mark("All {count} optimisations are worth doing only if optimised."),
    ),
    Action.LEAVE: (
        mark("{name}: not worth doing."),
        mark("Neither optimisation is worth doing."),
        mark("None of the {count} optimisations is worth doing."),
    ),
    Action.UNDECIDED: (
        mark("{name}: not decided."),
        mark("Neither optimisation is decided."),
        mark("None of the {count} optimisations is decided."),
    ),
}
"""The conclusions about one, two and more optimisations for which it is the same."""


def _clause(action: Action, number: int, *, made: Conclusion, follows: bool) -> str:
    """Return how many optimisations have an action; `follows` a clause on those that are worth doing."""
    if action == Action.DO and made.literal:
        return ngettext("{count} is worth doing as written", "{count} are worth doing as written", number)
    if action == Action.DO:
        return ngettext("{count} is worth doing", "{count} are worth doing", number)
    if action == Action.OPTIMISED and follows:
        return ngettext("{count} only if optimised", "{count} only if optimised", number)
    if action == Action.OPTIMISED:
        return ngettext("{count} is worth doing only if optimised", "{count} are worth doing only if optimised", number)
    if action == Action.LEAVE:
        return ngettext("{count} is not worth doing", "{count} are not worth doing", number)
    return ngettext("{count} is not decided", "{count} are not decided", number)


def _heading_of_places(made: Conclusion, names: Sequence[str]) -> str:
    """Return the conclusion over several places: where each optimisation is worth doing."""
    good, counts = {Action.DO, Action.OPTIMISED}, Counter[str]()
    for name in names:
        actions = [row.advice.action for row in made.rows if row.located.result.name == name]
        if all(action in good for action in actions):
            counts["everywhere"] += 1
        elif any(action in good for action in actions):
            counts["somewhere"] += 1
        else:
            counts["nowhere" if all(action == Action.LEAVE for action in actions) else "open"] += 1
    places = len(made.places)
    if len(names) == 1:
        (where,) = counts
        return gettext(_ONE_AT_PLACES[where], name=made.rows[0].name, count=places)
    number = counts["everywhere"]
    clauses = (
        [ngettext("{count} is worth doing at all of them", "{count} are worth doing at all of them", number)] if number else []
    )
    if number := counts["somewhere"]:
        clauses.append(ngettext("{count} is worth doing at some", "{count} are worth doing at some", number))
    if number := counts["nowhere"]:
        clauses.append(ngettext("{count} is not worth doing at any", "{count} are not worth doing at any", number))
    if number := counts["open"]:
        clauses.append(ngettext("{count} is not decided", "{count} are not decided", number))
    return gettext(
        "At {places} places: of {total} optimisations, {clauses}.", places=places, total=f"{len(names):,}", clauses=listed(clauses)
    )


_ONE_AT_PLACES = {
    "everywhere": mark("{name}: worth doing at all {count} places."),
    "somewhere": mark("{name}: worth doing at some of {count} places."),
    "nowhere": mark("{name}: not worth doing at any of {count} places."),
    "open": mark("{name}: not decided at {count} places."),
}
"""The conclusions about the only optimisation of a run at several places."""


def _sentence(made: Conclusion, whole: Sequence[_Part]) -> str:
    """Return the figures of the whole in one or two sentences."""
    if whole:
        return _together(whole[0]) if len(made.places) == 1 else _together_at_places(whole)
    gains = [(row.advice.chosen.gain, row) for row in made.rows if row.advice.chosen and row.advice.chosen.gain]
    if not gains:
        return gettext("No gain was measured.") if made.rows else ""
    gains = [(gain, row) for gain, row in gains if _gain(gain) != gettext(NOT_ENOUGH)]
    if not gains:
        return gettext("There is not enough data for any gain.")
    (best, top), (worst, bottom) = (pick(gains, key=lambda pair: pair[0].times) for pick in (max, min))
    if len(gains) == 1:
        case = top.advice.chosen
        assert case is not None, "a row with a gain has an arm"
        changes = [f"{label} {text}" for label, text in top.percentiles]
        return gettext("{arm}: {figures}.", arm=_arm(case), figures=gettext(", ").join([_gain(best), *changes]))
    return gettext(
        "The largest gain is {largest} ({where}), the smallest {smallest} ({elsewhere}).",
        largest=_gain(best),
        where=_place_name(top),
        smallest=_gain(worst),
        elsewhere=_place_name(bottom),
    )


def _together(part: _Part) -> str:
    """Return the figures of everything together: its first promised gain, and whether it works as written."""
    advice = part.advice
    texts = []
    if advice.optimised:
        arm, verdict = _arm(advice.optimised), _first(part)
        if verdict is None:
            texts.append(gettext("All together, {arm}: not measured.", arm=arm))
        else:
            changes = _together_percentiles(part.found.result, advice.optimised.arm)
            figures = gettext(", ").join([_verdict_figure(verdict), *changes])
            promise = format_claim(verdict.promised_low, verdict.promised_high, verdict.unit)
            if advice.trust == Trust.QUICK:
                texts.append(
                    gettext("All together, {arm}: {figures} (promised {promise}).", arm=arm, figures=figures, promise=promise)
                )
            else:
                judged = word(verdict.verdict)
                texts.append(
                    gettext(
                        "All together, {arm}: {figures} (promised {promise}: {verdict}).",
                        arm=arm,
                        figures=figures,
                        promise=promise,
                        verdict=judged,
                    )
                )
    if advice.literal and (advice.literal.errors or advice.literal.failed_checks):
        broken = gettext("As written, they do not work together.")
        return gettext("{sentence} {next}", sentence=texts[0], next=broken) if texts else broken
    return "".join(texts)


def _together_at_places(parts: Sequence[_Part]) -> str:
    """Return the lowest and the highest gain of everything together over several places."""
    measured = [(v.value, v, part.found.result.place) for part in parts if (v := _first(part)) and v.value is not None]
    if not measured:
        return gettext("All together: not measured.")
    known = [item for item in measured if _verdict_figure(item[1]) != gettext(NOT_ENOUGH)]
    if not known:
        return gettext("All together: not enough data.")
    (_, low, where), (_, high, elsewhere) = (pick(known, key=lambda item: item[0]) for pick in (min, max))
    arm = visible(shortened(high.arm, ARM))
    if len(known) == 1:
        return gettext("All together, {arm}: {figure} at {place}.", arm=arm, figure=_verdict_figure(low), place=where)
    return gettext(
        "All together, {arm}: from {low} at {place} to {high} at {other}.",
        arm=arm,
        low=_verdict_figure(low),
        place=where,
        high=_verdict_figure(high),
        other=elsewhere,
    )


def _first(part: _Part) -> Verdict | None:
    """Return the first measured verdict on a gain of the optimised arm."""
    arm = part.advice.optimised.arm if part.advice.optimised else None
    return next((v for v in part.advice.lead if v.arm == arm and v.value is not None), None)


def _verdict_figure(verdict: Verdict) -> str:
    """Return a measured verdict's figure with its interval."""
    assert verdict.value is not None, "the verdict was measured"
    return " ".join(format_measured(verdict.value, verdict.low, verdict.high, verdict.unit)).strip()


def _together_percentiles(result: ScenarioResult, arm: str) -> list[str]:
    """Return p50 and p95 of all operations under load, before → after; none without a load test of both arms."""
    rows = {row.arm: row.response.percentiles_ns for row in (result.load.arms if result.load else ()) if row.group == ALL}
    if BASELINE not in rows or arm not in rows:
        return []
    changes = {label: _change(rows[BASELINE].get(label), rows[arm].get(label)) for label in ("50", "95")}
    return [f"p{label} {text}" for label, text in changes.items() if text]


def _gain(gain: ArmGain) -> str:
    """Return a gain with its interval in a sentence: `6.75× [6.56, 6.95]`."""
    if not math.isfinite(gain.value):
        return "∞"
    return " ".join(format_measured(gain.value, gain.low, gain.high, gain.unit)).strip()


def _arm(case: ArmCase) -> str:
    return shortened(visible(case.arm), ARM)


def _place_name(row: ConclusionRow) -> str:
    name = short(row.name, SUBJECT)
    return f"{name}, {row.located.where}" if row.located.where else name


def _figures(run: Run, made: Conclusion) -> Iterable[KeyFigure]:
    """Yield the five figures of the whole run."""
    yield _kept(run, made)
    yield _largest(made)
    yield _saved(made)
    controls = [
        r for result in run.scenarios for r in result.ratios if r.arm == AA_CONTROL and r.low is not None and r.high is not None
    ]
    off = sum(not (r.low or 0) <= 1 <= (r.high or 0) for r in controls)
    if controls:
        label = ngettext(
            "A/A control excluding 1× ({expected} expected by chance)",
            "A/A controls excluding 1× ({expected} expected by chance)",
            len(controls),
            expected=f"{EXPECTED * len(controls):.1f}",
        )
        yield KeyFigure(_part_of(off, len(controls)), label)
    else:
        yield KeyFigure(gettext("no"), gettext("A/A control was measured"))
    timed = [result for result in run.scenarios if result.ratios]
    pairs = [r.pairs for result in timed for r in result.ratios if r.arm != AA_CONTROL]
    if pairs:
        processes = [result.processes for result in timed]
        label = ngettext(
            "fresh process per figure, {pairs}", "fresh processes per figure, {pairs}", max(processes), pairs=_pairs(pairs)
        )
        yield KeyFigure(_range(processes), label)
    else:
        yield KeyFigure("0", gettext("processes: nothing was timed"))


def _part_of(number: int, total: int) -> str:
    """Return a part of a whole: `3 of 22`."""
    return gettext("{number} of {total}", number=f"{number:,}", total=f"{total:,}")


def _pairs(numbers: Sequence[int]) -> str:
    """Return the range of numbers of pairs: `1 pair`, `10–50 pairs`."""
    return ngettext("{range} pair", "{range} pairs", max(numbers), range=_range(numbers))


def _range(values: Iterable[int]) -> str:
    known = sorted(values)
    return f"{known[0]:,}" if known[0] == known[-1] else f"{known[0]:,}–{known[-1]:,}"


def _kept(run: Run, made: Conclusion) -> KeyFigure:
    """Return the number of promised gains that were kept, by each kind of arm."""
    literal = {(r.name, arm.name) for r in run.scenarios for arm in r.arms if arm.as_written}
    claimed = [
        (r, v)
        for r in run.scenarios
        if r.status != ScenarioStatus.NOT_RUN
        for v in r.verdicts
        if v.unit in {TIMES, LESS} and (v.promised_low is not None or v.verdict == PromiseVerdict.NOT_MEASURED)
    ]
    sides = [[v for r, v in claimed if ((r.name, v.arm) in literal) == is_literal] for is_literal in (False, True)]
    improved, literal_side = (_part_of(sum(v.verdict in KEPT for v in side), len(side)) for side in sides)
    if not claimed:
        return KeyFigure(gettext("no"), gettext("gain was promised"))
    if not all(sides):
        kept, side, arm = (improved, sides[0], made.optimised) if sides[0] else (literal_side, sides[1], made.literal)
        label = ngettext("promised gain kept by {arm}", "promised gains kept by {arm}", len(side), arm=arm)
    else:
        kept = improved
        label = ngettext(
            "promised gain kept by {arm}, {kept} by {literal}",
            "promised gains kept by {arm}, {kept} by {literal}",
            len(sides[0]),
            arm=made.optimised,
            kept=literal_side,
            literal=made.literal,
        )
    return KeyFigure(kept, gettext("{label}, preliminary", label=label) if run.settings.quick else label)


def _largest(made: Conclusion) -> KeyFigure:
    """Return the largest gain of what is worth doing."""
    found = [(row.advice.chosen.gain, row) for row in _worth_doing(made) if row.advice.chosen and row.advice.chosen.gain]
    if not found:
        is_quick = bool(made.rows) and made.rows[0].advice.trust == Trust.QUICK
        return KeyFigure(gettext("no"), gettext("gain is decided") if is_quick else gettext("gain is shown"))
    gain, row = max(found, key=lambda pair: pair[0].times)
    value = format_measured(gain.value, gain.low, gain.high, gain.unit)[0] if math.isfinite(gain.value) else "∞"
    return KeyFigure(value, gettext("largest gain: {name}", name=_place_name(row)))


def _saved(made: Conclusion) -> KeyFigure:
    """Return the memory that is saved where what is worth doing saves most of it."""
    found = []
    for row in _worth_doing(made):
        case = row.advice.chosen
        pair = _measured_memory(row.located.result, case.arm) if case else None
        if pair and pair[0].added_bytes - pair[1].added_bytes >= MEMORY_RESOLUTION_BYTES:
            before, after = (m.added_bytes for m in pair)
            found.append((before - after, 1 - after / before, row))
    if not found:
        return KeyFigure(gettext("no"), gettext("memory is saved"))
    _, share, row = max(found, key=lambda item: item[0])
    return KeyFigure(format_figure(share, LESS), gettext("memory: {name}, {change}", name=_place_name(row), change=row.memory))


def _worth_doing(made: Conclusion) -> list[ConclusionRow]:
    return [row for row in made.rows if row.advice.action in {Action.DO, Action.OPTIMISED}]
