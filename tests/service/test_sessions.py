"""Sessions: what they promise their users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from service.models import Prompt

OnSession = Callable[..., Any]


def test_objects_stay_readable_after_a_commit(on_session: OnSession) -> None:
    """An attribute read after a commit needs no database, which could not be awaited there."""

    async def read_late(session: AsyncSession) -> str:
        prompt = await session.get_one(Prompt, "p0000")
        await session.commit()
        return prompt.title

    assert on_session(read_late) == 'Title, "0"'
