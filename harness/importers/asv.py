"""Read asv's results of one commit, `results/MACHINE/HASH-env.json`, in both versions of the format.

In version 2, `results` maps a benchmark to a row, whose columns `result_columns` names and whose end may be missing: `result` has
a value per combination of `params`, null for one that failed and NaN for one that was skipped. In version 1, it maps to a value, or
to an object with `result`, `params` and `stats`. The unit follows from the name: `time_` in seconds, `mem_` in bytes.
"""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from harness.importers.reading import (
    APPROXIMATE,
    ONE_FIGURE,
    Benchmarks,
    Content,
    InvalidFileError,
    Number,
    Reading,
    Timing,
    all_nanoseconds,
    deviation_ns,
    listed,
    moment,
    nanoseconds,
    number,
    one_line,
    raw_metric,
    raw_timing,
)
from harness.results.run import FileMetric, RunWarning
from harness.results.warning_names import WarningName

FORMAT = "asv's results"
_AVERAGES = "a value is the average of many calls, so that percentiles of single calls are unknown"
LIMITATIONS = (RunWarning(WarningName.ASV, _AVERAGES, "time single calls with `harness run`"),)
MACHINE = ("arch", "cpu", "os", "ram", "python")
SKIPPED = "NaN"
MAX_COMBINATIONS = 100_000
"""The number of combinations of parameters of a benchmark that failed as a whole."""
STATS = ("q_25", "q_75", "repeat", "number")


@dataclass(frozen=True)
class _AsvResult:
    """One benchmark with one combination of its parameters."""

    name: str
    unit: str
    """"s", "bytes", or "" for a plain number."""
    value: Number
    samples: list[Number]
    stats: dict[str, Number]


def recognises(content: Content) -> bool:
    """Return whether there are results of a commit."""
    return content.member("results").startswith(b"{") and bool(content.member("result_columns") or content.member("commit_hash"))


def parse(content: Content) -> Reading:
    """Return the times and other figures of a file."""
    file = msgspec.json.decode(content.body, type=dict[str, Any])
    results, found = list(_results(file)), Benchmarks()
    failed, skipped = [], []
    for name, result in zip(found.names([(result.name, "") for result in results]), results, strict=True):
        with found.benchmark(name):
            if result.value is None:
                failed.append(name)
                found.count(name, 1, 1, messages={"failed": 1})
            elif result.value == SKIPPED:
                skipped.append(name)
            elif result.unit == "s":
                found.add(_timing(name, result))
            else:
                found.metrics.append(_metric(name, result))
    for names, title, message in (
        (failed, WarningName.FAILED_BENCHMARKS, "failed"),
        (skipped, WarningName.SKIPPED_BENCHMARKS, "skipped, and left out"),
    ):
        if names:
            found.warnings.append(RunWarning(title, f"{message}: {listed(names)}", "see what `asv run -e` prints"))
    found.warnings += [ONE_FIGURE] * any(timing.units is None for timing in found.timings)
    if any(timing.deviation_ns is not None for timing in found.timings):
        found.warnings.append(replace(APPROXIMATE, remedy="save the samples: `asv run --record-samples`"))
    commit, date_ms = file.get("commit_hash"), file.get("date")
    commit = one_line(commit) if isinstance(commit, str) and commit else None
    facts = {"commit": commit, "started_at": moment(date_ms / 1e3 if isinstance(date_ms, int | float) else None)}
    return found.reading("asv", FORMAT, environment=_environment(file), **facts)


def _results(file: dict[str, Any]) -> Iterator[_AsvResult]:
    columns = file.get("result_columns")
    for name, given in file["results"].items():
        if isinstance(columns, list):
            if not isinstance(given, list):
                raise InvalidFileError(f"the result of {name!r} is not a row")
            row = dict(zip(map(str, columns), given, strict=False))
            stats = {key: _as_list(row.get(f"stats_{key}")) for key in STATS}
        else:
            row = given if isinstance(given, dict) else {"result": given}
            each = [one if isinstance(one, dict) else {} for one in _as_list(row.get("stats"))]
            stats = {key: [one.get(key) for one in each] for key in STATS}
        params = [_as_list(values) for values in _as_list(row.get("params"))]
        yield from _combinations(name, params, row, stats)


def _combinations(name: str, params: list[list[Any]], row: dict[str, Any], stats: dict[str, list[Any]]) -> Iterator[_AsvResult]:
    values, samples = _as_list(row.get("result")), _as_list(row.get("samples"))
    function = name.rpartition(".")[2].lower()
    unit = "s" if function.startswith("time") else "bytes" if function.startswith(("mem", "peakmem")) else ""
    combinations = itertools.islice(itertools.product(*params), len(values) or MAX_COMBINATIONS)
    for place, combination in enumerate(combinations):
        shown = f"{name}({', '.join(map(str, combination))})" if combination else name
        raw = [_number(value) for value in _as_list(_at(samples, place))]
        of_one = {key: _number(_at(column, place)) for key, column in stats.items()}
        yield _AsvResult(shown, unit, _number(_at(values, place)), raw, of_one)


def _timing(name: str, result: _AsvResult) -> Timing:
    if result.samples:
        return raw_timing(name, all_nanoseconds("sample", result.samples), single_calls=result.stats["number"] == 1)
    value_ns = nanoseconds("result", result.value)
    repeat, low, high = (result.stats[key] for key in ("repeat", "q_25", "q_75"))
    iqr = None if low is None or high is None else number("q_75", high) - number("q_25", low)
    samples = None if repeat is None else int(number("repeat", repeat))
    deviation = deviation_ns(None, iqr) if samples else None
    return Timing(name, samples, value_ns, value_ns, value_ns, value_ns, deviation_ns=deviation)


def _metric(name: str, result: _AsvResult) -> FileMetric:
    less_is_better = True if result.unit == "bytes" else None
    if result.samples:
        return raw_metric(name, result.unit, result.samples, single=False, less_is_better=less_is_better)
    value = number("result", result.value)
    return FileMetric("", name, result.unit, None, value, None, None, None, {}, less_is_better)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _at(values: list[Any], place: int) -> Any:
    return values[place] if place < len(values) else None


def _number(value: Any) -> Number:
    if isinstance(value, bool) or not (value is None or isinstance(value, float | int | str)):
        raise InvalidFileError(f"it contains {value!r:.100}, which is not a number")
    return value


def _environment(file: dict[str, Any]) -> dict[str, str]:
    params = file.get("params")
    machine = params if isinstance(params, dict) else {}
    facts = {key: machine.get(key) for key in MACHINE}
    host = machine.get("machine")
    facts["host, as a digest"] = host and hashlib.sha256(str(host).encode(errors="replace")).hexdigest()[:8]
    facts["environment"] = file.get("env_name")
    return {key: one_line(str(value)) for key, value in facts.items() if value}
