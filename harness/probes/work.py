"""Everything that an engine can count exactly of an operation: statements everywhere, and the engine's own measure of work."""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.blocks import Blocks
from harness.probes.buffers import Buffers
from harness.probes.statements import Statements
from harness.probes.vm_steps import VmSteps
from harness.scenario import Probe


def work(engine: AsyncEngine | Engine) -> tuple[Probe, ...]:
    """Return the probes for an engine: SQLite's VM steps, PostgreSQL's blocks and buffers; others count statements and rows only.

    The probes enter in this order and leave in the opposite one: what counts blocks sends statements of its own while it does.
    """
    if engine.dialect.driver in ("aiosqlite", "pysqlite"):
        return (Statements(engine), VmSteps(engine))
    if engine.dialect.name == "postgresql" and isinstance(engine, AsyncEngine):
        return (Buffers(engine), Blocks(engine), Statements(engine))
    return (Statements(engine),)
