"""All work counts of an operation: statements on every engine, and the engine's own measure of work where it has one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.blocks import Blocks
from harness.probes.buffers import Buffers
from harness.probes.statements import Statements
from harness.probes.vm_steps import VmSteps
from harness.scenario import Probe


def work(*engines: AsyncEngine | Engine) -> Sequence[Probe]:
    """Return the probes of one or several engines: SQLite's VM steps, PostgreSQL's blocks and buffers, statements for all.

    Several engines, such as one for reads and one for writes, are one probe that adds up their counts; engines with a common pool
    count once. The probes enter in this order and exit in the opposite one: counting blocks sends statements.
    """
    if len(engines) == 1:
        return _probes(engines[0])
    pools = {id(engine.pool): engine for engine in reversed(engines)}
    return (_Sum([probe for engine in pools.values() for probe in _probes(engine)]),)


def _probes(engine: AsyncEngine | Engine) -> tuple[Probe, ...]:
    if engine.dialect.driver in ("aiosqlite", "pysqlite"):
        return (Statements(engine), VmSteps(engine))
    if engine.dialect.name == "postgresql":
        return (Buffers(engine), Blocks(engine), Statements(engine))
    return (Statements(engine),)


class _Sum:
    """Adds up the counts of several probes by name."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = probes
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for probe in self._probes:
            await self._stack.enter_async_context(probe)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    def counts(self) -> Mapping[str, float]:
        """Return the sums, by metric name."""
        total: Counter[str] = Counter()
        for probe in self._probes:
            total.update(probe.counts())
        return total
