"""The script of a run's page in a real browser: filter, sort, search, links, downloads, and hostile names and addresses."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from harness.report.html import write
from harness.results.run import Run, ScenarioResult
from harness.results.store import write_run

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
HOSTILE = '<img src=x onerror="document.title=1">'
SHOWN = "[...document.querySelectorAll('.promises tr[id]')].filter(row => !row.hidden)"


@pytest.fixture(scope="module")
def address(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Return the address of the page of a run at two places, with an arm whose name is markup and one that is a formula."""
    result = make_result(title=HOSTILE)
    names = {"proposed": f"=1+1 {HOSTILE}", "optimised": HOSTILE}
    verdicts = [replace(v, arm=names[v.arm], part=f"{v.part}{HOSTILE}") for v in result.verdicts]
    run = make_run(replace(result, verdicts=verdicts), replace(result, verdicts=verdicts, engine="postgres", rtt_ms=5.0))
    folder = tmp_path_factory.mktemp("page")
    write_run(run, folder)
    return write(run, folder).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Yield a headless browser."""
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """Yield a tab that fails the test if the page writes to the console, raises, or opens a dialog."""
    tab, said = browser.new_context().new_page(), list[str]()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(dialog.message))
    yield tab
    assert said == []
    tab.context.close()


def test_the_choice_is_in_the_address(page: Any, address: str) -> None:
    """A copied address restores filter, search, order and place in another tab, and the browser's history stays as it is."""
    page.goto(address)
    total = page.evaluate(f"{SHOWN}.length")
    page.check("input[name=show][value=kept]")
    page.select_option("select[name=engine]", "postgres")
    page.fill("input[name=q]", "STEPS")
    page.click(".promises thead th:nth-child(3) button")
    page.check("#place-2", force=True)
    assert page.evaluate("history.length") == 2  # the empty tab, and the page
    assert page.url.partition("#")[2] == "show=kept&engine=postgres&q=STEPS&sort=3&place=postgres%2C+RTT+5+ms"
    shown = page.evaluate(f"{SHOWN}.map(row => row.id)")
    assert 0 < len(shown) < total
    assert page.inner_text("#filter output") == f"{len(shown)} of {total} rows"
    page.goto("about:blank")
    page.goto(page_address := f"{address}#show=kept&engine=postgres&q=STEPS&sort=3&place=postgres%2C+RTT+5+ms")
    assert page.evaluate(f"{SHOWN}.map(row => row.id)") == shown
    assert page.is_checked("#place-2")
    assert page.is_visible(".at-2")
    page.click("#filter [type=reset]")
    page.wait_for_function(f"{SHOWN}.length === {total}")
    assert "show" not in page.url != page_address


def test_every_row_has_a_link_that_shows_it(page: Any, address: str) -> None:
    """Also one that the filter hides."""
    page.goto(f"{address}#show=missed")
    hidden = page.evaluate("[...document.querySelectorAll('.promises tr[id]')].find(row => row.hidden).id")
    page.evaluate(f"location.hash = '{hidden}'")
    page.wait_for_selector(f"#{hidden}", state="visible")
    assert page.evaluate("document.querySelector(':target').id") == hidden
    page.evaluate("location.hash = 'rules'")
    page.wait_for_selector("#rules", state="visible")


def test_a_column_sorts_its_verdicts(page: Any, address: str) -> None:
    """The best come first, then the worst, then the order of the scenarios again."""
    page.goto(address)
    order, column = page.evaluate(f"{SHOWN}.map(row => row.id)"), ".promises thead th:nth-child(4) button"
    tones = f"{SHOWN}.map(row => ['great', 'good', 'short', 'bad', 'open', 'flat'].indexOf(row.cells[3].className))"
    page.click(column)
    best_first = page.evaluate(tones)
    assert best_first == sorted(best_first)
    page.click(column)
    assert page.evaluate(tones) == sorted(best_first, reverse=True)
    page.click(".promises thead th:first-child button")
    assert page.evaluate(f"{SHOWN}.map(row => row.id)") == order


@pytest.mark.parametrize(
    "hash_", ["show=%22%3E%3Cimg%20src%3Dx%3E&sort=x&engine=<b>&place=[a]", "q=%3Cimg%3E", "sort=99", "=", "%", "a\\'b"]
)
def test_an_address_is_never_markup_or_a_selector(page: Any, address: str, hash_: str) -> None:
    """Whatever it holds, the page is as it was, or finds nothing."""
    page.goto(f"{address}#{hash_}")
    assert page.evaluate("document.images.length") == 0
    assert page.inner_text("#filter output").endswith("of 18 rows")


def test_the_rows_shown_can_be_downloaded(page: Any, address: str) -> None:
    """As CSV, in which no text is a formula, and as JSON: a record per row and place."""
    page.goto(f"{address}#engine=sqlite")
    files = []
    for name in ("csv", "json"):
        with page.expect_download() as download:
            page.click(f"button[name={name}]")
        files.append(Path(download.value.path()).read_text(encoding="utf-8-sig"))
    records = json.loads(files[1])
    rows = list(csv.DictReader(io.StringIO(files[0])))
    assert len(records) == len(rows) == 18
    assert records[0]["arm"].startswith("=1+1 <img")
    assert rows[0]["arm"] == f"'{records[0]['arm']}"
    first = {key: records[0][key] for key in ("scenario", "claim", "promised", "engine", "rtt_ms", "verdict", "measured")}
    assert first == {
        "scenario": "indexes",
        "claim": "queries 5–10× faster",
        "promised": "5–10×",
        "engine": "sqlite",
        "rtt_ms": 0,
        "verdict": "fell short",
        "measured": "1.9948×",
    }


def test_the_command_can_be_copied(page: Any, address: str) -> None:
    """The button says so once it is done."""
    page.goto(address)
    page.click("button[data-copied]")
    page.wait_for_selector("button:text-is('Copied')")
    assert page.evaluate("getSelection().toString()").strip() == "git checkout 3f9a1c2d5b\nharness run all --engine sqlite"


@pytest.mark.parametrize("width", [320, 380, 800, 1280, 1600])
def test_nothing_scrolls_sideways(page: Any, address: str, width: int) -> None:
    """The page is as wide as the window, and what scrolls inside it can be reached with the keyboard."""
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.wait_for_function(
        "[...document.querySelectorAll('.scroll')].every(box => !box.checkVisibility() || (box.scrollWidth > box.clientWidth + 1"
        " || box.scrollHeight > box.clientHeight + 1) === (box.tabIndex === 0))"
    )


def test_few_stops_come_before_the_content(page: Any, address: str) -> None:
    """At most 20, of which the first skips the others."""
    page.goto(address)
    before = "[...document.querySelectorAll('a, button, input, summary, [tabindex=\"0\"]')].findIndex(each => each.closest('main'))"
    assert page.evaluate(before) <= 20
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_without_a_script_the_table_stands_whole(page: Any, address: str) -> None:
    """All rows are there, and no controls that would not work."""
    context = page.context.browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(address)
    assert plain.locator(".promises tr[id]").count() == 18
    assert plain.is_visible(".promises tr[id]")
    assert not plain.is_visible("#filter")
    assert not plain.is_visible("button")
    context.close()
