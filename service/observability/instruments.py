"""What monitoring adds to the application, and the instruments that a set of switches asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp

from service.settings import ServiceSettings
from service.switches import Level


@dataclass(frozen=True)
class Instruments:
    """What monitoring adds to the application.

    `render` returns what /metrics answers, `watch` is told the engine and the cache's counters once both are there, and
    `middleware` wraps the application. `kept` is entered while the application runs: what has to be opened and closed.
    """

    render: Callable[[], bytes]
    watch: Callable[[Engine | AsyncEngine, Callable[[], Mapping[str, int]]], None]
    middleware: Callable[[ASGIApp], ASGIApp] | None = None
    kept: Callable[[], AbstractContextManager[object]] = nullcontext
    media_type: str = "text/plain; version=0.0.4; charset=utf-8"


def instruments_for(settings: ServiceSettings) -> Instruments | None:
    """Return what a service with these settings is watched with: nothing but with monitoring done right.

    The review's monitoring is a decorator around the methods of its own repositories, which this service does not have.
    """
    if settings.switches.monitoring is not Level.OPTIMISED:
        return None
    from service.observability.monitoring import CONTENT_TYPE, Monitoring  # noqa: PLC0415 - a service that is not watched needs no library for it
    from service.observability.slow_query_log import SlowQueryLog  # noqa: PLC0415 - the same

    slow = None if settings.slow_log is None else SlowQueryLog(settings.slow_log, threshold_s=settings.slow_ms / 1000)
    monitoring = Monitoring(slow)

    def watch(engine: Engine | AsyncEngine, counts: Callable[[], Mapping[str, int]]) -> None:
        monitoring.watch(engine)
        monitoring.watch_cache(counts)

    return Instruments(monitoring.render, watch, monitoring.timed, lambda: slow or nullcontext(), CONTENT_TYPE)
