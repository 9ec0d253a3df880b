"""What a reader makes of a file of another tool: its times in nanoseconds, by benchmark, and what the file does not say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.results.run import RunWarning
from harness.stats.intervals import QUANTILES, is_supported

LONGEST_S = 1e9
"""Thirty years: beyond it a number is no time, and nanoseconds no longer fit into 64 bits."""

MOST_VALUES = 2**40
"""A larger count was never measured, and sums of them would not fit into 64 bits."""

LONGEST_TEXT = 300


@dataclass(frozen=True)
class OperationCounts:
    """Times in nanoseconds, each value once, ascending, with how often it occurred: raw data and histograms alike."""

    values_ns: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, values_ns: Iterable[float]) -> OperationCounts:
        """Return raw values, counted."""
        values, counts = np.unique(np.fromiter(values_ns, dtype=np.float64), return_counts=True)
        return cls(values, counts.astype(np.int64))

    @property
    def total(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    def at(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the order statistics at `positions`, 0 being the least."""
        return self.values_ns[np.searchsorted(np.cumsum(self.counts), positions, side="right")]

    def quantile_ns(self, quantile: float) -> float:
        """Return a quantile by linear interpolation between order statistics, as `harness.stats.intervals.percentiles` does."""
        place = (self.total - 1) * quantile
        below, above = self.at(np.array([math.floor(place), math.ceil(place)]))
        return float(below + (above - below) * (place - math.floor(place)))

    @property
    def mean_ns(self) -> float:
        """The mean."""
        return float(np.average(self.values_ns, weights=self.counts))

    def percentiles_ns(self) -> dict[str, float | None]:
        """Return the percentiles of the record, None where the values cannot support one."""
        return {label: self.quantile_ns(q) if is_supported(self.total, q) else None for label, q in QUANTILES.items()}


@dataclass(frozen=True)
class Timing:
    """One benchmark of a file, in nanoseconds.

    `samples` is how many values its figures rest on, None where the file does not say. `units` holds the values that stand for
    themselves when two files are compared (rounds, or the median of each process), None where the file has aggregates only.
    `rounding_ns` is how far the true median may lie from the one given, because the tool rounds.
    """

    name: str
    samples: int | None
    median_ns: float
    mean_ns: float
    min_ns: float
    max_ns: float
    percentiles_ns: dict[str, float | None] = field(default_factory=dict)
    units: OperationCounts | None = None
    rounding_ns: float = 0.0
    errors: int = 0


@dataclass(frozen=True)
class Reading:
    """A file, read. `tool` is what measured, `form` the kind of file; `warnings` say what this file, or every one of its kind, loses.

    `environment` is what the file tells of the machine; `digest` names its bytes, or the data behind a run of this harness.
    """

    file: str
    tool: str
    form: str
    timings: tuple[Timing, ...]
    started_at: str = ""
    commit: str | None = None
    dirty: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    warnings: tuple[RunWarning, ...] = ()


@dataclass(frozen=True)
class Content:
    """The bytes of a file and their outline: the members of a JSON document, undecoded, or None where it is plain text."""

    path: Path
    body: bytes
    outline: dict[str, msgspec.Raw] | list[msgspec.Raw] | None

    def member(self, name: str) -> bytes:
        """Return a member of a JSON object, undecoded; nothing where there is none."""
        return bytes(self.outline.get(name, b"")) if isinstance(self.outline, dict) else b""

    def text(self) -> str:
        """Return the file as text.

        Raises:
            UsageError: it is not UTF-8.
        """
        try:
            return self.body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UsageError(f"{self.path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error

    def refused(self, form: str, says: str) -> UsageError:
        """Return the error for a file of a known kind that cannot be used."""
        return UsageError(f"{self.path} is {form}, but {one_line(says)}; measure again, or name another file")


def one_line(text: str) -> str:
    """Return `text` fit to be printed anywhere: printable characters on one line of at most `LONGEST_TEXT`."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= LONGEST_TEXT else f"{plain[: LONGEST_TEXT - 1]}…"


def nanoseconds(
    content: Content, form: str, name: str, values: Sequence[float], *, per_s: float = 1.0, zero: bool = False
) -> list[float]:
    """Return times given in units of which a second has `per_s`.

    Raises:
        UsageError: one is not a positive, finite time; `zero` lets 0 pass, which a tool that rounds writes for a short one.
    """
    for value in values:
        if not (0 < value <= LONGEST_S * per_s or (zero and value == 0)):
            raise content.refused(form, f"{name!r} holds {value!r}, which is no time")
    return [value / per_s * 1e9 for value in values]


def distinct(content: Content, form: str, timings: Sequence[Timing]) -> tuple[Timing, ...]:
    """Return the timings of a file, which have to be some, each with a name of its own and, if any, a number of values that is one.

    Raises:
        UsageError: there are none, two have the same name, or one has an impossible number of values.
    """
    if not timings:
        raise content.refused(form, "it holds no times")
    seen: set[str] = set()
    for timing in timings:
        if timing.samples is not None and not 0 < timing.samples < MOST_VALUES:
            raise content.refused(form, f"{timing.name!r} has {timing.samples} values")
        if timing.name in seen:
            raise content.refused(form, f"two of its benchmarks are named {timing.name!r}")
        seen.add(timing.name)
    return tuple(timings)


def raw_timing(name: str, values_ns: Sequence[float], *, single_calls: bool = True) -> Timing:
    """Return the timing of raw values; where they are no `single_calls` but averages, no percentile but the median is told."""
    counted = OperationCounts.of(values_ns)
    percentiles = counted.percentiles_ns()
    if not single_calls:
        percentiles = {label: value if label == "50" else None for label, value in percentiles.items()}
    return Timing(
        name=name,
        samples=counted.total,
        median_ns=counted.quantile_ns(0.5),
        mean_ns=counted.mean_ns,
        min_ns=float(counted.values_ns[0]),
        max_ns=float(counted.values_ns[-1]),
        percentiles_ns=percentiles,
        units=counted,
    )
