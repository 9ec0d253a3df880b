"""An HTTP answer of which nothing is read, beyond its status and where its body ends, until somebody asks."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import httptools

FINAL = 200
"""Statuses below are those of interim answers, RFC 9110 §15.2: the answer itself is still to come."""

MAX_DECODED_BYTES = 256 * 2**20
"""The most that a body may decode to: a few kilobytes of zeros, compressed twice, are gigabytes."""

NOT_GZIP = "the server's answer says it is compressed, and is not whole or is no gzip"
TOO_LARGE_DECODED = "the server's answer decodes to more bytes than are allowed"

_MAY_BE_ENCODED = re.compile(rb"\ncontent-encoding:", re.IGNORECASE)
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


@dataclass(frozen=True)
class Response:
    """An answer. `head` is what came up to and with the first bytes of the body; `sent` is the body in bytes as they were sent.

    What came before the answer itself, such as `100 Continue`, is in `head` too, and in nothing that is read from it.
    """

    status: int
    head: bytes
    sent: bytes

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case; one that came several times has its values joined by commas, as RFC 9110 §5.3 says."""
        reader = _HeaderReader()
        reader.read(self.head)
        return reader.found

    @cached_property
    def body(self) -> bytes:
        """The body, decoded where it came as gzip or deflate.

        Raises:
            OSError: it is no gzip, is not whole, decodes to more than `MAX_DECODED_BYTES`, or is encoded in another way.
        """
        if not self.sent or _MAY_BE_ENCODED.search(self.head) is None:
            return self.sent
        encoding = self.headers.get("content-encoding", "identity").lower()
        if encoding == "identity":
            return self.sent
        if encoding not in {"gzip", "x-gzip", "deflate"}:
            raise OSError(f"the server's answer is encoded as {encoding}, which is not decoded here")
        return _decoded(self.sent)

    @property
    def says_its_length(self) -> bool:
        """Whether the end of its body is told by a length or a last chunk, and not by the end of the connection."""
        return "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()


class _HeaderReader:
    """Collects an answer's headers: not those of an interim answer before it, nor what follows its head."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._complete = False
        self._parser = httptools.HttpResponseParser(self)

    def read(self, head: bytes) -> None:
        """Read a head that has been parsed before; what came with it may be anything."""
        with suppress(httptools.HttpParserError):
            self._parser.feed_data(head)

    def on_message_begin(self) -> None:
        """Forget what an interim answer said."""
        if not self._complete:
            self.found.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header from the parser."""
        if self._complete:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.found[key] = f"{self.found[key]}, {text}" if key in self.found else text

    def on_headers_complete(self) -> None:
        """Take no more: a trailer is in the same packet as the head, or in another, as packets fall."""
        self._complete = self._parser.get_status_code() >= FINAL


def _decoded(sent: bytes) -> bytes:
    """Decompress gzip, of one member or several, or zlib."""
    parts: list[bytes] = []
    room = MAX_DECODED_BYTES
    while sent:
        decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            parts.append(decoder.decompress(sent, room + 1))
        except zlib.error:
            raise OSError(NOT_GZIP) from None
        room -= len(parts[-1])
        if room < 0:
            raise OSError(TOO_LARGE_DECODED)
        if not decoder.eof:
            raise OSError(NOT_GZIP)
        sent = decoder.unused_data
    return b"".join(parts)
