"""The calls that edges serve: authorisation, cacheability, and the ASGI application around them."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from service.edges import replication
from service.edges.api import DATA_VERSION, Call, NewTitle, Origin, Reads, answer, application, bearer, conditional
from service.edges.http_cache import Answer, lifetime_of
from service.edges.replication import Primary
from service.sessions import sessionmaker

OnEngine = Callable[..., Any]

AT = datetime(2025, 6, 1)  # noqa: DTZ001 - the service stores naive UTC
PROMPT, USER, DELETED = "p0037", "ann", "p0000"


def test_a_prompt_is_public_and_a_list_is_private(on_engine: OnEngine) -> None:
    """A shared cache may store a prompt but not a list, which only its owner can read."""

    async def check(engine: AsyncEngine) -> None:
        handle = Reads(sessionmaker(engine)).handle
        prompt = await handle(Call("GET", f"/prompts/{PROMPT}"))
        assert (prompt.status, msgspec.json.decode(prompt.body)[0]) == (200, PROMPT)
        assert lifetime_of({}, prompt) is not None
        mine = {"authorization": bearer(USER)}
        own = await handle(Call("GET", f"/users/{USER}/prompts", mine))
        assert (own.status, len(msgspec.json.decode(own.body))) == (200, 50)
        assert lifetime_of(mine, own) is None
        assert lifetime_of({}, own) is None
        for headers in ({}, {"authorization": bearer("bob")}):
            assert (await handle(Call("GET", f"/users/{USER}/prompts", headers))).status == 403

    on_engine(check)


def test_missing_resources_are_not_found_and_not_cached(on_engine: OnEngine) -> None:
    """Deleted and unknown prompts and unknown URLs get 404, which no cache stores."""

    async def check(engine: AsyncEngine) -> None:
        handle = Reads(sessionmaker(engine)).handle
        for path in (f"/prompts/{DELETED}", "/prompts/unknown", "/", "/users/ann", "/prompts/a/b"):
            found = await handle(Call("GET", path))
            assert found.status == 404
            assert lifetime_of({}, found) is None

    on_engine(check)


def test_a_write_returns_the_version_of_the_data(on_engine: OnEngine) -> None:
    """The origin applies a write, numbers it, notifies followers, and refuses a write to another user's prompt."""

    async def check(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.run_sync(replication.upgrade)
        sessions = sessionmaker(engine)
        handle = Origin(sessions, Primary(sessions, lambda _: None)).handle
        body = msgspec.json.encode(NewTitle("New", AT))
        done = await handle(Call("PUT", f"/prompts/{PROMPT}", {"authorization": bearer(USER)}, body=body))
        assert (done.status, done.headers[DATA_VERSION], msgspec.json.decode(done.body)) == (200, "1", 3)
        assert (await handle(Call("PUT", f"/prompts/{PROMPT}", {"authorization": bearer("bob")}, body=body))).status == 404
        assert msgspec.json.decode((await handle(Call("GET", f"/prompts/{PROMPT}"))).body)[1] == "New"
        (change,) = msgspec.json.decode((await handle(Call("GET", "/changes", query="after=0"))).body)
        assert (change["number"], change["prompt_id"], change["title"]) == (1, PROMPT, "New")
        assert (await handle(Call("DELETE", f"/prompts/{PROMPT}"))).status == 404

    on_engine(check)


def test_etags_are_equal_for_equal_bodies_only() -> None:
    """The validator is a function of the body."""
    assert answer([1], {}).etag == answer([1], {"a": "b"}).etag
    assert answer([1], {}).etag != answer([2], {}).etag


def test_an_unchanged_answer_has_no_body_and_keeps_its_validator() -> None:
    """304 contains only the headers that a cache needs to keep its copy."""
    full = answer([1], {"cache-control": "public", "vary": "accept", "x-other": "1"})
    found = conditional(Call("GET", "/", {"if-none-match": "*"}), full)
    assert (found.status, found.body) == (304, b"")
    assert found.headers == {"etag": full.etag, "cache-control": "public", "vary": "accept"}


def test_the_application_passes_calls_unchanged() -> None:
    """Method, path, query, headers and body reach the handler, and its status, headers and body reach the client."""
    seen: list[Call] = []

    async def handle(call: Call) -> Answer:
        seen.append(call)
        return Answer(201, {"x-made": "yes"}, b"made")

    async def play() -> httpx.Response:
        transport = httpx.ASGITransport(app=application(handle))
        async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
            return await client.put("/prompts/a?x=1", headers={"X-Sent": "yes"}, content=b"body")

    response = asyncio.run(play())
    (call,) = seen
    assert (call.method, call.path, call.query, call.headers["x-sent"], call.body) == ("PUT", "/prompts/a", "x=1", "yes", b"body")
    assert (response.status_code, response.headers["x-made"], response.content) == (201, "yes", b"made")
