"""Read pyperf's JSON, file formats 6 and 1.0, compressed or not.

Structure: `benchmarks`, each with `runs`, one per fresh process; a run's `values` are seconds per loop iteration, and a run without
values was a calibration. Metadata (`name`, `unit`) is in the run, the benchmark or the file, depending on what it is common to. The
independent unit is a process, not a value: values of one process share its bias.
"""

from dataclasses import replace
from typing import Any

import msgspec

from harness.importers.reading import Content, InvalidFileError, Reading, TimeCounts, Timing, nanoseconds, one_line, raw_timing
from harness.results.run import RunWarning
from harness.stats.intervals import median

FORMAT = "pyperf's JSON"
_AVERAGES = "a value is the average of many loops, so that percentiles of single calls are unknown"
LIMITATIONS = (RunWarning("pyperf's limitations", _AVERAGES, "time single calls with `harness run`"),)
VERSIONS = {"1.0", "6"}
MACHINE = ("cpu_model_name", "cpu_count", "platform", "python_implementation", "python_version", "aslr")


class _Run(msgspec.Struct):
    values: list[float] = msgspec.field(default_factory=list)
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
    """Return the times of the benchmarks that measure time, of a file that is not of an older format."""
    file = msgspec.json.decode(content.body, type=_PyperfFile)
    if str(file.version) not in VERSIONS:
        raise InvalidFileError(f"its file format is {file.version!r}, not 1.0 (`pyperf convert` converts it)")
    common = file.metadata or {}
    timings, other, dates = [], [], []
    for number, benchmark in enumerate(file.benchmarks):
        about = common | benchmark.metadata | (benchmark.runs[0].metadata if benchmark.runs else {})
        name = one_line(str(about.get("name") or f"benchmark {number + 1}"))
        dates += [str(run.metadata["date"]) for run in benchmark.runs if run.metadata.get("date")]
        if about.get("unit", "second") != "second":
            other.append(name)
        else:
            timings.append(_timing(name, [run.values for run in benchmark.runs if run.values]))
    left_out = RunWarning("no times", f"not in seconds, and left out: {', '.join(other)}", "compare them with pyperf")
    environment = {key: one_line(str(common[key])) for key in MACHINE if common.get(key)}
    started_at, warnings = one_line(min(dates, default="")), (left_out,) if other else ()
    return Reading("", "pyperf", FORMAT, tuple(timings), started_at, environment=environment, warnings=warnings)


def _timing(name: str, runs: list[list[float]]) -> Timing:
    if not runs:
        raise InvalidFileError(f"{name!r} has no values")
    processes = [nanoseconds(name, values) for values in runs]
    timing = raw_timing(name, [value for values in processes for value in values], single_calls=False)
    return replace(timing, units=TimeCounts.of(median(values) for values in processes)) if len(processes) > 1 else timing
