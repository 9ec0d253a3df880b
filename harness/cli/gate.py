"""Fail if the candidate does more work or is slower than the baseline.

BASE and CANDIDATE are runs: a run folder, its run.json, or a baseline of `harness baseline accept`. Work counts decide: one more
statement is a regression (exit code 1), and only equal or less work passes (0). Times of separate runs show large changes only.
Other data or versions, and missing or renamed scenarios, arms or groups are not comparable (4). Result files of another tool have
times only, so they are usually inconclusive (3). With --against, both versions are timed now, interleaved. The gate never writes a
baseline.
"""

import argparse
from pathlib import Path

from harness.cli import _against, _gating, _options
from harness.errors import UsageError

SIDES = 2


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "two stored runs; with --against, the scenarios to time"
    parser.add_argument("files", nargs="*", metavar="BASE CANDIDATE", help=help_)
    _options.only(parser, "scenarios")
    _gating.arguments(parser)
    _against.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Judge, print and write, and return 0 passed, 1 regressed, 3 inconclusive or 4 not comparable."""
    if options.against is not None:
        return _against.run(options)
    if len(options.files) != SIDES:
        raise UsageError(f"a gate needs two runs, BASE and CANDIDATE, not {len(options.files)}; name both, or use --against REF")
    base, candidate = (Path(name) for name in options.files)
    return _gating.publish(_gating.gated(base, candidate, options.only), options)
