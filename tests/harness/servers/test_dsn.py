"""Addresses of the user's servers are refused with their remedy, before anything is contacted, and never shown."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.network.addresses import REMOTE_VARIABLE
from harness.servers.dsn import checked

EXAMPLE = "toy://user:password@127.0.0.1:7/0"


def refusal(text: str) -> str:
    """Return the message about a URL."""
    with pytest.raises(UsageError) as refused:
        checked("TOY_URL", text, "Toy", ("toy", "toys"), EXAMPLE)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a URL of Toy, which begins with toy:// or toys://"),
        ("s3cret", "is not a URL of Toy"),
        ("postgres://me:s3cret@127.0.0.1/x", "is not a URL of Toy"),
        ("toy:/127.0.0.1/s3cret", "is not a URL of Toy"),
        (" toy://127.0.0.1/0", "has a space"),
        ("toy://me:s3 cret@127.0.0.1/0", "has a space or a control character, which is written as %20 in a password"),
        ("toy://me:s3cret@127.0.0.1/0\n", "has a space or a control character"),
        ("toy://me:\x1b[31ms3cret@127.0.0.1/0", "has a space or a control character"),
        ("toy://me:s3cret@x@127.0.0.1/0", "has an unescaped character in its user or password, where @ is written as %40"),
        ("toy://me:s3cret/x@127.0.0.1:7/0", "has an unescaped character in its user or password"),
        ("toy://me:12?s3cret@127.0.0.1:7/0", "has an unescaped character in its user or password"),
        ("toy://me:12#s3cret@127.0.0.1:7/0", "has an unescaped character in its user or password"),
        ("toy://me:100%s3cret@127.0.0.1/0", "has a % that begins no escape, which is written as %25"),
        ("toy://me:s3cret%@127.0.0.1/0", "has a % that begins no escape"),
        ("toy://", "names no host"),
        ("toy:///s3cret", "names no host"),
        ("toy://me:s3cret@/0", "names no host"),
        ("toy://me:s3cret@:7/0", "names no host"),
        ("toy://127.0.0.1:s3cret/0", "has a port that is not a number from 1 to 65535"),
        ("toy://127.0.0.1:0/0", "has a port that is not a number"),
        ("toy://127.0.0.1:/0", "has a port that is not a number"),
        ("toy://127.0.0.1:65536/0", "has a port that is not a number"),
        (f"toy://127.0.0.1:{'9' * 5000}/0", "has a port that is not a number"),
        ("toy://::1:7/0", "has an IPv6 address without brackets, which is written as [::1]"),
        ("toy://[::1/0", "has brackets that enclose no IPv6 address"),
        ("toy://[s3cret]/0", "has brackets that enclose no IPv6 address"),
        ("toy://127.0.0.1,127.0.0.2/0", "names several hosts"),
        ("toy://127.0.0.1/0?host=192.0.2.1", "names host, port, user or password after the ?"),
        ("toy://127.0.0.1/0?x=1&password=s3cret", "names host, port, user or password after the ?"),
        ("toy://s3cret..x/0", "has a host that is not a host name"),
        ("toy://s3cret%20x/0", "has a host that is not a host name"),
        ("toy://" + "a" * 300 + "/0", "has a host that is not a host name"),
    ],
)
def test_a_bad_url_is_one_line_with_its_remedy(text: str, problem: str) -> None:
    """The problem is named with the form to write, and without any part of the URL."""
    message = refusal(text)
    assert message.startswith(f"TOY_URL {problem}")
    assert message.endswith(f"; write {EXAMPLE}")
    assert "s3cret" not in message
    assert message.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "toy://127.0.0.1",
        "TOYS://localhost:65535/x?y=1",
        "toy://[::1]:7/0",
        "toy://me:p%40s%25s%2F@127.0.0.1:7/0",
        "toy://:only-a-password@localhost",
    ],
)
def test_a_good_url_is_accepted(text: str) -> None:
    """Default ports, IPv6 addresses and escaped passwords are all right."""
    assert checked("TOY_URL", text, "Toy", ("toy", "toys"), EXAMPLE).geturl().lower() == text.lower()


@pytest.mark.parametrize("host", ["192.0.2.1", "db.example", "[2001:db8::1]"])
def test_another_machine_is_refused_before_any_contact(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is a name looked up nor a connection opened, unless that is permitted."""
    monkeypatch.delenv(REMOTE_VARIABLE, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("a name was looked up"))
    assert "is not this machine; to use another machine" in refusal(f"toy://me:s3cret@{host}:7/0")
    monkeypatch.setenv(REMOTE_VARIABLE, "1")
    assert checked("TOY_URL", f"toy://{host}:7/0", "Toy", ("toy",), EXAMPLE).port == 7


@given(st.text() | st.text(alphabet="toy:/@[]%?#,0123456789. ").map("toy://{}".format))
def test_any_text_is_accepted_or_refused_in_one_line(text: str) -> None:
    """Nothing but a UsageError of one line is raised."""
    try:
        checked("TOY_URL", text, "Toy", ("toy",), EXAMPLE)
    except UsageError as refused:
        assert str(refused).isprintable()  # noqa: PT017 - most texts are refused, some are not
