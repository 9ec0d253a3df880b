"""Measure scenarios in interleaved pairs and write a report.

SCENARIO is a name in the scenarios directory, a scenario file, a directory of scenario files, or all. A run compares the answers
of all arms, times the arms in pairs, puts them under the load that a scenario declares, and measures memory. It is written to a
folder: run.json, the raw samples and report.html.
The exit code is 1 if a scenario failed, and 3 if the run was interrupted or measured nothing, such as where no scenario can run.
Ctrl-C keeps what was measured and still writes the report. Every step is stored once it is done, so that `harness run --resume RUN`
completes a run that was interrupted or killed, if the commit, the files, the data and the options are the same.
"""

import argparse
from pathlib import Path

from harness import options as converters
from harness.cli import _options, _runs
from harness.errors import NotMeasurableError, UsageError

NAME = "run"
BUDGET = _runs.Budget(processes=5, each=50, at_least=60, each_quick=10.8, at_least_quick=30, load=40)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "names, files or directories of scenarios (default: all)"
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", type=converters.place, default=["all"], help=help_)
    _runs.arguments(parser, BUDGET)
    _runs.resumable(parser)
    _options.everything(parser)
    plant = "inject a slowdown, such as 3%%, into the baseline and report whether it was detected"
    _options.value(parser, "--plant PERCENT", converters.percent(1.0), plant)
    parser.add_argument(
        "--instructions",
        action="store_true",
        help="also count machine instructions with valgrind; takes minutes, in addition to --budget",
    )


def run(options: argparse.Namespace) -> int:
    """Carry out the run and return 0, 1 if a scenario failed, or 3 if it was interrupted or measured nothing."""
    if options.resume is not None and (code := _runs.resume(options, NAME, arguments)) is not None:
        return code
    if options.instructions:
        from harness.bench.probes import instructions

        try:
            instructions.command(Path())
        except NotMeasurableError as reason:
            raise UsageError(f"{reason}; install it, or leave out --instructions") from reason
    loaded = _options.load(options.scenario, options.scenarios, options.timeout)
    plan = {"injected": options.plant or 0.0, "instructions": options.instructions}
    return _runs.carry_out(loaded, options, BUDGET, name=NAME, **plan)
