"""Exports and pages: the same rows by every technique, and the rows that the review's pages lose."""

import csv
from collections.abc import Callable
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from harness.probes.statements import Statements
from service import streaming
from service.models import Base, Prompt
from service.sessions import sessionmaker

OnEngine = Callable[..., Any]
OnSession = Callable[..., Any]

WALKS = {"offset": streaming.walk_by_offset, "time": streaming.walk_by_time, "key": streaming.walk_by_key}


async def text(export: Any, engine: AsyncEngine, *args: Any) -> list[str]:
    """Return an export's chunks."""
    return [piece async for piece in export(sessionmaker(engine), *args)]


async def live_ids(session: AsyncSession, user_id: str) -> list[str]:
    """Return the ids of a user's live prompts, newest first, computed from the whole table."""
    rows = (await session.execute(Base.metadata.tables["prompts"].select())).all()
    wanted = [row for row in rows if row.user_id == user_id and row.deleted_at is None]
    return [row.id for row in sorted(wanted, key=lambda row: (row.created_at, row.id), reverse=True)]


@pytest.mark.parametrize("user_id", ["ann", None, "unknown"])
def test_exports_hold_the_same_rows(on_engine: OnEngine, user_id: str | None) -> None:
    """Optimised and baseline are identical; the proposed export has the same rows, in the same order except for ties."""

    async def all_three(engine: AsyncEngine) -> list[list[str]]:
        return [
            await text(streaming.export_baseline, engine, user_id),
            await text(streaming.export_proposed, engine, user_id),
            await text(streaming.export_optimised, engine, user_id, 20),
        ]

    baseline, proposed, optimised = on_engine(all_three)
    assert "".join(optimised) == "".join(baseline)
    assert len(baseline) == len(proposed) == 1
    table = [list(csv.reader(StringIO(pieces[0], newline=""))) for pieces in (baseline, proposed)]
    assert sorted(table[0]) == sorted(table[1])
    assert [row[3] for row in table[0]] == [row[3] for row in table[1]]
    assert table[0][0] == ["ID", "Title", "Content", "Created At"]


def test_an_optimised_export_holds_no_connection_while_it_is_read(on_engine: OnEngine) -> None:
    """Between two chunks every connection is back in the pool, so a slow reader holds none."""

    async def held(engine: AsyncEngine) -> list[int]:
        pool: Any = engine.sync_engine.pool
        return [pool.checkedout() async for _ in streaming.export_optimised(sessionmaker(engine), "ann", 20)]

    found = on_engine(held)
    assert found == [0] * len(found)
    assert len(found) == 1 + 6


def test_offset_pages_send_one_statement_each_and_one_for_the_end(on_engine: OnEngine) -> None:
    """The review's stream detects the end by one more, empty page."""

    async def sizes(engine: AsyncEngine) -> tuple[list[int], float]:
        async with Statements(engine) as probe, sessionmaker(engine)() as session:
            found = [len(page) async for page in streaming.offset_pages(session, "ann", page_size=50)]
        return found, probe.counts()["statements"]

    found, statements = on_engine(sizes)
    assert found[:-1] == [50] * (len(found) - 1)
    assert statements == len(found) + 1


def test_offset_pages_lose_a_row_when_one_is_deleted_meanwhile(on_engine: OnEngine) -> None:
    """After a row already shown is deleted, the review's next page starts one row too late; a keyset page does not."""

    async def second_pages(engine: AsyncEngine) -> tuple[list[str], list[str], list[str]]:
        sessions = sessionmaker(engine)
        async with sessions() as session:
            expected = await live_ids(session, "ann")
            first = await streaming.page_by_key(session, "ann", limit=20)
        async with sessions() as session:
            pages = streaming.offset_pages(session, "ann", page_size=20)
            shown = [prompt.id for prompt in await anext(pages)]
            await session.commit()
            async with sessions.begin() as other:
                (await other.get_one(Prompt, shown[0])).deleted_at = datetime(2025, 7, 1)  # noqa: DTZ001
            by_offset = [prompt.id for prompt in await anext(pages)]
            await pages.aclose()
        async with sessions() as session:
            by_key = await streaming.page_by_key(session, "ann", first.next_cursor, limit=20)
        return expected, shown + by_offset, [row[0] for row in by_key.rows]

    expected, by_offset, by_key = on_engine(second_pages)
    assert len(set(by_offset)) == 40
    assert set(expected[:40]) - set(by_offset)
    assert by_key == expected[20:40]


def test_emptying_the_session_loses_the_callers_objects(on_session: OnSession) -> None:
    """As written, `expunge_all` between pages drops the caller's unsaved object, and detaches the earlier pages."""

    async def pages(session: AsyncSession) -> tuple[bool, bool]:
        stream = streaming.offset_pages(session, "ann", page_size=50)
        first = await anext(stream)
        added = Prompt(id="unsaved")
        session.add(added)
        await anext(stream)
        await stream.aclose()
        return added in session, first[0] in session

    assert on_session(pages) == (False, False)


@pytest.mark.parametrize("limit", [1, 7, 50, 1000])
@pytest.mark.parametrize("walk", ["offset", "key"])
def test_walks_show_every_row_once(on_session: OnSession, walk: str, limit: int) -> None:
    """Pages of any length, by OFFSET and by key, show each live prompt once, newest first, across all ties."""

    async def both(session: AsyncSession) -> tuple[list[str], list[str]]:
        return await WALKS[walk](session, "ann", limit), await live_ids(session, "ann")

    found, expected = on_session(both)
    assert found == expected


def test_the_review_cursor_loses_rows_that_tie(on_session: OnSession) -> None:
    """As written, rows with the time of a page's last row are never shown, without an error."""

    async def both(session: AsyncSession) -> tuple[list[str], list[str]]:
        return await streaming.walk_by_time(session, "ann", 10), await live_ids(session, "ann")

    found, expected = on_session(both)
    assert len(found) == len(set(found)) < len(expected)
    assert set(found) < set(expected)


def test_the_review_cursor_as_text_repeats_a_page(on_session: OnSession) -> None:
    """As written the cursor is text; the ISO text of a JSON response returns the same page again on SQLite."""

    async def two_pages(session: AsyncSession) -> tuple[Any, Any]:
        first = await streaming.page_by_time(session, "ann", limit=10)
        assert first.next_cursor is not None
        cursor: Any = first.next_cursor.isoformat()
        return first, await streaming.page_by_time(session, "ann", cursor, limit=10)

    first, second = on_session(two_pages)
    assert first == second


def test_a_cursor_round_trips() -> None:
    """Time in microseconds and id are preserved; the text is safe in a URL."""
    key = datetime(2025, 1, 2, 3, 4, 5, 678901), "an id / with ? & 日本"  # noqa: DTZ001 - the service stores naive UTC
    cursor = streaming.encode_cursor(*key)
    assert streaming.decode_cursor(cursor) == key
    assert not set(cursor) & set("/?&+ ")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "日本", "bm8gdGltZSBwMQ==", streaming.encode_cursor(datetime(2025, 1, 1), "p1")[:-2], "MjAyNS0wMS0wMVQwMDowMDowMA=="],  # noqa: DTZ001
)
def test_a_malformed_cursor_is_refused(cursor: str) -> None:
    """Empty, truncated, not base64, without time or id: one line with the next step."""
    with pytest.raises(ValueError, match=r"malformed cursor .*; start again from the first page"):
        streaming.decode_cursor(cursor)
