"""A gate's result as blocks: changes, reasons why figures are not comparable, warnings, and the verdict."""

from collections.abc import Sequence

from harness.report.blocks import STATUSES, Block, Cell, Paragraph, ReportSection, Table, Tone, of, status, warning_notices
from harness.report.numbers import DASH, duration, interval, megabytes, significant, whole
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind

FOLDED = {GateVerdict.EQUAL, GateVerdict.NOT_JUDGED, GateVerdict.NOT_COMPARABLE}
"""Rows that are only counted: nothing changed, or one reason for all of them is given elsewhere."""

MOST = 100
"""The most rows that are shown: comments on pull requests and job summaries have a maximum length."""

FIGURES = ("where", "figure", "before", "after", "change")


def shown(result: GateResult) -> list[GateRow]:
    """Return the rows to show: the most pressing verdict first, then the largest change."""
    rows = [
        row
        for row in result.rows
        if row.verdict not in FOLDED or (row.verdict == GateVerdict.NOT_COMPARABLE and row.kind == RowKind.STATUS)
    ]
    return sorted(rows, key=lambda row: (list(GateVerdict).index(row.verdict), -_size(row)))


def _size(row: GateRow) -> float:
    return max(row.change, 1 / row.change) if row.change else float("inf")


def figure(value: float | None, unit: str) -> str:
    """Return a figure with its unit; a dash for a missing one."""
    if value is None:
        return DASH
    return duration(value) if unit == "ns" else f"{megabytes(value)} MB" if unit == "bytes" else whole(value)


def change(row: GateRow) -> str:
    """Return the change of a figure: `+2.0 %`, `×3.10`, with the interval of a paired time."""
    return _change(row).full


def _change(row: GateRow) -> Cell:
    if row.change is None:
        return Cell(DASH)
    by = f"×{significant(row.change)}" if row.change >= 2 else f"{(row.change - 1) * 100:+.3g} %"  # noqa: PLR2004 - larger percentages are hard to read
    return Cell(by, detail=interval(row.low, row.high))


def counts(result: GateResult) -> str:
    """Return the number of figures with each verdict: `✗ 1 regressed, = 40 equal`."""
    return ", ".join(f"{STATUSES[word].sign} {number:,} {word}" for word, number in result.counts.items())


def headline(result: GateResult) -> str:
    """Return the verdict with its sentence, in one line."""
    return f"{status(result.verdict).label}: {result.sentence}"


def changes(result: GateResult) -> list[Block]:
    """Return a row per figure that changed or could not be decided, at most `MOST`."""
    rows = shown(result)
    cells = [(*_figures(row), Cell(row.reason, status=status(row.verdict))) for row in rows[:MOST]]
    table = Table("", (*FIGURES, "verdict"), tuple(cells), names=2, grouped=True, texts=("verdict",))
    return [table, *_more(rows)] if rows else []


def _figures(row: GateRow) -> tuple[Cell, ...]:
    return (Cell(row.place), Cell(row.label), Cell(figure(row.base, row.unit)), Cell(figure(row.candidate, row.unit)), _change(row))


def _more(rows: Sequence[GateRow]) -> list[Block]:
    return [Paragraph(f"and {len(rows) - MOST:,} more", quiet=True)] if len(rows) > MOST else []


def remarks(result: GateResult) -> list[Block]:
    """Return the reasons why sides are not comparable, and the warnings, each with its remedy."""
    return [
        *warning_notices("Not comparable", result.incomparable, label="not comparable", tone=Tone.OPEN),
        *warning_notices("Warnings", result.warnings),
    ]


def brief(result: GateResult) -> list[Block]:
    """Return the result for the terminal: the verdict is the last line."""
    tally = Paragraph(counts(result)) if result.rows else None
    return of(*changes(result), *remarks(result), tally, Paragraph(headline(result), tone=status(result.verdict).tone))


def full(result: GateResult) -> list[Block]:
    """Return the result for a pull request: the verdict is the title, and times that could not be judged are folded."""
    sides = f"Baseline {result.base}, candidate {result.candidate}. {counts(result)}".rstrip()
    unjudged = [row for row in result.rows if row.verdict == GateVerdict.NOT_JUDGED and row.kind == RowKind.TIME]
    unjudged.sort(key=lambda row: -_size(row) if row.change else 0.0)
    rows = tuple((*_figures(row), Cell(row.reason)) for row in unjudged[:MOST])
    times = (Table("", (*FIGURES, "reason"), rows, names=2, texts=("reason",)), *_more(unjudged))
    found = of(
        Paragraph(f"{result.sentence}."),
        Paragraph(sides),
        *changes(result),
        *remarks(result),
        ReportSection(f"{len(unjudged):,} times that could not be judged", times) if unjudged else None,
    )
    verdict = status(result.verdict)
    return [ReportSection(f"{verdict.sign} Gate: {verdict.name}", tuple(found), folded=False)]
