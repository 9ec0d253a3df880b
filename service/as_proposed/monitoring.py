"""The review's monitoring as written: a decorator for repository methods, four metrics, a list of slow queries, a dashboard.

Only the registry and the list belong to the instance here, since a process has several. As proposed, the buckets are the library's,
a metric is looked up by its labels on every call, the list grows without limit, and undecorated methods are not measured.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

Method = Callable[..., Coroutine[Any, Any, Any]]

PANELS: Mapping[str, str] = {
    "Query Duration (P95)": "histogram_quantile(0.95, db_query_duration_seconds)",
    "Queries per Second": "rate(db_query_total[5m])",
    "Connection Pool Usage": "db_connection_pool_size / db_connection_pool_max * 100",
    "Slow Queries (>100ms)": "db_query_duration_seconds > 0.1",
}
"""The dashboard's panels and their Prometheus queries."""

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # the application configures where warnings go


class ReviewMonitoring:
    """The review's metrics module."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.slow_queries: list[dict[str, Any]] = []
        self._duration = Histogram(
            "db_query_duration_seconds", "Database query duration", ["operation", "table"], registry=self.registry
        )
        self._total = Counter("db_query_total", "Total database queries", ["operation", "table", "status"], registry=self.registry)
        self._pool_size = Gauge("db_connection_pool_size", "Current connection pool size", registry=self.registry)
        self._pool_overflow = Gauge("db_connection_pool_overflow", "Current connection pool overflow", registry=self.registry)

    def monitor_query(self, operation: str, table: str, threshold_ms: float = 100.0) -> Callable[[Method], Method]:
        """Return the review's decorator: it times a repository's method."""

        def decorator(method: Method) -> Method:
            @wraps(method)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                start = time.perf_counter()
                status = "success"
                try:
                    return await method(*args, **kwargs)
                except Exception:
                    status = "error"
                    raise
                finally:
                    duration = time.perf_counter() - start
                    self._duration.labels(operation=operation, table=table).observe(duration)
                    self._total.labels(operation=operation, table=table, status=status).inc()
                    if duration * 1000 > threshold_ms:
                        query = {"operation": operation, "table": table, "function": method.__name__}
                        self.slow_queries.append({**query, "duration_ms": duration * 1000, "timestamp": time.time()})
                        _log.warning(f"Slow query detected: {operation} on {table} took {duration * 1000:.2f}ms")

            return wrapper

        return decorator

    def collect_pool_metrics(self, engine: Any) -> None:
        """Set the gauges from an engine's pool; according to the review it is called regularly."""
        self._pool_size.set(engine.pool.size())
        self._pool_overflow.set(engine.pool.overflow())

    def slow_query_report(self) -> str:
        """Return the review's report: by table, the one with the most slow queries first."""
        if not self.slow_queries:
            return "No slow queries detected"
        by_table = defaultdict(list)
        for entry in self.slow_queries:
            by_table[entry["table"]].append(entry)
        report = "=== Slow Query Report ===\n\n"
        for table, queries in sorted(by_table.items(), key=lambda item: len(item[1]), reverse=True):
            mean_ms = sum(query["duration_ms"] for query in queries) / len(queries)
            slowest = max(queries, key=lambda query: query["duration_ms"])
            report += f"Table: {table} ({len(queries)} slow queries)\n"
            report += f"  Average duration: {mean_ms:.2f}ms\n"
            report += f"  Slowest: {slowest['duration_ms']:.2f}ms ({slowest['operation']})\n\n"
        return report

    def render(self) -> bytes:
        """Return all metrics in Prometheus' format."""
        return generate_latest(self.registry)
