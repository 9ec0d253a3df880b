"""Red or green: does a candidate do more work than its baseline, or take longer?

BASE and CANDIDATE are runs of `harness run`: a folder, its run.json, or a baseline that `harness baseline accept` wrote. What was
counted exactly decides: one statement more is a regression (exit code 1), and only equal work passes (0). Times from two moments
show large changes alone; what they cannot tell is said. A scenario, arm or group that is missing or renamed, other data and other
versions are not comparable (4). Two files of another tool are compared by their times alone, which seldom pass (3).
With --against, both versions are timed in turn, here and now. The gate never writes a baseline.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli import _against, _gating
from harness.errors import UsageError

SIDES = 2


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="*", metavar="BASE CANDIDATE", help="two stored runs; with --against, what to time")
    parser.add_argument("--only", default="*", metavar="GLOB", help="compare the scenarios with such a name (default: all)")
    _gating.arguments(parser)
    _against.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Judge, print and write, and return 0 good, 1 regressed, 3 inconclusive or 4 not comparable."""
    if options.against is not None:
        return _against.run(options)
    if len(options.files) != SIDES:
        raise UsageError(f"a gate has two sides, BASE and CANDIDATE, not {len(options.files)}; or name a commit with --against")
    base, candidate = (Path(name) for name in options.files)
    return _gating.publish(_gating.gated(base, candidate, options.only), options)
