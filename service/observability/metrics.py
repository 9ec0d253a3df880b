"""The service's metrics, each named once: the registry is filled and the dashboard is drawn from this table.

Labels have few values, all known beforehand: never SQL, an id, or a path as a client sent it. What a statement said is in the
slow-query log.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["histogram", "counter", "gauge"]

LEAST_S, MOST_S = 50e-6, 10.0
"""prometheus_client's own buckets begin at 5 ms: a statement of a fifth of a millisecond is in the same one as another that takes
twenty times as long."""

FINE, COARSE = 1.1, 1.5
"""How much further each bucket reaches than the one before: no quantile is further off than that, and each bucket is a series."""


def buckets_s(step: float, least_s: float = LEAST_S, most_s: float = MOST_S) -> tuple[float, ...]:
    """Return upper bounds in seconds, three digits each, from `least_s` in steps until one is `most_s` or more.

    Raises:
        ValueError: the bounds do not ascend, or `step` is so small that two bounds round to the same.
    """
    if not 0 < least_s < most_s or step < 1.01:  # noqa: PLR2004 - three digits cannot tell smaller steps apart
        raise ValueError(f"no buckets lead from {least_s} to {most_s} in steps of {step}")
    steps = math.ceil(math.log(most_s / least_s) / math.log(step) - 1e-9)
    return tuple(float(f"{least_s * step**number:.3g}") for number in range(steps + 1))


@dataclass(frozen=True)
class Metric:
    """One metric: its name as it is exposed, its kind, what it tells, its labels and the unit of its values.

    Units are Grafana's: "s" for seconds, "short" for a number. `step` is that of a histogram's buckets.
    """

    name: str
    kind: Kind
    tells: str
    labels: tuple[str, ...] = ()
    unit: str = "short"
    step: float = COARSE


STATEMENTS = Metric(
    "db_statement_duration_seconds",
    "histogram",
    "Time from sending a statement until the driver has answered",
    ("operation", "entity", "outcome"),
    "s",
    FINE,
)
ERRORS = Metric("db_errors_total", "counter", "Statements and connections that failed", ("kind",))
POOL_WAIT = Metric("db_pool_wait_seconds", "histogram", "Time that a request waited for a connection", ("pool",), "s")
POOL_SIZE = Metric("db_pool_size", "gauge", "Connections that the pool keeps", ("pool",))
POOL_CHECKED_OUT = Metric("db_pool_checked_out", "gauge", "Connections in use", ("pool",))
POOL_OVERFLOW = Metric("db_pool_overflow", "gauge", "Connections beyond the pool's size", ("pool",))
POOL_WAITING = Metric("db_pool_waiting", "gauge", "Requests that wait for a connection, or for one to be made", ("pool",))
REQUESTS = Metric(
    "http_request_duration_seconds",
    "histogram",
    "Time from a request's arrival until its answer has been sent",
    ("method", "route", "status"),
    "s",
)
CACHE_HITS = Metric("cache_hits_total", "counter", "Reads that were answered without the database", ("cache",))
CACHE_MISSES = Metric("cache_misses_total", "counter", "Reads that had to go to the database", ("cache",))
SLOW_DROPPED = Metric("slow_queries_dropped_total", "counter", "Slow statements that could not be written to the log")

METRICS = (
    REQUESTS,
    STATEMENTS,
    ERRORS,
    POOL_WAIT,
    POOL_SIZE,
    POOL_CHECKED_OUT,
    POOL_OVERFLOW,
    POOL_WAITING,
    CACHE_HITS,
    CACHE_MISSES,
    SLOW_DROPPED,
)
