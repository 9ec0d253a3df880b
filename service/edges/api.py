"""The part of the prompt service that edges serve: two reads, one public and one private, and a write.

Calls and answers are plain records, so an edge, a cache and a test can stand between a client and a database; `application` wraps a
handler of calls as an ASGI application.

- `GET /prompts/ID`: a prompt, public; a shared cache may store it.
- `GET /users/ID/prompts`: a user's newest active prompts, for that user only.
- `PUT /prompts/ID`: change the title, at the primary. The response contains the new version of the data (`x-data-version`); a
  client that sends it back (`x-least-version`) never receives older data.
- `GET /changes?after=N`: the changes that a replica follows.
"""

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

DATA_VERSION, MIN_VERSION = "x-data-version", "x-least-version"
PUBLIC = "public, max-age=60, stale-while-revalidate=240"
"""Five minutes, as in the review: fresh for one, then served stale for four more while it is refreshed in the background."""

PRIVATE = "private, no-cache"
LONG_POLL_S = 20.0

OK, NO_CONTENT_CHANGED, FORBIDDEN, NOT_FOUND = 200, 304, 403, 404


@dataclass(frozen=True)
class Call:
    """A request."""

    method: str
    path: str  # the path without the query
    headers: Mapping[str, str] = field(default_factory=dict)  # header names are in lower case
    query: str = ""
    body: bytes = b""


Handle = Callable[[Call], Awaitable[Answer]]


class NewTitle(msgspec.Struct, frozen=True):
    """The body of a write."""

    title: str
    at: datetime


class Reads:
    """Serves reads from a database, the primary's or a replica's."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def handle(self, call: Call) -> Answer:
        """Serve a read."""
        async with self._sessions() as session:
            return await read(session, call)


async def read(session: AsyncSession, call: Call) -> Answer:
    """Serve a read on a session."""
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
    """Serves reads, writes and the changes for replicas, in the primary's region."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], primary: Primary) -> None:
        self._reads = Reads(sessions)
        self._primary = primary

    async def handle(self, call: Call) -> Answer:
        """Serve a call."""
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
    """Return the Authorization header of a user: the id itself, since authentication is not under test."""
    return f"Bearer {user_id}"


def answer(content: object, headers: Mapping[str, str]) -> Answer:
    """Return a JSON answer with its ETag."""
    body = msgspec.json.encode(content)
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return Answer(OK, {"content-type": "application/json", "etag": etag, **headers}, body)


def problem(status: int) -> Answer:
    """Return a response without a body that must not be cached."""
    return Answer(status, {"cache-control": "no-store"}, b"")


def unchanged(known: Answer) -> Answer:
    """Return the response for a client that has this answer already."""
    kept = {name: value for name, value in known.headers.items() if name in {"etag", "cache-control", "vary"}}
    return Answer(NO_CONTENT_CHANGED, kept, b"")


def application(handle: Handle) -> ASGIApp:
    """Return an ASGI application for a handler of calls."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        call = Call(request.method, path, dict(request.headers), request.url.query, await request.body())
        made = await handle(call)
        await Response(made.body, made.status, made.headers)(scope, receive, send)

    return app
