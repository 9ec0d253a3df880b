"""The content of another tool's file, and its times in nanoseconds by benchmark."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from harness.results.run import FileMetric, OperationCounts, RunWarning
from harness.stats.intervals import QUANTILES, is_supported

MAX_S, MAX_VALUES, MAX_TEXT = 1e9, 2**40, 300
"""Thirty years, the largest number of values (larger ones do not fit into 64 bits as nanoseconds and sums), and of characters."""


class InvalidFileError(Exception):
    """The reason why a file of a known format cannot be used."""


@dataclass(frozen=True)
class TimeCounts:
    """Times in nanoseconds with their frequencies, from raw data or a histogram."""

    values_ns: npt.NDArray[np.float64]
    """The distinct values, ascending."""
    counts: npt.NDArray[np.int64]
    """The number of occurrences of each value."""

    @classmethod
    def of(cls, values_ns: Iterable[float]) -> TimeCounts:
        """Count raw values."""
        values, counts = np.unique(np.fromiter(values_ns, dtype=np.float64), return_counts=True)
        return cls(values, counts.astype(np.int64))

    @property
    def total(self) -> int:
        """The number of values, repeated ones included."""
        return int(self.counts.sum())

    def quantile_ns(self, quantile: float) -> float:
        """Return a quantile by linear interpolation between order statistics, as `harness.stats.intervals.percentiles` does."""
        place = (self.total - 1) * quantile
        both = np.searchsorted(np.cumsum(self.counts), [math.floor(place), math.ceil(place)], side="right")
        below, above = self.values_ns[both]
        return float(below + (above - below) * (place - math.floor(place)))

    @property
    def mean_ns(self) -> float:
        """The mean."""
        return float(np.average(self.values_ns, weights=self.counts))

    def percentiles_ns(self) -> dict[str, float | None]:
        """Return the percentiles of the record, None where the values cannot support one."""
        return {label: self.quantile_ns(q) if is_supported(self.total, q) else None for label, q in QUANTILES.items()}

    def timing(self, name: str) -> Timing:
        """Return the timing of single calls."""
        ends = float(self.values_ns[0]), float(self.values_ns[-1])
        return Timing(name, self.total, self.quantile_ns(0.5), self.mean_ns, *ends, self.percentiles_ns(), self)


@dataclass(frozen=True)
class Timing:
    """The times of one benchmark of a file."""

    name: str
    samples: int | None
    """The number of values behind the figures, None where the file does not state it."""
    median_ns: float
    mean_ns: float
    min_ns: float
    max_ns: float
    percentiles_ns: dict[str, float | None] = field(default_factory=dict)
    """`50`, `90`, `95`, `99` and `99.9` → nanoseconds, None where unknown; as stated where the file has aggregates only."""
    units: TimeCounts | None = None
    """The independent values (rounds, or the median of each process), None where the file has aggregates only."""
    rounding_ns: float = 0.0
    """The largest distance of the true median from the given one, if the tool rounds."""
    deviation_ns: float | None = None
    """The standard deviation of the independent values (or their interquartile range ÷ 1.349) where the file states only that: an
    approximate interval comes from it."""
    calls: TimeCounts | None = None
    """The times of single operations, for percentiles, where the file has them; None otherwise."""
    errors: int = 0


@dataclass(frozen=True)
class Reading:
    """The times and metadata of one file."""

    file: str
    tool: str
    format: str
    """The file's format, as in "is hyperfine's JSON"."""
    timings: tuple[Timing, ...]
    started_at: str = ""
    commit: str | None = None
    dirty: bool = False
    """Whether there were uncommitted changes."""
    environment: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    """The SHA-256 of the file's bytes, or of the results of a run of this harness."""
    warnings: tuple[RunWarning, ...] = ()
    """The limitations of this file and of its format."""
    operations: tuple[OperationCounts, ...] = ()
    """Tried and failed operations by benchmark (`group`); `arm` is "". One of which all failed has no timing."""
    metrics: tuple[FileMetric, ...] = ()
    """What the file measured besides times; `arm` is ""."""
    load_settings: dict[str, str] = field(default_factory=dict)
    """What identifies the load, such as `users`, `rate`, `stages` and `duration`; another load is not comparable."""
    dropped: int = 0
    """Operations that were due and did not start (k6's `dropped_iterations`): the load was not what it should be."""
    failed_checks: tuple[str, ...] = ()
    """The thresholds and checks of the tool itself that failed, in its words."""


@dataclass(frozen=True)
class Content:
    """The bytes of a file of another tool."""

    path: Path
    body: bytes
    outline: dict[str, msgspec.Raw] | list[msgspec.Raw] | None
    """The members of a JSON document, not decoded; None for plain text."""

    def member(self, name: str) -> bytes:
        """Return a member of a JSON object, not decoded; empty where there is none."""
        return bytes(self.outline.get(name, b"")) if isinstance(self.outline, dict) else b""


def one_line(text: str) -> str:
    """Return `text` as printable characters on one line of at most `MAX_TEXT`."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= MAX_TEXT else f"{plain[: MAX_TEXT - 1]}…"


def nanoseconds(name: str, values: Sequence[float], *, per_s: float = 1.0, zero: bool = False) -> list[float]:
    """Convert a benchmark's times to nanoseconds; `per_s` is the number of their units in a second.

    InvalidFileError: one is not a positive, finite time; `zero` allows 0, which a tool that rounds writes for a short one.
    """
    for value in values:
        if not (0 < value <= MAX_S * per_s or (zero and value == 0)):
            raise InvalidFileError(f"{name!r} contains {value!r}, which is not a time")
    return [value / per_s * 1e9 for value in values]


def check_timings(timings: Sequence[Timing]) -> None:
    """Check that there are times, with distinct names and plausible numbers of values; raise InvalidFileError if not."""
    if not timings:
        raise InvalidFileError("it contains no times")
    for timing in timings:
        if timing.samples is not None and not 0 < timing.samples < MAX_VALUES:
            raise InvalidFileError(f"{timing.name!r} has {timing.samples} values")
    ((name, number),) = Counter(timing.name for timing in timings).most_common(1)
    if number > 1:
        raise InvalidFileError(f"two of its benchmarks are named {name!r}")


def raw_timing(name: str, values_ns: Sequence[float], *, single_calls: bool = True) -> Timing:
    """Return the timing of raw values; of averages, that is not `single_calls`, the median is the only percentile."""
    timing = TimeCounts.of(values_ns).timing(name)
    known = timing.percentiles_ns
    return timing if single_calls else replace(timing, percentiles_ns=dict.fromkeys(known) | {"50": known["50"]})
