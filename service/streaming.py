"""Reading many prompts: exports as CSV, and pages.

An export is an async generator of pieces of text. The review pages by OFFSET and assembles the whole text before it returns any of
it; done right, each page is found by the last row of the page before, is written and is forgotten.

Pages by key, or a streamed result? Both take about the same memory and, on an index, about the same time.
A streamed result holds a pooled connection and an old snapshot for as long as the client reads; a page holds them for
milliseconds. So: pages, each in a transaction of its own. A row written meanwhile may be missed, none is lost or repeated.
"""

from __future__ import annotations

import base64
import csv
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from service.models import Prompt

COLUMNS = ("ID", "Title", "Content", "Created At")

EXPORT_PAGE = 500
"""Rows in a page of an export. A larger page takes more memory in proportion and saves next to no time."""

PROPOSED_PAGE = 1000

Cursor = TypeVar("Cursor")
Listed = tuple[str, str, datetime]
"""(id, title, created_at)."""


@dataclass(frozen=True)
class Page(Generic[Cursor]):
    """A page of a user's live prompts, and where the next one starts; None after the last."""

    rows: list[Listed]
    next_cursor: Cursor | None


async def export_baseline(sessions: async_sessionmaker[AsyncSession], user_id: str | None = None) -> AsyncIterator[str]:
    """Load a user's live prompts, or everybody's, into one list; write them in one piece. Newest first, then by id."""
    async with sessions() as session:
        prompts = (await session.scalars(_newest_first(_live(select(Prompt), user_id)))).all()
    yield _csv([COLUMNS, *map(_exported, prompts)])


async def export_proposed(sessions: async_sessionmaker[AsyncSession], user_id: str | None = None) -> AsyncIterator[str]:
    """Fetch pages by OFFSET, write all into one text, and hand it over at the end: as the review's export does.

    Rows that tie in time come in no defined order; rows inserted or deleted meanwhile make pages repeat or skip others.
    """
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
    """Yield lists of prompts by OFFSET, newest first, and empty the session between them: as the review's stream does.

    Page n reads and drops all rows of the pages before it. Emptying the session also loses what the caller has added and
    not yet flushed.
    """
    offset = 0
    while True:
        statement = _live(select(Prompt), user_id).order_by(Prompt.created_at.desc()).offset(offset).limit(page_size)
        prompts = list((await session.scalars(statement)).all())
        if not prompts:
            return
        yield prompts
        offset += page_size
        session.expunge_all()


async def export_optimised(
    sessions: async_sessionmaker[AsyncSession], user_id: str | None = None, page_size: int = EXPORT_PAGE
) -> AsyncIterator[str]:
    """Write each page as soon as it is fetched: columns only, found by key, no connection held while the reader reads."""
    yield _csv([COLUMNS])
    columns = select(Prompt.id, Prompt.title, Prompt.content, Prompt.created_at)
    after: tuple[datetime, str] | None = None
    while True:
        statement = _newest_first(_live(columns, user_id)).limit(page_size)
        async with sessions() as session:
            rows = (await session.execute(statement if after is None else _beyond(statement, after))).all()
        if rows:
            yield _csv(rows)
        if len(rows) < page_size:
            return
        after = rows[-1].created_at, rows[-1].id


async def page_by_offset(session: AsyncSession, user_id: str, cursor: int | None = None, limit: int = 50) -> Page[int]:
    """Return a page by the number of rows before it, newest first, then by id. The baseline."""
    before = cursor or 0
    statement = _newest_first(_live(select(Prompt), user_id)).offset(before).limit(limit + 1)
    prompts = (await session.scalars(statement)).all()
    return Page([_listed(prompt) for prompt in prompts[:limit]], before + limit if len(prompts) > limit else None)


async def page_by_time(session: AsyncSession, user_id: str, cursor: datetime | None = None, limit: int = 50) -> Page[datetime]:
    """Return a page of prompts older than the last one's time: as the review's cursor does.

    Prompts that tie with a page's last row are never shown. The review calls the cursor a text but returns a time. As the text
    that a JSON answer makes of a time, with a T in its middle, it is compared letter by letter on SQLite: the day's first
    page comes back for ever.
    """
    statement = _live(select(Prompt), user_id)
    if cursor:
        statement = statement.where(Prompt.created_at < cursor)
    prompts = (await session.scalars(statement.order_by(Prompt.created_at.desc()).limit(limit + 1))).all()
    shown = prompts[:limit]
    return Page([_listed(prompt) for prompt in shown], shown[-1].created_at if len(prompts) > limit else None)


async def page_by_key(session: AsyncSession, user_id: str, cursor: str | None = None, limit: int = 50) -> Page[str]:
    """Return a page of prompts after the last one's time and id, newest first; the cursor is opaque to the caller.

    Raises:
        ValueError: the cursor is none that a page gave.
    """
    statement = _newest_first(_live(select(Prompt.id, Prompt.title, Prompt.created_at), user_id)).limit(limit + 1)
    if cursor is not None:
        statement = _beyond(statement, decode_cursor(cursor))
    rows = (await session.execute(statement)).all()
    shown = [(key, title, created_at) for key, title, created_at in rows[:limit]]
    last = shown[-1] if len(rows) > limit else None
    return Page(shown, last and encode_cursor(last[2], last[0]))


async def walk_by_offset(session: AsyncSession, user_id: str, limit: int = 50) -> list[str]:
    """Return the ids on all pages by OFFSET."""
    return await _walk(lambda cursor: page_by_offset(session, user_id, cursor, limit))


async def walk_by_time(session: AsyncSession, user_id: str, limit: int = 50) -> list[str]:
    """Return the ids on all pages by the review's cursor."""
    return await _walk(lambda cursor: page_by_time(session, user_id, cursor, limit))


async def walk_by_key(session: AsyncSession, user_id: str, limit: int = 50) -> list[str]:
    """Return the ids on all pages by key."""
    return await _walk(lambda cursor: page_by_key(session, user_id, cursor, limit))


def encode_cursor(created_at: datetime, prompt_id: str) -> str:
    """Return a cursor that is safe in a URL."""
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {prompt_id}".encode()).decode()


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Return a cursor's time and id.

    Raises:
        ValueError: the cursor was not made by `encode_cursor`.
    """
    try:
        time, _, prompt_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        created_at = datetime.fromisoformat(time)
    except ValueError as error:
        raise ValueError(f"malformed cursor {cursor!r}; start again from the first page") from error
    # Decoding is lenient about padding, alphabet and forms of time; a cursor of ours comes back as it was.
    if created_at.tzinfo or not prompt_id or encode_cursor(created_at, prompt_id) != cursor:
        raise ValueError(f"malformed cursor {cursor!r}; start again from the first page")
    return created_at, prompt_id


async def _walk(fetch: Callable[[Cursor | None], Awaitable[Page[Cursor]]]) -> list[str]:
    page = await fetch(None)
    ids = [row[0] for row in page.rows]
    while page.next_cursor is not None:
        page = await fetch(page.next_cursor)
        ids += [row[0] for row in page.rows]
    return ids


def _live(statement: Select[Any], user_id: str | None) -> Select[Any]:
    live = statement.where(Prompt.deleted_at.is_(None))
    return live if user_id is None else live.where(Prompt.user_id == user_id)


def _newest_first(statement: Select[Any]) -> Select[Any]:
    return statement.order_by(Prompt.created_at.desc(), Prompt.id.desc())


def _beyond(statement: Select[Any], last: tuple[datetime, str]) -> Select[Any]:
    return statement.where(tuple_(Prompt.created_at, Prompt.id) < last)


def _listed(prompt: Prompt) -> Listed:
    return prompt.id, prompt.title, prompt.created_at


def _exported(prompt: Prompt) -> tuple[str, str, str, datetime]:
    return prompt.id, prompt.title, prompt.content, prompt.created_at


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
