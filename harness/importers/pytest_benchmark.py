"""Read pytest-benchmark's JSON, of `--benchmark-json` and of its storage, versions 3 to 5, with and without the rounds' times.

Structure: `machine_info`, `commit_info`, `datetime`, `version`, and `benchmarks`, each with `fullname` (by which pytest-benchmark
itself joins) and `stats` in seconds. `stats.data` has one value per round, the average over the round's `iterations`; the storage
has it only with `--benchmark-save-data`. With fewer values than rounds they are thinned, and the other figures are of all rounds.
"""

import hashlib
from dataclasses import replace
from typing import Any

import msgspec

from harness.importers.reading import (
    APPROXIMATE,
    Benchmarks,
    Content,
    InvalidFileError,
    Number,
    Reading,
    Timing,
    all_nanoseconds,
    deviation_ns,
    four_figures,
    one_line,
    raw_timing,
)
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName

FORMAT = "pytest-benchmark's JSON"
_AVERAGES = "a value is the average of a round's iterations, so that percentiles of calls are unknown where a round has several"
_REMEDY = "use one iteration per round (benchmark.pedantic), or time the calls with `harness run`"
LIMITATIONS = (RunWarning(WarningName.PYTEST_BENCHMARK, _AVERAGES, _REMEDY),)
MACHINE = ("machine", "system", "release", "python_implementation", "python_version")
"""The facts that identify a machine; the rest of `machine_info`, such as the clock rate, changes from run to run."""


class _Stats(msgspec.Struct):
    min: Number = None
    max: Number = None
    mean: Number = None
    median: Number = None
    stddev: Number = None
    iqr: Number = None
    rounds: int | None = None
    iterations: int = 1
    data: list[Number] | None = None


class _SavedBenchmark(msgspec.Struct):
    name: str
    stats: _Stats | None = None
    fullname: str | None = None
    group: str | None = None


class _PytestBenchmarkFile(msgspec.Struct):
    benchmarks: list[_SavedBenchmark]
    machine_info: dict[str, Any] | None = None
    commit_info: dict[str, Any] | None = None
    datetime: str = ""
    version: str = ""


def recognises(content: Content) -> bool:
    """Return whether benchmarks have `stats`, or there is pytest-benchmark's description of the machine."""
    benchmarks = content.member("benchmarks")
    if b'"stats"' in benchmarks:
        return not (content.member("context") or content.member("instrument"))  # Google Benchmark's and CodSpeed's
    return bool(benchmarks and content.member("machine_info"))


def parse(content: Content) -> Reading:
    """Return the times of a file."""
    file, found = msgspec.json.decode(content.body, type=_PytestBenchmarkFile), Benchmarks()
    names = found.names([(saved.fullname or saved.name, saved.group or "") for saved in file.benchmarks])
    for name, saved in zip(names, file.benchmarks, strict=True):
        with found.benchmark(name):
            found.add(_timing(name, saved.stats))
    if any(timing.deviation_ns is not None for timing in found.timings):
        found.warnings.append(replace(APPROXIMATE, remedy="save the rounds: --benchmark-json=FILE, or --benchmark-save-data"))
    about = file.commit_info or {}
    given, dirty = about.get("id"), about.get("dirty") is True
    commit = one_line(given) if isinstance(given, str) and given not in {"", "unversioned"} else None
    facts = {"commit": commit, "dirty": dirty, "started_at": one_line(file.datetime), "environment": _environment(file)}
    return found.reading("pytest-benchmark", FORMAT, **facts)


def _timing(name: str, stats: _Stats | None) -> Timing:
    if stats is None:
        raise InvalidFileError("has no statistics: it failed")
    of_data = raw_timing(name, all_nanoseconds("round", stats.data), single_calls=stats.iterations == 1) if stats.data else None
    if of_data and (stats.rounds or 0) <= len(stats.data or ()):
        return of_data
    figures = four_figures({key: getattr(stats, key) for key in ("median", "mean", "min", "max")})
    if of_data:  # thinned: the figures are of all rounds
        return Timing(name, stats.rounds, *figures, percentiles_ns=of_data.percentiles_ns, units=of_data.units, calls=of_data.calls)
    return Timing(name, stats.rounds, *figures, deviation_ns=deviation_ns(stats.stddev, stats.iqr) if stats.rounds else None)


def _environment(file: _PytestBenchmarkFile) -> dict[str, str]:
    machine = file.machine_info or {}
    node, cpu = machine.get("node"), machine.get("cpu")
    facts = {key: machine.get(key) for key in MACHINE}
    facts["host, as a digest"] = node and hashlib.sha256(str(node).encode(errors="replace")).hexdigest()[:8]
    facts["cpu"] = (cpu.get("brand_raw") or cpu.get("brand")) if isinstance(cpu, dict) else None
    facts["pytest-benchmark"] = file.version
    return {key: one_line(str(value)) for key, value in facts.items() if value}
