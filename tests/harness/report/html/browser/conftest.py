"""One browser per test module, and made pages in files; skipped with the reason where there is no browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import NotMeasurableError
from harness.results.run import ScenarioResult
from tests.harness.report.conftest import MakeResult, MakeRun
from tests.harness.report.html.browser.pages import Records, written
from tests.harness.report.html.browser.visit import Visit, opened
from tools.browser import headless

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Visiting = Callable[..., Visit]


@pytest.fixture(scope="session")
def page_file(
    make_run: MakeRun,
    make_result: MakeResult,
    failed_result: ScenarioResult,
    hostile_result: ScenarioResult,
    load_result: ScenarioResult,
    histogram_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Path]:
    """Return a function that returns the file of a page of `pages.MAKERS`, written when it is first needed."""
    records = Records(make_run, make_result, failed_result, hostile_result, load_result, histogram_folder)
    files: dict[str, Path] = {}

    def find(name: str) -> Path:
        if name not in files:
            files[name] = written(name, records, tmp_path_factory.mktemp(name.replace(" ", "-")))
        return files[name]

    return find


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Yield a headless Chromium for a module; no longer, because tests of other modules run asyncio."""
    try:
        with headless() as started:
            yield started
    except NotMeasurableError as error:
        pytest.skip(str(error))


@pytest.fixture
def visit(browser: "Browser", page_file: Callable[[str], Path], tmp_path: Path) -> Iterator[Visiting]:
    """Yield a function that opens a page of `pages.MAKERS`, or a file, in a new window; at the end, each had to be quiet."""
    visits: list[Visit] = []

    def open_page(name: str | Path, fragment: str = "", **options: object) -> Visit:
        file = page_file(name) if isinstance(name, str) else name
        visits.append(opened(browser, file, fragment, **options))
        return visits[-1]

    yield open_page
    for each in visits:
        each.page.context.close()
    assert [event for each in visits for event in each.events] == []
