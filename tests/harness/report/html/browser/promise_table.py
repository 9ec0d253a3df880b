"""The table of all promises as the user finds it: by roles and names, not by how the page is written."""

import re
from typing import TYPE_CHECKING

from tests.harness.report.html.browser.visit import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Locator

MARKS = """row => [row, ...row.cells].map(e => {
  const s = getComputedStyle(e);
  return [s.backgroundColor, s.outlineStyle, s.boxShadow, s.borderLeftColor];
}).join()"""
"""What a row looks like, as far as it could be marked."""

IN_WINDOW = "row => { const box = row.getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight; }"


class PromiseTable:
    """The section of all promises on an open page."""

    def __init__(self, visit: Visit) -> None:
        self.page = visit.page
        self.section = visit.page.get_by_role("region", name="All promises")
        self.table = self.section.get_by_role("table").first
        self.search = self.section.get_by_role("searchbox")
        self.count = self.section.get_by_role("status")
        self.everything = self.section.get_by_role("button", name="Show all")

    def ids(self) -> list[str]:
        """Return the ids of the visible rows, from above."""
        found: list[str] = self.table.locator("tbody tr[id]:visible").evaluate_all("rows => rows.map(row => row.id)")
        return found

    def row(self, row_id: str) -> "Locator":
        """Return a row by its id."""
        return self.table.locator(f'tr[id="{row_id}"]')

    def texts(self) -> list[str]:
        """Return the texts of the visible rows, from above."""
        return self.table.locator("tbody tr[id]:visible").all_inner_texts()

    def show(self, verdicts: str) -> None:
        """Choose the verdicts to show: all, kept, missed, not judged."""
        self.section.get_by_role("radio", name=re.compile(f"^{verdicts}$")).check()

    def choose(self, name: str, option: str) -> None:
        """Choose an engine or an RTT."""
        self.section.get_by_role("combobox", name=name).select_option(label=option)

    def heads(self) -> list[str]:
        """Return the names of the visible columns."""
        return self.table.get_by_role("columnheader").all_inner_texts()

    def sort(self, column: int) -> None:
        """Press the head of a column."""
        self.table.get_by_role("columnheader").nth(column).get_by_role("button").click()

    def tones(self, column: int) -> list[str]:
        """Return the classes of the visible rows' cells in a column, from above."""
        found: list[str] = self.table.locator("tbody tr[id]:visible").evaluate_all(
            "(rows, column) => rows.map(row => row.cells[column].className)", column
        )
        return found

    def sorted(self) -> list[tuple[int, str]]:
        """Return the columns that say that rows are sorted by them, and in which direction."""
        found: list[str | None] = self.table.get_by_role("columnheader").evaluate_all(
            "all => all.map(e => e.getAttribute('aria-sort'))"
        )
        return [(place, way) for place, way in enumerate(found) if way not in {None, "none"} and way]

    def fragment(self) -> str:
        """Return what follows "#" in the address."""
        found: str = self.page.evaluate("location.hash.slice(1)")
        return found

    def marks(self, row_id: str) -> str:
        """Return what a row looks like."""
        found: str = self.row(row_id).evaluate(MARKS)
        return found

    def is_in_window(self, row_id: str) -> bool:
        """Return whether the whole row can be seen without scrolling."""
        found: bool = self.row(row_id).evaluate(IN_WINDOW)
        return found

    def downloaded(self, name: str) -> bytes:
        """Return the content of a file that a button downloads."""
        with self.page.expect_download() as download:
            self.section.get_by_role("button", name=name).click()
        return download.value.path().read_bytes()
