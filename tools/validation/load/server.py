"""A server with known times, in a process of its own: it holds each request for a planned time, and logs its real times.

It starts a new course, and returns its log, over the channel to its parent process. The event loops' own timers are too coarse for
this, hence the pacer.
"""

import asyncio
import gc
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import httptools
import msgspec

from harness.load.pacing import KeepAwake, Pacer, PacerProtocol
from harness.runtime.channel import Channel
from harness.runtime.child import Child
from harness.runtime.clock import Clock, MonotonicClock
from tools.servers import HOST, listening, served
from tools.validation.load.situations import TABLE, Course, delays_ns

RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\n" + b"x" * 100
DISCONNECTED = -1
TIMEOUT_S = 10.0


class Log(msgspec.Struct, frozen=True):
    """The requests of one course. `received_ns` counts from the first request.

    `late_ns` is the lateness of the response; `DISCONNECTED` if the client had closed the connection by then, or still waits.
    """

    received_ns: list[int]
    late_ns: list[int]


@dataclass(frozen=True)
class KnownServer:
    """A running server, for its clients."""

    port: int
    child: Child[dict[str, Any]]

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.child.process.pid

    def begin(self, course: Course) -> None:
        """Start a new course; requests that it still holds are answered and not logged."""
        self._ask(course)

    def log(self) -> Log:
        """Return its log since the start of the course."""
        return self._ask(None)

    def _ask(self, course: Course | None) -> Log:
        self.child.send({"type": "ask", "course": course})
        return msgspec.convert(self.child.receive(TIMEOUT_S), Log)


@contextmanager
def known_server(cores: Collection[int]) -> Iterator[KnownServer]:
    """Start the server on these cores, or on all; raise NotMeasurableError if it does not start."""
    with served("tools.validation.load.server", cores) as (port, child):
        yield KnownServer(port, child)


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
            transport.write(RESPONSE)


class KnownDelayServer:
    """The state that all connections share."""

    def __init__(self, clock: Clock, pacer: PacerProtocol) -> None:
        self._clock, self._pacer = clock, pacer
        self.waiting: set[asyncio.Task[None]] = set()
        self.begin(Course("uniform"))

    def begin(self, course: Course) -> None:
        """Start a new course."""
        self.requests = RequestLog(course, self._clock, self._pacer)

    def serve_parent(self, parent: Channel) -> None:
        """Start the new course that the parent may have sent, and respond with the log."""
        message = parent.receive()
        if message is not None:
            if message["course"] is not None:
                self.begin(msgspec.convert(message["course"], Course))
            parent.send("log", **msgspec.structs.asdict(self.requests.log))

    def hold(self, transport: asyncio.Transport) -> None:
        """Accept a request, and respond later."""
        task = asyncio.get_running_loop().create_task(self.requests.answer(*self.requests.received(), transport))
        self.waiting.add(task)
        task.add_done_callback(self.waiting.discard)


class KnownConnection(asyncio.Protocol):
    """One connection; the parser calls its `on_` methods."""

    def __init__(self, server: KnownDelayServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's behaves as one without deriving from it

    def data_received(self, data: bytes) -> None:
        """Parse received data; anything but HTTP closes the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_complete(self) -> None:
        """Hold the request."""
        self._server.hold(self._transport)


async def _serve(listener: socket.socket, parent: Channel) -> None:
    clock = MonotonicClock()
    # The wake-up time of its core is not in the truth, and would be in the tools' results.
    async with Pacer(clock) as pacer, KeepAwake(clock):
        server, loop = KnownDelayServer(clock, pacer), asyncio.get_running_loop()
        serving = await loop.create_server(lambda: KnownConnection(server), sock=listener)
        loop.add_reader(parent.fileno(), server.serve_parent, parent)
        gc.collect()
        gc.disable()  # a collection would be a stall that is not planned
        await serving.serve_forever()


if __name__ == "__main__":
    import uvloop

    with listening() as (listener, parent):
        uvloop.run(_serve(listener, parent))
