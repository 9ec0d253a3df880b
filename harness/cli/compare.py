"""Compare two files of results, before and after, of this harness or of another tool.

BEFORE and AFTER are files of the same tool, recognised by what is in them, or run folders. Benchmarks are joined by name; one that
is missing or renamed ends the comparison with exit code 4. Exit code 1 means a regression, 3 that something is inconclusive: two
runs at two moments differ by the machine's drift as well, and only a change beyond it is called one. --out writes a page as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli import _files


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("before", metavar="BEFORE", type=Path, help="the file or run folder to compare with")
    parser.add_argument("after", metavar="AFTER", type=Path, help="the file or run folder that is judged")
    parser.add_argument(
        "--format", default="terminal", metavar="FORMAT", help=f"one of {', '.join(_files.FORMATS)} (default: terminal)"
    )
    _files.arguments(parser, "none; with --format html, a new one in runs")


def run(options: argparse.Namespace) -> int:
    """Print the comparison or write its page, and return 0, 1 with a regression, or 3 where something is inconclusive."""
    from harness.gate.result_files import exit_code  # noqa: PLC0415 - keeps `--help` quick

    chosen = _files.form(options)
    record = _files.compared(options.before, options.after, options)
    if chosen != "html":
        _files.show(record, chosen)
    if chosen == "html" or options.out:
        page = _files.publish(record, options.out or _files.new_folder())
        if chosen in {"html", "terminal"}:
            print(page)
    return exit_code(record)
