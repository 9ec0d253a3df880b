"""The ping reaches the database and leaves no connection checked out."""

import asyncio

from sqlalchemy.ext.asyncio import create_async_engine

from harness.probes.ping import ping
from harness.probes.statements import Statements


def test_a_ping_is_one_statement_on_a_connection_of_the_pool() -> None:
    """It returns 1."""

    async def once() -> tuple[int, float]:
        engine = create_async_engine("sqlite+aiosqlite://")
        async with Statements(engine) as sent:
            result = await ping(engine)
        await engine.dispose()
        return result, sent.counts()["statements"]

    assert asyncio.run(once()) == (1, 1)
