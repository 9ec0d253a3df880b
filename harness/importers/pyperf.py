"""Read pyperf's JSON, file formats 6 and 1.0, compressed or not.

Structure: `benchmarks`, each with `runs`, one per fresh process; a run's `values` are seconds per loop iteration, or bytes of
memory, and a run without values was a calibration. Metadata (`name`, `unit`) is in the run, the benchmark or the file, depending on
what it is common to. The independent unit is a process, not a value: values of one process share its bias.
"""

from dataclasses import replace
from typing import Any

import msgspec

from harness.importers.reading import (
    Benchmarks,
    Content,
    InvalidFileError,
    Number,
    Reading,
    TimeCounts,
    Timing,
    all_nanoseconds,
    listed,
    one_line,
    raw_metric,
    raw_timing,
)
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName
from harness.stats.intervals import median

FORMAT = "pyperf's JSON"
_AVERAGES = "a value is the average of many loops, so that percentiles of single calls are unknown"
LIMITATIONS = (RunWarning(WarningName.PYPERF, _AVERAGES, "time single calls with `harness run`"),)
VERSIONS = {"1.0", "6"}
MACHINE = ("cpu_model_name", "cpu_count", "platform", "python_implementation", "python_version", "aslr")
UNITS = {"byte": ("bytes", True), "integer": ("", None)}
"""Unit in the file → unit as shown, and whether less is better; seconds are times."""


class _Run(msgspec.Struct):
    values: list[Number] = msgspec.field(default_factory=list)
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class _PyperfBenchmark(msgspec.Struct):
    runs: list[_Run]
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class _PyperfFile(msgspec.Struct):
    benchmarks: list[_PyperfBenchmark]
    version: str | int = ""
    metadata: dict[str, Any] | None = None


def recognises(content: Content) -> bool:
    """Return whether benchmarks have `runs`."""
    found = content.member("benchmarks")
    return b'"runs"' in found and b'"stats"' not in found


def parse(content: Content) -> Reading:
    """Return the times and the bytes of a file that is not of an older format."""
    file = msgspec.json.decode(content.body, type=_PyperfFile)
    if str(file.version) not in VERSIONS:
        raise InvalidFileError(f"its file format is {file.version!r}, not 1.0 (`pyperf convert` converts it)")
    common, found, dates, failed = file.metadata or {}, Benchmarks(), [], []
    facts = [common | one.metadata | (one.runs[0].metadata if one.runs else {}) for one in file.benchmarks]
    names = found.names([(str(about.get("name") or f"benchmark {place}"), "") for place, about in enumerate(facts, 1)])
    for name, about, benchmark in zip(names, facts, file.benchmarks, strict=True):
        dates += [str(run.metadata["date"]) for run in benchmark.runs if run.metadata.get("date")]
        runs, unit = [run.values for run in benchmark.runs if run.values], str(about.get("unit", "second"))
        with found.benchmark(name):
            if not runs:
                tried = len(benchmark.runs) or 1
                found.count(name, tried, tried, messages={"no values": tried})
                failed.append(name)
            elif unit == "second":
                found.add(_timing(name, runs))
            else:
                shown, less_is_better = UNITS.get(unit, (one_line(unit), None))
                values = [value for values in runs for value in values]
                found.metrics.append(raw_metric(name, shown, values, single=False, less_is_better=less_is_better))
    if failed:
        message = f"without values, so that they count as failed: {listed(failed)}"
        found.warnings.append(RunWarning(WarningName.FAILED_BENCHMARKS, message, "see what pyperf printed, and measure again"))
    environment = {key: one_line(str(common[key])) for key in MACHINE if common.get(key)}
    return found.reading("pyperf", FORMAT, started_at=one_line(min(dates, default="")), environment=environment)


def _timing(name: str, runs: list[list[Number]]) -> Timing:
    processes = [all_nanoseconds("value", values) for values in runs]
    timing = raw_timing(name, [value for values in processes for value in values], single_calls=False)
    return replace(timing, units=TimeCounts.of(median(values) for values in processes)) if len(processes) > 1 else timing
