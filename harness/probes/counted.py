"""Work counts of a block of code, synchronous or asynchronous, for tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self, cast

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.errors import UsageError
from harness.probes.statements import SentStatement, Statements
from harness.probes.work import work


class CountedWork(Mapping[str, float]):
    """Counts the statements, rows and work of engines while it is entered; then it is a mapping of the counts by metric.

    Example:
        with CountedWork(engine) as counted:
            client.get("/authors/1")
        assert counted["statements"] == 2, counted.sent
    """

    def __init__(self, *engines: AsyncEngine | Engine) -> None:
        self._engines = engines
        self._counts: dict[str, float] = {}
        self.sent: list[SentStatement] = []
        """Each distinct statement with its number of executions."""

    def __getitem__(self, metric: str) -> float:
        return self._counts[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"CountedWork({self._counts})"

    def __enter__(self) -> Self:
        if any(isinstance(engine, AsyncEngine) for engine in self._engines):
            raise UsageError("the work of an engine with asyncio is counted by `async with`")
        return cast("Self", _completed(self.__aenter__()))

    def __exit__(self, *exc_info: object) -> None:
        _completed(self.__aexit__(*exc_info))

    async def __aenter__(self) -> Self:
        engines = {id(engine.pool): engine for engine in self._engines}.values()  # those with a common pool count once
        self._stack, self._probes = AsyncExitStack(), [probe for engine in engines for probe in work(engine)]
        for probe in self._probes:
            await self._stack.enter_async_context(probe)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()
        total = defaultdict[str, float](float)
        for probe in self._probes:
            for metric, count in probe.counts().items():
                total[metric] += count
        self._counts = dict(total)
        self.sent = [statement for probe in self._probes if isinstance(probe, Statements) for statement in probe.sent()]


def _completed(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that never waits: probes of a synchronous engine are such."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a probe of a synchronous engine waits")
