"""Read CodSpeed's walltime results, as its runners write them: `instrument`, and `benchmarks` with `stats` in nanoseconds.

`uri` names a benchmark. A value is the average of a round's calls; the single values are not in the file.
"""

from dataclasses import replace

import msgspec

from harness.importers.reading import (
    APPROXIMATE,
    Benchmarks,
    Content,
    InvalidFileError,
    Number,
    Reading,
    Timing,
    deviation_ns,
    four_figures,
    number,
    one_line,
)
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName

FORMAT = "CodSpeed's JSON"
_LIMITS = "it has aggregates only, so that percentiles are unknown"
LIMITATIONS = (RunWarning(WarningName.CODSPEED, _LIMITS, "time single calls with `harness run`"),)
PER_S = 1e9


class _Instrument(msgspec.Struct):
    type: str


class _Creator(msgspec.Struct):
    name: str = ""
    version: str = ""


class _CodSpeedStats(msgspec.Struct):
    min_ns: Number = None
    max_ns: Number = None
    mean_ns: Number = None
    median_ns: Number = None
    stdev_ns: Number = None
    q1_ns: Number = None
    q3_ns: Number = None
    rounds: int | None = None


class _CodSpeedBenchmark(msgspec.Struct):
    name: str
    uri: str = ""
    stats: _CodSpeedStats | None = None


class _CodSpeedFile(msgspec.Struct):
    instrument: _Instrument
    benchmarks: list[_CodSpeedBenchmark]
    creator: _Creator = msgspec.field(default_factory=_Creator)


def recognises(content: Content) -> bool:
    """Return whether there are benchmarks of an instrument."""
    return bool(content.member("instrument") and content.member("benchmarks"))


def parse(content: Content) -> Reading:
    """Return the times of a file; raise InvalidFileError if its instrument does not measure time."""
    file, found = msgspec.json.decode(content.body, type=_CodSpeedFile), Benchmarks()
    if file.instrument.type != "walltime":
        raise InvalidFileError(f"it is of the instrument {file.instrument.type!r}, which does not measure time; use walltime")
    names = found.names([(one.uri or one.name, one.name) for one in file.benchmarks])
    for name, benchmark in zip(names, file.benchmarks, strict=True):
        with found.benchmark(name):
            found.add(_timing(name, benchmark.stats))
    if any(timing.deviation_ns is not None for timing in found.timings):
        found.warnings.append(replace(APPROXIMATE, remedy="measure with a tool that keeps the single values"))
    made_by = one_line(f"{file.creator.name} {file.creator.version}")
    return found.reading("CodSpeed", FORMAT, environment={"CodSpeed": made_by} if made_by else {})


def _timing(name: str, stats: _CodSpeedStats | None) -> Timing:
    if stats is None:
        raise InvalidFileError("has no statistics: it failed")
    figures = four_figures({key: getattr(stats, f"{key}_ns") for key in ("median", "mean", "min", "max")}, PER_S)
    iqr = None if stats.q1_ns is None or stats.q3_ns is None else number("q3", stats.q3_ns) - number("q1", stats.q1_ns)
    return Timing(name, stats.rounds, *figures, deviation_ns=deviation_ns(stats.stdev_ns, iqr, PER_S) if stats.rounds else None)
