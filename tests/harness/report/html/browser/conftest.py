"""One browser per test module, and made pages in files; skipped with the reason where there is no browser.

Pages are made once per test session, and windows are used by one test after the other: both cost more than most tests.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import NotMeasurableError
from harness.results.run import ScenarioResult
from tests.harness.report.conftest import MakeResult, MakeRun
from tests.harness.report.html.browser.pages import Records, written
from tests.harness.report.html.browser.visit import Visit, Windows
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
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "pages"
    shared.mkdir(exist_ok=True)

    def find(name: str) -> Path:
        folder = shared / re.sub(r"\W+", "-", name)
        if not folder.exists():
            made = Path(mkdtemp(dir=shared))
            written(name, records, made)
            with suppress(OSError):  # another worker has written it meanwhile
                made.rename(folder)
        return next(folder.glob("*.html"))

    return find


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Yield a headless Chromium for a module; no longer, because tests of other modules run asyncio."""
    try:
        with headless() as started:
            yield started
    except NotMeasurableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def windows(browser: "Browser") -> Windows:
    """Return the windows of a module's browser."""
    return Windows(browser)


@pytest.fixture
def visit(windows: Windows, page_file: Callable[[str], Path]) -> Iterator[Visiting]:
    """Yield a function that opens a page of `pages.MAKERS`, or a file, in a window; at the end, each had to be quiet."""

    def open_page(name: str | Path, fragment: str = "", **options: Any) -> Visit:
        return windows.open(page_file(name) if isinstance(name, str) else name, fragment, **options)

    yield open_page
    assert windows.free() == []
