"""A user's prompts page by page: the same cursor for whoever asks, a text, whatever it holds.

The review's cursor is a time. Prompts that tie with the last one of a page are on no page; that is its way, and it is left.
It is turned into a text and back here: the review calls it a text and returns a time.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from service.streaming import Page, decode_cursor, page_by_key, page_by_offset, page_by_time
from service.switches import Level

MOST_BEFORE = 1_000_000
"""The highest offset that a page may begin at."""

Cursor = TypeVar("Cursor")


class MalformedCursorError(ValueError):
    """A cursor that no page gave."""


async def page(session: AsyncSession, level: Level, user_id: str, cursor: str | None, limit: int) -> Page[str]:
    """Return a page by cursor, in the way of the level; None asks for the first.

    Raises:
        MalformedCursorError: the cursor is none that a page of this level gave.
    """
    if level is Level.BASELINE:
        by_offset = await page_by_offset(session, user_id, None if cursor is None else offset(cursor), limit)
        return Page(by_offset.rows, None if by_offset.next_cursor is None else str(by_offset.next_cursor))
    if level is Level.PROPOSED:
        by_time = await page_by_time(session, user_id, None if cursor is None else _time(cursor), limit)
        return Page(by_time.rows, None if by_time.next_cursor is None else by_time.next_cursor.isoformat())
    if cursor is not None:
        _check_key(cursor)
    return await page_by_key(session, user_id, cursor, limit)


def offset(cursor: str) -> int:
    """Return the number of rows before a page.

    Raises:
        MalformedCursorError: it is no whole number from 0 up to MOST_BEFORE.
    """
    if cursor.isascii() and cursor.isdigit() and len(cursor) <= len(str(MOST_BEFORE)) and int(cursor) <= MOST_BEFORE:
        return int(cursor)
    raise _malformed()


def _time(cursor: str) -> datetime:
    try:
        found = datetime.fromisoformat(cursor)
    except ValueError:
        raise _malformed() from None
    if found.tzinfo or found.isoformat() != cursor:
        raise _malformed()
    return found


def _check_key(cursor: str) -> None:
    try:
        _, prompt_id = decode_cursor(cursor)
    except ValueError:
        raise _malformed() from None
    if "\0" in prompt_id:  # which no text in PostgreSQL can hold
        raise _malformed()


def _malformed() -> MalformedCursorError:
    return MalformedCursorError("the cursor was not given by a page of these prompts; start again without one")
