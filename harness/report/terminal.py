"""The terminal writer. From 80 columns on no figure is cut off, and all is readable without colour; folded sections are left out.

Every text passes `_text` or `_joined`, so that no character of a name or an error reaches the terminal as a command.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from harness.language import gettext, ngettext
from harness.report.blocks import Block, Cell, Notice, Notices, Paragraph, ReportSection, Table, TableKind, Tone
from harness.report.numbers import DASH
from harness.results.names import abbreviated, shortened
from harness.text import printable, terminal_environment

STYLE = {Tone.GREAT: "bold cyan", Tone.GOOD: "green", Tone.SHORT: "yellow", Tone.BAD: "red", Tone.OPEN: "magenta", Tone.FLAT: "dim"}
WIDE = 110
"""The number of columns from which tables show all their columns and intervals stand next to their figures."""

GAP, INDENT = 2, 2
"""Spaces between columns, and before the rows of a group."""
LEAST = 24
"""The fewest characters to which a last column of text is cut."""


def write(blocks: Iterable[Block], width: int) -> RenderableType:
    """Return blocks as something that a `rich.console.Console` prints, laid out for `width` columns."""
    return Group(*(part for block in blocks for part in _block(block, width)))


def height(blocks: Iterable[Block], width: int) -> int:
    """Return the number of lines that blocks take in a terminal of `width` columns."""
    console = Console(width=width, color_system=None, _environ=terminal_environment())
    return len(console.render_lines(write(blocks, width), console.options.update(height=None), pad=False))


def _block(block: Block, width: int) -> Iterator[RenderableType]:
    match block:
        case Table() if block.is_one_line:
            yield from _one_line_table(block, width)
        case Table():
            yield from _table(block, width)
        case Paragraph():
            style = STYLE[block.tone] if block.tone else "dim" if block.quiet else ""
            yield _joined((block.lead, "bold"), (" " if block.lead and block.text else "", ""), (block.text, style))
            yield from [_command(block.code)] if block.code else []
        case Notice():
            yield _notice(block)
        case Notices():
            yield from map(_notice, block.items)
        case ReportSection() if not block.folded:
            yield _text(block.title, "bold")
            for inner in block.blocks:
                yield from _block(inner, width)


def _notice(notice: Notice) -> RenderableType:
    """Return a line that begins with a label in a style: `failed caching  arms disagree on …`."""
    style = {Tone.BAD: "bold red", Tone.OPEN: "magenta", Tone.FLAT: "dim"}.get(notice.tone, "yellow")
    message = f"{notice.message}; {notice.remedy}" if notice.remedy else notice.message
    label = f"{gettext(notice.label)} " if notice.label else ""
    return Padding(_joined((label, style), (notice.name, "bold"), ("  " if message else "", ""), (message, "")), (0, 0, 0, 1))


def _text(text: str, style: str = "") -> Text:
    """Return a text that a terminal shows and does not obey."""
    return Text(printable(text), style)


def _command(code: str) -> Text:
    """Return a command, whose lines are not wrapped, so that it can be copied."""
    return Text(printable(code), no_wrap=True, overflow="ignore")


def _joined(*parts: tuple[str, str]) -> Text:
    """Return texts with their styles as one, which a terminal shows and does not obey."""
    return Text.assemble(*((printable(text), style) for text, style in parts))


def _table(table: Table, width: int) -> Iterator[RenderableType]:
    """Yield the caption and the rows; of a grouped table a line per group, with all groups' columns below each other."""
    is_wide = width >= WIDE
    shown = [place for place, name in enumerate(table.head) if is_wide or name not in table.wide][1 if table.grouped else 0 :]
    heads = [_text(gettext(table.head[place]), "dim") for place in shown]
    right = [not table.is_text(place) for place in shown]
    indent = INDENT if table.grouped else 0
    for beside in (True, False):
        body = [
            [_cell(row[place], table.kind, wide=is_wide, beside=beside, first=place == shown[0]) for place in shown]
            for row in table.rows
        ]
        widths, fits = _widths(heads, body, right, width - indent)
        if fits or is_wide:
            break
    if table.caption:
        yield _text(table.caption, "bold")
    yield _grid([heads], widths, right, indent)
    for name, rows in groupby(table.rows, key=lambda row: row[0].full if table.grouped else ""):
        if table.grouped:
            yield _text(name)
        count = len(list(rows))
        yield _grid(body[:count], widths, right, indent)
        body = body[count:]


def _one_line_table(table: Table, width: int) -> Iterator[RenderableType]:
    """Yield a table whose rows take one line each: columns that are not `wide`, then of the others those that are not empty."""
    columns = [
        [
            _text(gettext(head), "dim"),
            *(_cell(row[place], table.kind, wide=True, beside=True, first=place == 0) for row in table.rows),
        ]
        for place, head in enumerate(table.head)
    ]
    widths = [max(cell_len(text.plain) for text in column) for column in columns]
    shown = [place for place, head in enumerate(table.head) if head not in table.wide]
    left = width - sum(widths[place] + GAP for place in shown) + GAP
    if left < 0:
        first = max(1, widths[0] + left)
        widths[0], left = first, left + widths[0] - first
    for place, head in enumerate(table.head):
        fitting = min(widths[place], left - GAP) if place == len(widths) - 1 else widths[place]
        is_empty = all(row[place].text in {DASH, ""} and row[place].status is None for row in table.rows)
        if head not in table.wide or is_empty or fitting + GAP > left or fitting < min(LEAST, widths[place]):
            continue
        shown.append(place)
        widths[place], left = fitting, left - fitting - GAP
    grid = Grid(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0), collapse_padding=True)
    for place in shown:
        is_text = table.is_text(place)
        grid.add_column(width=widths[place], no_wrap=True, overflow="ellipsis", justify="left" if is_text else "right")
    columns[0] = _distinct(columns[0], widths[0])
    for line in zip(*(columns[place] for place in shown), strict=True):
        grid.add_row(*line)
    yield grid
    if table.kind == TableKind.MATRIX and len(shown) < len(table.head):
        yield Text(
            ngettext(
                "… and {count} more column in a wider terminal",
                "… and {count} more columns in a wider terminal",
                len(table.head) - len(shown),
            ),
            style="dim",
        )


def _cell(cell: Cell, kind: TableKind, *, wide: bool, beside: bool, first: bool) -> Text:
    if cell.status is None:
        detail = f"{' ' if beside else chr(10)}{cell.detail}" if cell.detail else ""
        return _text(cell.text + detail, "bold" if first else "")
    style = STYLE[cell.status.tone]
    if kind == TableKind.MATRIX:
        return _joined((cell.status.sign, style), (" ", ""), (cell.text, ""))
    gap = " " if wide and kind == TableKind.VERDICTS else "\n"
    parts = [(cell.status.label, style), (gap if cell.text else "", ""), (cell.text, "")]
    return _joined(*parts, (f" {cell.detail}" if wide else "", "dim") if cell.detail else ("", ""))


def _widths(heads: Sequence[Text], body: Sequence[Sequence[Text]], right: Sequence[bool], width: int) -> tuple[list[int], bool]:
    """Return a width per column, less than its longest line if there is no room, and whether no figure has to wrap."""
    lines = [[line for text in column for line in text.plain.split("\n")] for column in zip(heads, *body, strict=True)]
    wanted = [max(map(cell_len, column)) for column in lines]
    words = [max((cell_len(word) for line in column for word in line.split()), default=0) for column in lines]
    figures = [max((cell_len(line) for line in column[1:]), default=0) for column in lines]
    least = [max(word, figure if is_right else 0) for word, figure, is_right in zip(words, figures, right, strict=True)]
    room = width - GAP * (len(wanted) - 1)
    fits = sum(least) <= room
    for limits in (least, words, [1] * len(wanted)):
        while sum(wanted) > room and any(w > limit for w, limit in zip(wanted, limits, strict=True)):
            wanted[max((w, place) for place, w in enumerate(wanted) if w > limits[place])[1]] -= 1
    return wanted, fits


def _fitting(text: Text, width: int) -> Text:
    """Return a text whose words fit a column: of a longer one the middle is left out, since names differ at their ends."""
    if all(cell_len(word) <= width for word in text.plain.split()):
        return text
    return Text(re.sub(r"\S+", lambda word: _cut(word[0], width), text.plain), text.spans[0].style if text.spans else text.style)


def _distinct(column: Sequence[Text], width: int) -> list[Text]:
    """Return names in at most `width` columns, of which long ones are cut where they do not differ."""
    if all(cell_len(text.plain) <= width for text in column):
        return list(column)
    short = abbreviated((text.plain for text in column), width)
    return [Text(_cut(short[text.plain], width), text.style) for text in column]


def _cut(word: str, width: int) -> str:
    """Return a word with so much of its middle left out that it takes at most `width` columns."""
    limit = width
    while cell_len(cut := shortened(word, limit)) > width and limit > 1:
        limit -= 1
    return cut


def _grid(rows: Sequence[Sequence[Text]], widths: Sequence[int], right: Sequence[bool], indent: int) -> RenderableType:
    grid = Grid(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0), collapse_padding=True)
    for width, is_right in zip(widths, right, strict=True):
        grid.add_column(width=width, overflow="fold", justify="right" if is_right else "left")
    for row in rows:
        fields = zip(row, widths, right, strict=True)
        grid.add_row(*(text if is_right else _fitting(text, width) for text, width, is_right in fields))
    return Padding(grid, (0, 0, 0, indent), expand=False)
