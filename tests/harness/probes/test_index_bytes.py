"""Sizes of indexes and tables by name, in whole pages."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.errors import NotMeasurableError
from harness.probes import index_bytes
from harness.probes.index_bytes import StoredBytes, stored_bytes

OnEngine = Callable[..., Any]


def test_every_page_belongs_to_an_index_or_a_table(on_engine: OnEngine) -> None:
    """Indexes, tables and SQLite's schema page are the whole file; dropping an index removes its bytes."""

    async def before_and_after(engine: AsyncEngine) -> tuple[StoredBytes, int, StoredBytes]:
        async with engine.connect() as connection:
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        before = await stored_bytes(engine)
        async with engine.begin() as connection:
            await connection.exec_driver_sql("DROP INDEX pet_owner")
        return before, pages * 4096, await stored_bytes(engine)

    before, file_bytes, after = on_engine(before_and_after)
    assert set(before.indexes) == {"pet_owner", "pet_kind_age", "sqlite_autoindex_owner_1"}
    assert set(before.tables) == {"owner", "pet"}
    assert before.index_bytes + sum(before.tables.values()) + 4096 == file_bytes
    assert before.index_bytes - after.index_bytes == before.indexes["pet_owner"] > 0
    assert after.tables == before.tables


def test_statistics_are_left_out(on_engine: OnEngine) -> None:
    """ANALYZE creates an internal table of SQLite, which does not count."""

    async def analysed(engine: AsyncEngine) -> StoredBytes:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("ANALYZE")
        return await stored_bytes(engine)

    assert set(on_engine(analysed).tables) == {"owner", "pet"}


def test_without_dbstat_it_is_not_measurable(on_engine: OnEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite built without the table is the reason."""
    monkeypatch.setattr(index_bytes, "_SQLITE", "SELECT * FROM dbstat_missing")
    with pytest.raises(NotMeasurableError, match="no dbstat table"):
        on_engine(stored_bytes)
