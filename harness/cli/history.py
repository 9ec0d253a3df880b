"""Show figures over many runs, and at which commits they changed.

RUN is a run folder or its run.json, a baseline, or a result file of another tool, such as pytest-benchmark's storage or the data.js
that github-action-benchmark publishes, which has many commits. A folder without a run is searched for all of these. The runs are
ordered by their commits if the current folder's repository has all of them, by time otherwise. A step is marked only where the
evidence shows it: work counts that repeat exactly, or intervals over several runs. Runs that cannot be read are left out with a
warning.
"""

import argparse
from pathlib import Path

from harness import options as converters
from harness.cli import _options, _runs
from harness.cli.compare import MAX_DRIFT
from harness.language import using


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "run folder, baseline, result file of another tool, or a folder of these"
    parser.add_argument("paths", metavar="RUN", nargs="+", type=converters.path, help=help_)
    parser.add_argument("--json", action="store_true", help="print the history as JSON; no page is written without --out")
    _options.language(parser)
    _options.everything(parser)
    drift = "difference between the medians of two runs of the same code on this machine (default: 25%%)"
    _options.value(parser, "--drift PERCENT", converters.percent(MAX_DRIFT, zero=True, example="25%"), drift)
    _options.selection(parser, "scenarios or benchmarks")
    _options.value(parser, "--out DIR", converters.path, "folder of the page (default: a new folder in runs)")


def run(options: argparse.Namespace) -> int:
    """Write the page, print the steps and return 0."""
    from harness.cli import _console
    from harness.gate.selection import Selection
    from harness.history.collect import collect
    from harness.history.figures import history
    from harness.results.store import without_secrets
    from harness.runtime.clock import utc_now
    from harness.verdicts.unpaired import DRIFT

    drift = DRIFT if options.drift is None else options.drift
    found = without_secrets(history(collect(options.paths), Selection(options.only, options.excluded), drift))
    page = None
    if options.out or not options.json:
        from harness.report.html import history as html

        with using(options.lang):
            page = html.write(found, options.out or Path("runs") / f"{utc_now():%Y%m%dT%H%M%SZ}-history")
    if options.json:
        _console.print_json(found)
        return 0
    from harness.report.history import brief
    from harness.report.summaries import histories

    more = _runs.again_with_all()
    with using(options.lang):
        _console.print_blocks(brief(found) if options.all else histories.summary(found, more, _console.width()))
    _console.print_lines(str(page))
    return 0
