"""Write the report of a run, or of result files of another tool.

RUN is a run folder or its run.json, or a result file of pytest-benchmark, Locust, k6, hyperfine, pyperf, asv, CodSpeed or
github-action-benchmark. With AFTER, the two are compared; `harness compare` does the same and also sets the exit code.
"""

import argparse

from harness import options as converters
from harness.cli import _options, _runs, compare
from harness.errors import UsageError
from harness.language import using
from harness.results.run import RunKind


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "run_path", metavar="RUN", type=converters.path, help="run folder or its run.json, or a result file of another tool"
    )
    parser.add_argument("after", metavar="AFTER", nargs="?", type=converters.path, help="another one to compare with the first")
    _options.report_format(parser, "html")
    parser.add_argument("--all", action="store_true", help="terminal and Markdown: everything, with the tables of each scenario")
    compare.drift_and_out(parser, "the run's folder; for result files, a new folder in runs")


def run(options: argparse.Namespace) -> int:
    """Write or print the report; return 0."""
    from harness import importers
    from harness.cli import _console

    if options.after is None:
        record = importers.read(options.run_path)
    else:
        record, _ = compare.compared(options.run_path, options.after, options)
    of_files = record.kind in {RunKind.FILE, RunKind.COMPARISON}
    if options.all and options.format not in {"terminal", "markdown"}:
        raise UsageError("--all is for the formats terminal and markdown; leave it out")
    with using(options.lang):
        if options.format == "html" and of_files:
            _console.print_lines(str(compare.publish(record, options.out)))
        elif options.format == "html":
            from harness.report import html  # needs the packages of the report

            folder = options.run_path if options.run_path.is_dir() else options.run_path.parent
            _console.print_lines(str(html.write(record, folder, options.out or folder)))
        else:
            more = _runs.again_with_all() if of_files else _runs.everything(options.run_path)
            _console.show(record, options.format, everything=options.all, more=more)
    return 0
