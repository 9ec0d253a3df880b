"""What the terminal's tables are made of: plain columns, and lines with a label."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.results.run import RunWarning


def plain() -> Table:
    """Return a table without lines, as wide as the terminal."""
    return Table(box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", collapse_padding=True)


def columns(first: str, widths: dict[str, int], *, header: bool = False) -> Table:
    """Return a table whose first column takes what the others, right-aligned and of fixed width, leave."""
    table = plain()
    table.show_header = header
    table.add_column(first, overflow="ellipsis", no_wrap=True, ratio=1)
    for name, width in widths.items():
        table.add_column(name, justify="right", no_wrap=True, width=width)
    return table


def labelled(word: str, name: str, says: str, style: str) -> RenderableType:
    """Return a line that begins with a word in a style: `failed caching  arms disagree on …`."""
    line = Text.assemble((f"{word} ", style), (name, "bold"), "  ", says)
    return Padding(line, (0, 0, 0, 1))


def warning_lines(warnings: Iterable[RunWarning], where: str = "") -> list[RenderableType]:
    """Return each warning with its remedy."""
    return [labelled("warning", f"{where}: {d.name}" if where else d.name, f"{d.message}; {d.remedy}", "yellow") for d in warnings]
