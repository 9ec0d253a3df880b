"""What a question comes to, as Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.section import Requirement, Section, SectionTable, markdown, page, parts_of


def test_a_section_shows_everything_it_has() -> None:
    """Text, requirements with their outcome, tables and notes stand in the section, in that order."""
    table = SectionTable("Stall", ("", "p50"), [("ours", "1.000")], "One second.")
    section = Section(
        "Right?", "How.", [table], [Requirement("it is", met=True), Requirement("so is that", met=False)], ["A note."]
    )
    assert markdown(section) == (
        "## Right?\n\nHow.\n\n- **met**: it is\n- **MISSED**: so is that\n\n### Stall\n\nOne second.\n\n"
        "|  | p50 |\n| :-- | --: |\n| ours | 1.000 |\n\n- A note."
    )


def test_what_was_not_measured_says_why() -> None:
    """A question that could not be measured states its reason, and misses no requirement."""
    section = Section("Right?", not_measured="one core")
    assert markdown(section) == "## Right?\n\n**Not measured here:** one core"
    assert section.is_met


def test_one_missed_requirement_is_enough() -> None:
    """A section is met only if all its requirements are."""
    assert Section("", requirements=[Requirement("a", met=True)]).is_met
    assert not Section("", requirements=[Requirement("a", met=True), Requirement("b", met=False)]).is_met


def test_a_row_of_another_length_is_refused() -> None:
    """A table whose rows do not fit its columns cannot be made."""
    with pytest.raises(ValueError, match="Stall: each row needs 2 cells"):
        SectionTable("Stall", ("", "p50"), [("ours",)])


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
def test_no_text_breaks_a_table(rows: list[tuple[str, str]]) -> None:
    """Whatever stands in a cell, a table has a line for each row, and each line its cells."""
    lines = markdown(Section("Right?", tables=[SectionTable("Any", ("a", "b"), rows)])).split("\n")[4:]
    assert len(lines) == len(rows) + 2
    assert all(line.replace("\\|", "").count("|") == 3 for line in lines)


def test_a_section_says_where_and_by_what_it_was_made() -> None:
    """The last line of a section has the command and the machine's facts."""
    text = markdown(Section("Right?", "How."), "python -m it", {"cpu": "a fast one", "cores": "2"})
    assert text == "## Right?\n\nHow.\n\nMeasured by `python -m it`: cpu a fast one; cores 2."


def test_a_page_has_the_sections_it_is_made_of() -> None:
    """The sections of a page are read back as they were written."""
    parts = [markdown(Section(title, "How.", [SectionTable("Table", ("a",), [("1",)])])) for title in ("First?", "Second?")]
    text = page("Title", "Text.", parts)
    assert text.startswith("# Title\n\nText.\n\n## First?\n\n")
    assert parts_of(text) == dict(zip(("First?", "Second?"), parts, strict=True))
