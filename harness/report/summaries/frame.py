"""Common parts of the summaries: the rows that fit, remarks in short, and a pointer to the rest."""

from collections.abc import Callable, Mapping

from harness.language import gettext
from harness.report import terminal
from harness.report.blocks import Block, Notice, Paragraph
from harness.report.numbers import counted
from harness.results.names import short
from harness.results.run import RunWarning

LINES = 24
"""The most lines of a summary; the path below it is one more."""
ROWS = 10
"""The most rows of a summary's table."""
REMARKS = 3
"""The most warnings or reasons."""
NAME, MESSAGE = 24, 110
"""The most characters of a name and of a message in a summary."""


def fitted(make: Callable[[int], list[Block]], width: int, total: int, most: int = ROWS) -> list[Block]:
    """Return what `make` returns for the most of `total` rows with which it takes at most LINES lines of `width` columns.

    That are at most `most` rows, and all if there is but one more: a line about it would take its place.
    """
    for rows in range(total if total <= most + 1 else most, 0, -1):
        found = make(rows)
        if terminal.height(found, width) <= LINES:
            return found
    return make(0)


def left_out(total: int, shown: int) -> Paragraph | None:
    """Return the number of rows that are not shown; None if all are."""
    return Paragraph(gettext("… and {count} more.", count=f"{total - shown:,}")) if total > shown else None


def remark(found: RunWarning, label: str = "warning") -> Notice:
    """Return a warning in a few lines."""
    text = f"{found.message}; {found.remedy}" if found.remedy else found.message
    label = "" if label == found.name else label
    return Notice(label, short(found.name, NAME), short(text, 2 * MESSAGE))


def pointer(numbers: Mapping[str, int], command: str, *, in_report: bool = True) -> Paragraph:
    """Return how much more there is, by noun, and the command that prints it."""
    texts = [counted(number, noun) for noun, number in numbers.items() if number]
    shown = gettext(" and ").join(texts) or gettext("The details")
    if in_report:
        return Paragraph(gettext("{what}: in the report, or printed by", what=shown), code=command)
    return Paragraph(gettext("{what}: printed by", what=shown), code=command)
