"""Arrival schedules of the open model: the times at which operations are due, fixed before the run, whatever the response times.

A schedule is a pure function of its text, a duration and a seed, so that every arm of a cycle, every process and every machine
gets the same arrivals. Rates are operations per second; offsets are nanoseconds from the start of the schedule.

Recorded arrivals are read from a file, exact to the nanosecond: either one arrival per line, or a CSV with a column `at_s` and any
others. Both are in seconds from the start, as decimals, ascending. Blank lines and lines that begin with # are skipped.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.results.names import shortened

Offsets: TypeAlias = npt.NDArray[np.int64]
Seconds: TypeAlias = npt.NDArray[np.float64]

MAX_RATE_PER_S = 1e6  # the highest accepted rate, in operations per second; anything beyond it is a typing error
MAX_PLANNED = 50_000_000  # the largest number of arrivals of one schedule, which is held in memory at 8 bytes each
TRACE_COLUMN = "at_s"  # the CSV column that holds recorded arrivals
MAX_AT_S = 1_000_000  # the latest recorded arrival, in seconds: eleven days; a file beyond it is rather in milliseconds

SYNTAX = "200 (evenly spaced), poisson:200, ramp:10..500, steps:50,100,200 or replay:FILE"
"""The texts that `parse` accepts, for help and error messages."""


def _constant_s(rates: tuple[float, ...], duration_s: float, _seed: str) -> Seconds:
    """Return one arrival every 1 / rate seconds, the first at 0."""
    return _indices(rates[0] * duration_s) / rates[0]


def _poisson_s(rates: tuple[float, ...], duration_s: float, seed: str) -> Seconds:
    """Return independent users' arrivals: gaps are exponential. A longer schedule begins with the shorter one of its seed."""
    expected = _checked(rates[0] * duration_s)
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()))
    gaps = np.empty(0)
    due = np.empty(0)
    while not due.size or due[-1] < duration_s:
        gaps = np.concatenate([gaps, generator.standard_exponential(int(expected + 6 * math.sqrt(expected)) + 10)])
        due = np.cumsum(gaps) / rates[0]
    return due


def _ramp_s(rates: tuple[float, ...], duration_s: float, _seed: str) -> Seconds:
    """Return arrivals at a rate that changes linearly; arrival i is due when the cumulative rate reaches i."""
    first, last = rates
    reached = _indices((first + last) / 2 * duration_s)
    # The root of first·t + (last - first)/(2·duration)·t² = i, in the form that does not cancel for nearly equal rates.
    slope_per_s2 = (last - first) / duration_s
    return 2 * reached / (first + np.sqrt(np.maximum(first**2 + 2 * slope_per_s2 * reached, 0)))


def _steps_s(rates: tuple[float, ...], duration_s: float, _seed: str) -> Seconds:
    """Return arrivals at constant rates, each for an equal part; arrival i is due when the cumulative rate reaches i."""
    edges_s = np.linspace(0, duration_s, len(rates) + 1)
    reached = np.concatenate([[0.0], np.cumsum(np.asarray(rates) * (duration_s / len(rates)))])
    return np.interp(_indices(float(reached[-1])), reached, edges_s)


_KINDS = {
    "constant": (_constant_s, "{} per second, evenly spaced"),
    "poisson": (_poisson_s, "{} per second, at random times (Poisson)"),
    "ramp": (_ramp_s, "from {} per second, linearly"),
    "steps": (_steps_s, "{} per second, in equal parts of the time"),
}
"""Kind → its arrivals in seconds (rates, duration, seed), ascending, at least up to the duration; and its description."""


@dataclass(frozen=True)
class RateSchedule:
    """A schedule that is computed from rates. It fits any duration."""

    kind: str
    """One of "constant", "poisson", "ramp" and "steps"."""
    rates_per_s: tuple[float, ...]
    """One rate; the first and the last one of a ramp; or that of each step."""
    own_duration_s: None = None

    @property
    def description(self) -> str:
        """The schedule in words, such as "200 per second, evenly spaced"."""
        rates = (" to " if self.kind == "ramp" else ", ").join(f"{rate:g}" for rate in self.rates_per_s)
        return _KINDS[self.kind][1].format(rates)

    def scaled(self, factor: float) -> RateSchedule:
        """Return the same schedule with `factor` times as many arrivals per second; `factor` is positive."""
        return RateSchedule(self.kind, tuple(rate * factor for rate in self.rates_per_s))

    def offsets_ns(self, duration_s: float, seed: str) -> Offsets:
        """Return the due times of operations in nanoseconds, shape (n,): ascending, at least 0 and before the duration's end.

        Raises:
            UsageError: the schedule has more than `MAX_PLANNED` arrivals.
            ValueError: the duration is negative or not finite.
        """
        if not 0 <= duration_s < math.inf:
            raise ValueError(f"a schedule cannot last {duration_s} s")
        due_s = _KINDS[self.kind][0](self.rates_per_s, duration_s, seed) if duration_s else np.empty(0)
        offsets_ns = np.rint(due_s[due_s < duration_s] * 1e9).astype(np.int64)
        return offsets_ns[offsets_ns < duration_s * 1e9]


@dataclass(frozen=True, eq=False)
class Replay:
    """Recorded arrivals from a file; a longer duration adds no arrivals after the last of them."""

    name: str
    """The file's name, for the description."""
    recorded_ns: Offsets = field(repr=False)
    """Nanoseconds from the start, shape (n,), ascending, n at least 1."""

    @property
    def description(self) -> str:
        """The schedule in words."""
        return f"replay of {self.name}: {len(self.recorded_ns)} arrivals in {self.own_duration_s:.6g} s"

    @property
    def own_duration_s(self) -> float:
        """A nanosecond more than the last arrival, so that it is included."""
        return (int(self.recorded_ns[-1]) + 1) / 1e9

    def scaled(self, factor: float) -> Replay:
        """Return the recording replayed `factor` times as fast."""
        return Replay(f"{self.name}, {factor:g} times as fast", np.rint(self.recorded_ns / factor).astype(np.int64))

    def offsets_ns(self, duration_s: float, _seed: str) -> Offsets:
        """Return the recorded arrivals before the duration's end, in nanoseconds."""
        return self.recorded_ns[self.recorded_ns < duration_s * 1e9]


Arrivals: TypeAlias = RateSchedule | Replay


def parse(text: str) -> Arrivals:
    """Parse the text of a schedule (see `SYNTAX`); the file of a replay is read here.

    Raises:
        UsageError: the text is not a schedule, a rate is not above 0 and at most `MAX_RATE_PER_S`, or the file has no arrivals.

    Example:
        parse("poisson:200").offsets_ns(10.0, "seed")
    """
    kind, colon, rest = text.strip().partition(":")
    if not colon:
        kind, rest = "constant", kind
    if kind == "replay":
        if not rest.strip():
            raise UsageError(f"arrivals {text!r}: name the file of recorded arrivals, such as replay:arrivals.txt")
        path = Path(rest.strip())
        return Replay(path.name, read_trace(path))
    if kind not in _KINDS:
        raise UsageError(f"unknown kind of arrivals {kind!r} in {text!r}; use {SYNTAX}")
    if kind == "ramp" and ".." not in rest:
        raise UsageError(f"arrivals {text!r}: a ramp needs two rates, such as ramp:10..500")
    tokens = rest.split("..", 1) if kind == "ramp" else rest.split(",") if kind == "steps" else [rest]
    return RateSchedule(kind, tuple(_rate(token, text) for token in tokens))


def _rate(token: str, text: str) -> float:
    try:
        rate = float(token)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= MAX_RATE_PER_S:  # false for NaN
        use = f"use operations per second, above 0 and at most {MAX_RATE_PER_S:.0f}, as in {SYNTAX}"
        raise UsageError(f"arrivals {shortened(text)!r}: {shortened(token.strip())!r} is not a rate; {use}")
    return rate


def _checked(expected: float) -> float:
    if expected > MAX_PLANNED:
        size = f"{expected:.3g} arrivals is too large (limit {MAX_PLANNED})"
        raise UsageError(f"a schedule of {size}; lower the rate or the duration")
    return expected


def _indices(expected: float) -> Seconds:
    """Return the indices of the arrivals, 0, 1, 2 … below the cumulative rate at the end, and one more for rounding."""
    return np.arange(math.ceil(_checked(expected)) + 1, dtype=np.float64)


def read_trace(path: Path) -> Offsets:
    """Read arrivals in nanoseconds from the start, shape (n,), n from 1 to `MAX_PLANNED`; raise `UsageError` if one is invalid."""
    found: list[int] = []
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UsageError(f"{path} is not a regular file; name a file with one arrival per line, in seconds")
        with path.open(encoding="utf-8-sig") as file:
            for line, text in _cells(path, file):
                at_ns = _nanoseconds(line, text)
                if found and at_ns < found[-1]:
                    raise UsageError(f"{line}: {text} s is earlier than the arrival above it; sort the arrivals")
                if len(found) == MAX_PLANNED:
                    raise UsageError(f"{line}: more than {MAX_PLANNED} arrivals; replay a part of them")
                found.append(at_ns)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name a file with one arrival per line, in seconds") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text; name a file with one arrival per line, in seconds") from error
    except csv.Error as error:
        raise UsageError(f"{path} is not a CSV of arrivals: {error}") from error
    if not found:
        raise UsageError(f"{path} has no arrivals; write one per line, in seconds from the start")
    return np.array(found, dtype=np.int64)


def _cells(path: Path, file: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the place (file and line) and the text of each arrival."""
    numbered = ((f"{path}, line {number}", text.strip()) for number, text in enumerate(file, 1))
    lines = ((line, text) for line, text in numbered if text and not text.startswith("#"))
    column: int | None = None
    for index, (line, text) in enumerate(lines):
        if index and column is None:
            yield line, text
            continue
        cells = [cell.strip() for cell in next(csv.reader([text]))]
        if not index and TRACE_COLUMN in cells:
            column = cells.index(TRACE_COLUMN)
        elif not index and len(cells) > 1:
            raise UsageError(f"{line}: a CSV of arrivals needs column {TRACE_COLUMN}; found {', '.join(cells)}")
        elif column is None:
            yield line, text
        elif column < len(cells):
            yield line, cells[column]
        else:
            raise UsageError(f"{line}: no value in column {TRACE_COLUMN}")


def _nanoseconds(line: str, text: str) -> int:
    try:
        at_s = Decimal(text)
    except InvalidOperation:
        at_s = Decimal("NaN")
    if not at_s.is_finite() or not 0 <= at_s <= MAX_AT_S:
        raise UsageError(f"{line}: {text!r} is not an arrival; use seconds from the start, from 0 to {MAX_AT_S}")
    return round(at_s * 10**9)
