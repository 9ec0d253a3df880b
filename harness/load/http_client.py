"""A lean HTTP/1.1 client for measuring: kept connections to one server, and little work of its own per request.

A client's work is part of every latency that it measures, and takes CPU time from other requests. So a request is encoded once and
sent repeatedly; of a response only the status and the end are parsed until the caller reads more; and one timer watches the
deadlines of all connections. The parser is `httptools` of the extra `load`, as in uvicorn. Bodies are held whole; there is no TLS,
no redirect, no cookie and no pipelining, and nothing is sent a second time.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import socket
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from harness.errors import UsageError, missing_extra

try:
    import httptools
except ModuleNotFoundError:  # an extra; `Client` raises with the command that installs it
    httptools = None  # type: ignore[assignment]  # as above

TIMED_OUT = "no response from the server before the deadline"
RESET = "the server reset the connection"
CLOSED = "the server closed the connection before it responded"
CLOSED_KEPT = "the server closed a kept-alive connection while it was reused"
INCOMPLETE = "the server closed the connection in the middle of its response"
NOT_HTTP = "the server's response is not HTTP"
SWITCHED = "the server switched to another protocol, which was not requested"
HEAD_TOO_LARGE = "the head of the server's response exceeds the limit"
BODY_TOO_LARGE = "the body of the server's response exceeds the limit"
NOT_GZIP = "the server's response is declared as compressed, but is incomplete or not gzip"
DECODED_TOO_LARGE = "the server's response decodes to more bytes than the limit"
CLIENT_CLOSED = "the client was closed before the server responded"
CONNECT_TIMED_OUT = "no connection to the server before the deadline"
REFUSED = "the server refuses connections"
UNKNOWN_HOST = "the server's host name is unknown"

MAX_HEAD_BYTES = 64 * 2**10  # the largest accepted status line with headers
MAX_BODY_BYTES = 64 * 2**20  # the largest accepted body as transferred, before decoding
MAX_DECODED_BYTES = 256 * 2**20  # the largest decoded body: a few kilobytes of zeros, compressed twice, are gigabytes
DEADLINE_S = 30.0  # the default deadline of a request, from the call to the complete response
FINAL = 200  # the lowest status of a final response; lower ones are interim responses (RFC 9110 §15.2), followed by the final one
_MIN_SWEEP_GAP_S = 0.001  # the minimum time between two checks of the deadlines, because some timers fire early

_SWITCHING = 101
_WITHOUT_BODY = frozenset({204, 304})
_WITH_BODY = frozenset({"PATCH", "POST", "PUT"})
_INVALID_IN_METHOD = re.compile(r"[^A-Z]")
_INVALID_IN_PATH = re.compile(r"[^\x21-\x7e]")
_INVALID_IN_NAME = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_INVALID_IN_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_MAY_BE_ENCODED = re.compile(rb"\ncontent-encoding:", re.IGNORECASE)
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


@dataclass(frozen=True)
class HttpRequest:
    """An encoded request, made by `Client.encode`."""

    message: bytes
    """The bytes to send."""
    is_head: bool
    """Whether the method is HEAD: its response has no body, whatever its content-length."""


class Client:
    """Sends requests to one server, on one kept-alive connection per concurrent request. Needs httptools, or raises `UsageError`.

    `opened` counts the connections made, `reused` the requests sent on a kept-alive one.

    Example:
        client = Client("127.0.0.1", 8000)
        request = client.encode("GET", "/items")
        response = await client.send(request)
        client.close()
    """

    def __init__(self, host: str, port: int) -> None:
        if httptools is None:
            raise missing_extra("httptools", "load", "the HTTP client")
        self.opened = self.reused = 0
        self._host, self._port = host, port
        self._idle: list[HttpConnection] = []
        self._open: set[HttpConnection] = set()
        self._next_sweep_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def encode(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> HttpRequest:
        """Encode a request for any number of sends, adding `host` and `content-length`; raise `UsageError` if it is invalid."""
        if not method or _INVALID_IN_METHOD.search(method):
            raise UsageError(f"{method!r} is not an HTTP method; use capital letters, as in GET")
        if not path.startswith("/") or _INVALID_IN_PATH.search(path):
            raise UsageError(f"{path!r} is not a path; start with a slash, and percent-encode spaces and non-ASCII characters")
        fields = dict(headers or {})
        for name, value in fields.items():
            if not name or _INVALID_IN_NAME.search(name) or _INVALID_IN_VALUE.search(value):
                raise UsageError(f"{name!r}: {value!r} is not a header; remove line breaks and characters outside Latin-1")
        given = {name.lower() for name in fields}
        if "host" not in given:
            fields["host"] = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        if (body or method in _WITH_BODY) and "content-length" not in given:
            fields["content-length"] = str(len(body))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return HttpRequest("\r\n".join(lines).encode("latin-1") + body, method == "HEAD")

    async def send(self, request: HttpRequest, deadline_s: float = DEADLINE_S) -> Response:
        """Send a request and return its response, whatever its status.

        Raises:
            OSError: there was no response; the message is, or begins with, one of this module's constants. After the deadline,
                which counts from the call and includes connecting, it is a TimeoutError.
        """
        loop = asyncio.get_running_loop()
        due_s = loop.time() + deadline_s
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                self.reused += 1
                break
        else:
            connection = await self._connect(loop, due_s)
        if due_s < self._next_sweep_s:
            self._schedule_sweep(due_s)
        try:
            response = await connection.send(request, loop, due_s)
        except BaseException:
            connection.end()  # a late response on it would be taken for the next request's
            raise
        if connection.is_open:
            self._idle.append(connection)
        return response

    async def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", deadline_s: float = DEADLINE_S
    ) -> Response:
        """Encode and send a request; raise the errors of `encode` and `send`."""
        return await self.send(self.encode(method, path, headers, body), deadline_s)

    def close(self) -> None:
        """Close all connections; requests in flight fail."""
        self._schedule_sweep(math.inf)
        for connection in list(self._open):
            connection.fail(ConnectionAbortedError(CLIENT_CLOSED))
        self._idle.clear()

    async def _connect(self, loop: asyncio.AbstractEventLoop, due_s: float) -> HttpConnection:
        try:
            async with asyncio.timeout_at(due_s):
                _, made = await loop.create_connection(lambda: HttpConnection(self._open), self._host, self._port)
        except OSError as error:
            raise connect_error(error) from None
        self.opened += 1
        return made

    def _schedule_sweep(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next_sweep_s = at_s
        self._timer = asyncio.get_running_loop().call_at(at_s, self._sweep) if at_s < math.inf else None

    def _sweep(self) -> None:
        """Fail the overdue requests, and sweep again at the next deadline: seldom, because most requests complete before theirs."""
        now_s = asyncio.get_running_loop().time()
        for connection in list(self._open):
            if connection.due_s <= now_s:
                connection.fail(TimeoutError(TIMED_OUT))
        due_s = min((connection.due_s for connection in self._open), default=math.inf)
        self._schedule_sweep(max(due_s, now_s + _MIN_SWEEP_GAP_S))


class HttpConnection(asyncio.Protocol):
    """One connection, for one request at a time; `due_s` is the request's deadline by the loop's clock, infinite without one."""

    def __init__(self, open_connections: set[HttpConnection]) -> None:
        self.is_open, self.due_s = False, math.inf
        self._open_connections = open_connections
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Response] | None = None
        self._is_head = self._is_kept = self._in_body = False
        self._status = self._body_bytes = 0
        self._head = b""
        self._parts: list[bytes] = []

    def send(self, request: HttpRequest, loop: asyncio.AbstractEventLoop, due_s: float) -> asyncio.Future[Response]:
        """Send a request; return the future of its response."""
        self.due_s, self._is_head = due_s, request.is_head
        self._waiting = waiting = loop.create_future()
        self._transport.write(request.message)
        return waiting

    def end(self) -> None:
        """Close at once, and leave the pending request's future alone."""
        self.is_open, self.due_s, self._waiting = False, math.inf, None
        self._transport.abort()

    def fail(self, error: OSError) -> None:
        """Close at once; the pending request, if any, raises `error`."""
        waiting = self._waiting
        self.end()
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's behaves as one without deriving from it
        self.is_open = True
        self._open_connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the pending request, or complete its response if only the connection's end delimits it."""
        self._open_connections.discard(self)
        if self._waiting is None:
            self.is_open = False
        elif isinstance(exc, (BrokenPipeError, ConnectionResetError)):
            self.fail(ConnectionResetError(RESET))
        elif isinstance(exc, OSError):
            self.fail(OSError(f"the connection to the server was lost: {reason(exc)}"))
        elif not self._head:
            self.fail(ConnectionError(CLOSED_KEPT if self._is_kept else CLOSED))
        elif self._in_body and not Response(self._status, self._head, b"").has_length:
            self._complete(keep=False)
        else:
            self.fail(ConnectionError(INCOMPLETE))

    def data_received(self, data: bytes) -> None:
        """Parse received data."""
        if self._waiting is None:
            self.end()  # without a request: it would be taken for the next request's response
            return
        if not self._in_body:
            self._head = self._head + data if self._head else data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(ConnectionError(SWITCHED))
        except httptools.HttpParserError as error:
            self.fail(ConnectionError(f"{NOT_HTTP}: {error}"))
        if len(self._head) > MAX_HEAD_BYTES and not self._in_body:
            self.fail(ConnectionError(HEAD_TOO_LARGE))

    def on_message_begin(self) -> None:
        """Refuse a second response to one request."""
        if self._waiting is None:
            self.end()

    def on_headers_complete(self) -> None:
        """Read the status, and complete a response that has no body whatever its headers declare."""
        status = self._status = self._parser.get_status_code()
        if status == _SWITCHING:
            self.fail(ConnectionError(SWITCHED))
        if status < FINAL:
            return
        self._in_body = True
        if len(self._head) > MAX_HEAD_BYTES and self._head.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES) < 0:
            self.fail(ConnectionError(HEAD_TOO_LARGE))
        elif self._is_head or status in _WITHOUT_BODY:
            headers = Response(status, self._head, b"").headers
            close = "close" in headers.get("connection", "").lower() or self._parser.get_http_version() != "1.1"
            self._parser = httptools.HttpResponseParser(self)  # the old one would wait for the declared length
            self._complete(keep=not close)

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        if self._waiting is None:
            self.end()  # a response that must not have a body has one
            return
        self._parts.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self.fail(ConnectionError(BODY_TOO_LARGE))

    def on_message_complete(self) -> None:
        """Complete the request, unless the response is an interim one."""
        if self._in_body and self._waiting is not None:
            self._complete(keep=self._parser.should_keep_alive())

    def _complete(self, *, keep: bool) -> None:
        """Pass the response to the pending request, and reset for the next one."""
        waiting, self._waiting = self._waiting, None
        response = Response(self._status, self._head, b"".join(self._parts))
        self.due_s, self._is_kept, self._in_body, self._head = math.inf, True, False, b""
        self._parts.clear()
        self._body_bytes = 0
        if not keep:
            self.is_open = False
            self._transport.close()
        if waiting is not None and not waiting.done():
            waiting.set_result(response)


def connect_error(error: OSError) -> OSError:
    """Return the error to raise for one of connecting, with a message that names the kind of failure."""
    if isinstance(error, TimeoutError):
        return TimeoutError(CONNECT_TIMED_OUT)
    if isinstance(error, ConnectionRefusedError):
        return ConnectionRefusedError(REFUSED)
    if isinstance(error, socket.gaierror):
        return OSError(UNKNOWN_HOST)
    return OSError(f"no connection to the server: {reason(error)}")


def reason(error: OSError) -> str:
    """Return an error's message without an address, so that failures of the same kind are counted together."""
    return os.strerror(error.errno) if error.errno else str(error)


@dataclass(frozen=True)
class Response:
    """A response; headers and body are decoded when they are first read."""

    status: int
    """The status code."""
    head: bytes
    """The bytes received up to and including the first part of the body, with interim responses such as `100 Continue`."""
    sent: bytes
    """The body as transferred, before decoding."""

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The final response's headers by lower-case name; values of a repeated one are joined by commas (RFC 9110 §5.3)."""
        head, _, more = self.head.lstrip().partition(b"\r\n\r\n")
        while int(head.split(None, 2)[1]) < FINAL:
            head, _, more = more.lstrip().partition(b"\r\n\r\n")
        found: dict[str, str] = {}
        for line in head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            key, text = name.lower(), value.strip()
            found[key] = f"{found[key]}, {text}" if key in found else text
        return found

    @cached_property
    def body(self) -> bytes:
        """The body, decoded from gzip or deflate; `OSError` if it is invalid, has another encoding or is above the limit."""
        if not self.sent or _MAY_BE_ENCODED.search(self.head) is None:
            return self.sent
        encoding = self.headers.get("content-encoding", "identity").lower()
        if encoding == "identity":
            return self.sent
        if encoding not in {"gzip", "x-gzip", "deflate"}:
            raise OSError(f"the server's response has the encoding {encoding}, which is not supported")
        return _decoded(self.sent)

    @property
    def has_length(self) -> bool:
        """Whether a length or a last chunk delimits the body, and not the end of the connection."""
        return "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()


def _decoded(sent: bytes) -> bytes:
    """Decompress gzip, of one member or several, or zlib."""
    parts: list[bytes] = []
    remaining = MAX_DECODED_BYTES
    while sent:
        decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            parts.append(decoder.decompress(sent, remaining + 1))
        except zlib.error:
            raise OSError(NOT_GZIP) from None
        remaining -= len(parts[-1])
        if remaining < 0:
            raise OSError(DECODED_TOO_LARGE)
        if not decoder.eof:
            raise OSError(NOT_GZIP)
        sent = decoder.unused_data
    return b"".join(parts)
