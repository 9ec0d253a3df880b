"""Requests are timed by the route's template and the class of their status, never by data from a client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import ASGIApp as App
from starlette.types import Message, Receive, Scope, Send

from service.observability.monitoring import Monitoring


def requests(monitoring: Monitoring) -> dict[tuple[str, str, str], float]:
    """Return the number of timed requests, by method, route and status."""
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in monitoring.registry.collect()
        for sample in family.samples
        if sample.name == "http_request_duration_seconds_count"
    }


def call_app(app: App, path: str = "/", method: str = "GET", kind: str = "http") -> list[Message]:
    """Send one request to an application, and return the messages that it sends."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
        "root_path": "", "query_string": b"", "headers": [], "scheme": "http", "server": ("127.0.0.1", 80), "client": None,
    }  # fmt: skip
    asyncio.run(_call(app, scope, receive, send))
    return sent


async def _call(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def answering(status: int, failure: BaseException | None = None) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an application that responds with a status, or fails before."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if failure is not None:
            raise failure
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


@pytest.mark.parametrize(("status", "expected"), [(200, "2xx"), (304, "3xx"), (404, "4xx"), (503, "5xx")])
def test_the_class_of_the_status_is_recorded(status: int, expected: str) -> None:
    """One request is one observation, and the response passes unchanged."""
    monitoring = Monitoring()
    sent = call_app(monitoring.timed(answering(status)))
    assert sent[0]["status"] == status
    assert requests(monitoring) == {("GET", "no route", expected): 1}


@pytest.mark.parametrize(("failure", "expected"), [(ValueError("x"), "5xx"), (asyncio.CancelledError(), "cancelled")])
def test_a_request_without_an_answer_is_timed_as_well(failure: BaseException, expected: str) -> None:
    """The exception passes on; a client that disconnected is not a failure of the service."""
    monitoring = Monitoring()
    with pytest.raises(type(failure)):
        call_app(monitoring.timed(answering(200, failure)))
    assert requests(monitoring) == {("GET", "no route", expected): 1}


def test_clients_cannot_create_series() -> None:
    """Unknown paths and methods share one label value."""
    monitoring = Monitoring()
    app = monitoring.timed(answering(404))
    for number in range(20):
        call_app(app, f"/guess/{number}", f"M{number}")
    assert requests(monitoring) == {("other", "no route", "4xx"): 20}


def test_messages_that_are_not_requests_are_not_timed() -> None:
    """Startup and shutdown of the application are not requests."""
    monitoring = Monitoring()
    call_app(monitoring.timed(answering(200)), kind="lifespan")
    assert requests(monitoring) == {}


def test_the_route_is_fastapis_template() -> None:
    """Two ids share one route; a path without a route has the label for none."""
    fastapi = pytest.importorskip("fastapi")
    api: Any = fastapi.FastAPI()

    async def prompt(prompt_id: str) -> str:
        return prompt_id

    api.get("/prompts/{prompt_id}")(prompt)

    monitoring = Monitoring()
    app = monitoring.timed(api)
    for path in ("/prompts/1", "/prompts/2", "/nothing"):
        call_app(app, path)
    assert requests(monitoring) == {("GET", "/prompts/{prompt_id}", "2xx"): 2, ("GET", "no route", "4xx"): 1}
