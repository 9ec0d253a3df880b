"""Render a run's report again: HTML beside the run, or Markdown, or the table for the terminal.

RUN is a run folder or its run.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

FORMATS = ("html", "markdown", "terminal", "json")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run_path", metavar="RUN", type=Path, help="a run folder or its run.json")
    parser.add_argument("--format", default="html", metavar="FORMAT", help=f"one of {', '.join(FORMATS)} (default: html)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder for the HTML report (default: beside the run)")
    parser.add_argument("--json", action="store_true", help="the same as --format json")


def run(options: argparse.Namespace) -> int:
    """Write or print the report."""
    from harness.errors import UsageError  # noqa: PLC0415 - keeps `--help` quick
    from harness.run_file import read_run  # noqa: PLC0415 - keeps `--help` quick

    form = "json" if options.json else options.format
    if form not in FORMATS:
        raise UsageError(f"no report format named {form!r}; known: {', '.join(FORMATS)}")
    record = read_run(options.run_path)
    folder = options.run_path if options.run_path.is_dir() else options.run_path.parent
    if form == "html":
        from reports import html  # noqa: PLC0415 - only this format draws figures

        print(html.write(record, folder, options.out or folder))
    elif form == "markdown":
        from reports import markdown  # noqa: PLC0415 - only this format

        print(markdown.render(record))
    else:
        from harness.cli._console import show  # noqa: PLC0415 - only these formats

        show(record, as_json=form == "json", tables=True)
    return 0
