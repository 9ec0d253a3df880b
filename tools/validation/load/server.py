"""A server with known times: it holds each request for a planned time, and logs its real times.

`python -m tools.validation.load.server` writes its port to standard output and ends with its parent process. `POST /begin` with
a `Course` starts a new course, `GET /log` returns its log; every other request is held. The event loops' own timers are too
coarse for this, hence the pacer.
"""

import asyncio
import gc
import socket
import sys
from typing import cast

import httptools
import msgspec
import uvloop

from harness.load.pacing import KeepAwake, Pacer, PacerProtocol
from harness.runtime.channel import die_with_parent
from harness.runtime.clock import Clock, MonotonicClock
from tools.validation.load.situations import TABLE, Course, delays_ns

HOST = "127.0.0.1"
BEGIN, LOG = b"/begin", b"/log"
HELLO = b"x" * 100
DISCONNECTED = -1
_BACKLOG = 2048


class Log(msgspec.Struct, frozen=True):
    """The requests of one course. `received_ns` counts from the first request.

    `late_ns` is the lateness of the response; `DISCONNECTED` if the client had closed the connection by then, or still waits.
    """

    received_ns: list[int]
    late_ns: list[int]


class RequestLog:
    """One course of requests, from the first to the last."""

    def __init__(self, course: Course, clock: Clock, pacer: PacerProtocol) -> None:
        self.log = Log([], [])
        self._delays = delays_ns(course.delays, course.seed).tolist()
        self._stalls, self._now_ns, self._pacer = course.stalls_ns, clock.now_ns, pacer
        self._first_ns = 0

    def received(self) -> tuple[int, int]:
        """Log a request; return its number, and the due time of its response on the clock."""
        now_ns, number = self._now_ns(), len(self.log.received_ns)
        if number == 0:
            self._first_ns = now_ns
        due_ns = now_ns - self._first_ns
        self.log.received_ns.append(due_ns)
        self.log.late_ns.append(DISCONNECTED)
        due_ns += self._delays[number % TABLE]
        for start, end in self._stalls:
            if start <= due_ns < end:
                due_ns = end
        return number, due_ns + self._first_ns

    async def answer(self, number: int, due_ns: int, transport: asyncio.Transport) -> None:
        """Respond at the due time."""
        await self._pacer.until(due_ns)
        if not transport.is_closing():
            self.log.late_ns[number] = self._now_ns() - due_ns
            transport.write(_response(HELLO))


class KnownDelayServer:
    """The state that all connections share."""

    def __init__(self, clock: Clock, pacer: PacerProtocol) -> None:
        self._clock, self._pacer = clock, pacer
        self.requests = RequestLog(Course("uniform"), clock, pacer)
        self.waiting: set[asyncio.Task[None]] = set()

    def begin(self, course: Course) -> None:
        """Start a new course."""
        self.requests = RequestLog(course, self._clock, self._pacer)

    def hold(self, transport: asyncio.Transport) -> None:
        """Accept a request, and respond later."""
        requests = self.requests
        task = asyncio.get_running_loop().create_task(requests.answer(*requests.received(), transport))
        self.waiting.add(task)
        task.add_done_callback(self.waiting.discard)


class KnownConnection(asyncio.Protocol):
    """One connection; the parser calls its `on_` methods."""

    def __init__(self, server: KnownDelayServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's behaves as one without deriving from it

    def data_received(self, data: bytes) -> None:
        """Parse received data; anything but HTTP closes the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """Start a request."""
        self._url = self._body = b""

    def on_url(self, part: bytes) -> None:
        """Add a part of the path."""
        self._url += part

    def on_body(self, part: bytes) -> None:
        """Add a part of the body."""
        self._body += part

    def on_message_complete(self) -> None:
        """Handle the request."""
        if self._url == BEGIN:
            self._server.begin(msgspec.json.decode(self._body, type=Course))
            self._transport.write(_response(b""))
        elif self._url == LOG:
            self._transport.write(_response(msgspec.json.encode(self._server.requests.log)))
        else:
            self._server.hold(self._transport)


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def _serve(listening: socket.socket) -> None:
    clock = MonotonicClock()
    async with (
        Pacer(clock) as pacer,
        KeepAwake(clock),
    ):  # the wake-up time of its core is not in the truth, and would be in the tools' results
        server = KnownDelayServer(clock, pacer)
        serving = await asyncio.get_running_loop().create_server(lambda: KnownConnection(server), sock=listening)
        gc.collect()
        gc.disable()  # a collection would be a stall that is not planned
        await serving.serve_forever()


def main() -> None:
    """Serve on a free loopback port."""
    die_with_parent()
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen(_BACKLOG)  # before the port is written, so that no connection is refused meanwhile
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        uvloop.run(_serve(listening))


if __name__ == "__main__":
    main()
