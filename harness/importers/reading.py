"""The content of another tool's file, and its times in nanoseconds by benchmark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from harness.results.names import distinct, quoted, shortened, visible
from harness.results.run import FileMetric, OperationCounts, RunWarning
from harness.results.warning_names import WarningName
from harness.stats.intervals import QUANTILES, is_supported

MAX_S, MAX_VALUES = 1e9, 2**40
"""Thirty years, and the largest number of values: larger ones do not fit into 64 bits as nanoseconds and sums."""
LAST_START_S = 2**32
"""The year 2106, in Unix time: a later start is invalid."""
IQR_PER_DEVIATION = 1.349
"""The interquartile range of a normal distribution, in standard deviations."""

UNREADABLE = WarningName.UNREADABLE
"""The name of the warning that benchmarks of a file were left out."""
UNNAMED = "(unnamed)"
"""The name of a benchmark whose name is empty."""

Number = float | str | None
"""A number of a JSON file; text for NaN and the infinities, which are not JSON."""


class InvalidFileError(Exception):
    """The reason why a file of a known format, or one benchmark of it, cannot be used."""


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
        """Return a quantile by linear interpolation between order statistics (type 7 of Hyndman and Fan 1996)."""
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
        return Timing(name, self.total, self.quantile_ns(0.5), self.mean_ns, *ends, self.percentiles_ns(), self, calls=self)


@dataclass(frozen=True)
class Timing:
    """The times of one benchmark of a file, failed operations left out where the file separates them."""

    name: str
    samples: int | None
    """The number of values behind the figures, None where the file does not state it."""
    median_ns: float
    """From 0 up: a tool that rounds, or corrects for its own cost, writes 0 for a short time."""
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
    """Tried and failed operations by benchmark (`group`); `arm` is "". One of which all failed, or none was tried, has no timing;
    nor have k6's "checks"."""
    metrics: tuple[FileMetric, ...] = ()
    """What the file measured besides times; `arm` is ""."""
    load_settings: dict[str, str] = field(default_factory=dict)
    """What identifies the load, such as `users`, `rate`, `stages` and `duration`; another load is not comparable."""
    dropped: int = 0
    """Operations that were due and did not start (k6's `dropped_iterations`): the load was not what it should be."""
    invalid: str = ""
    """Why the load was not what it should be, such as a load generator at its limit; empty if it was."""
    failed_checks: tuple[str, ...] = ()
    """The thresholds and checks of the tool itself that failed, in its words; `warnings` has them as well."""


@dataclass(frozen=True)
class Content:
    """The text of a file of another tool, as UTF-8 without a byte order mark."""

    path: Path
    body: bytes
    outline: dict[str, msgspec.Raw] | list[msgspec.Raw] | None
    """The members of a JSON document, not decoded; None for plain text and for JSON by lines."""
    problem: str = ""
    """The reason if the text starts as JSON does and is not one JSON document."""
    digest: str = ""
    """The SHA-256 of the file's bytes."""

    def member(self, name: str) -> bytes:
        """Return a member of a JSON object, not decoded; empty where there is none."""
        return bytes(self.outline.get(name, b"")) if isinstance(self.outline, dict) else b""

    @property
    def first(self) -> bytes:
        """The first element of a JSON list, not decoded; empty where there is none."""
        return bytes(self.outline[0]) if isinstance(self.outline, list) and self.outline else b""


class Benchmarks:
    """The benchmarks of a file while it is read: those that cannot be read are left out and named, and the others are kept."""

    def __init__(self) -> None:
        """Start with none."""
        self.timings: list[Timing] = []
        self.operations: list[OperationCounts] = []
        self.metrics: list[FileMetric] = []
        self.warnings: list[RunWarning] = []
        self._invalid: list[str] = []

    def names(self, entries: Sequence[tuple[str, str]]) -> list[str]:
        """Return a distinct, visible name per entry of a name and a detail, with a warning where names were equal."""
        found, equal = distinct([(visible(name) or UNNAMED, visible(detail)) for name, detail in entries])
        if equal:
            message = f"several benchmarks are named {', '.join(map(quoted, equal))}: they are distinguished by what else differs, "
            remedy = "give each benchmark its own name"
            self.warnings.append(RunWarning(WarningName.EQUAL_NAMES, f"{message}or by their order in the file", remedy))
        return found

    @contextmanager
    def benchmark(self, name: str) -> Iterator[None]:
        """Read one benchmark in the block: an InvalidFileError leaves this one out."""
        counted = len(self.operations)
        try:
            yield
        except InvalidFileError as error:
            del self.operations[counted:]
            self._invalid.append(f"{quoted(name)} {error}")

    def add(self, timing: Timing) -> None:
        """Add times, with a number of values that is possible; raise InvalidFileError if it is not."""
        if timing.samples is not None and not 0 < timing.samples < MAX_VALUES:
            raise InvalidFileError(f"has {timing.samples} values")
        self.timings.append(timing)

    def count(
        self, name: str, operations: int, errors: int, per_s: float | None = None, messages: dict[str, int] | None = None
    ) -> bool:
        """Add the counts of a benchmark's operations, and return whether any succeeded, so that it can have times.

        InvalidFileError: a count is not possible.
        """
        for number, noun in ((operations, "operations"), (errors, "failed operations")):
            if not 0 <= number < MAX_VALUES:
                raise InvalidFileError(f"has {number} {noun}")
        self.operations.append(OperationCounts("", name, max(operations, errors), errors, per_s, messages or {}))
        return errors < operations

    def reading(self, tool: str, form: str, **about: object) -> Reading:
        """Return what was read; raise InvalidFileError if that is nothing."""
        if not (self.timings or self.operations or self.metrics):
            raise InvalidFileError(self._invalid[0] if self._invalid else "it contains no times")
        if self._invalid:
            message = f"left out: {'; '.join(self._invalid)}"
            self.warnings.append(RunWarning(UNREADABLE, message, "measure them again"))
        for total in (x for x in self.operations if not x.operations):
            message = f"{quoted(total.group)} has no operations, and so no times"
            self.warnings.append(RunWarning(WarningName.NOTHING_MEASURED, message, "check that the load reached it"))
        known = Reading("", tool, form, tuple(self.timings), operations=tuple(self.operations), metrics=tuple(self.metrics))
        return replace(known, warnings=tuple(self.warnings), **about)  # type: ignore[arg-type]


def one_line(text: str) -> str:
    """Return `text` as printable characters on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def moment(unix_s: float | None) -> str:
    """Return a Unix time as a date and time in UTC; empty where it is missing or invalid."""
    is_valid = unix_s is not None and 0 < unix_s < LAST_START_S
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds") if unix_s is not None and is_valid else ""


def number(figure: str, value: Number) -> float:
    """Return a finite number of a file; raise InvalidFileError if it is none, with the name of the `figure`."""
    if value is None:
        raise InvalidFileError(f"has no {figure}")
    try:
        found = float(value)
    except ValueError as error:
        raise InvalidFileError(f"has the {figure} {quoted(str(value))}, which is not a number") from error
    if not math.isfinite(found):
        raise InvalidFileError(f"has the {figure} {value}, which is not a number")
    return found


def nanoseconds(figure: str, value: Number, per_s: float = 1.0) -> float:
    """Return a time in nanoseconds; `per_s` is the number of its units in a second.

    InvalidFileError: it is not a finite time from 0 up; `figure` is its name, such as "median".
    """
    found = number(figure, value)
    if not 0 <= found <= MAX_S * per_s:
        reason = "which is not a time: did the clock go backwards?" if found < 0 else "which is not a time"
        raise InvalidFileError(f"has the {figure} {value}, {reason}")
    return found * (1e9 / per_s)


def all_nanoseconds(figure: str, values: Sequence[Number], per_s: float = 1.0) -> list[float]:
    """Return times in nanoseconds, as `nanoseconds` does for one."""
    return [nanoseconds(figure, value, per_s) for value in values]


def four_figures(given: Mapping[str, Number], per_s: float = 1.0) -> tuple[float, float, float, float]:
    """Return `median`, `mean`, `min` and `max` in nanoseconds; raise InvalidFileError if one is missing or invalid."""
    named = {"median": "median", "mean": "mean", "min": "minimum", "max": "maximum"}
    median, mean, least, most = (nanoseconds(figure, given.get(key), per_s) for key, figure in named.items())
    return median, mean, least, most


def deviation_ns(stddev: Number, iqr: Number, per_s: float = 1.0) -> float | None:
    """Return the standard deviation, or else one from the interquartile range, in nanoseconds; None if neither is known."""
    for value, divisor in ((stddev, 1.0), (iqr, IQR_PER_DEVIATION)):
        try:
            found = nanoseconds("deviation", value, per_s) / divisor
        except InvalidFileError:
            continue
        if found > 0:
            return found
    return None


APPROXIMATE = RunWarning(
    WarningName.APPROXIMATE,
    "the single values are not in the file: an interval comes from their number and standard deviation, and is approximate",
    "save the single values as well",
)
"""The warning of a file whose timings have a `deviation_ns` only."""

ONE_FIGURE = RunWarning(
    WarningName.ONE_FIGURE,
    "the file states one time per benchmark: it is shown as median, mean, minimum and maximum alike",
    "compare files with the single values where spread and tails matter",
)
"""The warning of a file that does not state a minimum, maximum and mean."""


def raw_timing(name: str, values_ns: Sequence[float], *, single_calls: bool = True) -> Timing:
    """Return the timing of raw values; of averages, that is not `single_calls`, the median is the only percentile."""
    timing = TimeCounts.of(values_ns).timing(name)
    known = timing.percentiles_ns
    return timing if single_calls else replace(timing, percentiles_ns=dict.fromkeys(known) | {"50": known["50"]}, calls=None)


def raw_metric(
    name: str, unit: str, values: Sequence[Number], *, single: bool = True, less_is_better: bool | None = None
) -> FileMetric:
    """Return a figure that is not a time from its values; of averages, that is not `single`, the median is the only percentile."""
    counted = TimeCounts.of(number("value", value) for value in values)
    known = counted.percentiles_ns()
    percentiles = known if single else dict.fromkeys(known) | {"50": known["50"]}
    ends = float(counted.values_ns[0]), float(counted.values_ns[-1])
    figures = (counted.total, counted.quantile_ns(0.5), counted.mean_ns, *ends, percentiles)
    return FileMetric("", name, unit, *figures, less_is_better)


def listed(names: Iterable[str]) -> str:
    """Return names for a message, each shortened."""
    return ", ".join(shortened(name) for name in names)
