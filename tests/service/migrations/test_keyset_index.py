"""The keyset indexes: pages are located by key, without a sort."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.results.run import Statement
from service import streaming
from service.migrations import composite_indexes
from service.sessions import sessionmaker

OnEngine = Callable[..., Any]


@pytest.mark.parametrize("user_id", ["ann", None])
def test_every_page_of_an_export_is_located_by_key(on_engine: OnEngine, user_id: str | None) -> None:
    """First and later pages, of one user or of all, use a keyset index and sort nothing."""

    async def planned(engine: AsyncEngine) -> list[Statement]:
        async with engine.begin() as connection:
            await connection.run_sync(composite_indexes.upgrade_keyset)
        async with Statements(engine) as probe:
            async for _ in streaming.export_optimised(sessionmaker(engine), user_id, page_size=20):
                pass
        return await plans(engine, probe.sent(), arm="optimised", group="export")

    first, later = on_engine(planned)
    index = "ix_prompts_live_by_user_time" if user_id else "ix_prompts_live_by_time"
    assert [len(first.plan), len(later.plan)] == [1, 1]
    assert index in first.plan[0]
    assert f"{index} (" in later.plan[0]
    assert "(created_at,id)<(?,?)" in later.plan[0]
