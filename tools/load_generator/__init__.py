"""Benchmarks of the load generator, with a common command line."""

import argparse
import statistics
from collections.abc import Sequence


def options(parser: argparse.ArgumentParser, each: str) -> argparse.Namespace:
    """Parse the command line with the options that all benchmarks have; `each` names what has users and runs."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--users", type=int, default=32, help=f"concurrent users of each {each} (default 32)")
    parser.add_argument("--rounds", type=int, default=3, help=f"runs of each {each} (default 3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of a run (default 3)")
    found = parser.parse_args()
    if min(found.users, found.rounds) < 1 or found.seconds <= 0:
        parser.error("--users and --rounds have to be at least 1, --seconds above 0")
    return found


def spread(values: Sequence[float], form: str) -> str:
    """Return the median over rounds with minimum and maximum in brackets, for a cell of a table."""
    return f"{statistics.median(values):{form}} \\[{min(values):{form}}, {max(values):{form}}]"
