"""A gate's result as blocks: changes, reasons why figures are not comparable, warnings, and the verdict."""

import math
from collections import Counter
from collections.abc import Sequence

from harness.language import gettext, mark, word
from harness.report.blocks import STATUSES, Block, Cell, Paragraph, ReportSection, Table, Tone, cells, of, status, warning_notices
from harness.report.numbers import DASH, duration, percent, percent_interval, significant, whole
from harness.report.tables import MOST_NAME, named_cells
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.names import abbreviated, shortened, visible
from harness.results.run import RunWarning

FOLDED = {GateVerdict.EQUAL, GateVerdict.NOT_JUDGED, GateVerdict.NOT_COMPARABLE}
"""Rows that are only counted: nothing changed, or one reason for all of them is given elsewhere."""

MOST = 100
"""The most rows that a terminal and a page show in one table."""
MOST_CHANGED, MOST_FOLDED, MOST_REMARKS, MOST_UNCHANGED = 14, 3, 3, 20
"""The most rows, folded rows, remarks and names of benchmarks not timed in Markdown: a comment on a pull request is one screen."""
UNJUDGED = (mark("{number} time that could not be judged"), mark("{number} times that could not be judged"))
UNCHANGED = (mark("{number} unchanged: not timed"), mark("{number} unchanged: not timed"))
QUIET = (mark("{number} figure equal or equivalent"), mark("{number} figures equal or equivalent"))
"""The titles of folded rows, singular and plural."""
NAMES = 2
"""The columns with the names of a figure."""
MOST_REASON, MOST_MESSAGE, MOST_HEADING = 200, 400, 200
"""The most characters of a row's reason, of a remark, and of the reason in the heading."""
GATE = {
    GateVerdict.REGRESSED: mark("Gate failed: {reason}."),
    GateVerdict.NOT_COMPARABLE: mark("Gate not comparable: {reason}."),
    GateVerdict.INCONCLUSIVE: mark("Gate inconclusive: {reason}."),
    GateVerdict.IMPROVED: mark("Gate passed: {reason}."),
    GateVerdict.EQUIVALENT: mark("Gate passed: {reason}."),
}
SLOWER_BY = mark("{name} is {change} % slower{bounds}")
AT_FIGURE = mark("{name} is {change} % slower at {figure}{bounds}")
BENCHMARKS = (mark("{number} benchmark"), mark("{number} benchmarks"))
FIGURES = (mark("{number} figure"), mark("{number} figures"))
SOME_REGRESSED = mark("{some} of {all} regressed; fix first: {first}")
SOME_OPEN = mark("{some} of {all} undecided, none regressed; run again with a larger --budget, or allow a larger --margin{seen}")
SEEN, SEEN_FROM = mark(" (slowdowns from {least} were detectable)"), mark(" (slowdowns from {least} to {most} were detectable)")


def shown(result: GateResult) -> list[GateRow]:
    """Return the rows to show: the most pressing verdict first, then the largest change; of undecided ones the largest possible.

    Benchmarks that were not timed are only counted.
    """
    did_not_run = (GateVerdict.NOT_COMPARABLE, RowKind.STATUS)
    rows = [row for row in result.rows if row.verdict not in FOLDED or (row.verdict, row.kind) == did_not_run]
    rows = [row for row in rows if not row.is_untimed]
    return sorted(rows, key=lambda row: (list(GateVerdict).index(row.verdict), -_size(row)))


def changed(result: GateResult) -> list[GateRow]:
    """Return the rows that changed or are undecided, in the order of `shown`."""
    return [row for row in shown(result) if row.verdict != GateVerdict.EQUIVALENT]


def _size(row: GateRow) -> float:
    """Return the size of a row's change; of an undecided one, the largest slowdown that it may be."""
    if row.verdict == GateVerdict.INCONCLUSIVE and row.high is not None:
        return row.high
    return max(row.change, 1 / row.change) if row.change else math.inf


def figure(value: float | None, unit: str) -> str:
    """Return a figure with its unit; a dash for a missing one."""
    if value is None:
        return DASH
    match unit:
        case "ns":
            return duration(value)
        case "bytes":
            return f"{significant(value / 1e6)} MB"
        case "share":
            return f"{value * 100:.3g} %"
        case "per s":
            return gettext("{value} per s", value=significant(value))
        case _:
            return whole(value)


def change(row: GateRow) -> Cell:
    """Return the change of a figure, `+2 %` or `+210 %`, with its interval where it has one."""
    if row.change is None:
        return Cell(DASH)
    bounds = (None if bound is None else bound - 1 for bound in (row.low, row.high))
    return Cell(percent(row.change - 1), detail=percent_interval(*bounds))


def message(row: GateRow, name: str) -> str:
    """Return a row in one line: the figure's `name`, its values with their change, unless it did not run, and the reason."""
    pair = f"{figure(row.base, row.unit)} → {figure(row.candidate, row.unit)} ({change(row).full})"
    values = (
        "" if row.kind in {RowKind.STATUS, RowKind.CHECKS} or row.is_untimed else f" {change(row).full if row.paired else pair}"
    )
    seen = gettext("; detectable: {size}", size=detectable(row)) if detectable(row) != DASH else ""
    return f"{name}{values}: {row.reason}{seen}"


def detectable(row: GateRow) -> str:
    """Return the smallest slowdown that would have been seen in an undecided benchmark; a dash for other figures."""
    return percent(row.detectable) if row.verdict == GateVerdict.INCONCLUSIVE else DASH


def name(row: GateRow) -> str:
    """Return the name of a figure within its scenario; a benchmark has its own alone."""
    return row.label.removesuffix(f" · {row.metric}") if row.paired and row.metric == "time" and row.group else row.label


def counts(result: GateResult) -> str:
    """Return the number of figures with each verdict: `✗ 1 regressed, = 40 equal`; benchmarks not timed are unchanged."""
    unchanged = sum(row.is_untimed for row in result.rows)
    numbers = {verdict: number - unchanged * (verdict == GateVerdict.EQUIVALENT) for verdict, number in result.counts.items()}
    found = [f"{STATUSES[verdict].sign} {number:,} {word(verdict)}" for verdict, number in numbers.items() if number]
    found += [f"{STATUSES[GateVerdict.EQUAL].sign} {counted(unchanged, UNCHANGED)}"] * bool(unchanged)
    return gettext(", ").join(found)


def headline(result: GateResult) -> str:
    """Return the verdict with its sentence, in one line."""
    return f"{status(result.verdict).label}: {result.sentence}"


def heading(result: GateResult) -> str:
    """Return the verdict of a gate with its numbers and what to do: the worst figure, what could not be seen, or the reason."""
    reason = shortened(visible(result.sentence), MOST_HEADING)
    regressed = [row for row in shown(result) if row.verdict == GateVerdict.REGRESSED]
    undecided = [row for row in result.rows if row.verdict == GateVerdict.INCONCLUSIVE]
    if result.verdict == GateVerdict.REGRESSED and regressed:
        reason = gettext(SOME_REGRESSED, some=whole(len(regressed)), all=_all(result), first=_regressed(regressed[0]))
    elif result.verdict == GateVerdict.INCONCLUSIVE and undecided and all(row.paired for row in undecided):
        reason = gettext(SOME_OPEN, some=whole(len(undecided)), all=_all(result), seen=_seen(undecided))
    return gettext(GATE[result.verdict], reason=reason)


def _all(result: GateResult) -> str:
    """Return the number of figures that were compared, of benchmarks if there is nothing else."""
    is_timed = all(row.paired for row in result.rows if row.kind != RowKind.STATUS)
    return counted(len(result.rows), BENCHMARKS if is_timed else FIGURES)


def _seen(undecided: Sequence[GateRow]) -> str:
    """Return the smallest slowdowns that would have been seen in undecided benchmarks; empty if that is unknown."""
    found = sorted(row.detectable for row in undecided if row.detectable is not None)
    if not found:
        return ""
    least, most = percent(found[0]), percent(found[-1])
    return gettext(SEEN if least == most else SEEN_FROM, least=least, most=most)


def _regressed(row: GateRow) -> str:
    """Return a regressed figure in words: `list is 12 % slower [9, 15]`, or its values with the reason."""
    parts = (row.group,) if row.paired and row.group and not row.arm else (row.scenario, row.arm, row.group)
    name = shortened(visible(", ".join(part for part in parts if part)), 2 * MOST_NAME)
    if row.kind == RowKind.TIME and row.change is not None and row.change > 1:
        bounds = "" if row.low is None or row.high is None else f" [{(row.low - 1) * 100:.3g}, {(row.high - 1) * 100:.3g}]"
        text = SLOWER_BY if row.metric in {"time", "median"} else AT_FIGURE
        return gettext(text, name=name, change=f"{(row.change - 1) * 100:,.3g}", figure=visible(row.metric), bounds=bounds)
    if row.kind in {RowKind.STATUS, RowKind.CHECKS}:
        return shortened(visible(f"{name}: {row.reason}"), MOST_HEADING)
    return shortened(visible(message(row, f"{name}: {row.metric.replace('_', ' ')}")), MOST_HEADING)


def table(rows: Sequence[GateRow], last: str, most: int = MOST, longest: int = MOST_NAME) -> Table | None:
    """Return at most `most` figures in a table, with verdict or reason in the `last` column; None without figures.

    Names of more than `longest` characters are cut. A column that would be empty is left out.
    """
    places, labels = (named_cells((text(row) for row in rows[:most]), longest) for text in (lambda row: row.place, name))
    lines = []
    for row in rows[:most]:
        base, candidate = figure(row.base, row.unit), figure(row.candidate, row.unit)
        reason = shortened(visible(row.reason), MOST_REASON)
        cell = Cell(reason, status=status(row.verdict) if last == "verdict" else None)
        lines.append(cells(places[row.place], labels[name(row)], base, candidate, change(row), detectable(row), cell))
    head = (mark("where"), mark("figure"), mark("before"), mark("after"), mark("change"), mark("detectable"), last)
    kept = [place for place in range(len(head)) if place < NAMES or any(line[place].text != DASH for line in lines)]
    shown_head, shown_rows = (tuple(head[place] for place in kept), tuple(tuple(line[place] for place in kept) for line in lines))
    return Table("", shown_head, shown_rows, names=NAMES, grouped=True, texts=(last,)) if rows else None


def _table(rows: Sequence[GateRow], last: str, most: int = MOST) -> list[Block]:
    """Return figures in a table, at most `most`, and the number of the others with each verdict; nothing without figures."""
    return of(table(rows, last, most), Paragraph(more(rows[most:]), quiet=True) if len(rows) > most else None)


def counted(number: int, forms: tuple[str, str]) -> str:
    """Return a number in the singular or the plural of a sentence."""
    return gettext(forms[number != 1], number=f"{number:,}")


def more(rows: Sequence[GateRow]) -> str:
    """Return the number of rows that are not shown, by verdict: `and 986 more: 400 regressed, 586 improved`."""
    counted = Counter(row.verdict for row in rows)
    kinds = gettext(", ").join(
        gettext("{number} {verdict}", number=f"{counted[verdict]:,}", verdict=word(verdict))
        for verdict in GateVerdict
        if counted[verdict]
    )
    return gettext("and {count} more: {kinds}", count=f"{len(rows):,}", kinds=kinds)


def remarks(result: GateResult, most: int = MOST) -> list[Block]:
    """Return the reasons why sides are not comparable, and the warnings, each with its remedy; at most `most` of each."""
    incomparable = warning_notices(
        mark("Not comparable"), _short(result.incomparable, most), label=mark("not comparable"), tone=Tone.OPEN
    )
    return [*incomparable, *warning_notices(mark("Warnings"), _short(result.warnings, most))]


def _short(found: Sequence[RunWarning], most: int) -> list[RunWarning]:
    """Return the first warnings with short texts, the last one with the number of the others."""
    made = [RunWarning(*(shortened(visible(text), MOST_MESSAGE) for text in (x.name, x.message, x.remedy))) for x in found[:most]]
    if len(found) > most:
        made[-1] = RunWarning(
            gettext("more"),
            gettext("{count} more of them", count=f"{len(found) - most + 1:,}"),
            gettext("see the result in JSON: --json"),
        )
    return made


def brief(result: GateResult) -> list[Block]:
    """Return the result for the terminal: the verdict is the last line."""
    tally = Paragraph(counts(result)) if result.rows else None
    return of(
        *_table(shown(result), mark("verdict")),
        *remarks(result),
        tally,
        Paragraph(headline(result), tone=status(result.verdict).tone),
    )


def unjudged(result: GateResult) -> list[GateRow]:
    """Return the times that could not be judged, the largest change first."""
    rows = [row for row in result.rows if row.verdict == GateVerdict.NOT_JUDGED and row.kind == RowKind.TIME]
    return sorted(rows, key=lambda row: -_size(row) if row.change else 0.0)


def full(result: GateResult) -> list[Block]:
    """Return the result for a pull request: one sentence, what changed or is undecided, and folded the rest with its numbers.

    The reason for the verdict follows the sentence where it says more than the numbers.
    """
    base, candidate = (shortened(visible(name), MOST_REASON) for name in (result.base, result.candidate))
    sides = gettext("Baseline {base}, candidate {candidate}.", base=base, candidate=candidate)
    title, sentence = heading(result), shortened(visible(result.sentence), MOST_MESSAGE)
    found = of(
        Paragraph(f"{sentence}.") if "; " in sentence and sentence not in title else None,
        *_table(changed(result), "verdict", MOST_CHANGED),
        *remarks(result, MOST_REMARKS),
        _folded(result),
        Paragraph(f"{sides} {counts(result)}".rstrip(), quiet=True),
    )
    return [ReportSection(f"{status(result.verdict).sign} {title}", tuple(found), folded=False)]


def _folded(result: GateResult) -> ReportSection | None:
    """Return the rest: the benchmarks that were not timed, what is equivalent, and the times not judged; None without any."""
    untimed = [row for row in result.rows if row.is_untimed]
    same = [row for row in result.rows if row.verdict in {GateVerdict.EQUAL, GateVerdict.EQUIVALENT} and not row.is_untimed]
    same.sort(key=lambda row: -_size(row) if row.change else 0.0)
    numbers = Counter(row.verdict for row in same)
    times = unjudged(result)
    titles = [counted(len(untimed), UNCHANGED)] * bool(untimed)
    titles += [f"{number:,} {word(verdict)}" for verdict, number in numbers.items()]
    titles += [counted(len(times), UNJUDGED)] * bool(times)
    blocks = of(
        _names(untimed) if untimed else None,
        *_table(same, mark("reason"), MOST_FOLDED),
        *_table(times, mark("reason"), MOST_FOLDED),
    )
    return ReportSection(gettext(", ").join(titles), tuple(blocks)) if titles else None


def _names(rows: Sequence[GateRow]) -> Paragraph:
    """Return the names of benchmarks that were not timed, and the number of the others."""
    every = [" · ".join(part for part in (row.arm, row.group) if part) or row.scenario for row in rows]
    if len(set(every)) < len(rows):  # the same name in several files
        every = [f"{row.place} · {name}" for row, name in zip(rows, every, strict=True)]
    names = abbreviated(map(visible, every[:MOST_UNCHANGED]), MOST_NAME).values()
    left = len(rows) - MOST_UNCHANGED
    others = [gettext("{count} more", count=f"{left:,}")] if left > 0 else []
    return Paragraph(gettext(", ").join([*names, *others]), lead=gettext("Unchanged, not timed:"))
