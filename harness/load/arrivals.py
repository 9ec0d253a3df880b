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
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError

Offsets: TypeAlias = npt.NDArray[np.int64]

MAX_RATE_PER_S = 1e6
"""The highest accepted rate, in operations per second; anything beyond it is a typing error."""

MAX_PLANNED = 50_000_000
"""The largest number of arrivals of one schedule, which is held in memory at 8 bytes each."""

SYNTAX = "200 (evenly spaced), poisson:200, ramp:10..500, steps:50,100,200 or replay:FILE"
"""The texts that `parse` accepts, for help and error messages."""

TRACE_COLUMN = "at_s"
"""The CSV column that holds recorded arrivals."""

MAX_AT_S = 1_000_000
"""The latest recorded arrival, in seconds: more than eleven days, beyond which a file is rather in milliseconds."""


class Arrivals(ABC):
    """A schedule of arrivals."""

    @property
    @abstractmethod
    def description(self) -> str:
        """The schedule in words, such as "200 per second, evenly spaced"."""

    @property
    def own_duration_s(self) -> float | None:
        """The schedule's inherent duration, just beyond its last arrival; None if it fits any duration."""
        return None

    @abstractmethod
    def scaled(self, factor: float) -> Arrivals:
        """Return the same schedule with `factor` times as many arrivals per second; `factor` is positive."""

    @abstractmethod
    def offsets_ns(self, duration_s: float, seed: str) -> Offsets:
        """Return the due times of operations in nanoseconds, shape (n,): ascending, at least 0 and before the duration's end.

        Raises:
            UsageError: the schedule has more than `MAX_PLANNED` arrivals.
            ValueError: the duration is negative or not finite.
        """

    def share(self, worker: int, workers: int) -> Arrivals:
        """Return one worker's part: arrival i belongs to worker i mod `workers`, so that all parts add up to the schedule.

        Raises:
            ValueError: `worker` is not in 0 … `workers` - 1.
        """
        return self if workers == 1 and worker == 0 else ScheduleShare(self, worker, workers)


class Formula(Arrivals):
    """A schedule that is computed in seconds."""

    @abstractmethod
    def _due_s(self, duration_s: float, seed: str) -> npt.NDArray[np.float64]:
        """Return the arrivals in seconds, ascending; the caller cuts off those at or beyond the duration, which is positive."""

    def offsets_ns(self, duration_s: float, seed: str) -> Offsets:
        """Return the arrivals in nanoseconds, as every schedule does."""
        if not 0 <= duration_s < math.inf:
            raise ValueError(f"a schedule cannot last {duration_s} s")
        due_s = self._due_s(duration_s, seed) if duration_s else np.empty(0)
        return _before(np.rint(due_s[due_s < duration_s] * 1e9).astype(np.int64), duration_s)


@dataclass(frozen=True)
class Constant(Formula):
    """One arrival every 1 / rate seconds, the first at 0."""

    rate_per_s: float
    """Operations per second."""

    @property
    def description(self) -> str:
        """The schedule in words."""
        return f"{self.rate_per_s:g} per second, evenly spaced"

    def _due_s(self, duration_s: float, seed: str) -> npt.NDArray[np.float64]:
        del seed
        return _indices(self.rate_per_s * duration_s) / self.rate_per_s

    def scaled(self, factor: float) -> Constant:
        """Return the schedule at `factor` times the rate."""
        return Constant(self.rate_per_s * factor)


@dataclass(frozen=True)
class Poisson(Formula):
    """Independent users: gaps are exponential, drawn from a seeded generator.

    A longer schedule begins with the shorter one of the same seed.
    """

    rate_per_s: float
    """Operations per second."""

    @property
    def description(self) -> str:
        """The schedule in words."""
        return f"{self.rate_per_s:g} per second, at random times (Poisson)"

    def _due_s(self, duration_s: float, seed: str) -> npt.NDArray[np.float64]:
        expected = _checked(self.rate_per_s * duration_s)
        generator = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()))
        gaps = np.empty(0)
        due = np.empty(0)
        while not due.size or due[-1] < duration_s:
            gaps = np.concatenate([gaps, generator.standard_exponential(int(expected + 6 * math.sqrt(expected)) + 10)])
            due = np.cumsum(gaps) / self.rate_per_s
        return due

    def scaled(self, factor: float) -> Poisson:
        """Return the schedule at `factor` times the rate."""
        return Poisson(self.rate_per_s * factor)


@dataclass(frozen=True)
class Ramp(Formula):
    """A rate that rises or falls linearly over the duration; arrival i is due when the cumulative rate reaches i."""

    first_per_s: float
    """Operations per second at the start."""
    last_per_s: float
    """Operations per second at the end."""

    @property
    def description(self) -> str:
        """The schedule in words."""
        return f"from {self.first_per_s:g} to {self.last_per_s:g} per second, linearly"

    def _due_s(self, duration_s: float, seed: str) -> npt.NDArray[np.float64]:
        del seed
        reached = _indices((self.first_per_s + self.last_per_s) / 2 * duration_s)
        # The root of first·t + (last - first)/(2·duration)·t² = i, in the form that does not cancel for nearly equal rates.
        slope_per_s2 = (self.last_per_s - self.first_per_s) / duration_s
        return 2 * reached / (self.first_per_s + np.sqrt(np.maximum(self.first_per_s**2 + 2 * slope_per_s2 * reached, 0)))

    def scaled(self, factor: float) -> Ramp:
        """Return the schedule at `factor` times the rates."""
        return Ramp(self.first_per_s * factor, self.last_per_s * factor)


@dataclass(frozen=True)
class Steps(Formula):
    """Constant rates, each for an equal part of the duration; arrival i is due when the cumulative rate reaches i."""

    rates_per_s: tuple[float, ...]
    """Operations per second of each step."""

    @property
    def description(self) -> str:
        """The schedule in words."""
        return f"{', '.join(f'{r:g}' for r in self.rates_per_s)} per second, in equal parts of the time"

    def _due_s(self, duration_s: float, seed: str) -> npt.NDArray[np.float64]:
        del seed
        edges_s = np.linspace(0, duration_s, len(self.rates_per_s) + 1)
        reached = np.concatenate([[0.0], np.cumsum(np.asarray(self.rates_per_s) * (duration_s / len(self.rates_per_s)))])
        return np.interp(_indices(float(reached[-1])), reached, edges_s)

    def scaled(self, factor: float) -> Steps:
        """Return the schedule at `factor` times the rates."""
        return Steps(tuple(r * factor for r in self.rates_per_s))


@dataclass(frozen=True, eq=False)
class Replay(Arrivals):
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

    def offsets_ns(self, duration_s: float, seed: str) -> Offsets:
        """Return the recorded arrivals before the duration's end, in nanoseconds."""
        del seed
        return _before(self.recorded_ns, duration_s)

    def scaled(self, factor: float) -> Replay:
        """Return the recording replayed `factor` times as fast."""
        return Replay(f"{self.name}, {factor:g} times as fast", np.rint(self.recorded_ns / factor).astype(np.int64))


@dataclass(frozen=True)
class ScheduleShare(Arrivals):
    """One worker's part of a schedule."""

    whole: Arrivals
    """The schedule that all workers share."""
    worker: int
    """The worker's index, from 0."""
    workers: int
    """The number of workers."""

    def __post_init__(self) -> None:
        if not 0 <= self.worker < self.workers:
            raise ValueError(f"no worker {self.worker} among {self.workers}; workers count from 0")

    @property
    def description(self) -> str:
        """The schedule in words."""
        return f"part {self.worker + 1} of {self.workers} of: {self.whole.description}"

    @property
    def own_duration_s(self) -> float | None:
        """The duration of the whole schedule."""
        return self.whole.own_duration_s

    def offsets_ns(self, duration_s: float, seed: str) -> Offsets:
        """Return every `workers`-th arrival of the whole schedule, beginning with number `worker`, in nanoseconds."""
        return self.whole.offsets_ns(duration_s, seed)[self.worker :: self.workers]

    def scaled(self, factor: float) -> ScheduleShare:
        """Return the same part of the scaled schedule."""
        return ScheduleShare(self.whole.scaled(factor), self.worker, self.workers)


def parse(text: str) -> Arrivals:
    """Parse the text of a schedule (see `SYNTAX`); the file of a replay is read here.

    Raises:
        UsageError: the text is not a schedule, a rate is not a number above 0 and at most `MAX_RATE_PER_S`, or the file is not a
            recording.

    Example:
        parse("poisson:200").offsets_ns(10.0, "seed")
    """
    kind, colon, rest = text.strip().partition(":")
    if not colon:
        return Constant(_rate(kind, text))
    if kind not in _KINDS:
        raise UsageError(f"unknown kind of arrivals {kind!r} in {text!r}; use {SYNTAX}")
    return _KINDS[kind](rest, text)


def _ramp(rest: str, text: str) -> Ramp:
    first, dots, last = rest.partition("..")
    if not dots:
        raise UsageError(f"arrivals {text!r}: a ramp needs two rates, such as ramp:10..500")
    return Ramp(_rate(first, text), _rate(last, text))


def _replay(rest: str, text: str) -> Replay:
    if not rest.strip():
        raise UsageError(f"arrivals {text!r}: name the file of recorded arrivals, such as replay:arrivals.txt")
    path = Path(rest.strip())
    return Replay(path.name, read_trace(path))


_KINDS: dict[str, Callable[[str, str], Arrivals]] = {
    "constant": lambda rest, text: Constant(_rate(rest, text)),
    "poisson": lambda rest, text: Poisson(_rate(rest, text)),
    "ramp": _ramp,
    "steps": lambda rest, text: Steps(tuple(_rate(r, text) for r in rest.split(","))),
    "replay": _replay,
}


def _rate(token: str, text: str) -> float:
    try:
        rate = float(token)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= MAX_RATE_PER_S:  # false for NaN
        raise UsageError(
            f"arrivals {text!r}: {token.strip()!r} is not a rate; use operations per second, above 0 and at most "
            f"{MAX_RATE_PER_S:.0f}, as in {SYNTAX}"
        )
    return rate


def _checked(expected: float) -> float:
    if expected > MAX_PLANNED:
        raise UsageError(
            f"a schedule of {expected:.3g} arrivals is too large (limit {MAX_PLANNED}); lower the rate or the duration"
        )
    return expected


def _indices(expected: float) -> npt.NDArray[np.float64]:
    """Return the indices of the arrivals, 0, 1, 2 … below the cumulative rate at the end, and one more for rounding."""
    return np.arange(math.ceil(_checked(expected)) + 1, dtype=np.float64)


def _before(offsets: Offsets, duration_s: float) -> Offsets:
    return offsets[offsets < duration_s * 1e9]


def read_trace(path: Path, max_arrivals: int = MAX_PLANNED) -> npt.NDArray[np.int64]:
    """Read a file of recorded arrivals: nanoseconds from the start, shape (n,), n from 1 to `max_arrivals`.

    Raises:
        UsageError: the file cannot be read, or a line is not a number from 0 to `MAX_AT_S`, or is less than the one before.
    """
    found: list[int] = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, text in _cells(path, file):
                at_ns = _nanoseconds(path, number, text)
                if found and at_ns < found[-1]:
                    raise UsageError(f"{path}, line {number}: {text} s is earlier than the arrival above it; sort the arrivals")
                if len(found) == max_arrivals:
                    raise UsageError(f"{path}, line {number}: more than {max_arrivals} arrivals; replay a part of them")
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


def write_trace(path: Path, offsets_ns: npt.NDArray[np.int64]) -> None:
    """Write arrivals (nanoseconds from the start, ascending) so that `read_trace` returns the same again."""
    lines = [TRACE_COLUMN, *(f"{at_ns // 10**9}.{at_ns % 10**9:09d}" for at_ns in offsets_ns.tolist())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cells(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the line number and the text of each arrival."""
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
            if TRACE_COLUMN in cells:
                column = cells.index(TRACE_COLUMN)
                continue
            if len(cells) > 1:
                raise UsageError(f"{path}, line {number}: a CSV of arrivals needs column {TRACE_COLUMN}; found {', '.join(cells)}")
        if column is None:
            yield number, text
        elif column < len(cells):
            yield number, cells[column]
        else:
            raise UsageError(f"{path}, line {number}: no value in column {TRACE_COLUMN}")


def _nanoseconds(path: Path, number: int, text: str) -> int:
    try:
        at_s = Decimal(text)
    except InvalidOperation:
        at_s = Decimal("NaN")
    if not at_s.is_finite() or not 0 <= at_s <= MAX_AT_S:
        raise UsageError(f"{path}, line {number}: {text!r} is not an arrival; use seconds from the start, from 0 to {MAX_AT_S}")
    return round(at_s * 10**9)
