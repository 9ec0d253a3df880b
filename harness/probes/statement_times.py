"""Execution times of statements, measured at the driver: the reference for an application's metrics."""

from typing import Any, Self

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.runtime.clock import Clock, MonotonicClock


class StatementTimes:
    """Times the queries, SELECT and WITH, while it is entered: `took_ns`, in nanoseconds, in order of completion.

    It wraps the dialect's `do_execute`, directly above the driver, so that the engine's event listeners are not included. An
    executemany is not timed.
    """

    def __init__(self, engine: AsyncEngine | Engine, clock: Clock | None = None) -> None:
        self._dialect = engine.dialect
        self._clock = clock or MonotonicClock()

    async def __aenter__(self) -> Self:
        self.took_ns: list[int] = []
        self._execute = self._dialect.do_execute
        self._dialect.do_execute = self._timed  # type: ignore[method-assign]  # hides the method until it is restored
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._dialect.do_execute = self._execute  # type: ignore[method-assign]

    def _timed(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        started_ns = self._clock.now_ns()
        self._execute(cursor, statement, parameters, context)
        ended_ns = self._clock.now_ns()
        if statement.startswith(("SELECT", "WITH")):
            self.took_ns.append(ended_ns - started_ns)
