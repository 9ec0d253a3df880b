"""A gate's result as blocks: changes, reasons why figures are not comparable, warnings, and the verdict."""

import math
from collections.abc import Sequence

from harness.report.blocks import STATUSES, Block, Cell, Paragraph, ReportSection, Table, Tone, cells, of, status, warning_notices
from harness.report.numbers import DASH, duration, percent, percent_interval, significant, whole
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.names import shortened

FOLDED = {GateVerdict.EQUAL, GateVerdict.NOT_JUDGED, GateVerdict.NOT_COMPARABLE}
"""Rows that are only counted: nothing changed, or one reason for all of them is given elsewhere."""

MOST = 100
"""The most rows that are shown: comments on pull requests and job summaries have a maximum length."""


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
            return f"{significant(value)} per s"
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
    return ", ".join(f"{STATUSES[verdict].sign} {number:,} {verdict}" for verdict, number in result.counts.items())


def headline(result: GateResult) -> str:
    """Return the verdict with its sentence, in one line."""
    return f"{status(result.verdict).label}: {result.sentence}"


def _table(rows: Sequence[GateRow], last: str) -> list[Block]:
    """Return figures in a table, at most `MOST`, with verdict or reason in the `last` column; nothing without figures."""
    lines = []
    for row in rows[:MOST]:
        base, candidate = figure(row.base, row.unit), figure(row.candidate, row.unit)
        reason = Cell(row.reason, status=status(row.verdict) if last == "verdict" else None)
        lines.append(cells(shortened(row.place), row.label, base, candidate, change(row), reason))
    head = ("where", "figure", "before", "after", "change", last)
    table = Table("", head, tuple(lines), names=2, grouped=True, texts=(last,)) if rows else None
    return of(table, Paragraph(f"and {len(rows) - MOST:,} more", quiet=True) if len(rows) > MOST else None)


def remarks(result: GateResult) -> list[Block]:
    """Return the reasons why sides are not comparable, and the warnings, each with its remedy."""
    incomparable = warning_notices("Not comparable", result.incomparable, label="not comparable", tone=Tone.OPEN)
    return [*incomparable, *warning_notices("Warnings", result.warnings)]


def brief(result: GateResult) -> list[Block]:
    """Return the result for the terminal: the verdict is the last line."""
    tally = Paragraph(counts(result)) if result.rows else None
    return of(
        *_table(shown(result), "verdict"), *remarks(result), tally, Paragraph(headline(result), tone=status(result.verdict).tone)
    )


def full(result: GateResult) -> list[Block]:
    """Return the result for a pull request: the verdict is the title, and times that could not be judged are folded."""
    sides = f"Baseline {result.base}, candidate {result.candidate}. {counts(result)}".rstrip()
    unjudged = [row for row in result.rows if row.verdict == GateVerdict.NOT_JUDGED and row.kind == RowKind.TIME]
    unjudged.sort(key=lambda row: -_size(row) if row.change else 0.0)
    folded = ReportSection(f"{len(unjudged):,} times that could not be judged", tuple(_table(unjudged, "reason")))
    changes = [*_table(shown(result), "verdict"), *remarks(result)]
    found = of(Paragraph(f"{result.sentence}."), Paragraph(sides), *changes, folded if unjudged else None)
    verdict = status(result.verdict)
    return [ReportSection(f"{verdict.sign} Gate: {verdict.name}", tuple(found), folded=False)]
