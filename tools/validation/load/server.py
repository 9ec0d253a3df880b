"""A server whose times are known: it holds each request as long as a plan says, and notes what it really did.

`python -m tools.validation.load.server` writes its port to standard output and ends with whoever started it. `POST /begin` with
a `Course` begins anew, `GET /log` says what happened since; every other request is held. The event loops' own timers are too
coarse for this, hence the pacer.
"""

from __future__ import annotations

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
GONE = -1
_BACKLOG = 2048


class Log(msgspec.Struct, frozen=True):
    """What the server did since it began, by request. `received_ns` counts from the first request.

    `late_ns` is how much later than planned the answer was given; `GONE` where the asker had left by then, or still waits.
    """

    received_ns: list[int]
    late_ns: list[int]


class RequestLedger:
    """One course of requests, from the first to the last."""

    def __init__(self, course: Course, clock: Clock, pacer: PacerProtocol) -> None:
        self.log = Log([], [])
        self._delays = delays_ns(course.delays, course.seed).tolist()
        self._stalls, self._now_ns, self._pacer = course.stalls_ns, clock.now_ns, pacer
        self._first_ns = 0

    def received(self) -> tuple[int, int]:
        """Note a request; return its number, and when its answer is due on the clock."""
        now_ns, number = self._now_ns(), len(self.log.received_ns)
        if number == 0:
            self._first_ns = now_ns
        due_ns = now_ns - self._first_ns
        self.log.received_ns.append(due_ns)
        self.log.late_ns.append(GONE)
        due_ns += self._delays[number % TABLE]
        for start, end in self._stalls:
            if start <= due_ns < end:
                due_ns = end
        return number, due_ns + self._first_ns

    async def answer(self, number: int, due_ns: int, transport: asyncio.Transport) -> None:
        """Answer when it is due."""
        await self._pacer.until(due_ns)
        if not transport.is_closing():
            self.log.late_ns[number] = self._now_ns() - due_ns
            transport.write(_response(HELLO))


class KnownDelayServer:
    """What all connections share. `review` is the present course's."""

    def __init__(self, clock: Clock, pacer: PacerProtocol) -> None:
        self._clock, self._pacer = clock, pacer
        self.review = RequestLedger(Course("uniform"), clock, pacer)
        self.waiting: set[asyncio.Task[None]] = set()

    def begin(self, course: Course) -> None:
        """Forget what was before."""
        self.review = RequestLedger(course, self._clock, self._pacer)

    def hold(self, transport: asyncio.Transport) -> None:
        """Take a request in, and answer it later."""
        review = self.review
        task = asyncio.get_running_loop().create_task(review.answer(*review.received(), transport))
        self.waiting.add(task)
        task.add_done_callback(self.waiting.discard)


class KnownConnection(asyncio.Protocol):
    """One connection; the parser calls its `on_` methods."""

    def __init__(self, server: KnownDelayServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases

    def data_received(self, data: bytes) -> None:
        """Parse what came; what is no HTTP ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """Start a request."""
        self._url = self._body = b""

    def on_url(self, part: bytes) -> None:
        """Take a part of the path."""
        self._url += part

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        self._body += part

    def on_message_complete(self) -> None:
        """Do what was asked."""
        if self._url == BEGIN:
            self._server.begin(msgspec.json.decode(self._body, type=Course))
            self._transport.write(_response(b""))
        elif self._url == LOG:
            self._transport.write(_response(msgspec.json.encode(self._server.review.log)))
        else:
            self._server.hold(self._transport)


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def _serve(listening: socket.socket) -> None:
    clock = MonotonicClock()
    async with Pacer(clock) as pacer, KeepAwake(clock):  # its waking up is in nobody's times, and would be in what tools say
        server = KnownDelayServer(clock, pacer)
        serving = await asyncio.get_running_loop().create_server(lambda: KnownConnection(server), sock=listening)
        gc.collect()
        gc.disable()  # a collection would be a stall that nobody planted
        await serving.serve_forever()


def main() -> None:
    """Serve on a free port of this machine's own."""
    die_with_parent()
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen(_BACKLOG)  # before the port is told, so that nobody is refused meanwhile
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        uvloop.run(_serve(listening))


if __name__ == "__main__":
    main()
