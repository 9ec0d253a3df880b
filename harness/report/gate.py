"""A gate's result in the terminal and as Markdown: what changed, what was not comparable, what may be doubted, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from harness.report.markdown import escape
from harness.report.numbers import DASH, duration, interval, megabytes, significant, whole
from harness.report.terminal_parts import labelled
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind

SIGNS = {
    GateVerdict.REGRESSED: "✗",
    GateVerdict.NOT_COMPARABLE: "≠",
    GateVerdict.INCONCLUSIVE: "?",
    GateVerdict.IMPROVED: "▲",
    GateVerdict.EQUIVALENT: "✓",
    GateVerdict.EQUAL: "=",
    GateVerdict.NOT_JUDGED: "·",
}
"""A sign for each word, always beside it."""

STYLES = {
    GateVerdict.REGRESSED: "bold red",
    GateVerdict.NOT_COMPARABLE: "magenta",
    GateVerdict.INCONCLUSIVE: "magenta",
    GateVerdict.IMPROVED: "green",
    GateVerdict.EQUIVALENT: "green",
}

FOLDED = {GateVerdict.EQUAL, GateVerdict.NOT_JUDGED, GateVerdict.NOT_COMPARABLE}
"""Rows that are counted and not shown: they change nothing, or their reason is told once for all of them."""

MOST = 100
"""So many rows are shown; a page of a pull request and a job's summary end somewhere."""

HEAD = ("figure", "before", "after", "change", "verdict")


def shown(result: GateResult) -> list[GateRow]:
    """Return the rows that a person should see: the most pressing word first, then the largest change."""
    rows = [
        row
        for row in result.rows
        if row.verdict not in FOLDED or (row.verdict == GateVerdict.NOT_COMPARABLE and row.kind == RowKind.STATUS)
    ]
    return sorted(rows, key=lambda row: (list(GateVerdict).index(row.verdict), -_size(row)))


def _size(row: GateRow) -> float:
    return max(row.change, 1 / row.change) if row.change else float("inf")


def figure(value: float | None, unit: str) -> str:
    """Return a figure as a person would write it; a dash where there is none."""
    if value is None:
        return DASH
    return duration(value) if unit == "ns" else f"{megabytes(value)} MB" if unit == "bytes" else whole(value)


def change(row: GateRow) -> str:
    """Return by how much a figure changed: `+2.0 %`, `×3.10`, with the interval of a paired time."""
    if row.change is None:
        return DASH
    by = f"×{significant(row.change)}" if row.change >= 2 else f"{(row.change - 1) * 100:+.3g} %"  # noqa: PLR2004 - percents of more are hard to read
    return f"{by} {interval(row.low, row.high)}" if row.low is not None and row.high is not None else by


def counts(result: GateResult) -> str:
    """Return how many figures have each word: `✗ 1 regressed, = 40 equal`."""
    return ", ".join(f"{SIGNS[word]} {number:,} {word}" for word, number in result.counts.items())


def headline(result: GateResult) -> str:
    """Return the verdict with its sentence, for one line."""
    return f"{SIGNS[result.verdict]} {result.verdict}: {result.sentence}"


def terminal(result: GateResult) -> RenderableType:
    """Return the result for 80 columns and more."""
    rows = shown(result)
    parts: list[RenderableType] = []
    if rows:
        grid = Grid(box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", collapse_padding=True)
        for place, head in enumerate(HEAD):
            grid.add_column(head, overflow="fold", justify="left" if place in {0, len(HEAD) - 1} else "right")
        for row in rows[:MOST]:
            says = Text.assemble((f"{SIGNS[row.verdict]} {row.verdict}", STYLES.get(row.verdict, "")), f"\n{row.reason}")
            values = (figure(row.base, row.unit), figure(row.candidate, row.unit), change(row))
            grid.add_row(Text(f"{row.place}\n{row.label}"), *(Text(value) for value in values), says)
        parts.append(grid)
        if len(rows) > MOST:
            parts.append(Text(f"and {len(rows) - MOST:,} more", style="dim"))
    parts += [labelled("not comparable", d.name, f"{d.message}; {d.remedy}", "magenta") for d in result.incomparable]
    parts += [labelled("warning", d.name, f"{d.message}; {d.remedy}", "yellow") for d in result.warnings]
    if result.rows:
        parts.append(Text(counts(result)))
    parts.append(Text(headline(result), style=STYLES.get(result.verdict, "bold")))
    return Group(*parts)


def markdown(result: GateResult) -> str:
    """Return the result as GitHub-flavoured Markdown, names escaped."""
    return "\n".join(_lines(result)).rstrip() + "\n"


def _lines(result: GateResult) -> Iterator[str]:
    yield from (f"## {SIGNS[result.verdict]} Gate: {result.verdict}", "")
    yield from (f"{escape(result.sentence)}.", "")
    yield from (f"Baseline {escape(result.base)}, candidate {escape(result.candidate)}. {escape(counts(result))}".rstrip(), "")
    rows = shown(result)
    if rows:
        yield from ("| where | figure | before | after | change | verdict |", "|---|---|---:|---:|---:|---|")
        yield from (_row(row) for row in rows[:MOST])
        yield ""
        if len(rows) > MOST:
            yield from (f"and {len(rows) - MOST:,} more", "")
    for caption, warnings in (("Not comparable", result.incomparable), ("Warnings", result.warnings)):
        if warnings:
            yield from (f"{caption}:", "")
            yield from (f"- **{escape(d.name)}**: {escape(d.message)}. {escape(d.remedy)}." for d in warnings)
            yield ""
    yield from _unjudged([row for row in result.rows if row.verdict == GateVerdict.NOT_JUDGED and row.kind == RowKind.TIME])


def _row(row: GateRow) -> str:
    word = f"{SIGNS[row.verdict]} **{row.verdict}**: {escape(row.reason)}"
    values = (figure(row.base, row.unit), figure(row.candidate, row.unit), change(row))
    return f"| {escape(row.place)} | {escape(row.label)} | {' | '.join(escape(value) for value in values)} | {word} |"


def _unjudged(rows: Sequence[GateRow]) -> Iterator[str]:
    """Yield the times that could not be judged, folded away, the largest change first."""
    if not rows:
        return
    yield from ("<details>", f"<summary>{len(rows):,} times that could not be judged</summary>", "")
    yield from ("| where | figure | before | after | change | why |", "|---|---|---:|---:|---:|---|")
    for row in sorted(rows, key=lambda row: -_size(row) if row.change else 0.0)[:MOST]:
        values = (figure(row.base, row.unit), figure(row.candidate, row.unit), change(row), row.reason)
        yield f"| {escape(row.place)} | {escape(row.label)} | {' | '.join(escape(value) for value in values)} |"
    yield from (["", f"and {len(rows) - MOST:,} more"] if len(rows) > MOST else [])
    yield from ("", "</details>", "")
