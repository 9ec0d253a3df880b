"""The page of a full run on paper: the summary first, few pages, nothing that only a screen can use."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.report.html.browser.conftest import Visiting
from tests.harness.report.html.browser.pages import TITLES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MOST_PAGES = 12
SIZES_PX = {"A4": (794, 1123), "Letter": (816, 1056)}
"""Paper → its width and height at 96 pixels per inch."""


@pytest.fixture(scope="module")
def papers(browser: "Browser", page_file: Callable[[str], Path]) -> dict[str, list[str]]:
    """Return the text of each page of a full run's report by the paper it is printed on, without white space."""
    reader = pytest.importorskip("pypdf", reason="pypdf is not installed").PdfReader
    page, found = browser.new_page(), {}
    page.goto(page_file("full").as_uri())
    for paper in SIZES_PX:
        pages = reader(io.BytesIO(page.pdf(format=paper, print_background=True))).pages
        found[paper] = [squeezed(each.extract_text()) for each in pages]
    page.close()
    return found


def squeezed(text: str) -> str:
    """Return a text without white space, which a PDF does not keep."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("paper", SIZES_PX)
def test_a_full_run_is_few_pages(paper: str, papers: dict[str, list[str]]) -> None:
    """At most twelve, without the details, and none is empty."""
    assert len(papers[paper]) <= MOST_PAGES
    assert all(papers[paper])


@pytest.mark.parametrize("paper", SIZES_PX)
def test_the_first_page_is_the_summary(paper: str, papers: dict[str, list[str]], visit: Visiting) -> None:
    """It has the heading and a row of each optimisation."""
    heading = visit("full").page.get_by_role("heading", level=1).inner_text()
    first = papers[paper][0]
    assert squeezed(heading) in first
    assert [title for title in TITLES if squeezed(title) not in first] == []


@pytest.mark.parametrize("size", SIZES_PX.values(), ids=SIZES_PX)
def test_figures_are_not_higher_than_a_page(size: tuple[int, int], visit: Visiting) -> None:
    """So that none needs to be cut."""
    width, height = size
    page = visit("full", viewport={"width": width, "height": height})
    page.unfold()
    page.page.emulate_media(media="print")
    heights = page.page.locator("figure:visible").evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert heights
    assert max(heights) < 0.85 * height, "a margin of 7 % on both sides"


def test_no_control_is_printed(visit: Visiting) -> None:
    """Paper cannot be searched or pressed."""
    page = visit("full").page
    page.emulate_media(media="print")
    controls = page.locator("button, select, input, .skip")
    assert [control.evaluate("e => e.outerHTML") for control in controls.all() if control.is_visible()] == []
