"""One HTTP/1.1 connection of the lean client: it writes a request, parses its answer, and tells every way not to get one."""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import dataclass
from typing import cast

import httptools

from harness.load.answer import FINAL, Response

NO_ANSWER = "no answer from the server in time"
RESET = "the server reset the connection"
CLOSED = "the server closed the connection before it had answered"
CLOSED_KEPT = "the server closed a kept connection as it was used again"
HALF = "the server closed the connection in the middle of its answer"
NO_HTTP = "the server does not answer in HTTP"
SWITCHED = "the server switches to another protocol, unasked"
LARGE_HEAD = "the head of the server's answer is larger than allowed"
LARGE_BODY = "the body of the server's answer is larger than allowed"
GIVEN_UP = "the client was closed before the server had answered"

_SWITCHING = 101
_WITHOUT_BODY = frozenset({204, 304})


@dataclass(frozen=True)
class Limits:
    """How large an answer may be, in bytes as sent."""

    head_bytes: int = 64 * 2**10
    body_bytes: int = 64 * 2**20


@dataclass(frozen=True)
class HttpRequest:
    """A request as it is sent, made by `Client.encode`. Of an answer to HEAD no body comes, whatever length its head says."""

    message: bytes
    is_head: bool


class HttpConnection(asyncio.Protocol):
    """One connection, for one request at a time. `due_s` is when its answer is due by the loop's clock; infinite while it is idle.

    It adds itself to `others` while it is open.
    """

    def __init__(self, others: set[HttpConnection], limits: Limits) -> None:
        self.is_open = False
        self.due_s = math.inf
        self._others = others
        self._limits = limits
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Response] | None = None
        self._is_head = False
        self._is_kept = False
        self._in_body = False
        self._status = 0
        self._head = b""
        self._parts: list[bytes] = []
        self._body_bytes = 0

    def ask(self, request: HttpRequest, loop: asyncio.AbstractEventLoop, due_s: float) -> asyncio.Future[Response]:
        """Send a request; return what will be its answer."""
        self.due_s = due_s
        self._is_head = request.is_head
        self._waiting = waiting = loop.create_future()
        self._transport.write(request.message)
        return waiting

    def end(self) -> None:
        """Close at once, and tell nobody."""
        self.is_open = False
        self.due_s = math.inf
        self._waiting = None
        self._transport.abort()

    def fail(self, error: OSError) -> None:
        """Close at once, and tell who waits."""
        waiting = self._waiting
        self.end()
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to write."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one that does not say so
        self.is_open = True
        self._others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits; where an answer says no length, this was its end."""
        self._others.discard(self)
        if self._waiting is None:
            self.is_open = False
        elif isinstance(exc, (BrokenPipeError, ConnectionResetError)):
            self.fail(ConnectionResetError(RESET))
        elif isinstance(exc, OSError):
            self.fail(OSError(f"the connection to the server was lost: {reason(exc)}"))
        elif not self._head:
            self.fail(ConnectionError(CLOSED_KEPT if self._is_kept else CLOSED))
        elif self._in_body and not Response(self._status, self._head, b"").says_its_length:
            self._answer(keep=False)
        else:
            self.fail(ConnectionError(HALF))

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        if self._waiting is None:
            self.end()  # nobody has asked: it would be taken for the next answer
            return
        if not self._in_body:
            self._head = self._head + data if self._head else data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(ConnectionError(SWITCHED))
        except httptools.HttpParserError as error:
            self.fail(ConnectionError(f"{NO_HTTP}: {error}"))
        if len(self._head) > self._limits.head_bytes and not self._in_body:
            self.fail(ConnectionError(LARGE_HEAD))

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self._waiting is None:
            self.end()

    def on_headers_complete(self) -> None:
        """Read the status, and end an answer that has no body whatever its headers say."""
        status = self._status = self._parser.get_status_code()
        if status < FINAL:
            if status == _SWITCHING:
                self.fail(ConnectionError(SWITCHED))
            return
        self._in_body = True
        limit = self._limits.head_bytes
        if len(self._head) > limit and self._head.find(b"\r\n\r\n", 0, limit) < 0:
            self.fail(ConnectionError(LARGE_HEAD))
        elif self._is_head or status in _WITHOUT_BODY:
            headers = Response(status, self._head, b"").headers
            close = "close" in headers.get("connection", "").lower() or self._parser.get_http_version() != "1.1"
            self._parser = httptools.HttpResponseParser(self)  # the other one would wait for the length that the head says
            self._answer(keep=not close)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body from the parser."""
        if self._waiting is None:
            self.end()  # an answer that has no body came with one
            return
        self._parts.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self.fail(ConnectionError(LARGE_BODY))

    def on_message_complete(self) -> None:
        """Give the answer to who waits, if it is not an interim one."""
        if self._in_body and self._waiting is not None:
            self._answer(keep=self._parser.should_keep_alive())

    def _answer(self, *, keep: bool) -> None:
        """Give the answer to who waits, and be ready for the next request."""
        waiting = self._waiting
        response = Response(self._status, self._head, b"".join(self._parts))
        self._waiting = None
        self.due_s = math.inf
        self._is_kept = True
        self._in_body = False
        self._head = b""
        self._parts.clear()
        self._body_bytes = 0
        if not keep:
            self.is_open = False
            self._transport.close()
        if waiting is not None and not waiting.done():
            waiting.set_result(response)


def reason(error: OSError) -> str:
    """Return what went wrong, without an address: failures of one kind are counted by their message."""
    return os.strerror(error.errno) if error.errno else str(error)
