"""Options that mean the same in every command."""

from __future__ import annotations

import argparse
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.discovery import Loaded

SIZES = ("tiny", "small", "medium", "large")
SCENARIOS = Path("scenarios")
MAX_SEED = 2**63
MAX_RTT_MS = 2_000.0
"""Several times round the Earth by satellite; beyond it a number is a slip."""


def data(parser: argparse.ArgumentParser, *, size: str | None = "small") -> None:
    """Add `--size` and `--seed`."""
    parser.add_argument(
        "--size", default=size, metavar="SIZE", help=f"how much data: {', '.join(SIZES)} (default: {size or 'small'})"
    )
    parser.add_argument("--seed", default="0", metavar="N", help="seed of data, cases and order (default: 0)")


def engines_here() -> list[str]:
    """Return the engines there are: the modules of `fixtures.engines`."""
    import fixtures.engines  # noqa: PLC0415 - keeps `--help` quick

    return sorted(m.name for m in pkgutil.iter_modules(fixtures.engines.__path__))


def engines(text: str, *, only_one: bool = False) -> list[str]:
    """Return the engines meant by `--engine`: all, one, or several with commas between them.

    Raises:
        UsageError: there is no such engine.
    """
    known = engines_here()
    if text == "all" and not only_one:
        return known
    named = list(dict.fromkeys([text] if only_one else text.split(",")))
    for name in named:
        if name not in known:
            raise UsageError(f"no engine named {name!r}; known: {', '.join(known)}" + ("" if only_one else ", all"))
    return named


def size(name: str) -> str:
    """Return a size that exists.

    Raises:
        UsageError: there is no such size.
    """
    if name not in SIZES:
        raise UsageError(f"no size named {name!r}; known: {', '.join(SIZES)}")
    return name


def seed(text: str) -> int:
    """Return a seed from 0 up to 2**63.

    Raises:
        UsageError: not a whole number in that range.
    """
    if not (text.isascii() and text.isdigit() and int(text) < MAX_SEED):
        raise UsageError(f"seed {text!r} is not a whole number from 0 to {MAX_SEED - 1}; try --seed 0")
    return int(text)


def rtts_ms(text: str) -> list[float]:
    """Return the distances meant by `--rtt`, in milliseconds, each once, the least first.

    Raises:
        UsageError: not a list of numbers from 0 to MAX_RTT_MS.
    """
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        raise UsageError(f"--rtt {text!r} is not a list of milliseconds; try --rtt 0,5") from None
    if not all(0 <= rtt_ms <= MAX_RTT_MS for rtt_ms in found):
        raise UsageError(f"--rtt {text!r} is not between 0 and {MAX_RTT_MS:g} ms; try --rtt 0,5")
    return found


def scenarios(names: Sequence[str], folder: Path) -> list[Loaded]:
    """Load the scenarios a person named.

    Raises:
        UsageError: one is unknown or cannot be used.
    """
    from harness.discovery import find, load  # noqa: PLC0415 - keeps `--help` quick

    return [load(file) for file in find(names, folder)]
