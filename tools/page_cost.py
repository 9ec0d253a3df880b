"""Measure a report: `python -m tools.page_cost --help`.

Of a page: bytes, compressed bytes, elements, and the time until something is drawn in headless Chromium. Of a run's folder, the
page is first written anew, and the time of that is measured as well.
"""

import argparse
import gzip
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

from harness.errors import UsageError
from harness.report.html.page import REPORT_FILE
from harness.results.store import RUN_FILE
from tools import exit_code
from tools.browser import headless

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WINDOW: Any = {"width": 1280, "height": 800}
DEADLINE_MS = 120_000
FREQUENT = 6
"""The number of kinds of elements that are printed."""

PAINTED = "() => performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0]"


@dataclass(frozen=True)
class PageSize:
    """The size of a page."""

    bytes: int
    compressed: int
    """Bytes as a web server would send them, with gzip."""
    by_tag: dict[str, int]
    """The number of elements of each kind, the most frequent first."""

    @property
    def elements(self) -> int:
        """The number of all elements."""
        return sum(self.by_tag.values())


class ElementCounter(HTMLParser):
    """The number of elements of a page, and of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.by_tag: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser passes them
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
    return PageSize(len(page), len(gzip.compress(page, mtime=0)), elements(page.decode(errors="replace")))


def lines(size: PageSize, paints_ms: list[float], renders_s: list[float]) -> Iterator[str]:
    """Yield a line per figure, with the median, the lowest and the highest of those that were measured several times."""
    yield f"size              {size.bytes:,} bytes, {size.compressed:,} compressed"
    frequent = ", ".join(f"{number:,} {tag}" for tag, number in [*size.by_tag.items()][:FREQUENT])
    yield f"elements          {size.elements:,}: {frequent}"
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


def painted(page: Path, times: int) -> list[float]:
    """Start a browser and return the times of `first_paints_ms`; raise NotMeasurableError if there is no browser."""
    with headless() as browser:
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
    return exit_code(lambda: _report(arguments.page, arguments.times, paint))


def _report(page: Path, times: int, paint: Callable[[Path, int], list[float]]) -> int:
    with tempfile.TemporaryDirectory(prefix="harness-") as out:
        is_run = (page / RUN_FILE).is_file()
        renders = render(page, Path(out), times) if is_run else []
        file = Path(out) / REPORT_FILE if is_run else page
        try:
            size = size_of(file.read_bytes())
        except OSError as error:
            raise UsageError(f"cannot read {file}: {error.strerror}; name an HTML file or a run's folder") from error
        sys.stdout.writelines(f"{line}\n" for line in lines(size, paint(file, times), renders))
    return 0


if __name__ == "__main__":
    sys.exit(main())
