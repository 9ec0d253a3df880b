"""Read pytest-benchmark's JSON, of `--benchmark-json` and of its storage, versions 3 to 5, with and without the rounds' times.

Structure: `machine_info`, `commit_info`, `datetime`, `version`, and `benchmarks`, each with `fullname` (by which pytest-benchmark
itself joins) and `stats` in seconds. `stats.data` has one value per round, the average over the round's `iterations`; the storage
has it only with `--benchmark-save-data`.
"""

import hashlib
from typing import Any

import msgspec

from harness.importers.reading import Content, Reading, Timing, distinct, nanoseconds, one_line, raw_timing
from harness.results.run import RunWarning

FORMAT = "pytest-benchmark's JSON"
LIMITATIONS = (
    RunWarning(
        "pytest-benchmark's limitations",
        "a value is the average of a round's iterations, so that percentiles of calls are unknown where a round has several",
        "use one iteration per round (benchmark.pedantic), or time the calls with `harness run`",
    ),
)
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
    if b'"stats"' in content.member("benchmarks"):
        return not content.member("context")  # Google Benchmark's
    return bool(content.member("benchmarks") and content.member("machine_info"))


def parse(content: Content) -> Reading:
    """Return the times of a file.

    Raises:
        UsageError: there are none, or one is not a time.
    """
    file = msgspec.json.decode(content.body, type=_PytestBenchmarkFile)
    commit = file.commit_info or {}
    return Reading(
        file="",
        tool="pytest-benchmark",
        format=FORMAT,
        timings=distinct(content, FORMAT, [_timing(content, benchmark) for benchmark in file.benchmarks]),
        started_at=one_line(file.datetime),
        commit=_commit(commit.get("id")),
        dirty=commit.get("dirty") is True,
        environment=_environment(file),
    )


def _timing(content: Content, benchmark: _SavedBenchmark) -> Timing:
    name, stats = one_line(benchmark.fullname or benchmark.name), benchmark.stats
    if stats.data:
        values = nanoseconds(content, FORMAT, name, stats.data)
        return raw_timing(name, values, single_calls=stats.iterations == 1)
    least, most, mean, median = nanoseconds(content, FORMAT, name, [stats.min, stats.max, stats.mean, stats.median])
    return Timing(name, stats.rounds, median, mean, least, most)


def _commit(given: object) -> str | None:
    """Return the commit; outside a checkout, pytest-benchmark writes "unversioned"."""
    return one_line(given) if isinstance(given, str) and given not in {"", "unversioned"} else None


def _environment(file: _PytestBenchmarkFile) -> dict[str, str]:
    machine = file.machine_info or {}
    found = {key: one_line(str(machine[key])) for key in MACHINE if machine.get(key)}
    cpu = machine.get("cpu")
    if machine.get("node"):
        found["host, as a digest"] = hashlib.sha256(str(machine["node"]).encode(errors="replace")).hexdigest()[:8]
    brand = (cpu.get("brand_raw") or cpu.get("brand")) if isinstance(cpu, dict) else None
    if brand:
        found["cpu"] = one_line(str(brand))
    return found | ({"pytest-benchmark": one_line(file.version)} if file.version else {})
