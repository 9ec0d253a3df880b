"""The part of the prompt service that edges serve, two reads, one public and one private, and a write; and an edge.

Calls and answers are plain records, so an edge, a cache and a test can stand between a client and a database.

- `GET /prompts/ID`: a prompt, public; a shared cache may store it.
- `GET /users/ID/prompts`: a user's newest active prompts, for that user only.
- `PUT /prompts/ID`: change the title, at the primary. The response contains the new version of the data (`x-data-version`); a
  client that sends it back (`x-least-version`) never receives older data.
- `GET /changes?after=N`: the changes that a replica follows.
"""

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from urllib.parse import parse_qs

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service import prompts
from service.edges.http_cache import Answer, EdgeCache, LookupState, is_same
from service.edges.replication import Primary, Versioned

DATA_VERSION, MIN_VERSION = "x-data-version", "x-least-version"
PUBLIC = "public, max-age=60, stale-while-revalidate=240"  # the review's five minutes: one fresh, four stale while refreshed
PRIVATE = "private, no-cache"
LONG_POLL_S = 20.0


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
            return problem(HTTPStatus.NOT_FOUND) if found is None else answer(found, {"cache-control": PUBLIC})
        case ["users", user_id, "prompts"]:
            if call.headers.get("authorization") != bearer(user_id):
                return problem(HTTPStatus.FORBIDDEN)
            headers = {"cache-control": PRIVATE, "vary": "authorization"}
            return answer(await prompts.active_prompts(session, user_id), headers)
        case _:
            return problem(HTTPStatus.NOT_FOUND)


class Origin:
    """Serves reads, writes and the changes for replicas, in the primary's region."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], primary: Primary) -> None:
        self._reads = Reads(sessions)
        self._primary = primary

    async def handle(self, call: Call) -> Answer:
        """Serve a call."""
        match call.method, call.path.strip("/").split("/"):
            case "PUT", ["prompts", prompt_id]:
                user_id = call.headers.get("authorization", "").removeprefix("Bearer ")
                new = msgspec.json.decode(call.body, type=NewTitle)
                done = await self._primary.update_title(prompt_id, user_id, new.title, new.at)
                if done is None:
                    return problem(HTTPStatus.NOT_FOUND)
                version, prompt_version = done
                return answer(prompt_version, {"cache-control": "no-store", DATA_VERSION: str(version)})
            case "GET", ["changes"]:
                after = int(parse_qs(call.query).get("after", ["0"])[0])
                return answer(await self._primary.changes_after(after, LONG_POLL_S), {"cache-control": "no-store"})
            case "GET", _:
                return await self._reads.handle(call)
            case _:
                return problem(HTTPStatus.NOT_FOUND)


class Edge:
    """Handles the calls of one region: reads from a cache and the replica (`reads`); writes go to the primary's region (`origin`).

    Read your own writes: a client that has written sends the version from the response. Until the replica has reached that version,
    the edge reads from the origin instead, which costs only that client a round trip. When the replica has it, the cached answers
    that the write made stale are already removed: the replica notifies the cache when it applies the change.
    """

    def __init__(self, reads: Handle, origin: Handle, replica: Versioned, cache: EdgeCache) -> None:
        self._reads = reads
        self._origin = origin
        self._replica = replica
        self.cache = cache
        self.counts: Counter[str] = Counter()  # calls by source of the answer: cache, replica, origin
        self._refreshing: dict[str, asyncio.Task[None]] = {}

    async def handle(self, call: Call) -> Answer:
        """Answer a call."""
        if call.method != "GET" or int(call.headers.get(MIN_VERSION, 0)) > self._replica.version:
            self.counts["origin"] += 1
            return await self._origin(call)
        found = self.cache.lookup(call.path, call.headers)
        if found.answer is None:
            self.counts["replica"] += 1
            return conditional(call, await self._read(call))
        self.counts["cache"] += 1
        if found.state is LookupState.STALE and call.path not in self._refreshing:
            self._refreshing[call.path] = asyncio.create_task(self._refresh(call))
        return conditional(call, found.answer)

    async def _read(self, call: Call) -> Answer:
        """Read from the replica, and cache the answer unless a change was applied meanwhile."""
        before = self._replica.version
        made = await self._reads(call)
        if self._replica.version == before:
            self.cache.store(call.path, call.headers, made)
        return made

    async def _refresh(self, call: Call) -> None:
        try:
            with contextlib.suppress(Exception):  # the stale answer is served until it expires
                await self._read(call)
        finally:
            del self._refreshing[call.path]


def bearer(user_id: str) -> str:
    """Return the Authorization header of a user: the id itself, since authentication is not under test."""
    return f"Bearer {user_id}"


def answer(content: object, headers: Mapping[str, str]) -> Answer:
    """Return a JSON answer with its ETag."""
    body = msgspec.json.encode(content)
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return Answer(HTTPStatus.OK, {"content-type": "application/json", "etag": etag, **headers}, body)


def problem(status: int) -> Answer:
    """Return a response without a body that must not be cached."""
    return Answer(status, {"cache-control": "no-store"}, b"")


def conditional(call: Call, made: Answer) -> Answer:
    """Return an answer, or the response without a body for a client that has this answer already."""
    if not is_same(made.etag, call.headers.get("if-none-match")):
        return made
    kept = {name: value for name, value in made.headers.items() if name in {"etag", "cache-control", "vary"}}
    return Answer(HTTPStatus.NOT_MODIFIED, kept, b"")


def application(handle: Handle) -> ASGIApp:
    """Return an ASGI application for a handler of calls."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        call = Call(request.method, path, dict(request.headers), request.url.query, await request.body())
        made = await handle(call)
        await Response(made.body, made.status, made.headers)(scope, receive, send)

    return app
