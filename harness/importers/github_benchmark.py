"""Read the JSON of github-action-benchmark, and the `data.js` that it publishes: figures with a unit, one value per benchmark.

The JSON is a list of `name`, `unit` and `value`. In `data.js`, `entries` maps a suite to its commits, each with a `tool` and such a
list, as `benches`; `parse` reads the last commit of each suite, `parse_all` every commit. The tool decides whether less is better
where the unit does not.
"""

import re
from collections import Counter
from collections.abc import Mapping

import msgspec

from harness.importers.reading import (
    ONE_FIGURE,
    Benchmarks,
    Content,
    InvalidFileError,
    Number,
    Reading,
    Timing,
    moment,
    nanoseconds,
    number,
    one_line,
)
from harness.results.names import visible
from harness.results.run import FileMetric, RunWarning
from harness.results.warning_names import WarningName

FORMAT = "github-action-benchmark's JSON or data.js"
_LIMITS = "it has one value per benchmark, so that there is no interval"
LIMITATIONS = (RunWarning(WarningName.GITHUB_BENCHMARK, _LIMITS, "compare the files of the tool that measured"),)
SCRIPT = re.compile(rb"\A\s*(?:window\.)?BENCHMARK_DATA\s*=\s*")
TIME = re.compile(
    r"(ns|nsec|us|µs|μs|usec|ms|msec|s|sec|secs|seconds?|min|minutes?)(?:/(?:iter|iteration|op|call|run|request|\w*op))?"
)
"""A unit of time, per operation or not."""
PER_S = {"n": 1e9, "u": 1e6, "µ": 1e6, "μ": 1e6, "ms": 1e3, "msec": 1e3, "s": 1.0, "m": 1 / 60}
"""The beginning of a unit, or all of it → the number of such units in a second."""
RATE = re.compile(r".*(?:/|\bper\s+)(?:s|sec|seconds?)|(?:ops|rps|qps|tps|fps|hz|iops)", re.IGNORECASE)
"""A unit of throughput: more is better."""
BETTER = {"customSmallerIsBetter": True, "customBiggerIsBetter": False}
"""Tool → whether less is better."""


class _Bench(msgspec.Struct):
    name: str
    value: Number
    unit: str = ""


class _Commit(msgspec.Struct):
    id: str = ""


class _SuiteEntry(msgspec.Struct):
    benches: list[_Bench]
    commit: _Commit = msgspec.field(default_factory=_Commit)
    date: float | None = None
    """Unix time in milliseconds."""
    tool: str = ""


class _Published(msgspec.Struct):
    entries: dict[str, list[_SuiteEntry]]


def recognises(content: Content) -> bool:
    """Return whether it is a list of figures with names and units, or a script that sets the data of its page."""
    is_list = all(part in content.first for part in (b'"name"', b'"value"', b'"unit"'))
    return is_list or SCRIPT.match(content.body) is not None or b'"benches"' in content.member("entries")


def parse(content: Content) -> Reading:
    """Return the figures of the last commit: times by their unit, and others as metrics."""
    return _reading({suite: entries[-1] for suite, entries in _entries(content).items()})


def parse_all(content: Content) -> list[Reading]:
    """Return the figures of every commit that has any, in the order of their times; see `parse`."""
    suites = _entries(content)
    commits: dict[tuple[str, int], dict[str, _SuiteEntry]] = {}
    for suite, entries in suites.items():
        again = Counter[str]()
        for entry in entries:
            commits.setdefault((entry.commit.id, again[entry.commit.id]), {})[suite] = entry
            again[entry.commit.id] += 1
    each = sorted(commits.values(), key=lambda found: max(entry.date or 0.0 for entry in found.values()))
    found, problem = list[Reading](), InvalidFileError("it contains no times")
    for of_commit in each:
        try:
            found.append(_reading(of_commit, by_suite=len(suites) > 1))
        except InvalidFileError as error:
            problem = error
    if not found:
        raise problem
    return found


def _reading(entries: Mapping[str, _SuiteEntry], *, by_suite: bool = False) -> Reading:
    """Return the figures of one entry per suite; `by_suite` adds the suite to every name, and not only to equal ones."""
    found = Benchmarks()
    benches = [(suite, entry, bench) for suite, entry in entries.items() for bench in entry.benches]
    names = found.names([(f"{suite} · {bench.name}" if by_suite else bench.name, suite) for suite, _, bench in benches])
    for name, (_, entry, bench) in zip(names, benches, strict=True):
        unit, less_is_better = bench.unit.strip(), BETTER.get(entry.tool)
        with found.benchmark(name):
            time = TIME.fullmatch(unit)
            if time and less_is_better is not False:
                value_ns = nanoseconds("value", bench.value, _per_s(time[1]))
                found.add(Timing(name, None, value_ns, value_ns, value_ns, value_ns))
                continue
            if less_is_better is None and RATE.fullmatch(unit):
                less_is_better = False
            figures = (None, None, number("value", bench.value), None, None)
            found.metrics.append(FileMetric("", name, visible(unit), *figures, {}, less_is_better))
    if found.timings:
        found.warnings.append(ONE_FIGURE)
    last = max(entries.values(), key=lambda entry: entry.date or 0.0, default=None)
    commit = one_line(last.commit.id) or None if last else None
    return found.reading(
        "github-action-benchmark", FORMAT, commit=commit, started_at=moment(last.date / 1e3 if last and last.date else None)
    )


def _entries(content: Content) -> dict[str, list[_SuiteEntry]]:
    """Return the entries of each suite that has any; a plain list is one entry, of a suite without a name."""
    if content.first:
        return {"": [_SuiteEntry(msgspec.json.decode(content.body, type=list[_Bench]))]}
    body = SCRIPT.sub(b"", content.body).strip().removesuffix(b";")
    try:
        published = msgspec.json.decode(body, type=_Published)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        raise InvalidFileError(f"what it assigns is not JSON ({error})") from error
    return {suite: entries for suite, entries in published.entries.items() if entries}


def _per_s(unit: str) -> float:
    return next(per_s for start, per_s in PER_S.items() if unit.startswith(start))
