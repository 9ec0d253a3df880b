"""What a question's trial comes to, and the same as Markdown: pure, so that measuring and writing do not mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SectionTable:
    """Figures with a heading. Each row has a cell for every column; all but the first column are aligned to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    says: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.title}: each row needs {len(self.columns)} cells")


@dataclass(frozen=True)
class Requirement:
    """What the harness has to show of itself, in a sentence, and whether it did."""

    says: str
    kept: bool


@dataclass(frozen=True)
class Section:
    """One question: what was tried and how (`says`), what came out, and what was required. `notes` explain how to read it.

    `not_measured` is the reason why it could not be tried here.
    """

    title: str
    says: str = ""
    tables: Sequence[SectionTable] = ()
    requirements: Sequence[Requirement] = ()
    notes: Sequence[str] = ()
    not_measured: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether everything that was required was shown; what was not measured shows nothing, and breaks nothing."""
        return all(requirement.kept for requirement in self.requirements)


def page(sections: Sequence[Section], facts: Mapping[str, str], command: str) -> str:
    """Return all sections as one page of Markdown, with the machine they were tried on and the command that did it."""
    parts = [
        "# Does the harness measure right?",
        "Questions whose answers are known, tried for real: what was measured stands beside what was true.",
        f"Written by `{command}`.",
        *(markdown(section) for section in sections),
        "## Where this was tried",
        _rows(("what", "is"), list(facts.items()), ":--"),
    ]
    return "\n\n".join(parts) + "\n"


def markdown(section: Section) -> str:
    """Return one section as Markdown, without a line break at its end."""
    parts = [f"## {section.title}", section.says]
    if section.not_measured is not None:
        parts.append(f"**Not measured here:** {section.not_measured}")
    parts.append("\n".join(f"- {'**kept**' if r.kept else '**MISSED**'}: {r.says}" for r in section.requirements))
    for table in section.tables:
        parts += [f"### {table.title}", table.says, _rows(table.columns, table.rows, "--:")]
    parts.append("\n".join(f"- {note}" for note in section.notes))
    return "\n\n".join(part for part in parts if part)


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]], aligned: str) -> str:
    lines = [columns, [":--", *[aligned] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
