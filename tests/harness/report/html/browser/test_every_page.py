"""Every page in a browser: quiet, no wider than its window, accessible, and readable in the dark, on paper and without scripts."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.harness.report.html.browser.conftest import Visiting
from tests.harness.report.html.browser.pages import PAGES
from tests.harness.report.html.browser.visit import WIDTHS, Scheme, Visit
from tools.page_cost import size_of

PUBLISHED = [
    pytest.param(file, id=f"published {file.stem}")
    for file in sorted((Path(__file__).parents[5] / "reports" / "published").glob("*.html"))
]
each_page = pytest.mark.parametrize("page", [*PAGES, *PUBLISHED])

MOST_TAB_STOPS = 20
MOST_ELEMENTS = 30_000
MOST_BYTES = 1_500_000
MOST_AT_ONE_PLACE = 800_000
KINDS = ("several places", "no scenario", "load", "capacity", "ablation", "comparison", "one file", "history", "gate")
"""The kinds of pages, which axe-core examines in both colour schemes; others have the same elements."""
WITH_FIGURES = ("full", "several places", "load", "capacity", "ablation")
UNUSUAL = ("hostile", "hostile gate", "all failed", "nulls", "unknown verdict")
"""Pages with elements that the others lack, which it examines on a light screen."""
AXE: dict[Scheme, dict[str, object]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
"""Colour scheme → options of axe-core: only colours differ in the dark."""

IN_CONTENT = """() => {
  const at = document.activeElement, head = document.querySelector('main h1');
  return at !== document.body && (at.contains(head) || (at.closest('main') !== null
    && (head.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0));
}"""
"""Whether the focus is on the main content, or on something in it after the heading."""

LOST_BOXES = """async () => {
  await new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  return [...document.querySelectorAll('main *')].filter(box => box.scrollWidth > box.clientWidth + 1
    && ['auto', 'scroll'].includes(getComputedStyle(box).overflowX) && box.tabIndex !== 0
    && !box.querySelector('a, button, summary, input')).map(box => box.outerHTML.slice(0, 100));
}"""
"""The boxes that scroll and that the keyboard cannot reach, once the page's observers have run with the next frame."""

FOCUSED = "() => document.activeElement === document.body ? '' : document.activeElement.outerHTML.slice(0, 100)"

THIN = """() => {
  const kinds = 'tr, li, details, figure, .panels > div, svg > *, svg g > *', seen = new Set();
  const names = e => ['class', 'role', 'type', 'tabindex'].map(a => e.getAttribute(a) ?? '').join();
  const own = e => `${e.localName}.${names(e)}.${e.textContent.trim() ? 1 : 0}`;
  const look = e => own(e) + '(' + [...e.children].map(look).join() + ')';
  const place = e => e ? place(e.parentElement) + '>' + e.localName + '.' + e.className : '';
  for (const e of [...document.querySelectorAll(kinds)]) {
    const all = place(e.parentElement) + look(e);
    if (seen.has(all)) e.style.display = 'none'; else seen.add(all);
  }
}"""
"""Hide rows, items, figures and their marks that have the same elements with the same classes as one before at the same place."""


def too_wide(page: Visit) -> dict[str, str]:
    """Return the width of each window in which the page scrolls sideways → its widest element."""
    found = {}
    for width in WIDTHS:
        page.resize(width)
        found[f"{width} px"] = page.too_wide()
    return found


def tab_stops(page: Visit) -> Iterator[tuple[str, object]]:
    """Yield that the first tab stop does not skip to the content, and the stops before the content if they are too many.

    The first one has to be a visible link, and pressing it puts the focus into the main content.
    """
    page.page.keyboard.press("Tab")
    link = page.page.locator(":focus").element_handle()
    box, address = link.bounding_box(), link.get_attribute("href") or ""
    if not (address.startswith("#") and box and min(box["x"], box["y"]) >= 0 and min(box["width"], box["height"]) > 10):
        yield "the first tab stop", (link.inner_text(), address, box)
    stops = [address]
    while len(stops) <= MOST_TAB_STOPS:
        page.page.keyboard.press("Tab")
        focused = page.page.evaluate(FOCUSED)
        if not focused or page.page.evaluate(IN_CONTENT):
            break
        stops.append(focused)
    yield "tab stops before the content", stops if len(stops) > MOST_TAB_STOPS else []
    link.press("Enter")
    yield "not skipped to the content", "" if page.page.evaluate(IN_CONTENT) else page.page.evaluate(FOCUSED)


def cut_in_print(page: Visit) -> list[str]:
    """Return how figures may be broken between two sheets of paper, other than not at all."""
    page.page.emulate_media(media="print")
    styles = page.page.locator("figure:visible").evaluate_all("all => all.map(e => getComputedStyle(e).breakInside)")
    return sorted(set(styles) - {"avoid"})


def violations(page: Visit, scheme: Scheme) -> list[str]:
    """Return axe-core's serious and critical findings in a colour scheme, each with its rule and up to three elements."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed").Axe()
    page.colour(scheme)
    found: list[dict[str, Any]] = axe.run(
        page.page, options={"resultTypes": ["violations"], "preload": False, **AXE[scheme]}
    ).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {len(rule['nodes'])} × such as "
        + "; ".join(f"{node['target'][0]} {node['html'][:160]}" for node in rule["nodes"][:3])
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    ]


def brightness(page: Visit) -> float:
    """Return the brightness of the most frequent colour in the window, from 0 (black) to 1."""
    picture = Image.open(io.BytesIO(page.page.screenshot())).convert("L")
    shades = picture.histogram()
    return shades.index(max(shades)) / 255


def words(page: Visit) -> set[str]:
    """Return the words that are visible in the content."""
    return set(re.findall(r"\w+", page.page.locator("main").inner_text()))


def control_words(page: Visit) -> set[str]:
    """Return the words of a page's controls."""
    texts = page.page.locator("button, form, label").all_inner_texts()
    return set(re.findall(r"\w+", " ".join(texts)))


@each_page
def test_it_can_be_read_everywhere(page: str | Path, visit: Visiting) -> None:
    """On every screen, on paper, with the keyboard, a screen reader, in the dark and without scripts; it loads nothing else.

    Nothing scrolls sideways at any width, folded and unfolded, and each box that scrolls on a phone takes the focus, or something
    in it does. There are at most 20 tab stops before the content, and a link to skip them. No figure is cut in print. axe-core
    finds nothing serious in either colour scheme, whose backgrounds are really light and dark. What is visible with scripts is so
    without them, and no control is shown that would do nothing.
    """
    shown = visit(page, width=WIDTHS[0])
    found: dict[str, object] = {"folded, too wide": shown.too_wide()}
    shown.resize(1280)
    found |= tab_stops(shown) if page in {*KINDS, "full"} else {}
    with_scripts = words(shown) - control_words(shown)
    shown.unfold()
    found |= too_wide(shown)
    shown.resize(WIDTHS[0])
    found["boxes that the keyboard cannot scroll"] = shown.page.evaluate(LOST_BOXES)
    shown.resize(1280)
    found["breaks in figures"] = cut_in_print(shown) if page in WITH_FIGURES else []
    schemes: tuple[Scheme, ...] = ("light", "dark") if page in KINDS else ("light",) if page in UNUSUAL else ()
    if schemes:
        shown.page.evaluate(THIN)
    for scheme in schemes:
        found[f"{scheme}, axe"] = violations(shown, scheme)
        shade = brightness(shown)
        found[f"{scheme}, brightness"] = () if (shade < 0.2 if scheme == "dark" else shade > 0.8) else shade
    plain = visit(page, scripts=False)
    dead = plain.page.locator("button, select, textarea, input:not([type=radio]):not([type=checkbox])")
    found["controls without scripts"] = [x.evaluate("e => e.outerHTML") for x in dead.all() if x.is_visible()]
    found["words lost without scripts"] = with_scripts - words(plain)
    assert {check: finding for check, finding in found.items() if finding} == {}


@each_page
def test_it_is_small(page: str | Path, page_file: Callable[[str], Path]) -> None:
    """Its bytes and its elements are bounded, whatever the number of engines and RTTs; at one place more so."""
    size = size_of((page_file(page) if isinstance(page, str) else page).read_bytes())
    limit = MOST_AT_ONE_PLACE if page == "full" else MOST_BYTES
    assert (size.bytes <= limit, size.elements <= MOST_ELEMENTS) == (True, True), size
