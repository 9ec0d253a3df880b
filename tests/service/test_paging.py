"""Cursors as text, at every level: a cursor issued by a page is accepted, any other text is refused."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from service.streaming import MAX_OFFSET, MalformedCursorError, decode_offset, encode_cursor, page
from service.switches import Level

OnSession = Callable[..., Any]
AT = datetime(2025, 1, 1)  # noqa: DTZ001 - the service stores naive UTC


def walked(on_session: OnSession, level: Level) -> list[str]:
    """Return the ids on all pages of ann's prompts, in pages of ten."""

    async def walk(session: AsyncSession) -> list[str]:
        ids: list[str] = []
        cursor: str | None = None
        while True:
            found = await page(session, level, "ann", cursor, 10)
            ids += [row[0] for row in found.rows]
            cursor = found.next_cursor
            if cursor is None:
                return ids

    ids: list[str] = on_session(walk)
    return ids


def test_pages_hold_every_prompt_once(on_session: OnSession) -> None:
    """Pages by offset and by key contain the same prompts in the same order, each once."""
    by_offset = walked(on_session, Level.BASELINE)
    assert len(by_offset) == len(set(by_offset)) > 50
    assert walked(on_session, Level.OPTIMISED) == by_offset


def test_the_reviews_pages_lose_ties(on_session: OnSession) -> None:
    """Prompts with the same time as a page's last one are on no page, as proposed."""
    by_time = walked(on_session, Level.PROPOSED)
    assert set(by_time) < set(walked(on_session, Level.BASELINE))


@pytest.mark.parametrize(
    ("level", "cursor"),
    [
        *((level, cursor) for level in Level for cursor in ("", "x", "-1", "'; DROP TABLE prompts; --", "٣", "\ud800")),
        (Level.BASELINE, str(MAX_OFFSET + 1)),
        (Level.BASELINE, "9" * 5000),
        (Level.PROPOSED, "2025-01-01T00:00:00+00:00"),
        (Level.PROPOSED, "2025-01-01"),
        (Level.OPTIMISED, encode_cursor(AT, "p\0")),
        (Level.OPTIMISED, encode_cursor(AT, "")),
    ],
)
def test_other_texts_are_refused(level: Level, cursor: str, on_session: OnSession) -> None:
    """A cursor that was not issued by a page does not reach the database."""
    with pytest.raises(MalformedCursorError, match="start again without a cursor"):
        on_session(lambda session: page(session, level, "ann", cursor, 10))


@given(st.text() | st.integers().map(str))
def test_an_offset_is_a_number_in_bounds_or_refused(text: str) -> None:
    """Any text gives an offset within the bounds or an error."""
    try:
        found = decode_offset(text)
    except MalformedCursorError:
        return
    assert 0 <= found <= MAX_OFFSET
    assert int(text) == found
