"""Reading many prompts: CSV exports, and pages.

An export is an async generator of chunks of text. The review pages by OFFSET and assembles the whole text before it returns any of
it. Optimised, each page is located by the last row of the previous page, written and discarded.

Keyset pages or a server-side cursor? Both take about the same memory and, with an index, time. A server-side cursor holds a pooled
connection and an old snapshot for as long as the client reads; a page, in its own transaction, holds them for milliseconds. A row
written meanwhile may be missed, but no row is lost or repeated.

The API's cursor is opaque text at every level (`page`). The review's is a time: prompts that tie with the last prompt of a page
appear on no page, which is kept as proposed.
"""

import base64
import csv
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from io import StringIO
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from service.models import Prompt
from service.switches import Level

COLUMNS = ("ID", "Title", "Content", "Created At")
EXPORT_PAGE = 500  # rows per page; a larger page takes proportionally more memory and saves almost no time
PROPOSED_PAGE = 1000
MAX_OFFSET = 1_000_000  # the highest offset of a page

Cursor = TypeVar("Cursor")
Sessions = async_sessionmaker[AsyncSession]
Listed = tuple[str, str, datetime]  # (id, title, created_at)


class MalformedCursorError(ValueError):
    """A cursor that was not issued by a page."""

    def __init__(self) -> None:
        super().__init__("the cursor was not issued by a page of these prompts; start again without a cursor")


@dataclass(frozen=True)
class Page(Generic[Cursor]):
    """A page of a user's live prompts, and the cursor of the next page; None on the last page."""

    rows: list[Listed]
    next_cursor: Cursor | None


async def export_baseline(sessions: Sessions, user_id: str | None = None) -> AsyncIterator[str]:
    """Load the live prompts of a user, or of all users, into one list; write one chunk. Newest first, then by id."""
    async with sessions() as session:
        prompts = (await session.scalars(_newest_first(_live(select(Prompt), user_id)))).all()
    yield _csv([COLUMNS, *map(_exported, prompts)])


async def export_proposed(sessions: Sessions, user_id: str | None = None) -> AsyncIterator[str]:
    """Fetch pages by OFFSET, write all into one text, and yield it at the end, as the review does; rows may repeat or miss."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    async with sessions() as session:
        async for prompts in offset_pages(session, user_id):
            writer.writerows(map(_exported, prompts))
    yield text.getvalue()


async def offset_pages(
    session: AsyncSession, user_id: str | None = None, page_size: int = PROPOSED_PAGE
) -> AsyncGenerator[list[Prompt], None]:
    """Yield lists of prompts by OFFSET, newest first, and empty the session between them, as the review's stream does.

    Page n reads and discards all rows before it. Rows with equal times have no defined order; rows inserted or deleted meanwhile
    make pages repeat or skip others. Emptying the session also loses objects that the caller has added and not flushed yet.
    """
    offset = 0
    newest = _live(select(Prompt), user_id).order_by(Prompt.created_at.desc())
    while prompts := list((await session.scalars(newest.offset(offset).limit(page_size))).all()):
        yield prompts
        offset += page_size
        session.expunge_all()


async def export_optimised(sessions: Sessions, user_id: str | None = None, page_size: int = EXPORT_PAGE) -> AsyncIterator[str]:
    """Write each page as soon as it is fetched: columns only, keyset pagination, no connection held while the client reads."""
    yield _csv([COLUMNS])
    columns = select(Prompt.id, Prompt.title, Prompt.content, Prompt.created_at)
    statement = first = _newest_first(_live(columns, user_id)).limit(page_size)
    while True:
        async with sessions() as session:
            rows = (await session.execute(statement)).all()
        if rows:
            yield _csv(rows)
        if len(rows) < page_size:
            return
        statement = _after(first, (rows[-1].created_at, rows[-1].id))


async def page_by_offset(session: AsyncSession, user_id: str, cursor: int | None = None, limit: int = 50) -> Page[int]:
    """Return a page by the number of rows before it, newest first, then by id. The baseline."""
    before = cursor or 0
    statement = _newest_first(_live(select(Prompt), user_id)).offset(before).limit(limit + 1)
    prompts = (await session.scalars(statement)).all()
    return Page([_listed(prompt) for prompt in prompts[:limit]], before + limit if len(prompts) > limit else None)


async def page_by_time(session: AsyncSession, user_id: str, cursor: datetime | None = None, limit: int = 50) -> Page[datetime]:
    """Return a page of prompts older than the previous page's last one, as the review's cursor does.

    Prompts that tie with a page's last row are never shown. The review declares the cursor as text but returns a time. As text from
    a JSON response, with a T in the middle, SQLite compares it character by character: the first page of the day is returned
    forever.
    """
    statement = _live(select(Prompt), user_id)
    if cursor:
        statement = statement.where(Prompt.created_at < cursor)
    prompts = (await session.scalars(statement.order_by(Prompt.created_at.desc()).limit(limit + 1))).all()
    shown = prompts[:limit]
    return Page([_listed(prompt) for prompt in shown], shown[-1].created_at if len(prompts) > limit else None)


async def page_by_key(session: AsyncSession, user_id: str, cursor: str | None = None, limit: int = 50) -> Page[str]:
    """Return a page after the time and id of the previous one's last prompt. Raises ValueError if no page issued the cursor."""
    statement = _newest_first(_live(select(Prompt.id, Prompt.title, Prompt.created_at), user_id)).limit(limit + 1)
    if cursor is not None:
        statement = _after(statement, decode_cursor(cursor))
    rows = (await session.execute(statement)).all()
    shown = [(key, title, created_at) for key, title, created_at in rows[:limit]]
    last = shown[-1] if len(rows) > limit else None
    return Page(shown, last and encode_cursor(last[2], last[0]))


async def page(session: AsyncSession, level: Level, user_id: str, cursor: str | None, limit: int) -> Page[str]:
    """Return a page by cursor with the level's technique, the first for None. Raises MalformedCursorError if none issued it."""
    if level is Level.BASELINE:
        by_offset = await page_by_offset(session, user_id, None if cursor is None else decode_offset(cursor), limit)
        return Page(by_offset.rows, None if by_offset.next_cursor is None else str(by_offset.next_cursor))
    if level is Level.PROPOSED:
        by_time = await page_by_time(session, user_id, None if cursor is None else _decode_time(cursor), limit)
        return Page(by_time.rows, None if by_time.next_cursor is None else by_time.next_cursor.isoformat())
    if cursor is not None:
        _check_key(cursor)
    return await page_by_key(session, user_id, cursor, limit)


async def _walk(
    fetch: Callable[[AsyncSession, str, Cursor | None, int], Awaitable[Page[Cursor]]],
    session: AsyncSession,
    user_id: str,
    limit: int = 50,
) -> list[str]:
    """Return the ids on all pages of `limit` prompts of a user."""
    found = await fetch(session, user_id, None, limit)
    ids = [row[0] for row in found.rows]
    while found.next_cursor is not None:
        found = await fetch(session, user_id, found.next_cursor, limit)
        ids += [row[0] for row in found.rows]
    return ids


walk_by_offset = partial(_walk, page_by_offset)
walk_by_time = partial(_walk, page_by_time)
walk_by_key = partial(_walk, page_by_key)


def encode_cursor(created_at: datetime, prompt_id: str) -> str:
    """Return a cursor that is safe in a URL."""
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {prompt_id}".encode()).decode()


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Return a cursor's time and id. Raises ValueError if the cursor was not created by `encode_cursor`."""
    try:
        time, _, prompt_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        created_at = datetime.fromisoformat(time)
    except ValueError as error:
        raise ValueError(f"malformed cursor {cursor!r}; start again from the first page") from error
    # Decoding is lenient about padding, alphabet and time formats; a valid cursor encodes to the same text again.
    if created_at.tzinfo or not prompt_id or encode_cursor(created_at, prompt_id) != cursor:
        raise ValueError(f"malformed cursor {cursor!r}; start again from the first page")
    return created_at, prompt_id


def decode_offset(cursor: str) -> int:
    """Return the number of rows before a page. Raises MalformedCursorError unless it is a whole number from 0 to MAX_OFFSET."""
    if cursor.isascii() and cursor.isdigit() and len(cursor) <= len(str(MAX_OFFSET)) and int(cursor) <= MAX_OFFSET:
        return int(cursor)
    raise MalformedCursorError


def _decode_time(cursor: str) -> datetime:
    try:
        found = datetime.fromisoformat(cursor)
    except ValueError:
        raise MalformedCursorError from None
    if found.tzinfo or found.isoformat() != cursor:
        raise MalformedCursorError
    return found


def _check_key(cursor: str) -> None:
    try:
        _, prompt_id = decode_cursor(cursor)
    except ValueError:
        raise MalformedCursorError from None
    if "\0" in prompt_id:  # PostgreSQL's text type cannot store it
        raise MalformedCursorError


def _live(statement: Select[Any], user_id: str | None) -> Select[Any]:
    live = statement.where(Prompt.deleted_at.is_(None))
    return live if user_id is None else live.where(Prompt.user_id == user_id)


def _newest_first(statement: Select[Any]) -> Select[Any]:
    return statement.order_by(Prompt.created_at.desc(), Prompt.id.desc())


def _after(statement: Select[Any], last: tuple[datetime, str]) -> Select[Any]:
    return statement.where(tuple_(Prompt.created_at, Prompt.id) < last)


def _listed(prompt: Prompt) -> Listed:
    return prompt.id, prompt.title, prompt.created_at


def _exported(prompt: Prompt) -> tuple[str, str, str, datetime]:
    return prompt.id, prompt.title, prompt.content, prompt.created_at


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
