"""The echo server: it responds with the request's body."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tools.load_generator.echo import HELLO, app


def answer_to(*messages: dict[str, Any]) -> list[Any]:
    """Return the messages that the application sends after these messages."""
    waiting, sent = list(messages), []

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http"}, receive, send))
    return sent


@pytest.mark.parametrize(
    ("parts", "body"),
    [([b""], HELLO), ([b"abc"], b"abc"), ([b"abc", b"de", b"f"], b"abcdef")],
)
def test_a_body_is_returned_complete(parts: Sequence[bytes], body: bytes) -> None:
    """Its parts are joined, with their length; a request without a body gets a fixed one."""
    request = [{"type": "http.request", "body": part, "more_body": n < len(parts) - 1} for n, part in enumerate(parts)]
    start, end = answer_to(*request)
    assert (start["status"], start["headers"]) == (200, [(b"content-length", str(len(body)).encode())])
    assert end["body"] == body


def test_an_aborted_request_has_no_response() -> None:
    """A client that disconnects gets no response."""
    assert answer_to({"type": "http.request", "body": b"abc", "more_body": True}, {"type": "http.disconnect"}) == []
