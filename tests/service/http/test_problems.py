"""Errors over HTTP: always problem details, never internal details."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.composition import PromptService
from service.switches import Switches

Calling = Callable[..., Any]

CHANGE = {"user_id": "ann", "title": "T"}
JSON = {"content-type": "application/json"}


def send(calling: Calling, method: str, path: str, **what: Any) -> httpx.Response:
    """Send one request to the baseline's service."""

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(method, path, **what)

    answer: httpx.Response = calling(use)
    return answer


def problem(answer: httpx.Response) -> dict[str, Any]:
    """Return the problem in a response, after checking its form."""
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["type"] == "about:blank"
    assert found["status"] == answer.status_code
    assert found["title"]
    assert found["detail"]
    return found


REFUSED: list[tuple[str, str, dict[str, Any], int, list[str] | None]] = [
    ("GET", "/prompts/unknown", {}, 404, None),
    ("GET", "/nowhere", {}, 404, None),
    ("GET", "/prompts/" + "x" * 37, {}, 422, ["prompt_id"]),
    ("GET", "/prompts/%00", {}, 422, ["prompt_id"]),
    ("GET", "/users/ann/prompts?limit=0", {}, 422, ["limit"]),
    ("GET", "/users/ann/prompts?limit=many", {}, 422, ["limit"]),
    ("GET", "/users/ann/prompts?offset=-1", {}, 422, ["offset"]),
    ("GET", "/users/ann/prompts?cursor=nonsense", {}, 422, ["cursor"]),
    ("GET", "/users/ann/prompts?cursor=" + "x" * 201, {}, 422, ["cursor"]),
    ("GET", "/templates", {}, 422, ["category"]),
    ("PATCH", "/prompts/p0037", {"content": b"{", "headers": JSON}, 400, None),
    ("PATCH", "/prompts/p0037", {"content": b"\xff\xfe", "headers": JSON}, 400, None),
    ("PATCH", "/prompts/p0037", {"content": b"[" * 100_000, "headers": JSON}, 400, None),
    ("PATCH", "/prompts/p0037", {"content": b"9" * 100_000, "headers": JSON}, 400, None),
    ("PATCH", "/prompts/p0037", {"content": b"", "headers": JSON}, 422, [""]),
    ("PATCH", "/prompts/p0037", {"json": [1]}, 422, [""]),
    ("PATCH", "/prompts/p0037", {"json": {}}, 422, ["/user_id", "/title"]),
    ("PATCH", "/prompts/p0037", {"json": {**CHANGE, "a/b~c": 1}}, 422, ["/a~1b~0c"]),
    ("PATCH", "/prompts/p0037", {"json": {**CHANGE, "title": "a\0b"}}, 422, ["/title"]),
    ("PATCH", "/prompts/p0037", {"content": b'{"user_id": "ann", "title": "\\ud800"}', "headers": JSON}, 422, ["/title"]),
    ("PATCH", "/prompts/p0037", {"data": {"title": "x"}}, 415, None),
    ("PATCH", "/prompts/p0037", {"content": b"{}"}, 415, None),
    ("POST", "/bulk/prompts/deletion", {"json": {"ids": ["a", "a"]}}, 422, ["/ids"]),
    ("POST", "/bulk/prompts/deletion", {"json": {"ids": []}}, 422, ["/ids"]),
    ("POST", "/bulk/prompts/status", {"json": {"ids": ["a"], "status": "lost"}}, 422, ["/status"]),
    (
        "POST",
        "/bulk/prompts",
        {"json": {"prompts": [{"id": "a"}]}},
        422,
        ["/prompts/0/user_id", "/prompts/0/title", "/prompts/0/content"],
    ),
    ("POST", "/bulk/prompts", {"json": {"prompts": [{"id": "a", **CHANGE, "content": ""}] * 2}}, 422, ["/prompts"]),
]


@pytest.mark.parametrize(("method", "path", "what", "status", "where"), REFUSED)
def test_refused_input_is_located(
    method: str, path: str, what: dict[str, Any], status: int, where: list[str] | None, calling: Calling
) -> None:
    """Invalid input of any kind is a problem with its own status, with pointers into the body or names of parameters."""
    found = problem(send(calling, method, path, **what))
    assert found["status"] == status
    places = [error.get("pointer", error.get("parameter")) for error in found["errors"]] if "errors" in found else None
    assert places == where


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/prompts/p0037", "GET, PATCH"), ("/prompts", "POST"), ("/health", "GET"), ("/bulk/prompts", "POST")],
)
def test_an_unknown_method_is_answered_with_the_allowed_ones(path: str, allowed: str, calling: Calling) -> None:
    """All methods of the URL are listed, whichever route has them."""
    answer = send(calling, "DELETE", path)
    assert problem(answer)["status"] == 405
    assert answer.headers["allow"] == allowed


def test_a_body_with_too_large_a_content_length_is_not_read(calling: Calling) -> None:
    """Not even its first byte is requested."""
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"{}"

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        headers = {**JSON, "content-length": "101"}
        return await client.patch("/prompts/p0037", content=body(), headers=headers)

    assert problem(calling(use, body_limit_bytes=100))["status"] == 413
    assert not read


def test_a_body_without_a_length_is_read_up_to_the_limit(calling: Calling) -> None:
    """At the first byte above the limit it is refused; the rest is not requested."""
    sent = []

    async def body() -> AsyncIterator[bytes]:
        for _ in range(50):
            sent.append(1)
            yield b" " * 10

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.patch("/prompts/p0037", content=body(), headers=JSON)

    assert problem(calling(use, body_limit_bytes=100))["status"] == 413
    assert len(sent) == 11


def test_a_body_of_exactly_the_limit_is_accepted(calling: Calling) -> None:
    """The limit is the largest allowed size."""
    body = b'{"user_id": "ann", "title": "T"}'

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.patch("/prompts/p0037", content=body, headers=JSON)

    assert calling(use, body_limit_bytes=len(body)).status_code == 200
    assert calling(use, body_limit_bytes=len(body) - 1).status_code == 413


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("a secret"), 500),
        (OperationalError("SELECT a secret", {}, sqlite3.OperationalError("no such table: secret")), 500),
        (PoolTimeoutError("QueuePool limit of a secret"), 503),
        (ConnectionRefusedError("secret:5432"), 503),
    ],
)
def test_internal_errors_are_logged_and_not_disclosed(
    error: Exception, status: int, calling: Calling, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The status is 503 with a time to wait if the database is busy or unreachable, and 500 otherwise; the log names the error."""

    async def fail(_service: PromptService) -> None:
        raise error

    monkeypatch.setattr(PromptService, "ping", fail)
    caplog.set_level(logging.WARNING, "service.http.problems")
    answer = send(calling, "GET", "/health")
    assert problem(answer)["status"] == status
    assert "secret" not in answer.text
    assert answer.headers.get("retry-after") == ("1" if status == 503 else None)
    assert type(error).__name__ in caplog.text


def test_a_database_that_is_locked_is_busy(calling: Calling, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds SQLite's write lock, a write gets 503, and a read succeeds."""
    monkeypatch.setattr("service.database._SQLITE", ("busy_timeout=1", "foreign_keys=ON"))

    async def use(client: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response]:
        return await client.patch("/prompts/p0037", json=CHANGE), await client.get("/prompts/p0037")

    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        write, read = calling(use)
    finally:
        holder.close()
    assert problem(write)["status"] == 503
    assert write.headers["retry-after"] == "1"
    assert read.status_code == 200


def test_an_export_that_cannot_begin_is_a_problem(calling: Calling, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rows are read before the response begins, so that it still has an error status."""

    async def broken(*_: Any) -> AsyncIterator[str]:
        yield "ID\r\n"
        raise PoolTimeoutError

    monkeypatch.setattr(PromptService, "export", lambda self, user_id: broken())
    assert problem(send(calling, "GET", "/exports/prompts.csv"))["status"] == 503


def test_an_export_that_breaks_off_is_aborted(calling: Calling, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that has begun cannot become a problem: the server gets the error, and closes the connection."""

    async def broken(*_: Any) -> AsyncIterator[str]:
        for piece in ("ID\r\n", "a\r\n", "b\r\n"):
            yield piece
        raise PoolTimeoutError

    monkeypatch.setattr(PromptService, "export", lambda self, user_id: broken())

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        client._transport.raise_app_exceptions = True  # type: ignore[attr-defined]  # as a server sees it
        return await client.get("/exports/prompts.csv")

    with pytest.raises(PoolTimeoutError):
        calling(use)


def test_sql_in_a_title_is_a_title(calling: Calling) -> None:
    """Text that looks like SQL is stored and returned unchanged."""
    title = "x'; DELETE FROM prompts; --"

    async def use(client: httpx.AsyncClient) -> Any:
        await client.patch("/prompts/p0037", json={**CHANGE, "title": title})
        await asyncio.gather(*(client.get(f"/users/{text}/prompts") for text in ("' OR 1=1 --", "%", "ann' UNION SELECT 1")))
        return (await client.get("/prompts/p0037")).json()["title"]

    assert calling(use) == title
    assert calling(use, Switches.alone("bulk")) == title
