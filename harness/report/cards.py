"""A scenario as a card: one table per place, then what it costs, why, how to do it, what was found, and where the data is.

Texts that are the same at several places are on it once; one that is not the same everywhere has the places that it is true for.
"""

import math
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from urllib.parse import quote

from harness.errors import without_own_names
from harness.language import gettext, mark, ngettext, word
from harness.report import conclusion, load, plans, tables
from harness.report.blocks import Block, Cell, CellStatus, Paragraph, Table, Tone, of, status
from harness.report.conclusion import ConclusionRow
from harness.report.numbers import DASH, percent, significant, times, whole
from harness.report.plans import StatementView, cut, names
from harness.report.promises import LocatedResult, located
from harness.results.names import short, shortened, visible
from harness.results.run import (
    AA_CONTROL,
    BASELINE,
    ArmResult,
    Memory,
    Run,
    RunKind,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
)
from harness.stats.ablation import are_ablated
from harness.verdicts.advice import DENIED, KEPT, Action, ArmCase
from harness.verdicts.promise import TIME, format_claim, format_with_interval

TITLE, TEXT, ARM = 120, 400, 40
"""The most characters of a title, of a text, and of a name in a sentence."""
WORK, COUNTS = 3, 3
"""The most groups whose work counts a card names, and the most counts per group."""
PLANS = 2
"""The most plans per arm that it names; of several places one."""
FINDINGS, MESSAGES = 3, 2
"""The most findings, and messages of one kind of warning, that are not folded."""
LISTED = 3
"""The most groups that a sentence names."""
EVIDENCE = 300
"""The most characters of a finding's evidence."""
PERCENTILES = mark("Percentiles with intervals, ratios of percentiles")
FULL = 2
"""The number of places up to which all have a table of their own; of more, the first of each engine, to limit the page."""
REPOSITORY = re.compile(r"https://[\w.-]+(?:/[\w.~-]+)+")
COMMIT = re.compile("[0-9a-f]{7,64}")
ELSEWHERE = mark("A page of many places has them at the first one; “harness report RUN --format markdown --all” prints all.")
ALL_SAME = mark("The tables are the same as at {places}.")
OTHERS_SAME = mark("Further tables are the same as at {places}.")
FEW = 3
"""The most texts about several places that are not folded."""
SAMPLES = re.compile(r"samples/[\w.,+-]+")
"""The files that a card links to: those beside the report."""


@dataclass(frozen=True)
class CardItem:
    """A text on a card."""

    text: str
    where: str = ""
    """The places that it is true for, if they are not all."""
    lead: str = ""
    """Its subject, such as an arm or a kind of warning."""
    detail: str = ""
    """Evidence, or a remedy."""
    status: CellStatus | None = None
    link: str = ""
    code: str = ""
    """A file or a command."""


@dataclass(frozen=True)
class CardFact:
    """The texts about one subject of a card."""

    head: str
    items: tuple[CardItem, ...]
    more: tuple[CardItem, ...] = ()
    """Those that are folded."""
    is_inline: bool = False
    """Whether its texts are short enough to stand on one line."""


@dataclass(frozen=True)
class CardPlace:
    """A scenario's figures on one engine at one RTT."""

    located: LocatedResult
    label: str
    status: CellStatus | None
    gains: str
    """The gains alone, for a line per place."""
    sentence: str
    stopped: str
    """That it failed or was interrupted; empty if it ended by itself."""
    error: str
    table: Table | None
    blocks: tuple[Block, ...]
    """What replaces the table in a load test."""
    details: tuple[tuple[str, tuple[Block, ...]], ...]
    """Title → blocks, each folded."""


@dataclass(frozen=True)
class OtherPlace:
    """A place that has a column in place of a part of its own."""

    label: str
    anchor: str
    """Its id; empty where a part of the card has it."""


@dataclass(frozen=True)
class PlacesTable:
    """A scenario's figures at all places, a column each."""

    places: tuple[OtherPlace, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    """Group, arm, and a figure per place."""


@dataclass(frozen=True)
class Card:
    """One scenario at every place where it was run."""

    anchor: str
    name: str
    title: str
    status: CellStatus | None
    sentence: str
    paragraphs: tuple[str, ...]
    places: tuple[CardPlace, ...]
    """Of many places, the first of each engine."""
    others: PlacesTable | None
    """All places, if not all of them have a part of their own."""
    facts: tuple[CardFact, ...]
    arms: tuple[ArmResult, ...]
    statements: tuple[StatementView, ...]
    cases: tuple[tuple[str, str], ...]
    """Name → description of the groups of cases whose description is cut in the tables."""
    settings: tuple[tuple[str, str], ...]

    @property
    def arm_names(self) -> list[str]:
        """Every arm that is on the card, in the scenario's order."""
        met = [arm.name for arm in self.arms]
        met += [x.arm for place in self.places for x in (*place.located.result.latencies, *place.located.result.statements)]
        return [name for name in dict.fromkeys(met) if name != AA_CONTROL]


def cards(run: Run) -> list[Card]:
    """Return a card per scenario, in the run's order; one that was run nowhere has none."""
    rows = [None] * len(run.scenarios) if not conclusion.is_there(run) else [*conclusion.of_results(run)]
    by_name: dict[str, list[tuple[LocatedResult, ConclusionRow | None]]] = {}
    for found, row in zip(located(run), rows, strict=True):
        by_name.setdefault(found.result.name, []).append((found, row))
    return [
        _card(run, scenario)
        for scenario in by_name.values()
        if any(found.result.status != ScenarioStatus.NOT_RUN for found, _ in scenario)
    ]


def _card(run: Run, scenario: Sequence[tuple[LocatedResult, ConclusionRow | None]]) -> Card:
    tried = [(found, row) for found, row in scenario if found.result.status != ScenarioStatus.NOT_RUN]
    skipped = [found.result for found, _ in scenario if found.result.status == ScenarioStatus.NOT_RUN]
    first = tried[0][0]
    result = first.result
    results = [(found.result.place, found.result) for found, _ in tried]
    rows = [row for _, row in tried if row is not None]
    is_alone = len(tried) == 1
    of_engines: dict[str, tuple[LocatedResult, ConclusionRow | None]] = {}
    for found, row in tried:
        of_engines.setdefault(found.result.engine, (found, row))
    full = tried if len(tried) <= FULL else list(of_engines.values())
    made = [p.strip() for p in re.split(r"\n\s*\n", result.doc) if p.strip()]
    repeats_title = bool(made) and made[0].rstrip(".") == result.title.rstrip(".")
    return Card(
        anchor=first.anchor,
        name=short(result.name, ARM),
        title=short(result.title or result.name, TITLE),
        status=rows[0].status if rows and is_alone else None,
        sentence="" if not rows else sentence(rows[0]) if is_alone else _over_places(rows),
        paragraphs=tuple(cut(p) for p in (made[1:] if repeats_title else made)),
        places=tuple(_without_repetitions([_place(found, row) for found, row in full], of_many=len(tried) > FULL)),
        others=_every_place([found for found, _ in tried], {found.anchor for found, _ in full}) if len(full) < len(tried) else None,
        facts=tuple(fact for fact in _facts(run, results, rows, skipped) if fact.items),
        arms=tuple(result.arms),
        statements=tuple(plans.statements(results)),
        cases=tuple((short(g, TITLE), cut(text)) for g, text in result.groups.items() if len(text) > tables.DESCRIPTION),
        settings=tuple(_settings(run, results)),
    )


def _place(found: LocatedResult, row: ConclusionRow | None) -> CardPlace:
    result = found.result
    is_loaded, under_load = result.load is not None, list[Block]()
    if result.load:
        under_load = [Paragraph(f"{load.planned(result)}.", quiet=True), *load.notices(result), *load.detail(result)]
    timed = not result.is_timed_under_load
    stopped = {
        ScenarioStatus.FAILED: mark("This scenario failed"),
        ScenarioStatus.INTERRUPTED: mark("This scenario was interrupted"),
    }
    details = {
        PERCENTILES: of(tables.percentiles(result), spread(result)) if timed else [],
        mark("Under load"): under_load if timed else [],
        mark("Work counts, growth, memory"): _work(result),
    }
    return CardPlace(
        located=found,
        label=result.place,
        status=row.status if row else None,
        gains=gains(row) if row else "",
        sentence=sentence(row) if row else "",
        stopped=gettext(stopped.get(result.status, "")),
        error=cut(without_own_names(result.error)) if result.error and result.status in stopped else "",
        table=tables.speed(result) if timed else None,
        blocks=tuple(under_load) if is_loaded and not timed else (),
        details=tuple((title, tuple(blocks)) for title, blocks in details.items() if blocks),
    )


def _every_place(tried: Sequence[LocatedResult], with_parts: set[str]) -> PlacesTable:
    """Return the ratios and medians of a scenario at all places; `with_parts` are the anchors that parts of its card have."""
    labels = [OtherPlace(found.result.place, "" if found.anchor in with_parts else found.anchor) for found in tried]
    figures = [tables.ratios_and_medians(found.result) for found in tried]
    rows = dict.fromkeys(key for of_place in figures for key in of_place)
    missing = Cell(DASH)
    return PlacesTable(
        tuple(labels),
        tuple(
            (tables.named(group), tables.named(arm), tuple(x.get((group, arm), missing) for x in figures)) for group, arm in rows
        ),
    )


def _without_repetitions(places: Sequence[CardPlace], *, of_many: bool) -> Iterator[CardPlace]:
    """Yield the places without folded tables that an earlier one has, and `of_many` places the intervals of percentiles at one."""
    seen: dict[Block, str] = {}
    for place in places:
        details = list[tuple[str, tuple[Block, ...]]]()
        for title, blocks in place.details:
            if of_many and title == PERCENTILES and place is not places[0]:
                details.append((title, (Paragraph(gettext(ELSEWHERE), quiet=True),)))
                continue
            known: dict[Block, str] = {block: seen.setdefault(block, place.label) for block in blocks if isinstance(block, Table)}
            same = {label for label in known.values() if label != place.label}
            kept = tuple(block for block in blocks if known.get(block, place.label) == place.label)
            if same:
                text = ALL_SAME if not any(isinstance(block, Table) for block in kept) else OTHERS_SAME
                kept = (*kept, Paragraph(gettext(text, places="; ".join(sorted(same))), quiet=True))
            details.append((title, kept))
        yield replace(place, details=tuple(details))


def _work(result: ScenarioResult) -> list[Block]:
    """Return the work counts and costs that differ, memory and controls."""
    equal = tables.equal_counts(result)
    return of(
        tables.work_counts(result, differing=True),
        Paragraph(equal, quiet=True) if equal else None,
        tables.growth(result, differing=True),
        tables.memory(result, differing=True),
        *tables.controls(result),
    )


def spread(result: ScenarioResult) -> Table | None:
    """Return the ratios of percentiles, with the lowest and the highest ratio of a process; None without any."""
    by_process = {(r.group, r.arm): r.processes for r in result.ratios}
    table = tables.percentile_ratios(result)
    if table is None:
        return None
    known = list(dict.fromkeys((r.group, r.arm) for r in tables.in_order(result, result.percentile_ratios)))
    ends = []
    for key in known:
        found = by_process.get(key)
        ends.append(Cell(f"{times(min(found))} … {times(max(found))}") if found else Cell(DASH, gettext("not paired")))
    rows = tuple((*row, end) for row, end in zip(table.rows, ends, strict=True))
    return Table(table.caption, (*table.head, mark("lowest … highest process")), rows, names=table.names, grouped=table.grouped)


def sentence(row: ConclusionRow) -> str:
    """Return the result at one place in a sentence: gains with their verdicts, checks, or why nothing is decided."""
    advice, result = row.advice, row.located.result
    if result.status in {ScenarioStatus.FAILED, ScenarioStatus.INTERRUPTED} and not result.verdicts:
        return ""
    texts = [text for case in _cases(row) if (text := _case(result, case, advice.lead))]
    wording = mark("Preliminary, from a quick run: {results}.") if row.located.preliminary else mark("{results}.")
    sentences = [gettext(wording, results=gettext("; ").join(texts))] if texts else []
    if advice.action == Action.UNDECIDED and advice.reason and not row.located.preliminary:
        sentences.append(gettext("Not decided: {reason}.", reason=short(without_own_names(advice.reason), TEXT)))
    return " ".join(sentences) or gettext("Nothing was judged.")


def gains(row: ConclusionRow) -> str:
    """Return the gain of each arm at one place, without the verdicts."""
    return gettext("; ").join(f"{visible(shortened(case.arm, ARM))} {_gain(case)}" for case in _cases(row) if _gain(case))


def _cases(row: ConclusionRow) -> list[ArmCase]:
    return [case for case in (row.advice.literal, row.advice.optimised) if case is not None]


def _gain(case: ArmCase) -> str:
    """Return an arm's gain with its interval; empty without one, and for an infinite one, which is a matter of its verdict."""
    gain = case.gain
    if gain is None or not math.isfinite(gain.value):
        return ""
    return " ".join(format_with_interval(gain.value, gain.low, gain.high, gain.unit)).strip()


def _case(result: ScenarioResult, case: ArmCase, lead: Iterable[Verdict]) -> str:
    """Return an arm's gain with its verdicts, and its failed checks; empty if nothing was judged."""
    arm, own = visible(shortened(case.arm, ARM)), [v for v in lead if v.arm == case.arm]
    texts = []
    if _gain(case):
        texts.append(_gain(case) + _verdicts(own))
    elif case.errors:
        texts.append(gettext("cannot run {groups}", groups=names(case.errors)))
    else:
        promised = [v for v in result.verdicts if v.arm == case.arm and v.promised_low is not None]
        if promised:
            number = f"{sum(v.verdict in KEPT for v in promised):,}"
            texts.append(ngettext("{kept} of {count} promise kept", "{kept} of {count} promises kept", len(promised), kept=number))
    if case.failed_checks:
        texts.append(ngettext("{count} check failed", "{count} checks failed", len(case.failed_checks)))
    return f"{arm} {gettext(', ').join(texts)}" if texts else ""


def _verdicts(own: Sequence[Verdict]) -> str:
    """Return what was promised and the verdict on it, or the number of each verdict."""
    if not own:
        return ""
    if len(own) == 1:
        (only,) = own
        claim = format_claim(only.promised_low, only.promised_high, only.unit) if only.promised_low is not None else ""
        verdict = word(short(only.verdict, ARM))
        return gettext(" (promised {claim}: {verdict})", claim=claim, verdict=verdict) if claim else ""
    counts = Counter(short(v.verdict, ARM) for v in own)
    found = gettext(", ").join(gettext("{number} {verdict}", number=number, verdict=word(name)) for name, number in counts.items())
    return gettext(" over {count} promises ({verdicts})", count=len(own), verdicts=found)


def _over_places(rows: Sequence[ConclusionRow]) -> str:
    """Return what to do in a sentence: the number of places with each action."""
    counts = Counter(row.advice.action for row in rows)
    if len(counts) == 1:
        return gettext("{action} at all {count} places.", action=word(next(iter(counts))).capitalize(), count=len(rows))
    actions = [action for action in Action if counts[action]]
    texts = [gettext("{action} at {count}", action=word(action), count=counts[action]) for action in actions]
    joined = gettext("{actions} of {count} places.", actions=gettext(", ").join(texts), count=len(rows))
    return joined[:1].upper() + joined[1:]


Results = Sequence[tuple[str, ScenarioResult]]


def _facts(run: Run, results: Results, rows: Sequence[ConclusionRow], skipped: Sequence[ScenarioResult]) -> Iterator[CardFact]:
    """Yield what is known about a scenario, one subject after another."""
    chosen = {row.located.anchor: row.advice.chosen for row in rows}
    arms = [case.arm for case in chosen.values() if case]
    yield CardFact(mark("Promises"), tuple(_across(results, _promises)))
    yield _folded(mark("Price"), results, _price)
    most_plans = PLANS if len(results) == 1 else 1
    yield _folded(mark("Why"), results, lambda result: _why(result, arms, most_plans))
    changes = tuple(_across(results, _changes))
    shown = len(changes) if len(changes) <= FEW + 1 else FEW
    yield CardFact(mark("To do"), (*_to_do(run, results), *changes[:shown]), changes[shown:])
    yield _found(results)
    warnings = _folded(mark("Warning"), results, _warnings)
    yield replace(warnings, more=(*warnings.more, *_across(results, _further_warnings)))
    places = [*(place for place, _ in results), *(each.place for each in skipped)]
    yield CardFact(mark("Not run"), tuple(_not_run(skipped, places)))
    yield CardFact(mark("Data"), tuple(_data(run, results)), is_inline=True)


def _folded(head: str, results: Results, make: Callable[[ScenarioResult], Iterable[CardItem]]) -> CardFact:
    """Return a fact about several places: what is true at the first of them comes first, the rest is folded."""
    at_first = {(item.lead, item.text, item.code) for item in make(results[0][1])}
    found = tuple(_across(results, make))
    first = tuple(item for item in found if (item.lead, item.text, item.code) in at_first)
    if not first or len(found) <= max(FEW, len(first) + 1):
        return CardFact(head, found)
    return CardFact(head, first, tuple(item for item in found if item not in first))


def _found(results: Results) -> CardFact:
    """Return the findings: the first observed ones unfolded, those that were observed nowhere last."""
    found = tuple(sorted(_across(results, _findings), key=lambda item: item.status != status("observed")))
    seen = sum(item.status == status("observed") for item in found)
    most = min(seen or len(found), FINDINGS)
    return CardFact(mark("Found"), found, ()) if len(found) <= most + 1 else CardFact(mark("Found"), found[:most], found[most:])


def _across(results: Results, make: Callable[[ScenarioResult], Iterable[CardItem]]) -> Iterator[CardItem]:
    """Yield the items of all places, each once, with the places it is true for if they are not all."""
    found: dict[tuple[object, ...], tuple[CardItem, list[str]]] = {}
    for place, result in results:
        for item in make(result):
            _, places = found.setdefault((item.lead, item.text, item.code, item.status), (item, []))
            places += [place] * (place not in places)
    for item, places in found.values():
        yield replace(item, where="" if len(places) == len(results) else plans.where(places, [place for place, _ in results]))


def _promises(result: ScenarioResult) -> Iterator[CardItem]:
    """Yield the number of promises by outcome, arm by arm; the table of all promises has the verdicts."""
    texts = []
    for arm in tables.arms_in_order(result, (v.arm for v in result.verdicts)):
        own = [v for v in result.verdicts if v.arm == arm]
        kept, missed = sum(v.verdict in KEPT for v in own), sum(v.verdict in DENIED for v in own)
        counts = {mark("{count} kept"): kept, mark("{count} missed"): missed, mark("{count} not judged"): len(own) - kept - missed}
        found = gettext(", ").join(gettext(outcome, count=number) for outcome, number in counts.items() if number)
        name = visible(shortened(arm, ARM))
        texts.append(
            ngettext("{count} promise on {arm}: {found}", "{count} promises on {arm}: {found}", len(own), arm=name, found=found)
        )
    if texts:
        yield CardItem(gettext("; ").join(texts), link="promises")


def _price(result: ScenarioResult) -> Iterator[CardItem]:
    """Yield what an optimisation costs: memory, disk, and operations that became slower."""
    yield from _memory(result)
    for (group, metric), by_arm in tables.counts_by_metric(result).items():
        base = by_arm.get(BASELINE)
        if base is None or not re.search(r"(?:^|_)(?:index|disk|file|database|table)_(?:bytes|kb|mb)$", metric):
            continue
        size = {"bytes": 1e-6, "kb": 1e-3}.get(metric.rpartition("_")[2], 1.0)
        sizes = [(arm, x.value * size) for arm, x in by_arm.items() if arm != BASELINE and x.value != base.value]
        if sizes:
            before = base.value * size
            after = ", ".join(f"{visible(shortened(arm, ARM))} {significant(v)} MB {_change(before, v)}" for arm, v in sizes)
            where = f" ({names([group])})" if group else ""
            what = metric.rpartition("_")[0].replace("_", " ")
            text = gettext("{size} MB on {arm}, {others}", size=significant(before), arm=BASELINE, others=after)
            yield CardItem(text + where, lead=gettext("disk, {what}", what=what))
    costs: dict[str, list[str]] = {}
    for v in result.verdicts:
        if v.unit == TIME and v.value is not None and (v.low is None or v.low > 1):
            figure = " ".join(format_with_interval(v.value, v.low, v.high, v.unit)).strip()
            part = f", {v.part}" if v.part and v.part not in v.text else ""
            about = short(re.sub(r" \([^()]*\)", "", v.text) + part, TITLE)
            costs.setdefault(about, []).append(f"{visible(shortened(v.arm, ARM))} {figure}")
    for about, figures in costs.items():
        yield CardItem(", ".join(figures), lead=about)
    slower = {} if result.is_timed_under_load else _slower(result)
    if slower:
        texts = (gettext("{arm} in {groups}", arm=visible(shortened(arm, ARM)), groups=text) for arm, text in slower.items())
        yield CardItem(gettext("; ").join(texts), lead=gettext("slower by the whole interval"))


def _slower(result: ScenarioResult) -> dict[str, str]:
    """Return the arms that are slower than the baseline in some groups → those groups."""
    found = {}
    for arm in tables.arms_in_order(result, (r.arm for r in result.ratios if r.arm != AA_CONTROL)):
        own = [r for r in tables.in_order(result, result.ratios) if r.arm == arm]
        groups = [r.group for r in own if r.high is not None and r.high < 1]
        if groups:
            every = gettext("{number} of {total} groups", number=len(groups), total=len(own))
            found[arm] = names(groups) if len(groups) <= LISTED else every
    return found


def _change(before: float, after: float) -> str:
    return f"({percent(after / before - 1)})" if before else gettext("(none before)")


def _memory(result: ScenarioResult) -> Iterator[CardItem]:
    """Yield the memory of the arms in the group that takes most, and how operations ended at a limit."""
    whole_data = [m for m in result.memory if m.scale == 1 and m.limit_bytes is None]
    measured = [m for m in whole_data if m.has_figures]
    base = max((m for m in measured if m.arm == BASELINE), key=lambda m: m.added_bytes, default=None)
    if base is not None:
        others = [m for m in tables.in_order(result, measured) if m.group == base.group and m.arm != BASELINE]
        texts = [f"{visible(shortened(m.arm, ARM))} {_megabytes(m)} ({tables.memory_change(m, base)})" for m in others]
        if texts:
            rest = gettext(", ").join(texts)
            text = gettext("an operation adds {size} on {arm}, {others}", size=_megabytes(base), arm=BASELINE, others=rest)
            yield CardItem(text, lead=gettext("memory, {group}", group=visible(shortened(base.group, ARM))))
    limited = [m for m in tables.in_order(result, result.memory) if m.limit_bytes and m.not_measured is None]
    for group, limit in dict.fromkeys((m.group, m.limit_bytes or 0) for m in limited):
        ends: dict[str, list[str]] = {}
        for m in limited:
            if (m.group, m.limit_bytes) == (group, limit):
                completed = gettext("completed within {size} MB", size=f"{limit / 1e6:,.4g}")
                ends.setdefault(tables.stopped(m) if m.error else completed, []).append(m.arm)
        text = gettext("; ").join(gettext("{arms} {end}", arms=names(arms), end=end) for end, arms in ends.items())
        yield CardItem(text, lead=gettext("limited memory, {group}", group=visible(shortened(group, ARM))))


def _megabytes(m: Memory) -> str:
    return f"{significant(m.added_bytes / 1e6)} MB"


def _why(result: ScenarioResult, chosen: Sequence[str], most_plans: int) -> Iterator[CardItem]:
    """Yield the work counts that differ most per group, then the steps of the plans that differ."""
    yield from _work_that_differs(result)
    arms = [arm for arm in tables.arms_in_order(result, (s.arm for s in result.statements)) if arm != BASELINE]
    wanted = [arm for arm in arms if arm in chosen] or arms[-1:]
    for arm in wanted:
        for (left, new), groups in list(plans.changes(result, arm).items())[:most_plans]:
            lead = gettext("plan of {groups}, {arm}", groups=names(groups), arm=visible(shortened(arm, ARM)))
            yield CardItem("", lead=lead, code=_steps(left, new))


def _steps(left: Sequence[str], new: Sequence[str]) -> str:
    """Return the first step that a plan lost, and the first that it got."""
    marked = [*((plans.LEFT, text) for text in left[:1]), *((plans.NEW, text) for text in new[:1])]
    return "  ".join(f"{mark} {short(text, TITLE)}" for mark, text in marked)


def _work_that_differs(result: ScenarioResult) -> Iterator[CardItem]:
    """Yield the work counts that differ, one text for all groups that have the same, with the number of the equal ones."""
    found: dict[str, list[str]] = {}
    by_group: dict[str, list[tuple[str, str]]] = {}
    for (group, metric), by_arm in tables.counts_by_metric(result).items():
        if group and BASELINE in by_arm and tables.differ(by_arm) and all(x.repeats_exactly for x in by_arm.values()):
            by_group.setdefault(group, []).append((metric, _arrow({arm: x.value for arm, x in by_arm.items()})))
    for group, counts in by_group.items():
        more = len(counts) - COUNTS
        shown = [f"{tables.named(tables.metric_name(metric, result.groups))} {text}" for metric, text in counts[:COUNTS]]
        found.setdefault(_and_more(shown, more), []).append(group)
    for text, groups in list(found.items())[:WORK]:
        yield CardItem(text, lead=names(groups))
    more = len(found) - WORK
    equal = tables.equal_counts(result)
    further = ngettext("{count} further group below.", "{count} further groups below.", more) if more > 0 else ""
    if found and (further or equal):
        yield CardItem(f"{further} {equal}".strip(), lead=gettext("others"))


def _and_more(texts: Sequence[str], more: int) -> str:
    """Return texts in one, with the number of those that are left out."""
    shown = gettext("; ").join(texts)
    return gettext("{texts}; {count} more", texts=shown, count=f"{more:,}") if more > 0 else shown


def _arrow(values: dict[str, float]) -> str:
    """Return a count before → after: one figure if all other arms have the same, else each with its arm."""
    before = values.pop(BASELINE)
    after = dict.fromkeys(values.values())
    if len(after) == 1:
        return f"{whole(before)} → {whole(next(iter(after)))}"
    return f"{whole(before)} → {', '.join(f'{whole(value)} ({visible(shortened(arm, ARM))})' for arm, value in values.items())}"


def _to_do(run: Run, results: Results) -> Iterator[CardItem]:
    """Yield the arms with what they do and their code, where they cannot run, and the file if no arm has its line."""
    file = results[0][1].file
    yield from _across(results, lambda result: _arms(run, result))
    if file and not any(arm.code for arm in results[0][1].arms):
        yield CardItem("", lead=gettext("code of all arms"), code=short(file, TEXT))


def code_address(run: Run, code: str) -> str:
    """Return the web address of a line of code, `path:line`, at a run's commit; empty if it is not in a repository that is known.

    Example:
        `scenarios/indexes.py:63` is `https://github.com/someone/shop/blob/3f9a1c2/scenarios/indexes.py#L63`.
    """
    path, _, line = code.rpartition(":")
    if not (REPOSITORY.fullmatch(run.repository) and COMMIT.fullmatch(run.commit or "") and path and line.isdecimal()):
        return ""
    blob = "-/blob" if "gitlab" in run.repository.split("/")[2] else "blob"
    return f"{run.repository}/{blob}/{run.commit}/{quote(path)}#L{line}"


def _arms(run: Run, result: ScenarioResult) -> Iterator[CardItem]:
    for arm in result.arms:
        text = short(arm.description, TEXT)
        shown = gettext("as written: {text}", text=text) if arm.as_written else text
        lead, address = visible(shortened(arm.name, ARM)), code_address(run, arm.code)
        yield CardItem(shown, lead=lead, link=address, code=short(arm.code, TEXT))
    for arm in result.arms:
        errors: dict[str, list[str]] = {}
        for group, error in arm.errors.items():
            errors.setdefault(without_own_names(error), []).append(group)
        for error, groups in errors.items():
            lead = gettext("{arm} cannot run {groups}", arm=visible(shortened(arm.name, ARM)), groups=names(groups))
            yield CardItem(short(error, TEXT), lead=lead, status=CellStatus(gettext("cannot run"), "✗", Tone.BAD))


def _changes(result: ScenarioResult) -> Iterator[CardItem]:
    """Yield the DDL statements of arms that the baseline does not have, each once."""
    common = next((arm.changes for arm in result.arms if arm.name == BASELINE), [])
    changing: dict[str, list[str]] = {}
    for arm in result.arms:
        for statement in dict.fromkeys(arm.changes):
            if statement not in common:
                changing.setdefault(statement, []).append(arm.name)
    for statement, arms in changing.items():
        yield CardItem("", lead=names(arms), code=short(" ".join(statement.split()), TEXT))


def _findings(result: ScenarioResult) -> Iterator[CardItem]:
    """Yield the findings, those that were observed first."""
    for f in sorted(result.findings, key=lambda f: not f.holds):
        outcome = status("observed" if f.holds else "not observed")
        evidence = short(without_own_names(f.evidence), EVIDENCE)
        yield CardItem(short(f.message, TEXT), lead=visible(shortened(f.arm, ARM)), detail=evidence, status=outcome)


def _warnings(result: ScenarioResult) -> Iterator[CardItem]:
    """Yield the warnings, one text for the first messages of a kind."""
    for (name, remedy), messages in _messages(result).items():
        more = len(messages) - MESSAGES
        shown = "; ".join(messages[:MESSAGES])
        text = gettext("{texts}; {count} more of this kind", texts=shown, count=f"{more:,}") if more > 0 else shown
        yield CardItem(text, lead=name, detail=gettext("Remedy: {remedy}.", remedy=remedy) if remedy else "")


def _further_warnings(result: ScenarioResult) -> Iterator[CardItem]:
    """Yield the messages that `_warnings` only counts."""
    for (name, _), messages in _messages(result).items():
        for message in messages[MESSAGES:]:
            yield CardItem(message, lead=name)


def _messages(result: ScenarioResult) -> dict[tuple[str, str], list[str]]:
    """Return the name and the remedy of each kind of warning → its messages."""
    found: dict[tuple[str, str], list[str]] = {}
    for w in result.warnings:
        found.setdefault((short(w.name, ARM), short(w.remedy, TEXT)), []).append(short(without_own_names(w.message), TEXT))
    return found


def _not_run(skipped: Iterable[ScenarioResult], every: Sequence[str]) -> Iterator[CardItem]:
    found: dict[str, list[str]] = {}
    for result in skipped:
        found.setdefault(short(result.error or gettext("no reason was recorded"), TEXT), []).append(result.place)
    for text, places in found.items():
        yield CardItem(text, lead=plans.where(places, every))


def _data(run: Run, results: Results) -> Iterator[CardItem]:
    """Yield how much was measured, of which data, and the command that repeats just this scenario."""
    yield from _across(results, lambda result: _measured(run, result))
    yield from _across(results, _samples)
    if run.kind == RunKind.PAIRS:
        yield CardItem("", lead=gettext("repeat"), code=command(run, [result for _, result in results]))


def _measured(run: Run, result: ScenarioResult) -> Iterator[CardItem]:
    texts = []
    if result.pairs:
        pairs = ngettext("{count} pair", "{count} pairs", result.pairs)
        if run.kind == RunKind.LOAD:
            pairs = ngettext("{count} block", "{count} blocks", result.pairs)
        processes = ngettext("{count} process", "{count} processes", result.processes)
        texts.append(gettext("{pairs} in {processes}", pairs=pairs, processes=processes))
    if result.verified_cases and result.status != ScenarioStatus.FAILED:
        texts.append(gettext("{count} answers compared, all equal", count=whole(result.verified_cases)))
    size = run.settings.size or gettext("unknown")
    texts.append(gettext("{size} data, seed {seed}", size=size, seed=run.settings.seed))
    if digest := str(result.dataset.get("digest", "")):
        texts.append(gettext("digest {digest}", digest=short(digest[:12], ARM)))
    yield CardItem(" · ".join(texts))


def _samples(result: ScenarioResult) -> Iterator[CardItem]:
    if result.samples_file:
        is_safe = SAMPLES.fullmatch(result.samples_file) is not None
        file = short(result.samples_file, TEXT)
        yield CardItem(
            "",
            lead=gettext("samples") if is_safe else gettext("samples, {file}", file=file),
            link=file if is_safe else "",
            code=file,
        )


def command(run: Run, results: Sequence[ScenarioResult]) -> str:
    """Return the command that repeats one scenario with the options of the run."""
    is_ablation = any(result.ablation or are_ablated(arm.name for arm in result.arms) for result in results)
    settings, parts = run.settings, ["harness", "ablate" if is_ablation else "run", shorter(results[0].name)]
    engines = list(dict.fromkeys(result.engine for result in results if result.engine))
    is_default = len(engines) == 1 and run.command.partition(" ")[0] == "harness" and not _option(run.command, "--engine")
    rtts = [f"{rtt:g}" for rtt in dict.fromkeys(result.rtt_ms for result in results)]
    if engines and not is_default:
        parts += ["--engine", ",".join(engines)]
    if rtts != ["0"]:
        parts += ["--rtt", ",".join(rtts)]
    if settings.quick:
        parts.append("--quick")
    elif settings.size not in {"", "small"}:
        parts += ["--size", settings.size]
    if settings.seed:
        parts += ["--seed", str(settings.seed)]
    if folder := _option(run.command, "--scenarios"):
        parts += ["--scenarios", folder]
    return visible(shlex.join(parts))


def shorter(name: str) -> str:
    """Return a scenario's name for a command; one that is longer than a file name may be is cut."""
    return name if len(name) <= TEXT else shortened(name, TEXT)


def _option(line: str, name: str) -> str:
    """Return the value of an option of a command; empty without it."""
    try:
        words = shlex.split(line)
    except ValueError:
        return ""
    words = [part for word in words for part in (word.split("=", 1) if word.startswith(f"{name}=") else [word])]
    return next((value for option, value in pairwise(words) if option == name), "")


def engine_settings(run: Run) -> dict[str, dict[str, str]]:
    """Return each engine's settings that all of its scenarios share; empty for a run of a single scenario, whose card has them."""
    found: dict[str, dict[str, str]] = {}
    tried = [result for result in run.scenarios if result.status != ScenarioStatus.NOT_RUN and result.engine_settings]
    for result in tried if len({result.name for result in tried}) > 1 else ():
        shared = found.setdefault(result.engine, dict(result.engine_settings))
        found[result.engine] = {name: value for name, value in shared.items() if result.engine_settings.get(name) == value}
    return {engine: settings for engine, settings in found.items() if settings}


def _settings(run: Run, results: Results) -> Iterator[tuple[str, str]]:
    """Yield the facts about the data and those settings of the engines that not all scenarios share, each once."""
    shared = engine_settings(run)
    found: dict[tuple[str, str], list[str]] = {}
    for place, result in results:
        own = {name: text for name, text in result.engine_settings.items() if name not in shared.get(result.engine, {})}
        for name, value in (*result.dataset.items(), *own.items()):
            text = whole(value) if isinstance(value, int) else short(value, TEXT)
            found.setdefault((short(name, ARM), text), []).append(place)
    for (name, text), places in found.items():
        yield (name if len(places) == len(results) else f"{name} ({plans.where(places, [p for p, _ in results])})"), text
