"""Measure a report: `python -m tools.page_cost --help`.

Of a page: bytes, compressed bytes, elements, and the time until something is drawn in headless Chromium. Of a run's folder, the page
is first written anew, and the time of that is measured as well.
"""

import argparse
import gzip
import importlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import NotMeasurableError, UsageError
from harness.results.store import RUN_FILE
from tools import exit_code

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""Names of the browser's program, in the order of preference."""

WINDOW: Any = {"width": 1280, "height": 800}
DEADLINE_MS = 120_000

PAINTED = "() => performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0]"


@dataclass(frozen=True)
class PageSize:
    """The size of a page."""

    bytes: int
    compressed: int
    """Bytes as a web server would send them, with gzip."""
    elements: int


class ElementCounter(HTMLParser):
    """The number of elements of a page, and of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.by_tag: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count an element."""
        self.by_tag[tag] = self.by_tag.get(tag, 0) + 1


def elements(page: str) -> dict[str, int]:
    """Return the number of elements by tag, the most frequent first."""
    counter = ElementCounter()
    counter.feed(page)
    counter.close()
    return dict(sorted(counter.by_tag.items(), key=lambda item: (-item[1], item[0])))


def size_of(page: bytes) -> PageSize:
    """Return the size of a page."""
    return PageSize(len(page), len(gzip.compress(page, mtime=0)), sum(elements(page.decode(errors="replace")).values()))


def lines(size: PageSize, paints_ms: list[float], renders_s: list[float]) -> Iterator[str]:
    """Yield a line per figure, with the median, the lowest and the highest of those that were measured several times."""
    yield f"size              {size.bytes:,} bytes, {size.compressed:,} compressed"
    yield f"elements          {size.elements:,}"
    yield f"first paint       {spread(paints_ms, 'ms', 0)}"
    if renders_s:
        yield f"harness report    {spread(renders_s, 's', 2)}"


def spread(values: list[float], unit: str, digits: int) -> str:
    """Return the median of measured values, and their range."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} {unit} (median of {len(values)}, {low} to {high})"


def first_paints_ms(browser: "Browser", page: Path, times: int) -> list[float]:
    """Return the milliseconds from the start of loading a page until it is first drawn, each in a new window."""
    found = []
    for _ in range(times):
        window = browser.new_page(viewport=WINDOW)
        window.set_default_timeout(DEADLINE_MS)
        window.goto(page.resolve().as_uri())
        window.wait_for_function(PAINTED)
        found.append(float(window.evaluate(PAINTED)))
        window.close()
    return found


def chromium() -> Path:
    """Return the path of the browser; raise NotMeasurableError if none is installed."""
    for name in CHROMIUM:
        if program := shutil.which(name):
            return Path(program)
    raise NotMeasurableError(f"no Chromium is on the PATH (tried {', '.join(CHROMIUM)}); install it to measure the first paint")


def painted(page: Path, times: int) -> list[float]:
    """Start a browser and return the times of `first_paints_ms`; raise NotMeasurableError if there is no browser."""
    program = chromium()
    try:
        api = importlib.import_module("playwright.sync_api")
    except ModuleNotFoundError as error:
        raise NotMeasurableError("the Python package playwright is not installed; install the dev dependencies") from error
    with api.sync_playwright() as playwright, playwright.chromium.launch(executable_path=program) as browser:
        return first_paints_ms(browser, page, times)


def render(run: Path, out: Path, times: int) -> list[float]:
    """Write a run's page into a folder several times and return the seconds that the command took, its start included."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        command = [sys.executable, "-m", "harness", "report", str(run), "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found.append(time.perf_counter() - start)
        if done.returncode:
            raise UsageError(f"cannot render {run}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return found


def main(words: list[str] | None = None, paint: Callable[[Path, int], list[float]] = painted) -> int:
    """Measure a page, or a run's folder, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tools.page_cost", description="Measure the page of a report.")
    parser.add_argument("page", type=Path, metavar="PAGE", help="an HTML file, or a run's folder, which is rendered first")
    parser.add_argument("--times", type=int, default=5, metavar="COUNT", help="measure times that often (default: %(default)s)")
    arguments = parser.parse_args(words)
    if arguments.times < 1:
        parser.error("argument --times: give at least 1")
    with exit_code() as outcome, tempfile.TemporaryDirectory() as out:
        page, renders = arguments.page, []
        if (page / RUN_FILE).is_file():
            renders = render(page, Path(out), arguments.times)
            page = Path(out) / "report.html"
        try:
            size = size_of(page.read_bytes())
        except OSError as error:
            raise UsageError(f"cannot read {page}: {error.strerror}; name an HTML file or a run's folder") from error
        print("\n".join(lines(size, paint(page, arguments.times), renders)))
    return outcome.code
