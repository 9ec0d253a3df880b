"""Options that several commands share, each declared once, and the scenarios that a command line names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness import options
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.discovery import LoadedScenario

Parser = argparse.ArgumentParser | argparse._ArgumentGroup  # noqa: SLF001 - argparse has no public name for what can hold options

SCENARIOS = Path("scenarios")
FORMATS = ("html", "markdown", "terminal", "json")


def engines(parser: Parser) -> None:
    """Add `--engine`, a list of names."""
    parser.add_argument(
        "--engine",
        default=["sqlite"],
        type=options.engines,
        metavar="ENGINE[,ENGINE]",
        help=f"database engines: {', '.join(options.known_engines())} or all (default: sqlite)",
    )


def engine(parser: Parser) -> None:
    """Add `--engine`, one name."""
    parser.add_argument(
        "--engine",
        default="sqlite",
        type=options.engine,
        metavar="ENGINE",
        help=f"database engine: {', '.join(options.known_engines())} (default: sqlite)",
    )


def dataset(parser: Parser, *, default: str | None = "small") -> None:
    """Add `--size` and `--seed`. A size of None is for the command to decide; the help calls it small."""
    parser.add_argument(
        "--size",
        default=default,
        type=options.size,
        metavar="SIZE",
        help=f"size of the dataset: {', '.join(options.SIZES)} (default: {default or 'small'})",
    )
    parser.add_argument(
        "--seed", default=0, type=options.seed, metavar="SEED", help="seed of the data, the cases and the order (default: 0)"
    )


def rtts(parser: Parser) -> None:
    """Add `--rtt`, a list of milliseconds."""
    help_ = "round-trip times to the engine, in ms (default: 0)"
    parser.add_argument("--rtt", default=[0.0], type=options.rtts_ms, metavar="MS[,MS]", help=help_)


def rtt(parser: Parser) -> None:
    """Add `--rtt`, one number of milliseconds."""
    help_ = "round-trip time to the engine, in ms (default: 0)"
    parser.add_argument("--rtt", default=0.0, type=options.rtt_ms, metavar="MS", help=help_)


def arms(parser: Parser, use: str) -> None:
    """Add `--arms`, a list of names; `use` is what happens to them."""
    parser.add_argument("--arms", type=options.names, metavar="ARM[,ARM]", help=f"arms to {use} (default: all)")


def scenarios_folder(parser: Parser) -> None:
    """Add `--scenarios`."""
    help_ = f"directory of scenario files (default: {SCENARIOS})"
    parser.add_argument("--scenarios", metavar="DIR", type=Path, default=SCENARIOS, help=help_)


def only(parser: Parser, what: str) -> None:
    """Add `--only`."""
    help_ = f"compare only {what} whose name matches the pattern (default: all)"
    parser.add_argument("--only", default="*", metavar="PATTERN", help=help_)


def output(parser: Parser, suffix: str = "") -> None:
    """Add the options for what a run writes and prints; the name of its new folder ends in `suffix`."""
    help_ = f"folder of the run (default: runs/<UTC time>-<commit>{suffix})"
    parser.add_argument("--out", metavar="DIR", type=Path, help=help_)
    scenarios_folder(parser)
    parser.add_argument("--json", action="store_true", help="print the run as JSON instead of tables")


def report_format(parser: Parser, default: str) -> None:
    """Add `--format`, and `--json` for short."""
    formats = parser.add_mutually_exclusive_group()
    help_ = f"{', '.join(FORMATS)} (default: {default})"
    formats.add_argument("--format", default=default, choices=FORMATS, metavar="FORMAT", help=help_)
    formats.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


def load(names: Sequence[str], folder: Path) -> list[LoadedScenario]:
    """Load the scenarios that were named.

    Raises:
        UsageError: one is unknown or cannot be used.
    """
    from harness.discovery import find, load

    return [load(file) for file in find(names, folder)]


def load_one(name: str, folder: Path) -> LoadedScenario:
    """Load the one scenario that was named.

    Raises:
        UsageError: it is unknown or cannot be used, or there are several.
    """
    found = load([name], folder)
    if len(found) > 1:
        raise UsageError(f"{name} has several scenarios; choose one: {', '.join(loaded.name for loaded in found)}")
    return found[0]


def known_arms(loaded: LoadedScenario, named: Sequence[str] | None) -> list[str]:
    """Return the arms that were named, all of them for None.

    Raises:
        UsageError: the scenario has no such arm.
    """
    known = list(loaded.scenario.arms)
    unknown = [arm for arm in named or () if arm not in known]
    if unknown:
        raise UsageError(f"unknown arm {unknown[0]!r} of scenario {loaded.name}; choose from {', '.join(known)}")
    return known if named is None else list(named)
