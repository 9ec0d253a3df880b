"""Requests of HAR files."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.targets import har

FILE = Path("shop.har")


def entry(url: str, method: str = "GET", status: int = 200, **more: Any) -> dict[str, Any]:
    """Return a recorded request."""
    return {
        "request": {"method": method, "url": url, "headers": [], **more},
        "response": {"status": status, "content": {"text": "x"}},
    }


def document(*entries: dict[str, Any]) -> bytes:
    """Return a HAR file."""
    return json.dumps({"log": {"version": "1.2", "entries": entries}}).encode()


def test_requests_of_the_first_server_are_used() -> None:
    """Others, and those that failed or cannot be sent, are counted with the reason."""
    post = {"mimeType": "application/json", "text": base64.b64encode(b"\xff").decode(), "encoding": "base64"}
    content = document(
        entry("https://shop.example/items/1"),
        entry(
            "https://shop.example/items/{x}", headers=[{"name": ":path", "value": "/"}, {"name": "Host", "value": "shop.example"}]
        ),
        entry("https://shop.example/orders", "POST", postData=post),
        entry("https://cdn.example/x.js"),
        entry("https://shop.example/gone", status=404),
        entry("https://shop.example/x", "CONNECT"),
        entry("https://shop.example/upload", "POST", postData={"mimeType": "multipart/form-data", "params": [{"name": "a"}]}),
    )
    found = har.read(FILE, content, needs_origin=False)
    assert [(r.method, r.path, r.headers, r.body) for r in found.requests] == [
        ("GET", "/items/1", {}, b""),
        ("GET", "/items/%7Bx%7D", {}, b""),
        ("POST", "/orders", {}, b"\xff"),
    ]
    assert found.total == 7
    assert found.left_out == {
        "to another server": 1,
        "that failed when recorded": 1,
        "with method 'CONNECT'": 1,
        "with a URL or a body that cannot be sent": 1,
    }
    assert found.note.startswith("3 of 7 recorded requests used; not used: ")


def test_headers_are_those_that_the_client_can_send() -> None:
    """Encodings that it does not decode are left out, cookies of HTTP/2 joined, and a form is encoded again."""
    headers = [
        {"name": "accept-encoding", "value": "br, gzip, zstd"},
        {"name": "cookie", "value": "a=1"},
        {"name": "cookie", "value": "b=2"},
        {"name": "Accept", "value": "*/*"},
    ]
    form = {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "q", "value": "a b"}]}
    (request,) = har.read(
        FILE, document(entry("http://localhost:1/s", "POST", headers=headers, postData=form)), needs_origin=True
    ).requests
    assert request.headers == {"accept-encoding": "gzip", "cookie": "a=1; b=2", "Accept": "*/*"}
    assert request.body == b"q=a+b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (document(), "is a HAR file without requests"),
        (b'{"log": {}}', "is a HAR file without requests"),
        (b'{"log": {"entries": [{"request": 5}]}}', "has another form"),
        (b'{"log": {"entries": [', "is not valid JSON"),
        (document(entry("http://localhost:1/", status=500)), "no requests that can be sent again: 1 that failed when recorded"),
        (document(entry("https://shop.example/")), "https is not supported"),
    ],
)
def test_files_that_cannot_be_used(content: bytes, message: str) -> None:
    """Each is refused with its reason."""
    with pytest.raises(UsageError, match=message):
        har.read(FILE, content, needs_origin=True)
