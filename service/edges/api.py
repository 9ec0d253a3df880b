"""The part of the prompt service that edges serve: two reads, one for everybody and one for its owner, and a write.

A call and an answer are plain records, so that an edge, a cache and a test can stand between a client and a database; `application`
makes an ASGI application of whatever handles calls.

- `GET /prompts/ID`: a prompt, for everybody; a shared cache may keep it.
- `GET /users/ID/prompts`: a user's newest active prompts, for that user alone.
- `PUT /prompts/ID`: another title, at the primary. Its answer says which version the data has now (`x-data-version`); whoever sends
  that number back (`x-least-version`) is never answered from older data.
- `GET /changes?after=N`: what a replica follows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service import prompts
from service.edges.http_cache import Answer
from service.edges.replication import Primary

DATA_VERSION, LEAST_VERSION = "x-data-version", "x-least-version"
PUBLIC = "public, max-age=60, stale-while-revalidate=240"
"""Five minutes, as the review has it: one of them fresh, and four more while it is refreshed behind the answer."""

PRIVATE = "private, no-cache"
LONG_POLL_S = 20.0

OK, NO_CONTENT_CHANGED, FORBIDDEN, NOT_FOUND = 200, 304, 403, 404


@dataclass(frozen=True)
class Call:
    """A request. Header names are in lower case; `path` is without the query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    body: bytes = b""


Handle = Callable[[Call], Awaitable[Answer]]


class NewTitle(msgspec.Struct, frozen=True):
    """The body of a write."""

    title: str
    at: datetime


class Reads:
    """Answers reads from a database, the primary's or a replica's."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def handle(self, call: Call) -> Answer:
        """Answer a read."""
        async with self._sessions() as session:
            return await read(session, call)


async def read(session: AsyncSession, call: Call) -> Answer:
    """Answer a read on a session."""
    match call.path.strip("/").split("/"):
        case ["prompts", prompt_id]:
            found = await prompts.prompt(session, prompt_id)
            return problem(NOT_FOUND) if found is None else answer(found, {"cache-control": PUBLIC})
        case ["users", user_id, "prompts"]:
            if call.headers.get("authorization") != bearer(user_id):
                return problem(FORBIDDEN)
            headers = {"cache-control": PRIVATE, "vary": "authorization"}
            return answer(await prompts.active_prompts(session, user_id), headers)
        case _:
            return problem(NOT_FOUND)


class Origin:
    """Answers reads and takes writes, beside the primary; what replicas follow."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], primary: Primary) -> None:
        self._reads = Reads(sessions)
        self._primary = primary

    async def handle(self, call: Call) -> Answer:
        """Answer a call."""
        match call.method, call.path.strip("/").split("/"):
            case "PUT", ["prompts", prompt_id]:
                return await self._write(prompt_id, call)
            case "GET", ["changes"]:
                after = int(parse_qs(call.query).get("after", ["0"])[0])
                return answer(await self._primary.changes_after(after, LONG_POLL_S), {"cache-control": "no-store"})
            case "GET", _:
                return await self._reads.handle(call)
            case _:
                return problem(NOT_FOUND)

    async def _write(self, prompt_id: str, call: Call) -> Answer:
        user_id = call.headers.get("authorization", "").removeprefix("Bearer ")
        new = msgspec.json.decode(call.body, type=NewTitle)
        done = await self._primary.update_title(prompt_id, user_id, new.title, new.at)
        if done is None:
            return problem(NOT_FOUND)
        version, prompt_version = done
        return answer(prompt_version, {"cache-control": "no-store", DATA_VERSION: str(version)})


def bearer(user_id: str) -> str:
    """Return the Authorization of a user: the id itself, since who is who is not on trial here."""
    return f"Bearer {user_id}"


def answer(content: object, headers: Mapping[str, str]) -> Answer:
    """Return a JSON answer with its ETag."""
    body = msgspec.json.encode(content)
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return Answer(OK, {"content-type": "application/json", "etag": etag, **headers}, body)


def problem(status: int) -> Answer:
    """Return an answer without a body that nobody keeps."""
    return Answer(status, {"cache-control": "no-store"}, b"")


def unchanged(known: Answer) -> Answer:
    """Return the answer for a client that has this one already."""
    kept = {name: value for name, value in known.headers.items() if name in {"etag", "cache-control", "vary"}}
    return Answer(NO_CONTENT_CHANGED, kept, b"")


def application(handle: Handle) -> ASGIApp:
    """Return an ASGI application that has every call handled."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        call = Call(request.method, path, dict(request.headers), request.url.query, await request.body())
        made = await handle(call)
        await Response(made.body, made.status, made.headers)(scope, receive, send)

    return app
