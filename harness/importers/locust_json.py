"""Read Locust's `--json` and `--json-file`: a list of request types, each with its histogram of rounded response times.

`response_times` maps milliseconds, as rounded by Locust (`locust.stats.bucket_response_time`, Locust 2), to numbers of requests,
failed ones included; the other members are exact aggregates.
"""

from collections.abc import Iterable
from dataclasses import replace

import msgspec
import numpy as np

from harness.importers.reading import (
    MAX_VALUES,
    Benchmarks,
    Content,
    InvalidFileError,
    Number,
    Reading,
    TimeCounts,
    Timing,
    all_nanoseconds,
    moment,
    nanoseconds,
)
from harness.results.names import shortened
from harness.results.run import OperationCounts, RunWarning
from harness.results.warning_names import WarningName

TOOL, FORMAT = "Locust", "Locust's JSON"
_ROUNDED = "response times are rounded to whole milliseconds, above 100 ms to two digits, and so are medians and percentiles"
_WAITS = "times of failed requests are included, and a user who waits for a slow response sends nothing meanwhile"
_INCLUDED = "their times are included, unless all requests of a kind failed"
_LOAD = "run the scenario with `harness load`, which separates failures and measures from the intended start"
LIMITATIONS = (
    RunWarning(WarningName.LOCUST_ROUNDING, _ROUNDED, "run the scenario with `harness load`, which keeps nanoseconds"),
    RunWarning(WarningName.LOCUST, _WAITS, _LOAD),
)
_STEPS_MS = ((100.0, 1), (1_000.0, 10), (10_000.0, 100), (float("inf"), 1_000))
"""The time below which Locust rounds to a step, and the step."""


class _LocustEntry(msgspec.Struct):
    name: str
    method: str | None
    num_requests: int
    num_failures: int
    response_times: dict[str, int]
    min_response_time: Number = None
    max_response_time: Number = None
    total_response_time: Number = None
    start_time: float | None = None
    last_request_timestamp: float | None = None


def recognises(content: Content) -> bool:
    """Return whether it is a list of entries with response times."""
    return b'"response_times"' in content.first


def parse(content: Content) -> Reading:
    """Return the times of a file."""
    entries, found = msgspec.json.decode(content.body, type=list[_LocustEntry]), Benchmarks()
    for name, entry in zip(found.names([(request(e.method, e.name), "") for e in entries]), entries, strict=True):
        with found.benchmark(name):
            if found.count(name, entry.num_requests, entry.num_failures, _per_s(entry)) and entry.response_times:
                found.add(_timing(name, entry))
    starts = [entry.start_time for entry in entries if entry.start_time and entry.start_time > 0]
    found.warnings += failed(found.operations)
    return found.reading(TOOL, FORMAT, started_at=moment(min(starts, default=None)))


def request(method: str | None, name: str) -> str:
    """Return the name of a request type: its method, if it has one, and its path."""
    return f"{method} {name}" if method else name


def _per_s(entry: _LocustEntry) -> float | None:
    if entry.start_time is None or entry.last_request_timestamp is None or not entry.num_requests:
        return None
    elapsed_s = entry.last_request_timestamp - entry.start_time
    return entry.num_requests / elapsed_s if elapsed_s > 0 else None


def _timing(name: str, entry: _LocustEntry) -> Timing:
    if not all(0 < count < MAX_VALUES for count in entry.response_times.values()):
        raise InvalidFileError("has an invalid count")
    try:
        values_ms = {float(key): count for key, count in entry.response_times.items()}
    except ValueError as error:
        raise InvalidFileError(f"has a response time that is not a number ({shortened(str(error))})") from error
    ordered = sorted(values_ms)
    values_ns = all_nanoseconds("response time", ordered, per_s=1e3)
    counts = TimeCounts(np.array(values_ns), np.array([values_ms[value] for value in ordered], dtype=np.int64))
    timing = counts.timing(name)
    if all(rounding_ms(value) for value in ordered):
        median_ms = ordered[int(np.searchsorted(values_ns, timing.median_ns))]
        timing = replace(timing, rounding_ns=rounding_ms(median_ms) * 1e6)
    least, most, total = entry.min_response_time, entry.max_response_time, entry.total_response_time
    if least is None or most is None or total is None:
        return timing
    ends = (nanoseconds("minimum", least, per_s=1e3), nanoseconds("maximum", most, per_s=1e3))
    total_ns = nanoseconds("total", total, per_s=1e3)
    return replace(timing, min_ns=ends[0], max_ns=ends[1], mean_ns=total_ns / counts.total)


def rounding_ms(value_ms: float) -> float:
    """Return the largest distance of a time from the bucket it was put into; 0 where Locust has no bucket of this value."""
    step = next(step for limit, step in _STEPS_MS if value_ms < limit)
    return step / 2 if value_ms % step == 0 else 0.0


def failed(operations: Iterable[OperationCounts]) -> tuple[RunWarning, ...]:
    """Return the warning about failed requests of the request types."""
    found = [
        f"{counted.errors:,} of {counted.operations:,} × {shortened(counted.group)}" for counted in operations if counted.errors
    ]
    return (RunWarning(WarningName.FAILED_REQUESTS, f"failed: {', '.join(found)}; {_INCLUDED}", "fix them"),) if found else ()
