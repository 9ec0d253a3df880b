"""Compare two result files, before and after.

BEFORE and AFTER are run folders, or result files of pytest-benchmark, Locust, k6, hyperfine or pyperf, recognised by their
content. Benchmarks are matched by name; a missing or renamed one ends the comparison with exit code 4. Exit code 1 means a
regression, 3 that a change is inconclusive: separate runs of the same code differ, so only a change beyond --drift is a verdict.
--out writes an HTML page as well.
"""

import argparse
from pathlib import Path

from harness.cli import _files, _options


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("before", metavar="BEFORE", type=Path, help="file or run folder to compare with")
    parser.add_argument("after", metavar="AFTER", type=Path, help="file or run folder to judge")
    _options.report_format(parser, "terminal")
    _files.arguments(parser, "none; a new folder in runs with --format html")


def run(options: argparse.Namespace) -> int:
    """Print the comparison or write its page, and return 0, 1 with a regression, or 3 where a change is inconclusive."""
    from harness.gate.result_files import gated

    record = _files.compared(options.before, options.after, options)
    if options.format != "html":
        _files.show(record, options.format)
    if options.format == "html" or options.out:
        page = _files.publish(record, options.out or _files.new_folder())
        if options.format in {"html", "terminal"}:
            print(page)
    return gated(record).exit_code
