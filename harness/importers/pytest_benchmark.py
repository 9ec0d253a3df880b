"""Read pytest-benchmark's JSON, of `--benchmark-json` and of its storage, versions 3 to 5, with and without the rounds' times.

Structure: `machine_info`, `commit_info`, `datetime`, `version`, and `benchmarks`, each with `fullname` (by which pytest-benchmark
itself joins) and `stats` in seconds. `stats.data` has one value per round, the average over the round's `iterations`; the storage
has it only with `--benchmark-save-data`. With fewer values than rounds they are thinned, and the other figures are of all rounds.
"""

import hashlib
from dataclasses import replace
from typing import Any

import msgspec

from harness.importers.reading import Content, Reading, Timing, nanoseconds, one_line, raw_timing
from harness.results.run import RunWarning

FORMAT = "pytest-benchmark's JSON"
_AVERAGES = "a value is the average of a round's iterations, so that percentiles of calls are unknown where a round has several"
_REMEDY = "use one iteration per round (benchmark.pedantic), or time the calls with `harness run`"
LIMITATIONS = (RunWarning("pytest-benchmark's limitations", _AVERAGES, _REMEDY),)
MACHINE = ("machine", "system", "release", "python_implementation", "python_version")
"""The facts that identify a machine; the rest of `machine_info`, such as the clock rate, changes from run to run."""


class _Stats(msgspec.Struct):
    min: float
    max: float
    mean: float
    median: float
    rounds: int
    iterations: int = 1
    data: list[float] | None = None


class _SavedBenchmark(msgspec.Struct):
    name: str
    stats: _Stats
    fullname: str | None = None


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
        return not content.member("context")  # Google Benchmark's
    return bool(benchmarks and content.member("machine_info"))


def parse(content: Content) -> Reading:
    """Return the times of a file."""
    file = msgspec.json.decode(content.body, type=_PytestBenchmarkFile)
    timings, about = tuple(_timing(benchmark) for benchmark in file.benchmarks), file.commit_info or {}
    given, dirty = about.get("id"), about.get("dirty") is True
    commit = one_line(given) if isinstance(given, str) and given not in {"", "unversioned"} else None
    return Reading("", "pytest-benchmark", FORMAT, timings, one_line(file.datetime), commit, dirty, _environment(file))


def _timing(benchmark: _SavedBenchmark) -> Timing:
    name, stats = one_line(benchmark.fullname or benchmark.name), benchmark.stats
    if stats.data and stats.rounds <= len(stats.data):
        return raw_timing(name, nanoseconds(name, stats.data), single_calls=stats.iterations == 1)
    least, most, mean, median = nanoseconds(name, [stats.min, stats.max, stats.mean, stats.median])
    of_all = Timing(name, stats.rounds, median, mean, least, most)
    if not stats.data:
        return of_all
    thinned = raw_timing(name, nanoseconds(name, stats.data), single_calls=stats.iterations == 1)
    return replace(of_all, percentiles_ns=thinned.percentiles_ns, units=thinned.units)


def _environment(file: _PytestBenchmarkFile) -> dict[str, str]:
    machine = file.machine_info or {}
    node, cpu = machine.get("node"), machine.get("cpu")
    facts = {key: machine.get(key) for key in MACHINE}
    facts["host, as a digest"] = node and hashlib.sha256(str(node).encode(errors="replace")).hexdigest()[:8]
    facts["cpu"] = (cpu.get("brand_raw") or cpu.get("brand")) if isinstance(cpu, dict) else None
    facts["pytest-benchmark"] = file.version
    return {key: one_line(str(value)) for key, value in facts.items() if value}
