"""Write the report of a run, or of result files of another tool.

RUN is a run folder or its run.json, or a result file of pytest-benchmark, Locust, k6, hyperfine or pyperf. With AFTER, the two are
compared; `harness compare` does the same and also sets the exit code.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import _files, _options

if TYPE_CHECKING:
    from harness.results.run import Run


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run_path", metavar="RUN", type=Path, help="run folder or its run.json, or a result file of another tool")
    parser.add_argument("after", metavar="AFTER", nargs="?", type=Path, help="another one to compare with the first")
    _options.report_format(parser, "html")
    parser.add_argument(
        "--summary", action="store_true", help="terminal and Markdown: verdicts and warnings, without tables per scenario"
    )
    _files.arguments(parser, "the run's folder; for result files, a new folder in runs")


def run(options: argparse.Namespace) -> int:
    """Write or print the report; return 0."""
    from harness import importers
    from harness.results.run import RunKind

    if options.after is not None:
        return _report_files(_files.compared(options.run_path, options.after, options), options)
    record = importers.read(options.run_path)
    folder = options.run_path if options.run_path.is_dir() else options.run_path.parent
    if record.kind in {RunKind.FILE, RunKind.COMPARISON}:
        return _report_files(record, options)
    if options.format == "html":
        from harness.report import html

        print(html.write(record, folder, options.out or folder))
    elif options.format == "markdown":
        from harness.report import markdown, overview

        print(markdown.write(overview.brief(record) if options.summary else overview.full(record)))
    else:
        from harness.cli._console import show

        show(record, as_json=options.format == "json", tables=not options.summary)
    return 0


def _report_files(record: Run, options: argparse.Namespace) -> int:
    if options.format == "html":
        print(_files.publish(record, options.out or _files.new_folder()))
    else:
        _files.show(record, options.format)
    return 0
