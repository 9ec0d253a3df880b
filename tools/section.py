"""The answer to one question, and its rendering as Markdown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


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


def page(title: str, text: str, parts: Iterable[str]) -> str:
    """Return sections that are Markdown as one page."""
    return "\n\n".join((f"# {title}", text, *parts)) + "\n"


def parts_of(page: str) -> dict[str, str]:
    r"""Return title → Markdown, as `markdown` has written it, for every section of a page.

    Example:
        >>> parts_of("# Page\n\nText.\n\n## Right?\n\nHow.\n")
        {'Right?': '## Right?\n\nHow.'}
    """
    parts = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: f"## {part.strip()}" for part in parts}


def markdown(section: Section, command: str = "", facts: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return one section as Markdown, without a line break at its end; it closes with the command and the machine's facts."""
    parts = [f"## {section.title}", section.text]
    if section.not_measured is not None:
        parts.append(f"**Not measured here:** {section.not_measured}")
    parts.append("\n".join(f"- {'**met**' if r.met else '**MISSED**'}: {r.text}" for r in section.requirements))
    for table in section.tables:
        parts += [f"### {table.title}", table.text, _rows(table.columns, table.rows)]
    parts.append("\n".join(f"- {note}" for note in section.notes))
    if facts:
        parts.append(f"Measured by `{command}`: {'; '.join(f'{what} {value}' for what, value in facts.items())}.")
    return "\n\n".join(part for part in parts if part)


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, [":--", *["--:"] * (len(columns) - 1)], *rows]
    cells = [[" ".join(text.replace("|", "\\|").split()) for text in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
