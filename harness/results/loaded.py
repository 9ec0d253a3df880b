"""A stored run for analysis: its percentiles, ratios, verdicts and raw samples as typed rows and as pandas frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from harness.errors import missing_extra
from harness.results.run import Latency, PercentileRatio, Ratio, Run, ScenarioResult
from harness.results.store import HISTOGRAM_COLUMNS, SAMPLE_COLUMNS, TEXT_COLUMNS, read_histograms, read_run, read_samples

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

PAIRED = "paired"
"""The figure of a ratio that is the median over pairs, in contrast to a ratio of percentiles."""


@dataclass(frozen=True)
class PercentileRow:
    """One percentile of one arm in one group of cases."""

    scenario: str
    engine: str
    rtt_ms: float
    arm: str
    group: str
    percentile: str
    """`50`, `90`, `95`, `99` or `99.9`."""
    ns: float | None
    """None where the samples do not support it."""
    low_ns: float | None
    """Lower bound of the 95 % confidence interval."""
    high_ns: float | None
    samples: int
    effective_samples: float | None
    """The number of independent samples that `samples` count as."""


@dataclass(frozen=True)
class RatioRow:
    """One ratio baseline ÷ arm: above 1 is faster. That of the arm `A/A control` is the control."""

    scenario: str
    engine: str
    rtt_ms: float
    arm: str
    group: str
    figure: str
    """`paired`, the median over pairs, or the percentile `50`, `95` or `99`."""
    ratio: float | None
    low: float | None
    """Lower bound of the 95 % confidence interval; None with fewer than two processes."""
    high: float | None
    number: int
    """The number of pairs; of samples for a percentile."""


@dataclass(frozen=True)
class VerdictRow:
    """The verdict on one promise for one arm."""

    scenario: str
    engine: str
    rtt_ms: float
    arm: str
    promise: str
    part: str
    verdict: str
    """One of `harness.results.run.PromiseVerdict`."""
    sentence: str
    unit: str
    value: float | None
    """In `unit`, as are the following."""
    low: float | None
    high: float | None
    promised_low: float | None
    promised_high: float | None


Row = TypeVar("Row", bound=PercentileRow | RatioRow | VerdictRow)


class RunTable(Sequence[Row], Generic[Row]):
    """Rows of one kind, in the order of the run; see `to_frame`."""

    def __init__(self, kind: type[Row], rows: Sequence[Row]) -> None:
        """Hold rows of a kind."""
        self._kind = kind
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> RunTable[Row]: ...

    def __getitem__(self, place: int | slice) -> Row | RunTable[Row]:
        """Return one row, or a table of some."""
        return RunTable(self._kind, self._rows[place]) if isinstance(place, slice) else self._rows[place]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a pandas frame, a column per field; missing figures are NaN.

        Raises:
            UsageError: pandas is not installed.
        """
        names = [field.name for field in fields(self._kind)]
        frame: pd.DataFrame = _pandas().DataFrame([asdict(row) for row in self._rows], columns=names)
        figures = [field.name for field in fields(self._kind) if field.type == "float | None"]
        for name in figures:
            frame[name] = frame[name].astype("float64")
        return frame


@dataclass(frozen=True)
class RawSamples:
    """The recorded operations of one scenario in columns; under load the buckets of its histograms."""

    scenario: str
    engine: str
    rtt_ms: float
    columns: Mapping[str, npt.NDArray[Any]]
    """Of equal length, by the names in `harness.results.store.SAMPLE_COLUMNS` or `HISTOGRAM_COLUMNS`."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values()), ()))


class SampleTable(Sequence[RawSamples]):
    """The raw samples of a run, one entry per scenario that has any; see `to_frame`."""

    def __init__(self, entries: Sequence[RawSamples]) -> None:
        """Hold the samples of scenarios."""
        self._entries = tuple(entries)

    @overload
    def __getitem__(self, place: int) -> RawSamples: ...

    @overload
    def __getitem__(self, place: slice) -> SampleTable: ...

    def __getitem__(self, place: int | slice) -> RawSamples | SampleTable:
        """Return the samples of one scenario, or of some."""
        return SampleTable(self._entries[place]) if isinstance(place, slice) else self._entries[place]

    def __len__(self) -> int:
        """Return the number of scenarios with samples."""
        return len(self._entries)

    def to_frame(self) -> pd.DataFrame:
        """Return all samples as a pandas frame: a row per recorded operation, with its scenario, engine and RTT.

        Raises:
            UsageError: pandas is not installed.
        """
        pandas = _pandas()
        columns = HISTOGRAM_COLUMNS if self._entries and "latency_ns" not in self._entries[0].columns else SAMPLE_COLUMNS
        if not self._entries:
            kinds = {name: "object" if name in {"scenario", "engine", *TEXT_COLUMNS} else "int64" for name in columns}
            empty: pd.DataFrame = pandas.DataFrame(columns=["scenario", "engine", "rtt_ms", *columns]).astype(kinds)
            return empty
        parts = [
            pandas.DataFrame({"scenario": s.scenario, "engine": s.engine, "rtt_ms": s.rtt_ms, **s.columns}, index=range(len(s)))
            for s in self._entries
        ]
        frame: pd.DataFrame = pandas.concat(parts, ignore_index=True)
        return frame


class LoadedRun:
    """A stored run: `record` is all of it, the other attributes are its tables."""

    def __init__(self, record: Run, folder: Path) -> None:
        """Hold a run and the folder that its samples are in."""
        self.record, self.folder = record, folder

    def __repr__(self) -> str:
        """Return the run's name and place."""
        return f"LoadedRun({self.record.name!r}, {str(self.folder)!r})"

    @cached_property
    def percentiles(self) -> RunTable[PercentileRow]:
        """Every percentile of every arm and group, the A/A control's included."""
        return RunTable(
            PercentileRow,
            [
                PercentileRow(*_place(r), *_figure(latency), label, ns, *_bounds(latency, label), *_samples(latency, label))
                for r in self.record.scenarios
                for latency in r.latencies
                for label, ns in latency.percentiles_ns.items()
            ],
        )

    @cached_property
    def ratios(self) -> RunTable[RatioRow]:
        """Every ratio against the baseline, paired and of percentiles."""
        rows = []
        for r in self.record.scenarios:
            rows += [
                RatioRow(*_place(r), *_figure(ratio), PAIRED, ratio.ratio, ratio.low, ratio.high, ratio.pairs) for ratio in r.ratios
            ]
            rows += [
                RatioRow(*_place(r), *_figure(ratio), ratio.percentile, ratio.ratio, ratio.low, ratio.high, ratio.samples)
                for ratio in r.percentile_ratios
            ]
        return RunTable(RatioRow, rows)

    @cached_property
    def verdicts(self) -> RunTable[VerdictRow]:
        """The verdict on every promise, for every arm."""
        return RunTable(
            VerdictRow,
            [
                VerdictRow(
                    *(*_place(r), v.arm, v.promise, v.part, str(v.verdict), v.sentence, v.unit),
                    *(v.value, v.low, v.high, v.promised_low, v.promised_high),
                )
                for r in self.record.scenarios
                for v in r.verdicts
            ],
        )

    @cached_property
    def samples(self) -> SampleTable:
        """The raw samples, read when they are first used.

        Raises:
            UsageError: a file of samples is missing or damaged.
        """
        return SampleTable(
            [
                RawSamples(*_place(r), (read_histograms if r.is_timed_under_load else read_samples)(self.folder / r.samples_file))
                for r in self.record.scenarios
                if r.samples_file is not None
            ]
        )


def load_run(path: Path | str) -> LoadedRun:
    """Return a stored run, from its folder or its `run.json`, for analysis.

    Raises:
        UsageError: the file is missing, damaged or no run, or another version of this package wrote it.

    Example:
        >>> run = load_run("runs/20260105T102200Z-1fa66f0")  # doctest: +SKIP
        >>> run.percentiles.to_frame().query("percentile == '95'")  # doctest: +SKIP
    """
    place = Path(path)
    return LoadedRun(read_run(place), place if place.is_dir() else place.parent)


def _place(result: ScenarioResult) -> tuple[str, str, float]:
    return result.name, result.engine, result.rtt_ms


def _figure(figure: Latency | Ratio | PercentileRatio) -> tuple[str, str]:
    return figure.arm, figure.group


def _bounds(latency: Latency, label: str) -> tuple[float | None, float | None]:
    return latency.intervals_ns.get(label, (None, None))


def _samples(latency: Latency, label: str) -> tuple[int, float | None]:
    return latency.samples, latency.effective_samples.get(label)


def _pandas() -> Any:
    try:
        import pandas as pd  # noqa: PLC0415 - only frames need it
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "pandas", "pandas", "a frame") from error
    return pd
