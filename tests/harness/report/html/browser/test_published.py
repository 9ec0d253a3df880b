"""The published pages: small, quiet, no wider than a window, and short on paper."""

from pathlib import Path

import pytest

from tests.harness.report.html.browser.conftest import Visiting
from tests.harness.report.html.browser.visit import WIDTHS
from tools.page_cost import size_of

PUBLISHED = sorted((Path(__file__).parents[5] / "reports" / "published").glob("*.html"))
MOST_BYTES = 1_500_000
MOST_ELEMENTS = 30_000

each_page = pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.stem)


@each_page
def test_it_is_small(file: Path) -> None:
    """Its bytes and its elements are bounded, whatever the number of engines and RTTs."""
    size = size_of(file.read_bytes())
    assert (size.bytes <= MOST_BYTES, size.elements <= MOST_ELEMENTS) == (True, True), size


@each_page
def test_it_fits_every_window_and_is_quiet(file: Path, visit: Visiting) -> None:
    """At each width nothing scrolls sideways; no message, error or request all the while."""
    page = visit(file)
    found = {}
    for width in WIDTHS:
        page.resize(width)
        if wide := page.too_wide():
            found[width] = wide
    assert found == {}
