"""Read Locust's `--json` and `--json-file`: a list of request types, each with its histogram of rounded response times.

`response_times` maps milliseconds, as rounded by Locust (`locust.stats.bucket_response_time`, Locust 2), to numbers of requests;
the other members are exact aggregates.
"""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np

from harness.importers.reading import MAX_VALUES, Content, InvalidFileError, Reading, TimeCounts, Timing, nanoseconds, one_line
from harness.results.run import RunWarning

TOOL, FORMAT = "Locust", "Locust's JSON"
_ROUNDED = "response times are rounded to whole milliseconds, above 100 ms to two digits, and so are medians and percentiles"
_WAITS = "times of failed requests are included, and a user who waits for a slow response sends nothing meanwhile"
_LOAD = "run the scenario with `harness load`, which separates failures and measures from the intended start"
LIMITATIONS = (
    RunWarning("Locust's rounding", _ROUNDED, "run the scenario with `harness load`, which keeps nanoseconds"),
    RunWarning("Locust's limitations", _WAITS, _LOAD),
)
_STEPS_MS = ((100.0, 1), (1_000.0, 10), (10_000.0, 100), (float("inf"), 1_000))
"""The time below which Locust rounds to a step, and the step."""

LAST_START_S = 2**32
"""The year 2106, in Unix time: a later start is invalid."""


class _LocustEntry(msgspec.Struct):
    name: str
    method: str | None
    num_requests: int
    num_failures: int
    response_times: dict[str, int]
    min_response_time: float | None = None
    max_response_time: float | None = None
    total_response_time: float | None = None
    start_time: float | None = None


def recognises(content: Content) -> bool:
    """Return whether it is a list of entries with response times."""
    return isinstance(content.outline, list) and bool(content.outline) and b'"response_times"' in bytes(content.outline[0])


def parse(content: Content) -> Reading:
    """Return the times of a file."""
    entries = msgspec.json.decode(content.body, type=list[_LocustEntry])
    timings = tuple(_timing(entry) for entry in entries if entry.response_times)
    starts = [entry.start_time for entry in entries if entry.start_time and 0 < entry.start_time < LAST_START_S]
    started_at = datetime.fromtimestamp(min(starts), UTC).isoformat(timespec="seconds") if starts else ""
    warnings = failed({timing.name: timing.errors for timing in timings})
    return Reading("", TOOL, FORMAT, timings, started_at, warnings=warnings)


def _timing(entry: _LocustEntry) -> Timing:
    name = one_line(f"{entry.method or ''} {entry.name}")
    if not all(0 < count < MAX_VALUES for count in entry.response_times.values()) or entry.num_failures < 0:
        raise InvalidFileError(f"{name!r} has an invalid count")
    try:
        values_ms = {float(key): count for key, count in entry.response_times.items()}
    except ValueError as error:
        raise InvalidFileError(f"{name!r} has a response time that is not a number ({error})") from error
    ordered = sorted(values_ms)
    values_ns = nanoseconds(name, ordered, per_s=1e3, zero=True)
    counts = TimeCounts(np.array(values_ns), np.array([values_ms[value] for value in ordered], dtype=np.int64))
    timing = replace(counts.timing(name), errors=entry.num_failures)
    if all(rounding_ms(value) for value in ordered):
        median_ms = ordered[int(np.searchsorted(values_ns, timing.median_ns))]
        timing = replace(timing, rounding_ns=rounding_ms(median_ms) * 1e6)
    least, most, total = entry.min_response_time, entry.max_response_time, entry.total_response_time
    if least is None or most is None or total is None:
        return timing
    exact = nanoseconds(name, [least, most, total / counts.total], per_s=1e3, zero=True)
    return replace(timing, min_ns=exact[0], max_ns=exact[1], mean_ns=exact[2])


def rounding_ms(value_ms: float) -> float:
    """Return the largest distance of a time from the bucket it was put into; 0 where Locust has no bucket of this value."""
    step = next(step for limit, step in _STEPS_MS if value_ms < limit)
    return step / 2 if value_ms % step == 0 else 0.0


def failed(errors: dict[str, int]) -> tuple[RunWarning, ...]:
    """Return the warning about failed requests; `errors` maps names to numbers of failures."""
    found = [f"{number:,} × {name}" for name, number in errors.items() if number]
    return (RunWarning("failed requests", f"failed: {', '.join(found)}", "fix them: their times are included"),) if found else ()
