"""Locust's `--json` and `--json-file`: a list of kinds of request, each with its whole histogram of rounded response times.

`response_times` maps milliseconds, as rounded by Locust, to how many requests took so long; the rest are exact aggregates.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np

from harness.importers.locust_rounding import LOSES as ROUNDED
from harness.importers.locust_rounding import TOOL, failed, rounding_ms
from harness.importers.reading import MOST_VALUES, Content, OperationCounts, Reading, Timing, distinct, nanoseconds, one_line

FORM = "Locust's JSON"
LOSES = ROUNDED
LAST_START_S = 2**32
"""The year 2106, in Unix time: a later start is none."""


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
    """Whether it is a list of entries with response times."""
    return isinstance(content.outline, list) and bool(content.outline) and b'"response_times"' in bytes(content.outline[0])


def parse(content: Content) -> Reading:
    """Return the times of a file.

    Raises:
        UsageError: there are none, or one is no time.
    """
    entries = msgspec.json.decode(content.body, type=list[_LocustEntry])
    timings = [_timing(content, entry) for entry in entries if entry.response_times]
    starts = [entry.start_time for entry in entries if entry.start_time and 0 < entry.start_time < LAST_START_S]
    return Reading(
        file="",
        tool=TOOL,
        form=FORM,
        timings=distinct(content, FORM, timings),
        started_at=datetime.fromtimestamp(min(starts), UTC).isoformat(timespec="seconds") if starts else "",
        warnings=failed({timing.name: timing.errors for timing in timings}),
    )


def _timing(content: Content, entry: _LocustEntry) -> Timing:
    name = one_line(f"{entry.method or ''} {entry.name}")
    if not all(0 < count < MOST_VALUES for count in entry.response_times.values()) or entry.num_failures < 0:
        raise content.refused(FORM, f"{name!r} has a count that is none")
    try:
        values_ms = {float(key): count for key, count in entry.response_times.items()}
    except ValueError as error:
        raise content.refused(FORM, f"{name!r} has a response time that is no number ({error})") from error
    ordered = sorted(values_ms)
    values_ns = nanoseconds(content, FORM, name, ordered, per_s=1e3, zero=True)
    histogram = OperationCounts(np.array(values_ns), np.array([values_ms[value] for value in ordered], dtype=np.int64))
    bucketed = all(rounding_ms(value) for value in ordered)
    median_ns = histogram.quantile_ns(0.5)
    ends = [entry.min_response_time, entry.max_response_time, entry.total_response_time]
    timing = Timing(
        name=name,
        samples=histogram.total,
        median_ns=median_ns,
        mean_ns=histogram.mean_ns,
        min_ns=values_ns[0],
        max_ns=values_ns[-1],
        percentiles_ns=histogram.percentiles_ns(),
        units=histogram,
        rounding_ns=rounding_ms(ordered[int(np.searchsorted(values_ns, median_ns))]) * 1e6 if bucketed else 0.0,
        errors=entry.num_failures,
    )
    if any(end is None for end in ends):
        return timing
    exact = [float(end or 0.0) for end in ends]
    least, most, mean = nanoseconds(content, FORM, name, [*exact[:2], exact[2] / histogram.total], per_s=1e3, zero=True)
    return replace(timing, min_ns=least, max_ns=most, mean_ns=mean)
