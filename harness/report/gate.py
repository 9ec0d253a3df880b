"""A gate's result as blocks: changes, reasons why figures are not comparable, warnings, and the verdict."""

import math
from collections import Counter
from collections.abc import Sequence

from harness.language import gettext, mark, word
from harness.report.blocks import STATUSES, Block, Cell, Paragraph, ReportSection, Table, Tone, cells, of, status, warning_notices
from harness.report.numbers import DASH, duration, percent, percent_interval, significant, whole
from harness.report.tables import MOST_NAME, named_cells
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.names import shortened, visible
from harness.results.run import RunWarning

FOLDED = {GateVerdict.EQUAL, GateVerdict.NOT_JUDGED, GateVerdict.NOT_COMPARABLE}
"""Rows that are only counted: nothing changed, or one reason for all of them is given elsewhere."""

MOST = 100
"""The most rows that a terminal and a page show in one table."""
MOST_CHANGED, MOST_UNJUDGED, MOST_REMARKS = 14, 6, 4
"""The most rows, folded rows and remarks of Markdown: a comment on a pull request is one screen, whatever the number of figures."""
UNJUDGED = (mark("{number} time that could not be judged"), mark("{number} times that could not be judged"))
QUIET = (mark("{number} figure equal or equivalent"), mark("{number} figures equal or equivalent"))
"""The titles of folded rows, singular and plural."""
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
ONE_MORE, SOME_MORE = mark("{first}; 1 more regressed"), mark("{first}; {number} more regressed")


def shown(result: GateResult) -> list[GateRow]:
    """Return the rows to show: the most pressing verdict first, then the largest change."""
    did_not_run = (GateVerdict.NOT_COMPARABLE, RowKind.STATUS)
    rows = [row for row in result.rows if row.verdict not in FOLDED or (row.verdict, row.kind) == did_not_run]
    return sorted(rows, key=lambda row: (list(GateVerdict).index(row.verdict), -_size(row)))


def _size(row: GateRow) -> float:
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
    values = f" {figure(row.base, row.unit)} → {figure(row.candidate, row.unit)} ({change(row).full})"
    return f"{name}{values if row.kind not in {RowKind.STATUS, RowKind.CHECKS} else ''}: {row.reason}"


def counts(result: GateResult) -> str:
    """Return the number of figures with each verdict: `✗ 1 regressed, = 40 equal`."""
    return gettext(", ").join(f"{STATUSES[verdict].sign} {number:,} {word(verdict)}" for verdict, number in result.counts.items())


def headline(result: GateResult) -> str:
    """Return the verdict with its sentence, in one line."""
    return f"{status(result.verdict).label}: {result.sentence}"


def heading(result: GateResult) -> str:
    """Return the verdict of a gate with the worst figure, or else with its reason."""
    regressed = [row for row in shown(result) if row.verdict == GateVerdict.REGRESSED]
    reason = shortened(visible(result.sentence), MOST_HEADING)
    if result.verdict == GateVerdict.REGRESSED and regressed:
        first, more = _regressed(regressed[0]), len(regressed) - 1
        reason = gettext(ONE_MORE if more == 1 else SOME_MORE, first=first, number=whole(more)) if more else first
    return gettext(GATE[result.verdict], reason=reason)


def _regressed(row: GateRow) -> str:
    """Return a regressed figure in words: `list is 12 % slower [9, 15]`, or its values with the reason."""
    name = shortened(visible(", ".join(part for part in (row.scenario, row.arm, row.group) if part)), MOST_NAME)
    if row.kind == RowKind.TIME and row.change is not None and row.change > 1:
        bounds = "" if row.low is None or row.high is None else f" [{(row.low - 1) * 100:.3g}, {(row.high - 1) * 100:.3g}]"
        text = SLOWER_BY if row.metric in {"time", "median"} else AT_FIGURE
        return gettext(text, name=name, change=f"{(row.change - 1) * 100:,.3g}", figure=visible(row.metric), bounds=bounds)
    if row.kind in {RowKind.STATUS, RowKind.CHECKS}:
        return shortened(visible(f"{name}: {row.reason}"), MOST_HEADING)
    return shortened(visible(message(row, f"{name}: {row.metric.replace('_', ' ')}")), MOST_HEADING)


def table(rows: Sequence[GateRow], last: str, most: int = MOST) -> Table | None:
    """Return at most `most` figures in a table, with verdict or reason in the `last` column; None without figures."""
    places, labels = named_cells(row.place for row in rows[:most]), named_cells(row.label for row in rows[:most])
    lines = []
    for row in rows[:most]:
        base, candidate = figure(row.base, row.unit), figure(row.candidate, row.unit)
        reason = shortened(visible(row.reason), MOST_REASON)
        cell = Cell(reason, status=status(row.verdict) if last == "verdict" else None)
        lines.append(cells(places[row.place], labels[row.label], base, candidate, change(row), cell))
    head = (mark("where"), mark("figure"), mark("before"), mark("after"), mark("change"), last)
    return Table("", head, tuple(lines), names=2, grouped=True, texts=(last,)) if rows else None


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
    """Return the result for a pull request: a conclusion, what changed or is undecided, and folded the times not judged."""
    base, candidate = (shortened(visible(name), MOST_REASON) for name in (result.base, result.candidate))
    sides = gettext("Baseline {base}, candidate {candidate}.", base=base, candidate=candidate)
    sides = f"{sides} {counts(result)}".rstrip()
    rows = unjudged(result)
    folded = ReportSection(counted(len(rows), UNJUDGED), tuple(_table(rows, mark("reason"), MOST_UNJUDGED)))
    found = of(
        Paragraph(f"{shortened(visible(result.sentence), MOST_MESSAGE)}."),
        Paragraph(sides),
        *_table(shown(result), "verdict", MOST_CHANGED),
        *remarks(result, MOST_REMARKS),
        folded if rows else None,
    )
    return [ReportSection(f"{status(result.verdict).sign} {heading(result)}", tuple(found), folded=False)]
