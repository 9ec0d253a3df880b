"""The model of every report: blocks of text, tables of cells, statuses. Built once per kind of content, for three writers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from harness.language import gettext, word
from harness.report.numbers import DASH
from harness.results.load import LoadState
from harness.results.run import RunWarning

REASON, REASONS = 80, 4
"""The most characters of a reason for dashes below a table, and the most reasons."""


class Tone(StrEnum):
    """The weight of a status: a colour in the terminal and a CSS class on the page. Never the only difference."""

    GREAT = "great"
    GOOD = "good"
    SHORT = "short"
    BAD = "bad"
    OPEN = "open"
    """Not decided."""
    FLAT = "flat"
    """Nothing to decide."""


@dataclass(frozen=True)
class CellStatus:
    """A verdict or an outcome from a closed set, with a sign that is shown next to it."""

    name: str
    sign: str = ""
    tone: Tone = Tone.FLAT

    @property
    def label(self) -> str:
        """The sign and the name: `✓ confirmed`."""
        return f"{self.sign} {self.name}".strip()


_SIGNS = {
    Tone.GREAT: {"exceeded": "▲"},
    Tone.GOOD: {"confirmed": "✓", "improved": "▲", "equivalent": "✓", LoadState.SUSTAINED: "✓"},
    Tone.SHORT: {"fell short": "▽", "missed": "▼", LoadState.SATURATED: "▼"},
    Tone.BAD: {"refuted": "✗", "regressed": "✗", "observed": "!", LoadState.FAILS: "✗"},
    Tone.OPEN: {"inconclusive": "?", "withheld": "⊘", "not comparable": "≠"},
    Tone.FLAT: {"not measured": "–", "measured": "•", "equal": "=", "not judged": "○", "not observed": "○"},
}
STATUSES = {name: CellStatus(name, sign, tone) for tone, signs in _SIGNS.items() for name, sign in signs.items()}
"""Every status of promises, gates, comparisons, findings and arms under load."""


PRELIMINARY = "~"
"""The sign of a verdict of a quick run, after the verdict's own."""


def status(name: str, *, preliminary: bool = False) -> CellStatus:
    """Return the status of a verdict; one without a sign for a name that is not in `STATUSES`."""
    found = STATUSES.get(name, CellStatus(name))
    shown = word(name)
    if preliminary:
        return CellStatus(gettext("{verdict}, preliminary", verdict=shown), found.sign + PRELIMINARY, found.tone)
    return CellStatus(shown, found.sign, found.tone)


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    note: str = ""
    """The reason for a dash, or where the figure comes from: a tooltip on the page."""
    detail: str = ""
    """An addition to the figure in `text`, mostly its confidence interval; a narrow terminal writes it below."""
    status: CellStatus | None = None
    """The verdict on the figure; in tables of verdicts the page shows `note` in place of `text`."""
    link: str = ""
    """The id of a card on the page."""

    @property
    def full(self) -> str:
        """The figure with its interval: `7.21× [6.80, 7.60]`."""
        return f"{self.text} {self.detail}".strip()


def cells(*values: str | Cell) -> tuple[Cell, ...]:
    """Return a row of a table; texts become plain cells."""
    return tuple(value if isinstance(value, Cell) else Cell(value) for value in values)


class TableKind(StrEnum):
    """The form in which the statuses of a table are written."""

    FIGURES = "figures"
    VERDICTS = "verdicts"
    """In full: sign, name, figure, and on the page the sentence."""
    MATRIX = "matrix"
    """As signs next to the figures. A row with an empty first cell belongs to the row above."""


@dataclass(frozen=True)
class Table:
    """A table. Each row has a cell per entry of `head`; the first column heads the rows."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    names: int = 1
    """The number of columns, from the first, that are texts, aligned left; the others are figures, aligned right."""
    wide: tuple[str, ...] = ()
    """Columns that a narrow terminal leaves out, by their heads."""
    grouped: bool = False
    """Rows with the same first cell belong together; the terminal writes that cell once, above them."""
    kind: TableKind = TableKind.FIGURES
    texts: tuple[str, ...] = ()
    """Further columns of texts, by their heads."""
    spans: tuple[tuple[str, int], ...] = ()
    """On the page: texts above the heads, each with the number of columns that it is above."""
    footnote: str = ""
    """On the page: a remark below it."""
    is_one_line: bool = False
    """Whether a terminal writes each row on one line: columns of `wide` while there is room, the last one cut to what is left."""

    def is_text(self, place: int) -> bool:
        """Whether a column is a text, aligned left."""
        return place < self.names or self.head[place] in self.texts

    @property
    def reasons(self) -> tuple[str, ...]:
        """The different reasons for its dashes, without their figures: a footnote on the page."""
        notes = dict.fromkeys(cell.note.partition(":")[0] for row in self.rows for cell in row if cell.text == DASH and cell.note)
        return tuple(note if len(note) <= REASON else f"{note[:REASON]}…" for note in list(notes)[:REASONS])


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    text: str
    lead: str = ""
    """Its first words, emphasised."""
    quiet: bool = False
    """Whether it explains how to read something, or adds a detail."""
    tone: Tone | None = None
    code: str = ""
    """Preformatted text below it, such as a command."""


@dataclass(frozen=True)
class Notice:
    """A message that must be read before the figures: a banner on the page, a line in the terminal, an item in Markdown."""

    label: str
    """Its kind: `failed`, `not run`, `cannot run as written`, `invalid`, `note`, `warning`; empty if the name is enough."""
    name: str
    """The subject."""
    message: str
    tone: Tone = Tone.SHORT
    remedy: str = ""
    link: str = ""
    """The id of a card on the page."""
    verbatim: bool = False
    """Whether the message can have several lines that must be kept."""


@dataclass(frozen=True)
class Notices:
    """Notices under one title: a box on the page."""

    title: str
    items: tuple[Notice, ...]


@dataclass(frozen=True)
class ReportSection:
    """Blocks under a title. A folded one is left out in the terminal."""

    title: str
    blocks: tuple[Block, ...]
    folded: bool = True
    level: int = 2


Block = Table | Paragraph | Notice | Notices | ReportSection


def warning_notices(title: str, warnings: Iterable[RunWarning], label: str = "warning", tone: Tone = Tone.SHORT) -> list[Block]:
    """Return a box with warnings and their remedies; nothing for no warnings."""
    items = tuple(Notice(label, w.name, w.message, tone, w.remedy) for w in warnings)
    return [Notices(gettext(title), items)] if items else []


def of(*blocks: Block | None) -> list[Block]:
    """Return the blocks that are there."""
    return [block for block in blocks if block is not None]
