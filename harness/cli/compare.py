"""Compare two result files, before and after.

BEFORE and AFTER are run folders, or result files of another tool, recognised by their content: pytest-benchmark, Locust, k6,
hyperfine, pyperf, asv, CodSpeed and github-action-benchmark. Benchmarks of both are judged, added and removed ones are listed.
Exit code 1 means a regression: more operations failed, or the median, a percentile or the mean is slower by more than the --drift
of separate runs. 3 means that a change is inconclusive, 4 that the loads or all benchmarks differ. --out writes an HTML page as
well.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import options as converters
from harness.cli import _options, _runs
from harness.language import using
from harness.results.gate import GateResult
from harness.results.run import Run

if TYPE_CHECKING:
    from harness.gate.result_files import FileRules

MAX_DRIFT = 10.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("before", metavar="BEFORE", type=converters.path, help="file or run folder to compare with")
    parser.add_argument("after", metavar="AFTER", type=converters.path, help="file or run folder to judge")
    _options.report_format(parser, "terminal")
    _options.everything(parser)
    drift_and_out(parser, "none; a new folder in runs with --format html")


def drift_and_out(parser: argparse.ArgumentParser, out: str) -> None:
    """Declare the options of a comparison that `harness report` has as well; `out` is the default folder of the page."""
    judging(parser, "benchmarks")
    _options.value(parser, "--out DIR", converters.path, f"folder of the page (default: {out})")


def judging(parser: argparse.ArgumentParser, noun: str) -> None:
    """Declare the options by which two sides are judged; `noun` is the word for what `--only` selects."""
    drift = "difference between two runs of the same code on this machine (default: 25%%); compare two such runs to measure it"
    _options.value(parser, "--drift PERCENT", converters.percent(MAX_DRIFT, zero=True, example="25%"), drift)
    _options.errors(parser)
    _options.selection(parser, noun)


def rules(options: argparse.Namespace, *, allow_missing: bool = True) -> FileRules:
    """Return the options of `judging` as rules."""
    from harness.gate.result_files import FileRules
    from harness.gate.selection import Selection
    from harness.verdicts.unpaired import DRIFT

    drift = DRIFT if options.drift is None else options.drift
    return FileRules(drift, options.errors, Selection(options.only, options.excluded), allow_missing)


def run(options: argparse.Namespace) -> int:
    """Print the comparison or write its page, and return 0, 1 with a regression, 3 inconclusive or 4 not comparable."""
    from harness.cli import _console
    from harness.report.gate import headline

    record, result = compared(options.before, options.after, options)
    with using(options.lang):
        if options.format != "html":
            _console.show(record, options.format, everything=options.all, more=_runs.again_with_all(), verdict=headline(result))
        if options.format == "html" or options.out:
            page = publish(record, options.out)
            if options.format in {"html", "terminal"}:
                _console.print_lines(str(page))
    return result.exit_code


def compared(before: Path, after: Path, options: argparse.Namespace) -> tuple[Run, GateResult]:
    """Return two files side by side as a run, and the verdict; UsageError or NotComparableError if they cannot be compared."""
    from harness import importers
    from harness.gate import result_files
    from harness.results.store import without_secrets

    found = result_files.side_by_side(importers.reading(before), importers.reading(after), rules(options))
    return without_secrets(replace(found.run, command=_runs.command())), without_secrets(found.gate)


def publish(run: Run, out: Path | None) -> Path:
    """Write a run of files and its page into `out`, by default a new folder, and return the page's path."""
    from harness.report import html
    from harness.results.store import write_run
    from harness.results.unfinished import without_run
    from harness.runtime.clock import utc_now

    folder = without_run(out or Path("runs") / f"{utc_now():%Y%m%dT%H%M%SZ}-files")
    write_run(run, folder)
    return html.write(run, folder)
