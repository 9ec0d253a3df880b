"""One way to use a connection of both kinds of engines: probes accept synchronous ones and those with asyncio."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

Result = TypeVar("Result")


def synchronous(engine: AsyncEngine | Engine) -> Engine:
    """Return the engine whose events are those of the given one: itself, or the one behind an engine with asyncio."""
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


async def connected(engine: AsyncEngine | Engine, function: Callable[[Connection], Result]) -> Result:
    """Call a synchronous function with a connection of the engine's pool, and return its result.

    Within it, `connection.engine` opens further connections.
    """
    if isinstance(engine, Engine):
        with engine.connect() as connection:
            return function(connection)
    async with engine.connect() as asynchronous:
        return await asynchronous.run_sync(function)
