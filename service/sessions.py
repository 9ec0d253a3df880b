"""Sessions on an engine that somebody else opened and will close."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker


def sessionmaker(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Return a maker of sessions, one for each task: a session serves one coroutine at a time.

    Objects stay readable after a commit (`expire_on_commit=False`): an expired attribute is fetched again on access, and under
    asyncio an attribute access cannot wait for the database, so it would raise MissingGreenlet.
    """
    return async_sessionmaker(engine, expire_on_commit=False)
