"""The service's metrics at run time: durations of statements and requests, errors, the use of the pool, hits of a cache.

`Monitoring` has its own registry, so two applications in one process do not share metrics. Statements are timed by SQLAlchemy's
events on the synchronous engine, which an asyncio engine wraps; the code that sends them is unchanged. The time begins when a
statement is passed to the driver: the wait for a connection has its own metric. An asyncio driver reads a buffered result
completely in this time, a streamed one it does not. COMMIT and ROLLBACK are calls of the driver, not statements; they are not
timed. One `Monitoring` watches an engine: it executes the statements, so a second one would see none.

The metrics belong to one process. With several workers each is scraped separately, on its own port.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from sqlalchemy import Engine, Pool, PoolProxiedConnection, event
from sqlalchemy import exc as errors
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from service.models import Base
from service.observability import metrics
from service.observability.http import App, RequestTimes
from service.observability.slow_query_log import SlowQueryLog, SlowStatement, call_site

CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"

_TEXTS_KEPT = 4096
_VERBS = frozenset({"select", "insert", "update", "delete"})
_TRANSACTION = frozenset({"begin", "commit", "rollback", "savepoint", "release"})
_WORD = re.compile(r"\w+")
_CHANGES = re.compile(r"\b(insert|update|delete)\b", re.IGNORECASE)
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE|JOIN)\s+"?(\w+)', re.IGNORECASE)


class Monitoring:
    """The metrics of one application.

    `entities` are the table names used as label values; all other tables are "other". `slow` receives slow statements; the caller
    opens and closes it. `now_ns` returns a monotonic time in nanoseconds.
    """

    def __init__(
        self,
        slow: SlowQueryLog | None = None,
        entities: Iterable[str] = tuple(Base.metadata.tables),
        now_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.registry = CollectorRegistry()
        self._now_ns = now_ns
        failed = _counter(metrics.ERRORS, self.registry)
        seconds = _histogram(metrics.STATEMENTS, self.registry)
        self._statements = _StatementTimes(seconds, failed, frozenset(entities), slow, now_ns)
        self._pools = _Pools(self.registry, failed, now_ns)
        self._caches = _Caches()
        self.registry.register(self._pools)
        self.registry.register(self._caches)
        self._requests = _histogram(metrics.REQUESTS, self.registry)
        if slow is not None:
            self.registry.register(_Dropped(slow))

    def watch(self, engine: AsyncEngine | Engine, pool: str = "main") -> None:
        """Time an engine's statements and report its pool under the name `pool` from now on; `dispose` does not end it."""
        sync = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
        self._statements.watch(sync)
        self._pools.watch(sync, pool)

    def watch_cache(self, counts: Callable[[], Mapping[str, int]], cache: str = "answers") -> None:
        """Report a cache's hits and misses. `counts` returns its "lookups" and "loads" (those that reached the database) so far."""
        self._caches.counts[cache] = counts

    def timed(self, app: App) -> App:
        """Return an ASGI application that times the requests of another."""
        return RequestTimes(app, self._requests, self._now_ns)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' format; the content type is `CONTENT_TYPE`."""
        return generate_latest(self.registry)


def operation_and_entity(sql: str, entities: frozenset[str]) -> tuple[str, str]:
    """Return a statement's operation and the first known table in it: ("select", "prompts"), ("transaction", "other")."""
    first = _WORD.search(sql)
    verb = first[0].lower() if first else OTHER
    if verb == "with":
        changes = _CHANGES.search(sql)
        verb = changes[1].lower() if changes else "select"
    operation = verb if verb in _VERBS else "transaction" if verb in _TRANSACTION else OTHER
    return operation, next((match[1] for match in _TABLE.finditer(sql) if match[1] in entities), OTHER)


class _StatementTimes:
    """Executes an engine's statements instead of the dialect, and times them.

    `before_cursor_execute` and `after_cursor_execute` would provide the same at several times the cost: a single event of an
    engine's connections, of whatever kind, makes SQLAlchemy look for listeners at every step of every statement. Those of its
    dialect do not. A metric is looked up by the statement's text, which is cheaper than computing its labels again.
    """

    def __init__(
        self, seconds: Histogram, failed: Counter, entities: frozenset[str], slow: SlowQueryLog | None, now_ns: Callable[[], int]
    ) -> None:
        self._seconds = seconds
        self._failed = failed
        self._entities = entities
        self._slow = slow
        self._slow_ns = float("inf") if slow is None else slow.threshold_s * 1e9
        self._now_ns = now_ns
        self._by_text: dict[str, Histogram] = {}

    def watch(self, engine: Engine) -> None:
        event.listen(engine, "do_execute", self._one)
        event.listen(engine, "do_executemany", self._many)
        event.listen(engine, "do_execute_no_params", self._bare)
        event.listen(engine, "handle_error", self._error)

    def _one(self, cursor: Any, sql: str, parameters: Any, context: Any) -> bool:
        started_ns = self._now_ns()
        try:
            context.dialect.do_execute(cursor, sql, parameters, context)
        except BaseException:
            self._failure(sql, started_ns)
            raise
        return self._completed(cursor, sql, parameters, context, started_ns)

    def _many(self, cursor: Any, sql: str, parameters: Any, context: Any) -> bool:
        started_ns = self._now_ns()
        try:
            context.dialect.do_executemany(cursor, sql, parameters, context)
        except BaseException:
            self._failure(sql, started_ns)
            raise
        return self._completed(cursor, sql, parameters, context, started_ns, many=True)

    def _bare(self, cursor: Any, sql: str, context: Any) -> bool:
        started_ns = self._now_ns()
        try:
            context.dialect.do_execute_no_params(cursor, sql, context)
        except BaseException:
            self._failure(sql, started_ns)
            raise
        return self._completed(cursor, sql, (), context, started_ns)

    def _completed(self, cursor: Any, sql: str, parameters: Any, context: Any, started_ns: int, *, many: bool = False) -> bool:
        """Record a completed statement; return that it has been executed."""
        took_ns = self._now_ns() - started_ns
        seconds = self._by_text.get(sql)
        if seconds is None:
            seconds = self._new_metric(sql)
        seconds.observe(took_ns / 1e9)
        if took_ns >= self._slow_ns and self._slow is not None:
            rows = cursor.rowcount
            slow = SlowStatement(context.engine, sql, parameters, many, took_ns / 1e9, rows if rows >= 0 else None, call_site())
            self._slow.note(slow)
        return True

    def _failure(self, sql: str, started_ns: int) -> None:
        took_s = (self._now_ns() - started_ns) / 1e9
        self._seconds.labels(*operation_and_entity(sql, self._entities), "error").observe(took_s)

    def _error(self, raised: ExceptionContext) -> None:
        """Count an error by the name that SQLAlchemy gives it, of which there are few."""
        if isinstance(raised.original_exception, asyncio.CancelledError):
            kind = "Cancelled"
        else:
            kind = type(raised.sqlalchemy_exception).__name__ if raised.sqlalchemy_exception else OTHER
        self._failed.labels(kind).inc()

    def _new_metric(self, sql: str) -> Histogram:
        if len(self._by_text) >= _TEXTS_KEPT:  # the number of texts is unlimited, for example with the length of an IN list
            self._by_text.clear()
        found = self._by_text[sql] = self._seconds.labels(*operation_and_entity(sql, self._entities), "ok")
        return found


class _Pools(Collector):
    """Reads the engines' pools when the metrics are scraped, and times checkouts, for which a pool has no event."""

    def __init__(self, registry: CollectorRegistry, failed: Counter, now_ns: Callable[[], int]) -> None:
        self._wait = _histogram(metrics.POOL_WAIT, registry)
        self._waiting = Gauge(metrics.POOL_WAITING.name, metrics.POOL_WAITING.help, metrics.POOL_WAITING.labels, registry=registry)
        self._failed = failed
        self._now_ns = now_ns
        self._engines: dict[str, Engine] = {}

    def watch(self, engine: Engine, name: str) -> None:
        self._engines[name] = engine
        self._time_checkouts(engine.pool, name)

    def collect(self) -> Iterator[Family]:
        size, used, beyond = (
            GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for metric in (metrics.POOL_SIZE, metrics.POOL_CHECKED_OUT, metrics.POOL_OVERFLOW)
        )
        for name, engine in self._engines.items():
            pool = engine.pool
            if isinstance(pool, QueuePool):  # the other kinds have no size
                size.add_metric([name], pool.size())
                used.add_metric([name], pool.checkedout())
                beyond.add_metric([name], max(0, pool.overflow()))  # negative while a pool has not opened all its connections
        yield from (size, used, beyond)

    def _time_checkouts(self, pool: Pool, name: str) -> None:
        check_out, recreate = pool.connect, pool.recreate
        wait, waiting = self._wait.labels(name), self._waiting.labels(name)

        def timed() -> PoolProxiedConnection:
            waiting.inc()
            started_ns = self._now_ns()
            try:
                return check_out()
            except errors.TimeoutError:
                self._failed.labels("PoolTimeout").inc()  # raised by the pool, without an event
                raise
            finally:
                wait.observe((self._now_ns() - started_ns) / 1e9)
                waiting.dec()

        def timed_successor() -> Pool:
            """Create the pool that replaces this one on `dispose`; a listener for that event would be one on the engine."""
            successor = recreate()
            self._time_checkouts(successor, name)
            return successor

        pool.connect = timed  # type: ignore[method-assign]  # replaces the method of this pool only
        pool.recreate = timed_successor  # type: ignore[method-assign]


class _Caches(Collector):
    """Reads each cache's counters when the metrics are scraped."""

    def __init__(self) -> None:
        self.counts: dict[str, Callable[[], Mapping[str, int]]] = {}

    def collect(self) -> Iterator[Family]:
        hits, misses = (
            CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for metric in (metrics.CACHE_HITS, metrics.CACHE_MISSES)
        )
        for name, counts in self.counts.items():
            found = counts()
            loads = found.get("loads", 0)
            hits.add_metric([name], found.get("lookups", 0) - loads)
            misses.add_metric([name], loads)
        yield from (hits, misses)


class _Dropped(Collector):
    """Reads a slow-query log's count of dropped statements."""

    def __init__(self, log: SlowQueryLog) -> None:
        self._log = log

    def collect(self) -> Iterator[Family]:
        yield CounterMetricFamily(metrics.SLOW_DROPPED.name, metrics.SLOW_DROPPED.help, self._log.dropped)


def _histogram(metric: metrics.Metric, registry: CollectorRegistry) -> Histogram:
    return Histogram(metric.name, metric.help, metric.labels, buckets=metrics.buckets_s(metric.step), registry=registry)


def _counter(metric: metrics.Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)
