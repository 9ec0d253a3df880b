"""What `harness report` and `harness compare` have in common: two files into a run, and a run of files into a report."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.results.run import Run

FORMATS = ("html", "markdown", "terminal", "json")
MAX_DRIFT_PERCENT = 1_000.0


def arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """Declare the options that a comparison takes; `out` says where the page goes."""
    parser.add_argument(
        "--drift",
        metavar="PERCENT",
        help="by how much two runs of the same code may differ on this machine (default: 25); compare two such runs to know",
    )
    parser.add_argument("--only", default="*", metavar="GLOB", help="compare the benchmarks with such a name (default: all)")
    parser.add_argument("--out", metavar="DIR", type=Path, help=f"folder of the page (default: {out})")
    parser.add_argument("--json", action="store_true", help="the same as --format json")


def form(options: argparse.Namespace) -> str:
    """Return the format that is meant.

    Raises:
        UsageError: there is no such format.
    """
    chosen: str = "json" if options.json else options.format
    if chosen not in FORMATS:
        raise UsageError(f"no report format named {chosen!r}; known: {', '.join(FORMATS)}")
    return chosen


def compared(before: Path, after: Path, options: argparse.Namespace) -> Run:
    """Return two files side by side as a run.

    Raises:
        UsageError: a file cannot be read, or an option has no meaning.
        NotComparableError: the files do not go together.
    """
    drift = _drift(options.drift)
    from harness import importers as readers  # noqa: PLC0415 - keeps `--help` quick
    from harness.gate import result_files as comparison  # noqa: PLC0415 - keeps `--help` quick

    run = comparison.side_by_side(readers.reading(before), readers.reading(after), drift=drift, only=options.only)
    return replace(run, command=shlex.join(["harness", *sys.argv[1:]]))


def publish(run: Run, folder: Path) -> Path:
    """Write a run of files and its page into `folder`, and return the page's path.

    Raises:
        UsageError: the folder holds another run, or cannot be written.
    """
    from harness.report import html  # noqa: PLC0415 - only this draws figures
    from harness.results.store import RUN_FILE, write_run  # noqa: PLC0415 - keeps `--help` quick

    if (folder / RUN_FILE).exists():
        raise UsageError(f"{folder} holds a run already; name another folder with --out, or remove it")
    write_run(run, folder)
    return html.write(run, folder)


def new_folder() -> Path:
    """Return the folder of a report of files that nobody named."""
    from harness.runtime.clock import utc_now  # noqa: PLC0415 - keeps `--help` quick

    return Path("runs") / f"{utc_now():%Y%m%dT%H%M%SZ}-files"


def show(run: Run, chosen: str) -> None:
    """Print a run of files in a format other than HTML."""
    if chosen == "markdown":
        from harness.report import markdown, overview  # noqa: PLC0415 - only this format

        print(markdown.write(overview.full(run)), end="")
    else:
        from harness.cli._console import show as show_run  # noqa: PLC0415 - only these formats

        show_run(run, as_json=chosen == "json")


def _drift(text: str | None) -> float:
    from harness.verdicts.unpaired import DRIFT  # noqa: PLC0415 - keeps `--help` quick

    if text is None:
        return DRIFT
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= MAX_DRIFT_PERCENT:
        raise UsageError(f"--drift {text!r} is not between 0 and {MAX_DRIFT_PERCENT:g} %; try --drift {DRIFT * 100:g}")
    return percent / 100
