"""Recorded arrivals in a file, exact to the nanosecond: what a replay reads, and what a run can leave for one.

Either a text with one arrival a line, or a CSV with a column `at_s` among any others; both in seconds from the start, as decimals,
ascending. Blank lines and lines that begin with # say nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError

COLUMN = "at_s"
"""The CSV column that holds the arrivals."""

MAX_AT_S = 1_000_000
"""The latest arrival, in seconds: more than eleven days, beyond which a file is rather in milliseconds."""


def read_trace(path: Path, most: int) -> npt.NDArray[np.int64]:
    """Return a file's arrivals in nanoseconds from the start, shape (n,), n at least 1 and at most `most`.

    Raises:
        UsageError: the file cannot be read, or a line is not a finite number from 0 to `MAX_AT_S` and not before the last one.
    """
    found: list[int] = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, text in _cells(path, file):
                at_ns = _nanoseconds(path, number, text)
                if found and at_ns < found[-1]:
                    raise UsageError(f"{path}, line {number}: {text} s is before the arrival above it; sort the arrivals")
                if len(found) == most:
                    raise UsageError(f"{path}, line {number}: more than {most} arrivals; replay a part of them")
                found.append(at_ns)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; name a file with one arrival a line, in seconds") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text; name a file with one arrival a line, in seconds") from error
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV of arrivals: {error}") from error
    if not found:
        raise UsageError(f"{path} has no arrivals; write one a line, in seconds from the start")
    return np.array(found, dtype=np.int64)


def write_trace(path: Path, offsets_ns: npt.NDArray[np.int64]) -> None:
    """Write arrivals, in nanoseconds from the start and ascending, so that `read_trace` gives the same again."""
    lines = [COLUMN, *(f"{at_ns // 10**9}.{at_ns % 10**9:09d}" for at_ns in offsets_ns.tolist())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cells(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield each arrival's line number and text."""
    column: int | None = None
    first = True
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        cells = [text]
        if first or column is not None:
            cells = [c.strip() for c in next(csv.reader([text]))]
        if first:
            first = False
            if COLUMN in cells:
                column = cells.index(COLUMN)
                continue
            if len(cells) > 1:
                raise UsageError(f"{path}, line {number}: a CSV of arrivals has a column {COLUMN}; here are {', '.join(cells)}")
        if column is None:
            yield number, text
        elif column < len(cells):
            yield number, cells[column]
        else:
            raise UsageError(f"{path}, line {number}: nothing in column {COLUMN}")


def _nanoseconds(path: Path, number: int, text: str) -> int:
    try:
        at_s = Decimal(text)
    except InvalidOperation:
        at_s = Decimal("NaN")
    if not at_s.is_finite() or not 0 <= at_s <= MAX_AT_S:
        raise UsageError(f"{path}, line {number}: {text!r} is no arrival; write seconds from the start, from 0 to {MAX_AT_S}")
    return round(at_s * 10**9)
