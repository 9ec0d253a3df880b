"""Options that mean the same in every command."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.discovery import LoadedScenario

SIZES = ("tiny", "small", "medium", "large")
SCENARIOS = Path("scenarios")
MAX_SEED = 2**63
MAX_RTT_MS = 2_000.0
"""Several times round the Earth by satellite; beyond it a number is a slip."""

SECONDS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0}
MAX_SECONDS = 86_400.0


def data(parser: argparse.ArgumentParser, *, size: str | None = "small") -> None:
    """Add `--size` and `--seed`."""
    parser.add_argument(
        "--size", default=size, metavar="SIZE", help=f"how much data: {', '.join(SIZES)} (default: {size or 'small'})"
    )
    parser.add_argument("--seed", default="0", metavar="N", help="seed of data, cases and order (default: 0)")


def engines_here() -> list[str]:
    """Return the names of all engines."""
    from harness.databases.engines import engine_names  # noqa: PLC0415 - keeps `--help` quick

    return engine_names()


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


def rtt_ms(text: str) -> float:
    """Return the one distance meant by `--rtt`, in milliseconds.

    Raises:
        UsageError: it is none, or several.
    """
    found = rtts_ms(text)
    if len(found) > 1:
        raise UsageError(f"--rtt {text!r} is several distances; this is done at one, such as --rtt {found[-1]:g}")
    return found[0]


def seconds(text: str, option: str, *, or_none: bool = False) -> float:
    """Return a time in seconds, from a number of them or with a unit: 30, 30s, 500ms, 2m; with `or_none` it may be 0.

    Raises:
        UsageError: not a time, or not above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|m|)", text.strip(), re.ASCII)
    lasts_s = float(found[1]) * SECONDS[found[2]] if found else -1.0
    if not 0 <= lasts_s <= MAX_SECONDS or (lasts_s == 0 and not or_none):
        raise UsageError(f"{option} {text!r} is not a time{'' if or_none else ' above 0'}, such as 30, 30s, 500ms or 2m")
    return lasts_s


def whole(text: str, option: str, most: int) -> int:
    """Return a whole number from 1 to `most`.

    Raises:
        UsageError: it is not.
    """
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= most):
        raise UsageError(f"{option} {text!r} is not a whole number from 1 to {most}")
    return int(text)


def scenarios(names: Sequence[str], folder: Path) -> list[LoadedScenario]:
    """Load the scenarios a person named.

    Raises:
        UsageError: one is unknown or cannot be used.
    """
    from harness.discovery import find, load  # noqa: PLC0415 - keeps `--help` quick

    return [load(file) for file in find(names, folder)]


def one_scenario(name: str, folder: Path) -> LoadedScenario:
    """Load the one scenario a person named.

    Raises:
        UsageError: it is unknown or cannot be used, or there are several.
    """
    found = scenarios([name], folder)
    if len(found) > 1:
        raise UsageError(f"this is done for one scenario; name one of them: {', '.join(loaded.name for loaded in found)}")
    return found[0]


def arms(loaded: LoadedScenario, named: str | None) -> list[str]:
    """Return the arms that were named, in a list with commas; all of them for None.

    Raises:
        UsageError: the scenario has no such arm.
    """
    known = list(loaded.scenario.arms)
    wanted = known if named is None else list(dict.fromkeys(named.split(",")))
    unknown = [arm for arm in wanted if arm not in known]
    if unknown:
        raise UsageError(f"{loaded.name} has no arm named {unknown[0]!r}; known: {', '.join(known)}")
    return wanted
