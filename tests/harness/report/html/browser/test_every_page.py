"""Every page in a browser: quiet, no wider than its window, accessible, and readable in the dark and without scripts."""

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.harness.report.html.browser.conftest import Visiting
from tests.harness.report.html.browser.pages import MAKERS
from tests.harness.report.html.browser.visit import HEIGHT, WIDTHS, Visit
from tools.page_cost import size_of

KINDS = ("full", "several places", "no scenario", "load", "capacity", "ablation", "comparison", "one file", "history", "gate")
"""The kinds of pages; the others differ from these by their content alone."""

each_page = pytest.mark.parametrize("name", MAKERS)
each_kind = pytest.mark.parametrize("name", KINDS)

MOST_TAB_STOPS = 20
MOST_ELEMENTS = 30_000
MOST_BYTES = {"full": 800_000, "several places": 1_500_000}
UNUSUAL = ("hostile", "hostile gate", "all failed", "nulls", "unknown verdict")
"""Pages with elements that others do not have."""
LARGE = {"full", "hostile and long"}
"""Pages that have the elements of other pages, only more or longer ones."""
AXE: dict[str, dict[str, object]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
"""Colour scheme → options of axe-core: only colours differ in the dark."""

IN_CONTENT = """() => {
  const at = document.activeElement, head = document.querySelector('main h1');
  return at !== document.body && (at.contains(head) || (at.closest('main') !== null
    && (head.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0));
}"""
"""Whether the focus is on the main content, or on something in it after the heading."""

NO_LOST_BOX = """() => [...document.querySelectorAll('main *')].every(box => box.scrollWidth <= box.clientWidth + 1
  || !['auto', 'scroll'].includes(getComputedStyle(box).overflowX) || box.tabIndex === 0
  || box.querySelector('a, button, summary, input'))"""

FOCUSED = "() => document.activeElement === document.body ? '' : document.activeElement.outerHTML.slice(0, 100)"


def violations(visit: Visit, options: Mapping[str, object]) -> list[str]:
    """Return axe-core's serious and critical findings, each with its rule and up to three elements."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed").Axe()
    found: list[dict[str, Any]] = axe.run(
        visit.page, options={"resultTypes": ["violations"], "preload": False, **options}
    ).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {len(rule['nodes'])} × such as "
        + "; ".join(f"{node['target'][0]} {node['html'][:160]}" for node in rule["nodes"][:3])
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    ]


def brightness(visit: Visit) -> float:
    """Return the brightness of the most frequent colour in the window, from 0 (black) to 1."""
    picture = Image.open(io.BytesIO(visit.page.screenshot())).convert("L")
    shades = picture.histogram()
    return shades.index(max(shades)) / 255


@each_page
def test_it_fits_every_window_and_is_quiet(name: str, visit: Visiting) -> None:
    """Unfolded, nothing scrolls sideways at any width, nor does it folded at the least; no message, error or request."""
    page = visit(name, viewport={"width": WIDTHS[0], "height": HEIGHT})
    found = {"folded": folded} if (folded := page.too_wide()) else {}
    page.unfold()
    for width in WIDTHS:
        page.resize(width)
        if wide := page.too_wide():
            found[str(width)] = wide
    assert found == {}


@each_kind
def test_what_scrolls_can_be_reached_with_the_keyboard(name: str, visit: Visiting) -> None:
    """Unfolded on a phone, each box that scrolls takes the focus, or something in it does."""
    page = visit(name, viewport={"width": WIDTHS[0], "height": HEIGHT})
    page.unfold()
    assert page.page.wait_for_function(NO_LOST_BOX).json_value() is True


@pytest.mark.parametrize(
    ("scheme", "name"),
    [
        *(("light", name) for name in (*KINDS, *UNUSUAL) if name not in LARGE),
        *(("dark", name) for name in KINDS if name not in LARGE),
    ],
)
def test_axe_finds_nothing_serious(name: str, scheme: str, visit: Visiting) -> None:
    """With everything unfolded, in both colour schemes, whose backgrounds are really light and dark."""
    page = visit(name, color_scheme=scheme)
    assert brightness(page) < 0.2 if scheme == "dark" else brightness(page) > 0.8
    page.unfold()
    assert violations(page, AXE[scheme]) == []


@each_kind
def test_the_keyboard_reaches_the_content_soon(name: str, visit: Visiting) -> None:
    """There are at most 20 tab stops before the first one after the heading."""
    page = visit(name)
    stops = []
    for _ in range(MOST_TAB_STOPS + 2):
        page.page.keyboard.press("Tab")
        focused = page.page.evaluate(FOCUSED)
        if not focused or page.page.evaluate(IN_CONTENT):
            break
        stops.append(focused)
    assert len(stops) <= MOST_TAB_STOPS, stops


@each_kind
def test_the_first_tab_stop_skips_to_the_content(name: str, visit: Visiting) -> None:
    """It is a visible link, and pressing it puts the focus into the main content."""
    page = visit(name)
    page.page.keyboard.press("Tab")
    link = page.page.locator(":focus")
    assert link.count() == 1, "nothing takes the focus"
    words = link.inner_text()[:40]
    assert words.lower().startswith("skip ")
    box = link.bounding_box()
    assert box is not None
    assert min(box["x"], box["y"]) >= 0
    assert min(box["width"], box["height"]) > 10
    page.page.keyboard.press("Enter")
    assert page.page.evaluate(IN_CONTENT)


@each_page
def test_everything_is_there_without_scripts(name: str, visit: Visiting) -> None:
    """What is visible with scripts is so without them, and no control is shown that would do nothing."""
    page = visit(name, java_script_enabled=False)
    dead = page.page.locator("button, select, textarea, input:not([type=radio]):not([type=checkbox])")
    assert [control.evaluate("e => e.outerHTML") for control in dead.all() if control.is_visible()] == []
    with_scripts = visit(name)
    words, plain = (re.findall(r"\w+", each.page.locator("main").inner_text()) for each in (with_scripts, page))
    assert set(words) - set(plain) <= control_words(with_scripts)


def control_words(visit: Visit) -> set[str]:
    """Return the words of a page's controls."""
    texts = visit.page.locator("button, form, label").all_inner_texts()
    return set(re.findall(r"\w+", " ".join(texts)))


@pytest.mark.parametrize("name", ["full", "several places", "load", "capacity", "ablation"])
def test_no_figure_is_cut_in_print(name: str, visit: Visiting) -> None:
    """On paper, no figure is broken between two pages."""
    page = visit(name)
    page.unfold()
    page.page.emulate_media(media="print")
    figures = page.page.locator("figure:visible")
    styles = figures.evaluate_all("all => all.map(e => getComputedStyle(e).breakInside)")
    assert set(styles) == {"avoid"}


@each_page
def test_it_has_few_elements(name: str, page_file: Callable[[str], Path]) -> None:
    """Their number is bounded."""
    assert size_of(page_file(name).read_bytes()).elements <= MOST_ELEMENTS


@pytest.mark.parametrize(("name", "limit"), MOST_BYTES.items())
def test_it_is_small(name: str, limit: int, page_file: Callable[[str], Path]) -> None:
    """A run at one place and at several has a bounded number of bytes."""
    assert page_file(name).stat().st_size <= limit
