"""The instruments that monitoring adds to the application, created for a set of switches."""

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
    """The hooks that monitoring adds to the application."""

    render: Callable[[], bytes]  # returns the body of /metrics
    watch: Callable[[Engine | AsyncEngine, Callable[[], Mapping[str, int]]], None]
    """Receives the engine and the cache's counters once both exist."""

    middleware: Callable[[ASGIApp], ASGIApp] | None = None  # wraps the application; None for no middleware
    kept: Callable[[], AbstractContextManager[object]] = nullcontext
    """Entered while the application runs, for resources to open and close."""

    media_type: str = "text/plain; version=0.0.4; charset=utf-8"


def instruments_for(settings: ServiceSettings) -> Instruments | None:
    """Return the instruments of a service with these settings: None unless monitoring is optimised.

    The review's monitoring is a decorator for the methods of its own repositories, which this service does not have.
    """
    if settings.switches.monitoring is not Level.OPTIMISED:
        return None
    from service.observability.monitoring import CONTENT_TYPE, Monitoring  # noqa: PLC0415 - not needed without monitoring
    from service.observability.slow_query_log import SlowQueryLog  # noqa: PLC0415 - not needed without monitoring

    slow = None if settings.slow_log is None else SlowQueryLog(settings.slow_log, threshold_s=settings.slow_ms / 1000)
    monitoring = Monitoring(slow)

    def watch(engine: Engine | AsyncEngine, counts: Callable[[], Mapping[str, int]]) -> None:
        monitoring.watch(engine)
        monitoring.watch_cache(counts)

    return Instruments(monitoring.render, watch, monitoring.timed, lambda: slow or nullcontext(), CONTENT_TYPE)
