"""Try scenarios: compare answers, time arms in pairs, measure memory, write the report.

SCENARIO is `all`, the name of a file in the scenarios folder, a scenario file, or a folder of your own scenario files.
The run is a folder: run.json, the raw samples, report.html. Ctrl-C keeps what was measured and still writes the report.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli import _options, _runs
from harness.errors import UsageError

BUDGET_S, BUDGET_QUICK_S = 30.0, 6.0
MOST_PLANTED = 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="all (the default), a name, a file or a folder")
    _runs.arguments(parser, f"seconds for timing pairs, all scenarios together (default: {BUDGET_S:g})")
    parser.add_argument(
        "--plant", metavar="SHARE", help="slow a baseline instance by so much, such as 3%%, and say whether it was found"
    )
    parser.add_argument("--instructions", action="store_true", help="count machine instructions under valgrind too; takes minutes")


def run(options: argparse.Namespace) -> int:
    """Carry out the run and return 0, 1 if a scenario failed, or 3 if it was stopped.

    Raises:
        UsageError: an option has no meaning, or what it needs is not installed.
    """
    settings = _runs.settings(options, BUDGET_S, BUDGET_QUICK_S)
    more = {"plant": _share(options.plant), "instructions": options.instructions}
    if options.instructions:
        _look_for_callgrind()
    loaded = _options.scenarios(options.scenario or ["all"], options.scenarios)
    return _runs.carry_out(loaded, settings, options, **more)


def _share(text: str | None) -> float:
    """Return the share meant by `3%`, `3 %` or `0.03`; 0 for none."""
    if text is None:
        return 0.0
    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = 0.0
    if rest or not 0 < share <= MOST_PLANTED:
        raise UsageError(f"--plant {text!r} is not a share above 0 and up to {MOST_PLANTED:.0%}; try --plant 3%")
    return share


def _look_for_callgrind() -> None:
    from harness.bench.probes import instructions  # noqa: PLC0415 - keeps `--help` quick
    from harness.errors import NotMeasurableError  # noqa: PLC0415 - keeps `--help` quick

    try:
        instructions.command(Path())
    except NotMeasurableError as reason:
        raise UsageError(f"{reason}; leave --instructions out, or install it") from reason
