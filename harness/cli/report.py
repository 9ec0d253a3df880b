"""Render a run's report again, or that of a file of another tool, or of two such files before and after.

RUN is a run folder or its run.json, or a file that pytest-benchmark, Locust, k6, hyperfine or pyperf wrote. With AFTER, a second
one, both are compared; `harness compare` does the same and says with its exit code what came of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import _files

if TYPE_CHECKING:
    from harness.results.run import Run


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run_path", metavar="RUN", type=Path, help="a run folder or its run.json, or a file of another tool")
    parser.add_argument("after", metavar="AFTER", nargs="?", type=Path, help="another one to compare with the first")
    parser.add_argument("--format", default="html", metavar="FORMAT", help=f"one of {', '.join(_files.FORMATS)} (default: html)")
    _files.arguments(parser, "beside a run, and for files a new one in runs")


def run(options: argparse.Namespace) -> int:
    """Write or print the report."""
    from harness import importers as readers  # noqa: PLC0415 - keeps `--help` quick
    from harness.results.run import RunKind  # noqa: PLC0415 - keeps `--help` quick

    form = _files.form(options)
    if options.after is not None:
        return _report_files(_files.compared(options.run_path, options.after, options), form, options.out or _files.new_folder())
    record = readers.read(options.run_path)
    folder = options.run_path if options.run_path.is_dir() else options.run_path.parent
    if record.kind in {RunKind.FILE, RunKind.COMPARISON}:
        return _report_files(record, form, options.out or _files.new_folder())
    if form == "html":
        from harness.report import html  # noqa: PLC0415 - only this format draws figures

        print(html.write(record, folder, options.out or folder))
    elif form == "markdown":
        from harness.report import markdown, overview  # noqa: PLC0415 - only this format

        print(markdown.write(overview.full(record)))
    else:
        from harness.cli._console import show  # noqa: PLC0415 - only these formats

        show(record, as_json=form == "json", tables=True)
    return 0


def _report_files(record: Run, form: str, folder: Path) -> int:
    if form == "html":
        print(_files.publish(record, folder))
    else:
        _files.show(record, form)
    return 0
