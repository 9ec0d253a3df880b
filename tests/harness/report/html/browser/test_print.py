"""The page of a full run on paper: the summary first, few pages, nothing that only a screen can use."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.report.html.browser.conftest import Visiting
from tests.harness.report.html.browser.pages import TITLES
from tests.harness.report.html.browser.visit import Windows

MOST_PAGES = 12
WIDTH_PX, HEIGHT_PX = 794, 1123
"""A sheet of A4 at 96 pixels per inch."""


@dataclass(frozen=True)
class Printed:
    """A page on paper: its heading, and the text of each sheet, without white space."""

    heading: str
    sheets: list[str]


@pytest.fixture(scope="module")
def printed(windows: Windows, page_file: Callable[[str], Path]) -> Printed:
    """Return a full run's report on paper."""
    reader = pytest.importorskip("pypdf", reason="pypdf is not installed").PdfReader
    page = windows.open(page_file("full")).page
    page.emulate_media(media="null")
    pages = reader(io.BytesIO(page.pdf(format="A4", print_background=True))).pages
    return Printed(page.get_by_role("heading", level=1).inner_text(), [squeezed(each.extract_text()) for each in pages])


def squeezed(text: str) -> str:
    """Return a text without white space, which a PDF does not keep."""
    return re.sub(r"\s", "", text)


def test_a_full_run_is_few_pages(printed: Printed) -> None:
    """At most twelve, without the details, and none is empty."""
    assert len(printed.sheets) <= MOST_PAGES
    assert all(printed.sheets)


def test_the_first_page_is_the_summary(printed: Printed) -> None:
    """It has the heading and a row of each optimisation."""
    first = printed.sheets[0]
    assert squeezed(printed.heading) in first
    assert [title for title in TITLES if squeezed(title) not in first] == []


def test_figures_are_not_higher_than_a_page(visit: Visiting) -> None:
    """So that none needs to be cut."""
    page = visit("full", width=WIDTH_PX)
    page.unfold()
    page.page.emulate_media(media="print")
    heights = page.page.locator("figure:visible").evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert heights
    assert max(heights) < 0.85 * HEIGHT_PX, "the margins take the rest"


def test_no_control_is_printed(visit: Visiting) -> None:
    """Paper cannot be searched or pressed; only the heads of columns stay, which are buttons on the screen."""
    page = visit("full").page
    page.emulate_media(media="print")
    controls = page.locator(":not(th) > button, select, input, .skip")
    assert [control.evaluate("e => e.outerHTML") for control in controls.all() if control.is_visible()] == []
