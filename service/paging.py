"""Pages of a user's prompts, with a cursor that is opaque text at every level.

The review's cursor is a time. Prompts that tie with the last prompt of a page appear on no page; this behaviour is kept as
proposed. The time is converted to and from text here: the review declares the cursor as text and returns a time.
"""

from datetime import datetime
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from service.streaming import Page, decode_cursor, page_by_key, page_by_offset, page_by_time
from service.switches import Level

MAX_OFFSET = 1_000_000  # the highest offset of a page
Cursor = TypeVar("Cursor")


class MalformedCursorError(ValueError):
    """A cursor that was not issued by a page."""


async def page(session: AsyncSession, level: Level, user_id: str, cursor: str | None, limit: int) -> Page[str]:
    """Return a page by cursor, with the technique of the level; None requests the first page.

    Raises MalformedCursorError if the cursor was not issued by a page of this level.
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

    Raises MalformedCursorError if the cursor is not a whole number from 0 to MAX_OFFSET.
    """
    if cursor.isascii() and cursor.isdigit() and len(cursor) <= len(str(MAX_OFFSET)) and int(cursor) <= MAX_OFFSET:
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
    if "\0" in prompt_id:  # PostgreSQL's text type cannot store it
        raise _malformed()


def _malformed() -> MalformedCursorError:
    return MalformedCursorError("the cursor was not issued by a page of these prompts; start again without a cursor")
