"""Shared parts of `harness report` and `harness compare`: two files into a run, and a run of files into a report."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import options as converters
from harness.cli import _options, _runs

if TYPE_CHECKING:
    from harness.results.run import Run

MAX_DRIFT = 10.0


def arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """Declare the options of a comparison; `out` is the default folder of the page, for the help."""
    parser.add_argument(
        "--drift",
        type=converters.percent(MAX_DRIFT, zero=True, example="25%"),
        metavar="PERCENT",
        help="difference between two runs of the same code on this machine (default: 25%%); compare two such runs to measure it",
    )
    _options.only(parser, "benchmarks")
    parser.add_argument("--out", metavar="DIR", type=Path, help=f"folder of the page (default: {out})")


def compared(before: Path, after: Path, options: argparse.Namespace) -> Run:
    """Return two files side by side as a run.

    Raises:
        UsageError: a file cannot be read, or no benchmark matches --only.
        NotComparableError: the files cannot be compared.
    """
    from harness import importers
    from harness.gate import result_files
    from harness.verdicts.unpaired import DRIFT

    drift = DRIFT if options.drift is None else options.drift
    run = result_files.side_by_side(importers.reading(before), importers.reading(after), drift=drift, only=options.only)
    return replace(run, command=_runs.command())


def publish(run: Run, folder: Path) -> Path:
    """Write a run of files and its page into `folder`, and return the page's path.

    Raises:
        UsageError: the folder has another run, or cannot be written.
    """
    from harness.report import html
    from harness.results.store import RUN_FILE, write_run

    _runs.refuse_old_run(folder, RUN_FILE)
    write_run(run, folder)
    return html.write(run, folder)


def new_folder() -> Path:
    """Return the default folder of a report of result files."""
    from harness.runtime.clock import utc_now

    return Path("runs") / f"{utc_now():%Y%m%dT%H%M%SZ}-files"


def show(run: Run, form: str) -> None:
    """Print a run of files in a format other than HTML."""
    if form == "markdown":
        from harness.report import markdown, overview

        print(markdown.write(overview.full(run)), end="")
    else:
        from harness.cli._console import show as show_run

        show_run(run, as_json=form == "json")
