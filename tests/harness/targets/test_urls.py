"""URLs of targets."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.load.http_client import Client
from harness.targets import urls


def test_the_parts_of_a_url() -> None:
    """User and password become a header, and are not shown; the fragment is left out."""
    url = urls.parse("http://me:p%40ss@localhost:8000/items/{id}?q=ä#top")
    assert (url.host, url.port, url.path) == ("localhost", 8000, "/items/{id}?q=%C3%A4")
    assert base64.b64decode(url.headers["authorization"].removeprefix("Basic ")) == b"me:p@ss"
    assert url.shown == "http://***@localhost:8000/items/{id}?q=ä#top"
    assert url.authority == "localhost:8000"


def test_defaults() -> None:
    """The port is 80; addresses that servers print as theirs are this machine's; a query alone follows the root."""
    assert urls.parse("http://[::1]/").authority == "[::1]"
    assert urls.parse("http://0.0.0.0:5000").host == "127.0.0.1"
    assert urls.parse("HTTP://localhost?a=1").path == "/?a=1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://localhost/", "https is not supported"),
        ("ws://localhost/", "scheme 'ws' is not supported"),
        ("http:///items", "has no host"),
        ("http://localhost:0/", "has no port"),
        ("http://localhost:99999/", "the port is not a number from 1 to 65535"),
        ("http://localhost:x/", "the port is not a number"),
        ("http://localhost/a b", "has a space or a control character"),
        ("http://localhost/\r\nX: y", "has a space or a control character"),
        ("http://[::1/", "is not a URL"),
        (f"http://{'ä' * 300}/", "the host is not a name"),
    ],
)
def test_urls_that_cannot_be_used(text: str, message: str) -> None:
    """Each is refused with its reason, in one line, without its secrets."""
    with pytest.raises(UsageError, match=message) as refused:
        urls.parse(text)
    assert "\n" not in str(refused.value)


@given(st.text(min_size=1, max_size=30))
def test_every_path_is_refused_or_can_be_sent(path: str) -> None:
    """Whatever its characters: what is accepted is a valid path of a request."""
    try:
        url = urls.parse(f"http://localhost/{path}")
    except UsageError:
        return
    Client("localhost", 80).encode("GET", url.path or "/")


def test_a_text_without_a_scheme() -> None:
    """It is recognised by its port, so that the message can name the scheme."""
    assert urls.lacks_scheme("localhost:8000/items")
    assert urls.lacks_scheme("127.0.0.1:8000")
    assert not urls.lacks_scheme("n_plus_one")
    assert not urls.lacks_scheme("bench/orders.py")
