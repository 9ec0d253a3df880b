"""Converters from the text of an option to its value, one per kind of option, for argparse's `type=`.

The commands, the pytest plugin and the Locust adapter share them, so that `3%` or `500ms` means the same everywhere. A converter
raises `argparse.ArgumentTypeError` for text that it cannot use; the message names the text and shows a valid value.
"""

import argparse
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness.databases.engines import engine_names
from harness.results.names import shortened
from harness.suggestions import choose_from

SIZES = ("tiny", "small", "medium", "large")
"""Sizes of a dataset, smallest first."""
MAX_SEED = 2**63 - 1
MAX_PORT = 65_535
MAX_DURATION_S = 86_400.0

MAX_RTT_MS = 2_000.0
"""Longer than several hops by satellite; a larger number is a typing error."""
MAX_BYTES = 10**18
MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 4_095
"""Limits of Linux: of each name in a path, and of a path."""
_UNITS_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS_S = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0}
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"


def percent(limit: float = math.inf, *, zero: bool = False, example: str = "3%") -> Callable[[str], float]:
    """Return a converter from `3%`, `3 %` or `0.03` to a share, here 0.03, up to `limit` and above 0, or from 0 with `zero`.

    A number without a percent sign is a share and must be below 1, because `3` could mean 3 % or three times as much. `example` is
    a valid value, for the message.
    """
    bounds = f"{'from' if zero else 'above'} 0" + ("" if math.isinf(limit) else f" and up to {100 * limit:g} %")

    def convert(text: str) -> float:
        found = re.fullmatch(rf"{_NUMBER}\s*(%?)", text.strip(), re.ASCII)
        share = float(found[1]) / (100 if found[2] else 1) if found else math.nan
        if found and not found[2] and share >= 1:
            raise argparse.ArgumentTypeError(
                f"{shortened(text)!r} is ambiguous as a percentage; write {shortened(text.strip())}% or a share below 1"
            )
        if not 0 <= share <= limit or math.isinf(share) or (share == 0 and not zero):
            raise argparse.ArgumentTypeError(f"{shortened(text)!r} is not a percentage {bounds}; try {example}")
        return share

    return convert


def duration(text: str) -> float:
    """Return seconds above 0 from `30`, `30s`, `500ms` or `2m`."""
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} is not a duration above 0 and up to a day; try 30s, 500ms or 2m")
    return seconds


def duration_or_zero(text: str) -> float:
    """Return seconds from `0`, `30`, `30s`, `500ms` or `2m`."""
    seconds = _seconds(text)
    if seconds is None:
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} is not a duration up to a day; try 0, 30s, 500ms or 2m")
    return seconds


def _seconds(text: str) -> float | None:
    found = re.fullmatch(rf"{_NUMBER}\s*(ms|s|m|)", text.strip(), re.ASCII)
    seconds = float(found[1]) * _UNITS_S[found[2]] if found else math.inf
    return seconds if seconds <= MAX_DURATION_S else None


def byte_size(text: str) -> int:
    """Return a number of bytes, from 0, from `0`, `500MB` or `1.5 GB`."""
    found = re.fullmatch(rf"{_NUMBER}\s*(k|M|G|T|)B?", text.strip(), re.ASCII | re.IGNORECASE)
    size = float(found[1]) * _UNITS_BYTES[found[2].lower()] if found else math.inf
    if size > MAX_BYTES:
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} is not a number of bytes; try 500MB, 10GB or 0")
    return round(size)


def count(limit: int | None = None) -> Callable[[str], int]:
    """Return a converter to a whole number from 1 to `limit`; without an upper limit for None."""
    wanted = "a whole number above 0" if limit is None else f"a whole number from 1 to {limit}"
    return partial(_whole, wanted, 1, MAX_SEED if limit is None else limit)


def count_or_zero(text: str) -> int:
    """Return a whole number from 0."""
    return _whole("a whole number from 0", 0, MAX_SEED, text)


def seed(text: str) -> int:
    """Return a seed from 0 to `MAX_SEED`."""
    return _whole(f"a whole number from 0 to {MAX_SEED}; try 0", 0, MAX_SEED, text)


def port(text: str) -> int | None:
    """Return a TCP port; None for `0`, which means a free one."""
    return _whole(f"a port from 0 to {MAX_PORT}; 0 means a free port", 0, MAX_PORT, text) or None


def _whole(wanted: str, lowest: int, highest: int, text: str) -> int:
    is_short = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_SEED))
    if not (is_short and lowest <= int(text) <= highest):
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} is not {wanted}")
    return int(text)


def path(text: str) -> Path:
    """Return the path of a file or a folder, there or not."""
    return Path(place(text))


def place(text: str) -> str:
    """Return a text that may be a path: it is not empty, and not longer than a path or a name in one can be."""
    if not text:
        raise argparse.ArgumentTypeError("an empty text names no file or folder; . is the current folder")
    body = text.encode(errors="replace")  # a half surrogate pair stands for one byte
    if b"\0" in body or len(body) > MAX_PATH_BYTES or max(map(len, body.split(b"/"))) > MAX_NAME_BYTES:
        limits = f"a name in it has at most {MAX_NAME_BYTES} bytes, and it has at most {MAX_PATH_BYTES:,}"
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} can be no path: {limits}")
    return text


def names(text: str) -> list[str]:
    """Return the names in a comma-separated list, each once, in their order."""
    found = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if "" in found:
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} has an empty name; separate names with single commas")
    return found


def names_of(noun: str, known: Callable[[], list[str]], *, all_of_them: bool = False) -> Callable[[str], list[str]]:
    """Return a converter from a comma-separated list to names of `known`, which is called when text is converted.

    `noun`, such as "engine", is for the message. With `all_of_them` the text `all` means every known name.
    """

    def convert(text: str) -> list[str]:
        choices = known()
        if text == "all" and all_of_them:
            return choices
        return [_choose(noun, name, choices, ", all" if all_of_them else "") for name in names(text)]

    return convert


def size(text: str) -> str:
    """Return one of `SIZES`."""
    return _choose("size", text, SIZES)


def language(known: list[str]) -> Callable[[str], str]:
    """Return a converter to one of the languages of reports."""
    return partial(_choose, "language", choices=known)


def known_engines() -> list[str]:
    """Return the names of the database engines, sorted."""
    return engine_names()


def engine(text: str) -> str:
    """Return the name of one database engine."""
    return _choose("engine", text, known_engines())


engines = names_of("engine", known_engines, all_of_them=True)
"""Converts a comma-separated list to the names of database engines; `all` to every engine."""


def _choose(noun: str, name: str, choices: list[str] | tuple[str, ...], more: str = "") -> str:
    if name not in choices:
        raise argparse.ArgumentTypeError(f"unknown {noun} {name!r}; {choose_from(name, choices, more=more)}")
    return name


def rtts_ms(text: str) -> list[float]:
    """Return round-trip times in milliseconds from a comma-separated list, each once, lowest first."""
    plain = text if text.isascii() and "_" not in text else ""  # `float` reads other digits and underscores, and nothing else does
    try:
        found = sorted({float(part) for part in plain.split(",")})
    except ValueError:
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} is not a list of milliseconds; try 0,5") from None
    if not all(0 <= rtt <= MAX_RTT_MS for rtt in found):
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} is not between 0 and {MAX_RTT_MS:g} ms; try 0,5")
    return found


def rtt_ms(text: str) -> float:
    """Return one round-trip time in milliseconds."""
    if "," in text:
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} has several round-trip times, only one is supported here; try 5")
    try:
        (found,) = rtts_ms(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{shortened(text)!r} is not a number of milliseconds from 0 to {MAX_RTT_MS:g}; try 5"
        ) from None
    return found
