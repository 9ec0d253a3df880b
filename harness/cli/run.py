"""Try scenarios: compare answers, time arms in pairs, measure memory, write the report.

SCENARIO is `all`, the name of a file in the scenarios folder, a scenario file, or a folder of your own scenario files.
The run is a folder: run.json, the raw samples, report.html. Ctrl-C keeps what was measured and still writes the report.
"""

from __future__ import annotations

import argparse

from harness.cli import _options, _runs

BUDGET_S, BUDGET_QUICK_S = 30.0, 6.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="all (the default), a name, a file or a folder")
    _runs.arguments(parser, f"seconds for timing pairs, all scenarios together (default: {BUDGET_S:g})")


def run(options: argparse.Namespace) -> int:
    """Carry out the run and return 0, 1 if a scenario failed, or 3 if it was stopped."""
    settings = _runs.settings(options, BUDGET_S, BUDGET_QUICK_S)
    loaded = _options.scenarios(options.scenario or ["all"], options.scenarios)
    return _runs.carry_out(loaded, settings, options)
