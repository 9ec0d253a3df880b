"""Files of requests."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.targets import request_file


def written(tmp_path: Path, text: str) -> Path:
    """Write a file of requests."""
    file = tmp_path / "requests.txt"
    file.write_text(text)
    return file


def test_requests_with_headers_and_bodies(tmp_path: Path) -> None:
    """Methods, URLs, paths, headers, bodies in the file and beside it; numbers and identifiers are one group."""
    (tmp_path / "order.json").write_bytes(b"\x01{}")
    text = """
# the shop
GET http://localhost:8000/items/1?token=abc
/items/2
POST /orders
Content-Type: application/json
{"name": "pen",
[1]
PUT /orders/7
@order.json
"""
    found = request_file.read(written(tmp_path, text))
    assert [(r.group, r.method, r.path) for r in found.requests] == [
        ("GET /items/{id}", "GET", "/items/1?token=abc"),
        ("GET /items/{id}", "GET", "/items/2"),
        ("POST /orders", "POST", "/orders"),
        ("PUT /orders/{id}", "PUT", "/orders/7"),
    ]
    assert found.requests[2].headers == {"Content-Type": "application/json"}
    assert found.requests[2].body == b'{"name": "pen",[1]'
    assert found.requests[3].body == b"\x01{}"
    assert found.origin is not None
    assert found.origin.origin == ("localhost", 8000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n# nothing\n", "has no requests"),
        ("hello", "line 1 is not a request"),
        ("BREW /pot", "line 1: 'BREW' is not a method"),
        ("GET /a\nnonsense", "line 2 is not a header"),
        ("GET /a\nContent-Length: 3", "'Content-Length' is set by the load generator"),
        ("GET http://a:1/\nGET http://b:1/", "names several servers: a:1, b:1"),
        ("GET /a\n@missing", "is missing"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    """Each is refused with file, line and reason."""
    with pytest.raises(UsageError, match=message):
        request_file.read(written(tmp_path, text))
