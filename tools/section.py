"""The answer to one question, and its rendering as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SectionTable:
    """Figures with a heading. Each row has a cell for every column; all but the first column are aligned to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.title}: each row needs {len(self.columns)} cells")


@dataclass(frozen=True)
class Requirement:
    """A requirement of the harness, in a sentence, and whether it was met."""

    text: str
    met: bool


@dataclass(frozen=True)
class Section:
    """One question: the method (`text`), results and requirements, notes on reading them, or why it was not measured here."""

    title: str
    text: str = ""
    tables: Sequence[SectionTable] = ()
    requirements: Sequence[Requirement] = ()
    notes: Sequence[str] = ()
    not_measured: str | None = None

    @property
    def is_met(self) -> bool:
        """Whether every requirement was met; a question that was not measured misses none."""
        return all(requirement.met for requirement in self.requirements)


def page(title: str, text: str, sections: Sequence[Section], facts: Mapping[str, str], command: str) -> str:
    """Return all sections as one page of Markdown, with the machine they were tried on and the command that did it."""
    parts = [
        f"# {title}",
        text,
        f"Written by `{command}`.",
        *(markdown(section) for section in sections),
        "## Environment",
        _rows(("what", "is"), list(facts.items()), ":--"),
    ]
    return "\n\n".join(parts) + "\n"


def markdown(section: Section) -> str:
    """Return one section as Markdown, without a line break at its end."""
    parts = [f"## {section.title}", section.text]
    if section.not_measured is not None:
        parts.append(f"**Not measured here:** {section.not_measured}")
    parts.append("\n".join(f"- {'**met**' if r.met else '**MISSED**'}: {r.text}" for r in section.requirements))
    for table in section.tables:
        parts += [f"### {table.title}", table.text, _rows(table.columns, table.rows, "--:")]
    parts.append("\n".join(f"- {note}" for note in section.notes))
    return "\n\n".join(part for part in parts if part)


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]], aligned: str) -> str:
    lines = [columns, [":--", *[aligned] * (len(columns) - 1)], *rows]
    cells = [[" ".join(text.replace("|", "\\|").split()) for text in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
