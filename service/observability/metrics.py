"""The service's metrics, each defined once: the registry and the dashboard are created from this table.

Labels have few values, all known in advance: never SQL, an id, or a path as sent by a client. The text of a statement is in the
slow-query log.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

MIN_S, MAX_S = 50e-6, 10.0
"""Range of the buckets. prometheus_client's default buckets begin at 5 ms: a statement of 0.2 ms would share a bucket with one that
takes twenty times as long."""

FINE, COARSE = 1.1, 1.5  # ratio between consecutive bounds: it limits the error of every quantile, and each bucket is a series


def buckets_s(step: float, min_s: float = MIN_S, max_s: float = MAX_S) -> tuple[float, ...]:
    """Return upper bounds in seconds, with three digits, from `min_s` by factors of `step` up to `max_s`, or raise ValueError."""
    if not 0 < min_s < max_s or step < 1.01:  # noqa: PLR2004 - three digits cannot distinguish smaller steps
        raise ValueError(f"cannot make buckets from {min_s} to {max_s} s with step {step}")
    steps = math.ceil(math.log(max_s / min_s) / math.log(step) - 1e-9)
    return tuple(float(f"{min_s * step**number:.3g}") for number in range(steps + 1))


class MetricKind(StrEnum):
    """Prometheus' type of a metric."""

    HISTOGRAM = "histogram"
    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True)
class Metric:
    """One metric of the service."""

    name: str  # name as exposed
    kind: MetricKind
    help: str  # description, in /metrics and on the dashboard
    labels: tuple[str, ...] = ()
    unit: str = "short"  # Grafana's unit of the values: "s" for seconds, "short" for a number
    step: float = COARSE  # ratio between the bounds of consecutive buckets of a histogram


STATEMENTS = Metric(
    "db_statement_duration_seconds",
    MetricKind.HISTOGRAM,
    "Time from sending a statement until the driver has answered",
    ("operation", "entity", "outcome"),
    "s",
    FINE,
)
ERRORS = Metric("db_errors_total", MetricKind.COUNTER, "Statements and connections that failed", ("kind",))
POOL_WAIT = Metric("db_pool_wait_seconds", MetricKind.HISTOGRAM, "Time that a request waited for a connection", ("pool",), "s")
POOL_SIZE = Metric("db_pool_size", MetricKind.GAUGE, "Connections that the pool keeps", ("pool",))
POOL_CHECKED_OUT = Metric("db_pool_checked_out", MetricKind.GAUGE, "Connections in use", ("pool",))
POOL_OVERFLOW = Metric("db_pool_overflow", MetricKind.GAUGE, "Connections beyond the pool's size", ("pool",))
POOL_WAITING = Metric("db_pool_waiting", MetricKind.GAUGE, "Requests that wait for a connection, or for one to be made", ("pool",))
REQUESTS = Metric(
    "http_request_duration_seconds",
    MetricKind.HISTOGRAM,
    "Time from a request's arrival until its answer has been sent",
    ("method", "route", "status"),
    "s",
)
CACHE_HITS = Metric("cache_hits_total", MetricKind.COUNTER, "Reads that were answered without the database", ("cache",))
CACHE_MISSES = Metric("cache_misses_total", MetricKind.COUNTER, "Reads that had to go to the database", ("cache",))
SLOW_DROPPED = Metric("slow_queries_dropped_total", MetricKind.COUNTER, "Slow statements that could not be written to the log")

POOL_USE = (POOL_SIZE, POOL_CHECKED_OUT, POOL_OVERFLOW)
METRICS = (REQUESTS, STATEMENTS, ERRORS, POOL_WAIT, *POOL_USE, POOL_WAITING, CACHE_HITS, CACHE_MISSES, SLOW_DROPPED)
