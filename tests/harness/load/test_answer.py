"""Answers: headers and bodies as the server meant them, however they came, read only when asked for."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load import answer as answers
from harness.load.answer import NOT_GZIP, TOO_LARGE_DECODED, Response
from harness.load.connection import HttpConnection, HttpRequest, Limits

TEXT = b"the same text, " * 50


class NoTransport(asyncio.Transport):
    """Sends nothing anywhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Forget it."""

    def abort(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def response_of(*packets: bytes) -> Response:
    """Return the answer that a connection makes of these packets."""
    loop = asyncio.new_event_loop()
    try:
        connection = HttpConnection(set(), Limits())
        connection.connection_made(NoTransport())
        waiting = connection.ask(HttpRequest(b"", is_head=False), loop, 0.0)
        for packet in packets:
            connection.data_received(packet)
        return waiting.result()
    finally:
        loop.close()


def encoded(encoding: str, sent: bytes) -> Response:
    """Return an answer with such a body."""
    return response_of(f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(sent)}\r\n\r\n".encode() + sent)


_INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: early\r\n\r\n"
_CHUNKED = (
    b"HTTP/1.1 201 Created\r\nA: 1\r\na: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nB: late\r\n\r\n"
)


@given(st.lists(st.integers(0, len(_INTERIM + _CHUNKED)), max_size=12))
def test_packets_do_not_matter(cuts: list[int]) -> None:
    """Wherever an answer is cut in transit, status, headers and body are the same, without a trailer's and a hint's headers."""
    whole = _INTERIM + _CHUNKED
    packets = [whole[begin:end] for begin, end in pairwise([0, *sorted(cuts), len(whole)]) if begin < end]
    response = response_of(*packets)
    assert (response.status, response.body) == (201, b"abcdefg")
    assert response.headers == {"a": "1, 2", "transfer-encoding": "chunked"}


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("GZIP", gzip.compress(TEXT, mtime=0)),
        ("x-gzip", gzip.compress(TEXT[:100], mtime=0) + gzip.compress(TEXT[100:], mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("identity", TEXT),
    ],
)
def test_compressed_bodies_are_decoded_and_kept_as_sent(encoding: str, sent: bytes) -> None:
    """`body` is what was meant, `sent` what went over the wire."""
    response = encoded(encoding, sent)
    assert response.body == TEXT
    assert response.sent == sent


def test_nothing_is_decoded_until_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is made, and its size read, without decoding it."""

    def refuse(*asked: Any) -> Any:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(answers, "_decoded", refuse)
    response = encoded("gzip", gzip.compress(TEXT, mtime=0))
    assert len(response.sent) < len(TEXT)
    with pytest.raises(AssertionError, match="it was decoded"):
        _ = response.body


@pytest.mark.parametrize("sent", [gzip.compress(TEXT, mtime=0)[:-9], b"no gzip", gzip.compress(TEXT, mtime=0) + b"more"])
def test_a_body_that_is_no_gzip_is_told(sent: bytes) -> None:
    """Half of one, none, and one with something behind it are errors."""
    with pytest.raises(OSError, match=NOT_GZIP):
        _ = encoded("gzip", sent).body


def test_a_body_that_decodes_to_too_much_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding ends at its limit, in one part or in many; just as much as allowed is decoded."""
    monkeypatch.setattr(answers, "MAX_DECODED_BYTES", len(TEXT))
    assert encoded("gzip", gzip.compress(TEXT, mtime=0)).body == TEXT
    for sent in (
        gzip.compress(TEXT + b"!", mtime=0),
        gzip.compress(TEXT, mtime=0) + gzip.compress(b"!", mtime=0),
        gzip.compress(b"\0" * 10**6, mtime=0),
    ):
        with pytest.raises(OSError, match=TOO_LARGE_DECODED):
            _ = encoded("gzip", sent).body


def test_an_encoding_that_is_not_known_is_told() -> None:
    """What cannot be decoded is not passed on as if it were the text."""
    with pytest.raises(OSError, match="is encoded as br, which is not decoded here"):
        _ = encoded("br", b"\x0b").body


def test_a_text_about_encodings_is_not_taken_for_one() -> None:
    """A body that mentions the header is as it was sent."""
    text = b"\nContent-Encoding: gzip\n"
    assert response_of(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text).body == text


def test_what_follows_an_answer_does_not_spoil_its_headers() -> None:
    """Nonsense in the same packet, behind the answer, is not read for its headers."""
    response = response_of(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokno HTTP at all\r\n\r\n")
    assert (response.body, response.headers) == (b"ok", {"content-length": "2"})


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (b"Content-Length: 0\r\n", True),
        (b"Transfer-Encoding: gzip, Chunked\r\n", True),
        (b"X-Content-Length: 0\r\n", False),
        (b"", False),
    ],
)
def test_whether_a_length_is_said_is_read_from_the_headers(head: bytes, length: bool) -> None:
    """A length or chunks end a body; otherwise the connection's end does."""
    assert Response(200, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", b"").says_its_length is length
