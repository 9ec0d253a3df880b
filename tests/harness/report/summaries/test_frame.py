"""Rows that fit, and the pointer to the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.blocks import Block, Cell, Paragraph, Table
from harness.report.summaries.frame import LINES, ROWS, fitted, left_out, pointer
from tests.harness.report.printing import printed


@given(st.integers(0, 60), st.integers(0, 30), st.integers(20, 200))
def test_a_summary_is_never_too_long(rows: int, others: int, width: int) -> None:
    """As long as what stands beside the rows fits, all does; and of many rows some are shown."""

    def blocks(most: int) -> list[Block]:
        shown = Table("", ("a",), tuple((Cell(str(number)),) for number in range(min(most, rows))), is_one_line=True)
        return [*[Paragraph("x")] * others, *([shown] if most else [])]

    lines = printed(fitted(blocks, width, rows), width).splitlines()
    assert len(lines) <= max(LINES, others)
    if rows and others < LINES - 1:
        assert any(line.strip() == "0" for line in lines)


@pytest.mark.parametrize(("total", "rows"), [(0, 0), (1, 1), (ROWS, ROWS), (ROWS + 1, ROWS + 1), (ROWS + 2, ROWS), (1_000, ROWS)])
def test_one_more_row_takes_the_place_of_the_line_about_it(total: int, rows: int) -> None:
    """Up to one more row than usual all are shown."""
    tried = []

    def blocks(most: int) -> list[Block]:
        tried.append(most)
        return []

    fitted(blocks, 80, total)
    assert tried == [rows]


def test_rows_left_out_are_counted() -> None:
    """None, one or many."""
    assert left_out(3, 3) is None
    assert [found.text for found in (left_out(4, 3), left_out(5_000, 3)) if found] == ["… and 1 more.", "… and 4,997 more."]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ({}, "The details: in the report, or printed by"),
        ({"promise": 0, "warning": 1}, "1 warning: in the report, or printed by"),
        ({"promise": 1_000, "warning": 2}, "1,000 promises and 2 warnings: in the report, or printed by"),
    ],
)
def test_the_rest_has_its_command(numbers: dict[str, int], text: str) -> None:
    """With the number of what it prints."""
    found = pointer(numbers, "harness report run --all")
    assert (found.text, found.code) == (text, "harness report run --all")
