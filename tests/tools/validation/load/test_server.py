"""The server with known times: what it plans and notes on a fake clock, and that it serves for real."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

import pytest

from harness.load.pacing import FakePacer
from harness.runtime.clock import FakeClock
from tools.validation.load.known import known_server
from tools.validation.load.server import GONE, HOST, KnownConnection, KnownDelayServer, RequestLedger
from tools.validation.load.situations import Course, delays_ns

MS = 1_000_000


class Transport(asyncio.Transport):
    """Keeps what is written, until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def abort(self) -> None:
        """Close it."""
        self.closed = True


def with_review(course: Course, use: Callable[[RequestLedger, FakeClock], Coroutine[Any, Any, None]]) -> RequestLedger:
    """Use a review in a loop, on a clock that begins at a second; return it."""
    clock = FakeClock(1000 * MS)

    async def within() -> RequestLedger:
        review = RequestLedger(course, clock, FakePacer(clock))
        await use(review, clock)
        return review

    return asyncio.run(within())


def test_each_request_is_held_for_its_own_time() -> None:
    """Request i is due delay i after it came, and what is noted counts from the first request."""
    due = []

    async def use(review: RequestLedger, clock: FakeClock) -> None:
        for _ in range(3):
            due.append(review.received()[1] - clock.now_ns())
            clock.advance(7 * MS)

    review = with_review(Course("lognormal", 5), use)
    assert due == delays_ns("lognormal", 5)[:3].tolist()
    assert review.log.received_ns == [0, 7 * MS, 14 * MS]
    assert review.log.late_ns == [GONE] * 3


def test_a_stall_holds_what_is_ready_in_it() -> None:
    """An answer that would be ready within a stall is due at its end; the stall counts from the first request."""

    async def use(review: RequestLedger, clock: FakeClock) -> None:
        assert review.received()[1] == 1000 * MS + int(delays_ns("uniform", 0)[0])
        clock.advance(20 * MS)
        assert review.received()[1] == 1030 * MS
        clock.advance(10 * MS)
        assert review.received()[1] == 1030 * MS + int(delays_ns("uniform", 0)[2])

    with_review(Course("uniform", 0, [(15 * MS, 30 * MS)]), use)


def test_an_answer_goes_out_when_due_and_its_lateness_is_noted() -> None:
    """Nothing is written before it is due; how late it was is noted, and nothing where the asker has gone."""
    asker, gone = Transport(), Transport()
    gone.closed = True

    async def use(review: RequestLedger, clock: FakeClock) -> None:
        number, due_ns = review.received()
        await review.answer(number, due_ns, asker)
        assert clock.now_ns() == due_ns
        number, due_ns = review.received()
        clock.advance(50 * MS)  # the server was busy
        await review.answer(number, due_ns, asker)
        await review.answer(*review.received(), gone)

    review = with_review(Course("uniform"), use)
    assert review.log.late_ns == [0, 50 * MS - int(delays_ns("uniform", 0)[1]), GONE]
    assert len(asker.written) == 2
    assert gone.written == []


def test_a_request_in_pieces_is_one_request() -> None:
    """However a request is cut into pieces, it is held once, and at its end; what is no HTTP ends the connection."""
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
        assert len(server.review.log.received_ns) == 1
        connection.data_received(b"nonsense\r\n\r\n")

    asyncio.run(within())
    assert transport.written[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert transport.closed


def test_it_serves_and_begins_anew() -> None:
    """A real server counts requests from each beginning, and says how late each answer was: never before it was due."""
    pytest.importorskip("uvloop")
    with known_server(frozenset()) as server:
        for asked in (3, 2):
            server.begin(Course("uniform", 1))
            with closing(http.client.HTTPConnection(HOST, server.port, timeout=10)) as connection:
                for _ in range(asked):
                    connection.request("GET", "/")
                    assert connection.getresponse().read() == b"x" * 100
            log = server.log()
            assert len(log.late_ns) == len(log.received_ns) == asked
            assert log.received_ns[0] == 0
            assert min(log.late_ns) >= 0
