"""A server with known times, in a process of its own: it holds each request for a planned time, and logs its real times.

The known times, and the true response times of independent users, are pure functions of a seed and of arrivals.

It starts a new course, and returns its log, over the channel to its parent process. The event loops' own timers are too coarse for
this, hence the pacer.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import httptools
import msgspec
import numpy as np
import numpy.typing as npt

from harness.load.pacing import KeepAwake, Pacer, PacerProtocol
from harness.runtime.channel import Channel
from harness.runtime.child import Child
from harness.runtime.clock import Clock, MonotonicClock
from tools.servers import HOST, listening, served

RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\n" + b"x" * 100
DISCONNECTED, TIMEOUT_S = -1, 10.0
Ns = npt.NDArray[np.int64]

TABLE = 10_000
"""The number of requests after which the times repeat."""


class Course(msgspec.Struct, frozen=True):
    """The server's behaviour while a tool sends requests: the name of its delays, and its stalls."""

    delays: str
    seed: int = 0
    stalls_ns: list[tuple[int, int]] = []
    """(From, until) from the first request, ascending, none touching another."""


@dataclass(frozen=True)
class Situation:
    """A behaviour of the server, with the load on it: a tool without an arrival schedule gets `users` who send `rate_per_s`."""

    name: str
    text: str
    delays: str
    rate_per_s: int
    seconds: int
    users: int
    stalls_s: tuple[tuple[float, float], ...] = ()

    def course(self, seed: int = 0) -> Course:
        """Return the course for the server."""
        return Course(self.delays, seed, [(round(a * 1e9), round(b * 1e9)) for a, b in self.stalls_s])

    @property
    def in_flight(self) -> int:
        """The average number of requests in flight without a stall (Little's law), at least one."""
        return max(1, round(self.rate_per_s * float(delays_ns(self.delays, 0).mean()) / 1e9))

    def shortened(self, effort: float) -> Situation:
        """Return the same with a share of the duration, in whole seconds; a stall has the same length and relative start."""
        seconds = max(1, round(self.seconds * effort))
        starts_s = [round(start * seconds / self.seconds, 3) for start, _ in self.stalls_s]
        stalls_s = tuple((at, at + end - start) for at, (start, end) in zip(starts_s, self.stalls_s, strict=True))
        return replace(self, seconds=seconds, stalls_s=stalls_s)


def _tail(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Of every 100 requests exactly one and three are slow, so that no requested percentile is at the edge of a step."""
    hundreds = generator.uniform(1.0, 3.0, (TABLE // 100, 100))
    hundreds[:, 0] = 100.0
    hundreds[:, 1:4] = 2000.0
    return generator.permuted(hundreds, axis=1).ravel()


DELAYS: dict[str, Callable[[np.random.Generator], npt.NDArray[np.float64]]] = {
    "uniform": lambda generator: generator.uniform(0.05, 0.45, TABLE),
    "lognormal": lambda generator: generator.lognormal(np.log(2.0), 0.5, TABLE),
    "tail": _tail,
}
"""Name → `TABLE` delays in milliseconds, drawn from a generator."""

SITUATIONS = (
    Situation("Below a millisecond", "Each request takes 0.05 to 0.45 ms, all equally likely.", "uniform", 400, 5, 20),
    Situation("Two milliseconds", "Request times are log-normal with a median of 2 ms.", "lognormal", 400, 5, 20),
    Situation(
        "A stall of one second", "Request times are the same, and the server stalls.", "lognormal", 200, 5, 20, ((2.0, 3.0),)
    ),
    Situation(
        "A slow tail at the stop", "Of a hundred requests three take 2 s and one 100 ms, the others 1 to 3 ms.", "tail", 400, 2, 40
    ),
)
"""The situations of the published report."""


def delays_ns(name: str, seed: int) -> Ns:
    """Return the delays of requests 0, 1, … in nanoseconds, shape (`TABLE`,)."""
    return np.rint(DELAYS[name](np.random.default_rng(seed)) * 1e6).astype(np.int64)


def released_ns(ready_ns: Ns, stalls_ns: Sequence[tuple[int, int]]) -> Ns:
    """Return the times at which responses are sent: one that is ready within a stall is sent at the stall's end."""
    out = ready_ns.copy()
    for start, end in stalls_ns:
        out[(out >= start) & (out < end)] = end
    return out


def responses_ns(due_ns: Ns, held_ns: Ns, late_ns: Ns, stalls_ns: Sequence[tuple[int, int]]) -> Ns:
    """Return each user's response time from its due time, in nanoseconds, shape (n,).

    The server holds request i for `held_ns[i]`, longer during a stall, and is then `late_ns[i]` late.
    """
    return released_ns(due_ns + held_ns, stalls_ns) + late_ns - due_ns


def truth_ns(due_ns: Ns, course: Course, late_ns: Ns) -> Ns:
    """Return the response times of users with these due times, the first of which is the server's first request.

    `late_ns` is the server's lateness by request, `DISCONNECTED` left out; it is repeated if a tool sent fewer requests.
    """
    responded = late_ns[late_ns >= 0]
    numbers = np.arange(len(due_ns))
    late = responded[numbers % len(responded)] if len(responded) else np.zeros(len(due_ns), dtype=np.int64)
    return responses_ns(due_ns - due_ns[:1], delays_ns(course.delays, course.seed)[numbers % TABLE], late, course.stalls_ns)


class Log(msgspec.Struct, frozen=True):
    """The requests of one course: their times from the first one, and the lateness of their responses."""

    received_ns: list[int]
    late_ns: list[int]
    """`DISCONNECTED` if the client had closed the connection by then, or still waits."""


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
