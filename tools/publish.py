"""Publish a run: its report, Markdown, compressed record and a picture of the first screen, into one folder of the repository.

`make published` measures and publishes; `make published FROM=runs/…` publishes a run that there is:

    python -m tools.publish runs/published
"""

import argparse
import gzip
import shutil
import subprocess
import sys
from pathlib import Path

from harness.errors import UsageError
from harness.report import html, markdown, overview
from harness.results.compressed import unpacked
from harness.results.run import Run
from harness.results.store import COMPRESSED_RUN_FILE, read_run, run_file, write_bytes
from harness.text import encode
from tools import exit_code

FOLDER = Path("reports/published")
MARKDOWN_FILE, PICTURE_FILE = "report.md", "report.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCREEN = "1280,800"
"""Width and height of the picture, in CSS pixels."""
WAIT_S = 60


def checked(run: Run) -> Run:
    """Return a run that can be published: finished, not a preview, of a commit without uncommitted changes.

    Raises:
        UsageError: it is none of these; the message says which.
    """
    problems = [
        (run.incomplete, f"the run {run.incomplete}"),
        (run.settings.quick, "the run is a preview"),
        (run.dirty, "the run measured uncommitted changes"),
        (not run.commit, "the run's commit is unknown"),
    ]
    found = [message for holds, message in problems if holds]
    if found:
        raise UsageError(f"cannot publish: {', and '.join(found)}; run again with make published")
    return run


def publish(folder: Path, out: Path) -> list[Path]:
    """Write the files of a run's folder into `out` and return them; the picture only where a browser is installed.

    Raises:
        UsageError: the run is not to be read or not fit to be published, or `out` cannot be written.
    """
    run = checked(read_run(folder))
    stored = run_file(folder)
    record = gzip.compress(unpacked(stored, stored.read_bytes()), mtime=0)
    stored = write_bytes(out / COMPRESSED_RUN_FILE, record)  # before the page, which links to what is beside it
    page = html.write(run, folder, out)
    written = [page, write_bytes(out / MARKDOWN_FILE, encode(markdown.write(overview.full(run, everything=False)))), stored]
    return [*written, *picture(page, out / PICTURE_FILE)]


def picture(page: Path, out: Path) -> list[Path]:
    """Draw the first screen of a page; return the picture's path, nothing without a browser.

    Raises:
        UsageError: the browser failed.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return []
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={SCREEN}", f"--screenshot={out.resolve()}"]
    try:
        subprocess.run([browser, *options, page.resolve().as_uri()], check=True, capture_output=True, timeout=WAIT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{browser} did not draw {page}: {error}; draw {out} by hand, or remove it") from error
    return [out]


def main(arguments: list[str] | None = None) -> int:
    """Publish the run that the command line names; print what was written."""
    parser = argparse.ArgumentParser(prog="python -m tools.publish", description="Publish a run.")
    parser.add_argument("run", metavar="RUN", type=Path, help="folder of the run")
    parser.add_argument("--out", metavar="DIR", type=Path, default=FOLDER, help="folder for its files (default: %(default)s)")
    options = parser.parse_args(arguments)
    for path in publish(options.run, options.out):
        sys.stdout.write(f"{path}  {path.stat().st_size / 1e6:.2f} MB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
