"""How long statements take, by a stopwatch of our own at the driver: what an application's metrics are held against."""

from __future__ import annotations

from typing import Any, Self

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.runtime.clock import Clock, MonotonicClock


class StatementTimes:
    """Times statements that begin with one of `verbs` while it is entered: `took_ns`, in nanoseconds, in the order they end.

    It stands next to the driver, in place of the dialect's own `do_execute`: whatever listens on the engine is outside of the time.
    An executemany is not timed.
    """

    def __init__(
        self, engine: AsyncEngine | Engine, verbs: tuple[str, ...] = ("SELECT", "WITH"), clock: Clock | None = None
    ) -> None:
        self._dialect = engine.dialect
        self._verbs = verbs
        self._clock = clock or MonotonicClock()
        self.took_ns: list[int] = []

    async def __aenter__(self) -> Self:
        """Start with no times."""
        self.took_ns = []
        self._execute = self._dialect.do_execute
        self._dialect.do_execute = self._timed  # type: ignore[method-assign]  # hides the method until it is put back
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""
        self._dialect.do_execute = self._execute  # type: ignore[method-assign]

    def _timed(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        started_ns = self._clock.now_ns()
        self._execute(cursor, statement, parameters, context)
        ended_ns = self._clock.now_ns()
        if statement.startswith(self._verbs):
            self.took_ns.append(ended_ns - started_ns)
