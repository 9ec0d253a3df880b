"""What monitoring adds to the application, and the instruments that a set of switches asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp

from service.switches import Level, Switches


@dataclass(frozen=True)
class Instruments:
    """What monitoring adds to the application.

    `render` returns what /metrics answers, `watch` is told the engine and the cache's counters once both are there, and
    `middleware` wraps the application.
    """

    render: Callable[[], bytes]
    watch: Callable[[Engine | AsyncEngine, Callable[[], Mapping[str, int]]], None]
    middleware: Callable[[ASGIApp], ASGIApp] | None = None
    media_type: str = "text/plain; version=0.0.4; charset=utf-8"


def instruments_for(switches: Switches) -> Instruments | None:
    """Return what a service with these switches is watched with: nothing but with monitoring done right.

    The review's monitoring is a decorator around the methods of its own repositories, which this service does not have.
    """
    if switches.monitoring is not Level.OPTIMISED:
        return None
    from service.monitoring import CONTENT_TYPE, Monitoring  # noqa: PLC0415 - a service that is not watched needs no library for it

    monitoring = Monitoring()

    def watch(engine: Engine | AsyncEngine, counts: Callable[[], Mapping[str, int]]) -> None:
        monitoring.watch(engine)
        monitoring.watch_cache(counts)

    return Instruments(monitoring.render, watch, monitoring.timed, CONTENT_TYPE)
