"""The server with known times: its schedule and log on a fake clock, and a real run."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

import pytest

from harness.load.pacing import FakePacer
from harness.runtime.clock import FakeClock
from tools.servers import HOST
from tools.validation.load.server import (
    DISCONNECTED,
    Course,
    KnownConnection,
    KnownDelayServer,
    RequestLog,
    delays_ns,
    known_server,
)

MS = 1_000_000


class Transport(asyncio.Transport):
    """Stores what is written, until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Store the data."""
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return self.closed

    def abort(self) -> None:
        """Close it."""
        self.closed = True


def with_log(course: Course, use: Callable[[RequestLog, FakeClock], Coroutine[Any, Any, None]]) -> RequestLog:
    """Use a log in a loop, on a clock that starts at 1 s; return the log."""
    clock = FakeClock(1000 * MS)

    async def within() -> RequestLog:
        log = RequestLog(course, clock, FakePacer(clock))
        await use(log, clock)
        return log

    return asyncio.run(within())


def test_each_request_is_held_for_its_planned_time() -> None:
    """Request i is due delay i after its arrival, and logged times count from the first request."""
    due = []

    async def use(log: RequestLog, clock: FakeClock) -> None:
        for _ in range(3):
            due.append(log.received()[1] - clock.now_ns())
            clock.advance(7 * MS)

    log = with_log(Course("lognormal", 5), use)
    assert due == delays_ns("lognormal", 5)[:3].tolist()
    assert log.log.received_ns == [0, 7 * MS, 14 * MS]
    assert log.log.late_ns == [DISCONNECTED] * 3


def test_a_stall_delays_responses_that_are_ready_in_it() -> None:
    """A response that would be ready within a stall is due at its end; stalls count from the first request."""

    async def use(log: RequestLog, clock: FakeClock) -> None:
        assert log.received()[1] == 1000 * MS + int(delays_ns("uniform", 0)[0])
        clock.advance(20 * MS)
        assert log.received()[1] == 1030 * MS
        clock.advance(10 * MS)
        assert log.received()[1] == 1030 * MS + int(delays_ns("uniform", 0)[2])

    with_log(Course("uniform", 0, [(15 * MS, 30 * MS)]), use)


def test_a_response_is_sent_when_due_and_its_lateness_is_logged() -> None:
    """Nothing is written before the due time, and nothing to a client that has disconnected."""
    client, disconnected = Transport(), Transport()
    disconnected.closed = True

    async def use(log: RequestLog, clock: FakeClock) -> None:
        number, due_ns = log.received()
        await log.answer(number, due_ns, client)
        assert clock.now_ns() == due_ns
        number, due_ns = log.received()
        clock.advance(50 * MS)  # the server was busy
        await log.answer(number, due_ns, client)
        await log.answer(*log.received(), disconnected)

    log = with_log(Course("uniform"), use)
    assert log.log.late_ns == [0, 50 * MS - int(delays_ns("uniform", 0)[1]), DISCONNECTED]
    assert len(client.written) == 2
    assert disconnected.written == []


def test_a_request_in_pieces_is_one_request() -> None:
    """A request in several packets is held once, at its end; anything but HTTP closes the connection."""
    clock, transport = FakeClock(), Transport()

    async def within() -> None:
        server = KnownDelayServer(clock, FakePacer(clock))
        connection = KnownConnection(server)
        connection.connection_made(transport)
        *pieces, last = (bytes([byte]) for byte in b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        for piece in pieces:
            connection.data_received(piece)
        assert not server.waiting
        connection.data_received(last)
        await asyncio.gather(*server.waiting)
        assert len(server.requests.log.received_ns) == 1
        connection.data_received(b"nonsense\r\n\r\n")

    asyncio.run(within())
    assert transport.written[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert transport.closed


def test_a_real_server_starts_each_course_anew() -> None:
    """It counts requests from the start of each course, and no response is before its due time."""
    pytest.importorskip("uvloop")
    with known_server(frozenset()) as server:
        for requests in (3, 2):
            server.begin(Course("uniform", 1))
            with closing(http.client.HTTPConnection(HOST, server.port, timeout=10)) as connection:
                for _ in range(requests):
                    connection.request("GET", "/")
                    assert connection.getresponse().read() == b"x" * 100
            log = server.log()
            assert len(log.late_ns) == len(log.received_ns) == requests
            assert log.received_ns[0] == 0
            assert min(log.late_ns) >= 0
