"""The service's metrics at run time: durations of statements and requests, errors, the use of the pool, hits of a cache.

`Monitoring` has its own registry, so two applications in one process do not share metrics; several workers are scraped separately.
Statements are timed by SQLAlchemy's events on the synchronous engine, which an asyncio engine wraps. The time begins when a
statement is passed to the driver: the wait for a connection has its own metric. An asyncio driver reads a buffered result
completely in this time, a streamed one it does not. COMMIT and ROLLBACK are calls of the driver, not statements; they are not
timed. One `Monitoring` watches an engine: it executes the statements, so a second one would see none.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
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
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.models import Base
from service.observability import metrics
from service.observability.slow_query_log import SlowQueryLog, SlowStatement, call_site

OTHER = "other"
POOL, CACHE = "main", "answers"  # labels of the one pool and the one cache

NO_ROUTE = "no route"  # the route of a request that matches none: the path is chosen by the client and may differ every time
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_TEXTS_KEPT = 4096  # the number of texts is unlimited, for example with the length of an IN list
_ENTITIES = frozenset(Base.metadata.tables)
_VERBS = frozenset({"select", "insert", "update", "delete"})
_TRANSACTION = frozenset({"begin", "commit", "rollback", "savepoint", "release"})
_WORD = re.compile(r"\w+")
_CHANGES = re.compile(r"\b(insert|update|delete)\b", re.IGNORECASE)
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE|JOIN)\s+"?(\w+)', re.IGNORECASE)


class Monitoring(Collector):
    """The metrics of one application. The caller opens and closes `slow`; `now_ns` returns a monotonic time in nanoseconds."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, slow: SlowQueryLog | None = None, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self.registry = CollectorRegistry()
        self.slow = slow
        self._now_ns = now_ns
        self._engine: Engine | None = None
        self._cache_counts: Callable[[], Mapping[str, int]] | None = None
        self._failed = Counter(metrics.ERRORS.name, metrics.ERRORS.help, metrics.ERRORS.labels, registry=self.registry)
        self._statements = self._histogram(metrics.STATEMENTS)
        self._wait = self._histogram(metrics.POOL_WAIT).labels(POOL)
        waiting = metrics.POOL_WAITING
        self._waiting = Gauge(waiting.name, waiting.help, waiting.labels, registry=self.registry).labels(POOL)
        self._requests = self._histogram(metrics.REQUESTS)
        self.registry.register(self)

    def watch(self, engine: AsyncEngine | Engine) -> None:
        """Time an engine's statements and report its pool from now on; `dispose` does not end it."""
        self._engine = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
        for name in ("do_execute", "do_executemany", "do_execute_no_params"):
            event.listen(self._engine, name, self._executing(name))
        event.listen(self._engine, "handle_error", self._error)
        self._time_checkouts(self._engine.pool)

    def watch_cache(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Report a cache's hits and misses. `counts` returns its "lookups" and "loads" (those that reached the database) so far."""
        self._cache_counts = counts

    def timed(self, app: ASGIApp) -> ASGIApp:
        """Return an ASGI application that times the requests of another, by method, route and status.

        The route is the template of the framework, as in `/prompts/{prompt_id}`; FastAPI leaves it in the scope. The time ends when
        the whole response has been sent. Without a response it is a "5xx" if it raised, "cancelled" if its client disconnected.
        """
        seconds = lru_cache(None)(self._requests.labels)

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            status = "cancelled"

            async def recording(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = f"{message['status'] // 100}xx"
                await send(message)

            started_ns = self._now_ns()
            try:
                await app(scope, receive, recording)
            except Exception:
                status = "5xx"
                raise
            finally:
                took_s = (self._now_ns() - started_ns) / 1e9
                method = scope["method"] if scope["method"] in _METHODS else OTHER
                seconds(method, getattr(scope.get("route"), "path", NO_ROUTE), status).observe(took_s)

        return serve

    def render(self) -> bytes:
        """Return all metrics in Prometheus' format; the content type is `content_type`."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Family]:
        """Read the pool, the cache and the slow-query log when the metrics are scraped."""
        size, used, beyond = (GaugeMetricFamily(metric.name, metric.help, labels=metric.labels) for metric in metrics.POOL_USE)
        if self._engine is not None and isinstance(pool := self._engine.pool, QueuePool):  # the other kinds have no size
            size.add_metric([POOL], pool.size())
            used.add_metric([POOL], pool.checkedout())
            beyond.add_metric([POOL], max(0, pool.overflow()))  # negative while a pool has not opened all its connections
        hits, misses = (
            CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for metric in (metrics.CACHE_HITS, metrics.CACHE_MISSES)
        )
        if self._cache_counts is not None:
            found = self._cache_counts()
            loads = found.get("loads", 0)
            hits.add_metric([CACHE], found.get("lookups", 0) - loads)
            misses.add_metric([CACHE], loads)
        yield from (size, used, beyond, hits, misses)
        if self.slow is not None:
            yield CounterMetricFamily(metrics.SLOW_DROPPED.name, metrics.SLOW_DROPPED.help, self.slow.dropped)

    def _histogram(self, metric: metrics.Metric) -> Histogram:
        return Histogram(metric.name, metric.help, metric.labels, buckets=metrics.buckets_s(metric.step), registry=self.registry)

    def _executing(self, method: str) -> Callable[..., bool]:
        """Return a listener that executes a statement with this method, instead of the dialect, and times it.

        `before_cursor_execute` and `after_cursor_execute` would provide the same at several times the cost: a single event of an
        engine's connections, of whatever kind, makes SQLAlchemy look for listeners at every step of every statement. Those of its
        dialect do not. A metric is looked up by the statement's text, which is cheaper than computing its labels again.
        """
        many, seconds, slow, now_ns = method == "do_executemany", self._statements, self.slow, self._now_ns
        slow_ns = float("inf") if slow is None else slow.threshold_s * 1e9
        completed = lru_cache(_TEXTS_KEPT)(lambda sql: seconds.labels(*operation_and_entity(sql), "ok"))

        def execute(cursor: Any, sql: str, *rest: Any) -> bool:
            context = rest[-1]
            started_ns = now_ns()
            try:
                getattr(context.dialect, method)(cursor, sql, *rest)
            except BaseException:
                seconds.labels(*operation_and_entity(sql), "error").observe((now_ns() - started_ns) / 1e9)
                raise
            took_ns = now_ns() - started_ns
            completed(sql).observe(took_ns / 1e9)
            if took_ns >= slow_ns and slow is not None:
                parameters, rows = () if rest[0] is context else rest[0], cursor.rowcount
                engine = context.engine
                slow.note(SlowStatement(engine, sql, parameters, many, took_ns / 1e9, rows if rows >= 0 else None, call_site()))
            return True

        return execute

    def _error(self, raised: ExceptionContext) -> None:
        """Count an error by the name that SQLAlchemy gives it, of which there are few."""
        if isinstance(raised.original_exception, asyncio.CancelledError):
            kind = "Cancelled"
        else:
            kind = type(raised.sqlalchemy_exception).__name__ if raised.sqlalchemy_exception else OTHER
        self._failed.labels(kind).inc()

    def _time_checkouts(self, pool: Pool) -> None:
        """Time checkouts, for which a pool has no event."""
        check_out, recreate = pool.connect, pool.recreate

        def timed() -> PoolProxiedConnection:
            self._waiting.inc()
            started_ns = self._now_ns()
            try:
                return check_out()
            except errors.TimeoutError:
                self._failed.labels("PoolTimeout").inc()  # raised by the pool, without an event
                raise
            finally:
                self._wait.observe((self._now_ns() - started_ns) / 1e9)
                self._waiting.dec()

        def timed_successor() -> Pool:
            """Create the pool that replaces this one on `dispose`; a listener for that event would be one on the engine."""
            successor = recreate()
            self._time_checkouts(successor)
            return successor

        pool.connect = timed  # type: ignore[method-assign]  # replaces the method of this pool only
        pool.recreate = timed_successor  # type: ignore[method-assign]


def operation_and_entity(sql: str) -> tuple[str, str]:
    """Return a statement's operation and the first known table in it: ("select", "prompts"), ("transaction", "other")."""
    first = _WORD.search(sql)
    verb = first[0].lower() if first else OTHER
    if verb == "with":
        changes = _CHANGES.search(sql)
        verb = changes[1].lower() if changes else "select"
    operation = verb if verb in _VERBS else "transaction" if verb in _TRANSACTION else OTHER
    return operation, next((match[1] for match in _TABLE.finditer(sql) if match[1] in _ENTITIES), OTHER)
