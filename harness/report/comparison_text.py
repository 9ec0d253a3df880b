"""Files of other tools in a terminal and as Markdown: see `harness.report.comparison`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from harness.report.comparison import READ, SIGNS, table, tails, tally
from harness.report.markdown import escape
from harness.report.tables import Table
from harness.report.terminal_parts import warning_lines
from harness.results.run import PromiseVerdict, Run, RunKind

STYLES: dict[str, str] = {PromiseVerdict.IMPROVED: "green", PromiseVerdict.REGRESSED: "red", PromiseVerdict.INCONCLUSIVE: "magenta"}


def terminal(run: Run) -> RenderableType:
    """Return the table, how many there are of each verdict, and every warning. Fits 80 columns: the interval goes under the ratio."""
    found = table(run)
    compared = run.kind == RunKind.COMPARISON
    heads = ("benchmark", "verdict", "before → after", "faster") if compared else ("benchmark", *found.head[1:3], "max", "values")
    grid = Grid(box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", collapse_padding=True)
    for number, head in enumerate(heads):
        grid.add_column(
            head, overflow="fold", justify="left" if number < 1 + compared else "right", ratio=3 if number == 0 else None
        )
    for row in found.rows:
        texts = [cell.text for cell in row]
        if compared:
            word = texts[1].partition(" ")[2]
            ratio = f"{texts[4]}\n{'no interval' if row[5].note else texts[5]}"
            grid.add_row(Text(texts[0]), Text(texts[1], style=STYLES.get(word, "")), f"{texts[2]} → {texts[3]}", ratio)
        else:
            grid.add_row(*(Text(texts[place]) for place in (0, 1, 2, -3, -1)))
    warnings = [*run.warnings, *(warning for result in run.scenarios for warning in result.warnings)]
    counts = ", ".join(f"{SIGNS[PromiseVerdict(word)]} {number} {word}" for word, number in tally(run).items() if number)
    return Group(grid, *([Text(counts, style="bold")] if counts else []), *warning_lines(warnings))


def markdown(run: Run) -> str:
    """Return the comparison as GitHub-flavoured Markdown, names escaped."""
    return "\n".join(_lines(run)).rstrip() + "\n"


def _lines(run: Run) -> Iterator[str]:
    yield from (f"## {'Before and after' if run.kind == 'comparison' else 'Times'}: {escape(run.name)}", "")
    counts = [f"**{number} {word}**" for word, number in tally(run).items() if number]
    if counts:
        yield from (", ".join(counts) + ".", "")
    yield from _table(table(run))
    beyond = tails(run)
    if beyond is not None:
        yield from ("<details>", f"<summary>{escape(beyond.caption)}</summary>", "", *_table(beyond), "</details>", "")
    warnings = [*run.warnings, *(warning for result in run.scenarios for warning in result.warnings)]
    if warnings:
        yield from ("Warnings:", "")
        yield from (f"- **{escape(d.name)}**: {escape(d.message)}. Remedy: {escape(d.remedy)}." for d in warnings)
        yield ""
    if run.kind == RunKind.COMPARISON:
        yield from (f"_{escape(sentence)}_\n" for sentence in READ)
    if run.environment:
        yield from ("<details>", "<summary>Files</summary>", "", "| what | value |", "|---|---|")
        yield from (f"| {escape(name)} | {escape(value)} |" for name, value in run.environment.items())
        yield from ("", "</details>")


def _table(found: Table) -> Iterator[str]:
    yield "| " + " | ".join(escape(name) for name in found.head) + " |"
    yield "|" + "|".join("---" if place < found.names else "---:" for place in range(len(found.head))) + "|"
    for row in found.rows:
        yield "| " + " | ".join(escape(cell.text) for cell in row) + " |"
    yield ""
