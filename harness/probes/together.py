"""The same counts over several engines, for an operation that reads through one and writes through another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.work import work
from harness.scenario import Probe


def together(*engines: AsyncEngine) -> Sequence[Probe]:
    """Return the probes for these engines as one, which counts what they all do; engines on one pool are one engine."""
    pools = {id(engine.sync_engine.pool): engine for engine in reversed(engines)}
    return (_Together([probe for engine in pools.values() for probe in work(engine)]),)


class _Together:
    """Adds up what several probes count under the same name."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = probes
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start counting from zero."""
        for probe in self._probes:
            await self._stack.enter_async_context(probe)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""
        await self._stack.aclose()

    def counts(self) -> Mapping[str, float]:
        """Return the sums, by metric name."""
        total: Counter[str] = Counter()
        for probe in self._probes:
            total.update(probe.counts())
        return total
