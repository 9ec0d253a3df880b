"""Tables of times on narrow pages: a line per percentile, in it a column per arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.language import gettext
from harness.report import tables
from harness.report.blocks import Table
from harness.results.run import AA_CONTROL


@dataclass(frozen=True)
class ArmColumns:
    """The columns of a table of times on a narrow page, where a line per percentile has a column per arm."""

    arms: int
    labels: dict[int, str]
    """Cell → the text before it, of the first of each line."""
    positions: dict[int, str]
    """Cell → its column as variables of its style, where it does not follow from the cell before."""
    named: dict[int, int]
    """Cell of the head → its column, of those that name an arm."""


def arm_columns(table: Table) -> ArmColumns:
    """Return where a narrow page has the cells of a table of times."""
    spans = [text for text, number in table.spans for _ in range(number)]
    arms = list(dict.fromkeys(name for name, span in zip(table.head, spans, strict=True) if span))
    found = ArmColumns(len(arms), {}, {}, {})
    end = len(arms) + 2
    column = end
    for at in range(table.names, len(table.head)):
        name, span = table.head[at], spans[at]
        is_first = not span or span != spans[at - 1]
        is_last = not span or at + 1 == len(spans) or span != spans[at + 1]
        place = arms.index(name) + 2 if span else 2
        if is_first:
            found.labels[at] = {
                tables.FASTER: gettext("faster"),
                "": gettext("A/A") if name == AA_CONTROL else gettext("pairs"),
            }.get(span, span)
        fills = is_last and place + 1 < end
        if fills or place != (2 if is_first else column):
            found.positions[at] = f"--c:{place}" + (";--e:-1" if fills else "")
        column = place + 1
        if span == tables.FASTER or (span and place not in found.named.values() and name not in _after(table, spans, at)):
            found.named[at] = place
    return found


def _after(table: Table, spans: Sequence[str], at: int) -> set[str]:
    """Return the arms that a table names below its last heading."""
    return {name for name, span in zip(table.head[at + 1 :], spans[at + 1 :], strict=True) if span == tables.FASTER}
