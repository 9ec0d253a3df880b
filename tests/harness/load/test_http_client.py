"""The HTTP client."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.load import http_client
from harness.load.http_client import DECODED_TOO_LARGE, NOT_GZIP, Client, HttpConnection, HttpRequest, Limits, Response

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Seen:
    """What a server of the test's own was asked, and on how many connections."""

    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    """Serve each connection on a free port, and yield it."""
    served: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(handle(reader, writer)))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await asyncio.gather(*served, return_exceptions=True)
        await listening.wait_closed()


@asynccontextmanager
async def asking(serve: Serve, limits: Limits | None = None) -> AsyncIterator[Client]:
    """Serve, and yield a client of it."""
    async with server(serve) as port:
        client = Client("127.0.0.1", port, limits or Limits())
        try:
            yield client
        finally:
            client.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Callable[[Awaitable[Any]], Any]:
    """Run something in either loop."""
    if request.param == "uvloop" and find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    factory = asyncio.new_event_loop if request.param == "asyncio" else import_module("uvloop").new_event_loop

    def run(coroutine: Any) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(coroutine)

    return run


Play = Callable[[Any], Any]


async def request_of(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return a request's head and body, or nothing at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            return b"", b""
        head += line
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return head, await reader.readexactly(length)


def answering(*answers: bytes, seen: Seen | None = None, then_close: bool = False) -> Serve:
    """Return a server that gives these answers in turn on each connection, the last one again and again."""
    seen = Seen() if seen is None else seen

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        turn = 0
        while (asked := await request_of(reader))[0]:
            seen.requests.append(asked)
            writer.write(answers[min(turn, len(answers) - 1)])
            turn += 1
            if then_close:
                return

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read, and never answer."""
    del writer
    while (await request_of(reader))[0]:
        pass


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop take turns until something holds inside the client, which has no event for it."""
    while not condition():  # noqa: ASYNC110 - see above
        await asyncio.sleep(0)


async def bodies(serving: AbstractAsyncContextManager[Client], method: str = "GET", times: int = 3) -> tuple[list[bytes], Client]:
    """Ask several times, one after the other."""
    async with serving as client:
        return [(await client.request(method, "/")).body for _ in range(times)], client


async def failure(serving: AbstractAsyncContextManager[Client], times: int = 1, deadline_s: float = 30.0) -> OSError:
    """Ask until an error comes, and return it; the last of so many times has to bring one."""
    async with serving as client:
        for _ in range(times - 1):
            await client.request("GET", "/", deadline_s=deadline_s)
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the caller looks at the message
            await client.request("GET", "/", deadline_s=deadline_s)
    return caught.value


def test_requests_and_answers_pass_whole(play: Play) -> None:
    """Method, path, headers and body reach the server; status, headers and body reach the caller, errors included."""
    seen = Seen()

    async def check() -> Any:
        async with asking(answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\nX-Made: yes\r\n\r\nhello", seen=seen)) as client:
            return await client.request("PUT", "/a?b=c", {"x-asked": "yes"}, b"body")

    response = play(check())
    assert (response.status, response.headers["x-made"], response.body) == (503, "yes", b"hello")
    head, body = seen.requests[0]
    assert head.startswith(b"PUT /a?b=c HTTP/1.1\r\n")
    assert b"x-asked: yes\r\n" in head
    assert body == b"body"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", b"abc"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
    ],
)
def test_bodies_of_any_framing_are_read_and_the_connection_goes_on(answer: bytes, body: bytes, play: Play) -> None:
    """Chunks are joined, interim answers passed over, and an answer without a body ends where its headers do."""
    found, client = play(bodies(asking(answering(answer))))
    assert found == [body] * 3
    assert (client.opened, client.reused) == (1, 2)


@pytest.mark.parametrize("said", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n", b""])
def test_an_answer_to_head_has_no_body_whatever_it_says(said: bytes, play: Play) -> None:
    """Nothing is waited for after the head, and the connection is used again."""
    found, client = play(bodies(asking(answering(b"HTTP/1.1 200 OK\r\n" + said + b"\r\n")), "HEAD"))
    assert found == [b""] * 3
    assert (client.opened, client.reused) == (1, 2)


def test_a_body_where_none_may_be_is_nobodys(play: Play) -> None:
    """A server that answers HEAD with a body is not asked again on that connection, and the next answer is its own."""

    async def check() -> tuple[bytes, bytes, int]:
        async with asking(answering(OK)) as client:
            return (await client.request("HEAD", "/")).body, (await client.request("GET", "/")).body, client.opened

    assert play(check()) == (b"", b"ok", 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + OK,
        OK + b"HTTP/1.1 2",
    ],
)
def test_a_connection_that_cannot_be_trusted_is_not_used_again(answer: bytes, play: Play) -> None:
    """One that the server does not keep, or on which more came than an answer, is given up after its answer."""
    found, client = play(bodies(asking(answering(answer))))
    assert found == [b"ok"] * 3
    assert (client.opened, client.reused) == (3, 0)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"]
)
def test_a_body_that_ends_with_the_connection_is_whole(head: bytes, play: Play) -> None:
    """Where no length is said, the end of the connection is the end of the body."""
    found, client = play(bodies(asking(answering(head + b"to the end", then_close=True))))
    assert found == [b"to the end"] * 3
    assert client.opened == 3


def test_a_connection_is_opened_for_each_request_at_once_and_kept(play: Play) -> None:
    """Five at once need five connections, and five more at once need no other."""
    seen = Seen()

    async def check() -> tuple[int, int]:
        async with asking(answering(OK, seen=seen)) as client:
            for _ in range(2):
                await asyncio.gather(*(client.request("GET", "/") for _ in range(5)))
            return client.opened, client.reused

    assert play(check()) == (5, 5)
    assert seen.connections == 5


def test_a_request_is_encoded_once_and_sent_often(play: Play) -> None:
    """The same bytes reach the server each time."""
    seen = Seen()

    async def check() -> None:
        async with asking(answering(OK, seen=seen)) as client:
            request = client.encode("POST", "/", {"x": "y"}, b"abc")
            for _ in range(3):
                await client.send(request)

    play(check())
    assert len(seen.requests) == 3
    assert len(set(seen.requests)) == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"", http_client.CLOSED),
        (b"HTTP/1.1 200 OK\r\nContent-", http_client.INCOMPLETE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", http_client.INCOMPLETE),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", http_client.INCOMPLETE),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", http_client.INCOMPLETE),
        (b"HTTP/1.1 100 Continue\r\n\r\n", http_client.INCOMPLETE),
        (b"no HTTP at all\r\n\r\n", http_client.NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", http_client.NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n", http_client.NOT_HTTP),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", http_client.SWITCHED),
        (b"HTTP/1.1 101 Switching\r\n\r\n", http_client.SWITCHED),
    ],
)
def test_a_server_that_ends_or_talks_nonsense_is_told(said: bytes, message: str, play: Play) -> None:
    """An answer that does not come, comes in part, or is none, is an error with its own words, and no answer."""
    assert str(play(failure(asking(answering(said, then_close=True))))).startswith(message)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n\r\nto the"])
def test_a_reset_is_told_and_is_no_end_of_a_body(said: bytes, play: Play) -> None:
    """A connection that is reset brings no answer, even one whose body would end with it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(said)
        if said:
            await arrived.wait()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    arrived = asyncio.Event()

    async def check() -> OSError:
        async with asking(serve) as client:
            task = asyncio.create_task(client.request("GET", "/"))
            await until(lambda: not said or any(connection._in_body for connection in client._open))
            arrived.set()
            with pytest.raises(ConnectionResetError) as caught:
                await task
            return caught.value

    assert str(play(check())) == http_client.RESET


def test_a_server_that_refuses_is_told(play: Play) -> None:
    """Where nobody listens the caller learns it at once."""

    async def check() -> None:
        with pytest.raises(ConnectionRefusedError, match=http_client.REFUSED):
            await Client("127.0.0.1", 1).request("GET", "/")

    play(check())


def test_a_name_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message does not say which name: a client has one server, and failures are counted by message."""

    def nobody(*asked: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def check() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", nobody)
        with pytest.raises(OSError, match=http_client.UNKNOWN_HOST):
            await Client("nobody.invalid", 80).request("GET", "/")

    asyncio.run(check())


def test_a_server_that_accepts_nobody_is_told_in_time(play: Play) -> None:
    """The deadline is for connecting too: a server whose queue is full lets its callers wait."""

    async def check() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            try:
                for one in waiting:
                    one.setblocking(False)  # noqa: FBT003 - the name is the socket module's
                    one.connect_ex(full.getsockname())
                client = Client("127.0.0.1", full.getsockname()[1])
                with pytest.raises(TimeoutError, match=http_client.CONNECT_TIMED_OUT):
                    await client.request("GET", "/", deadline_s=0.05)
                assert client.opened == 0
            finally:
                for one in waiting:
                    one.close()

    play(check())


def test_failures_that_are_no_network_are_told_by_the_systems_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator without file handles left says so, and names no address."""

    async def check() -> None:
        async def none_left(*asked: Any, **more: Any) -> Any:
            raise OSError(24, "whatever ('127.0.0.1', 80)")

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", none_left)
        with pytest.raises(OSError, match=r"^no connection to the server: Too many open files$"):
            await Client("127.0.0.1", 80).request("GET", "/")

    asyncio.run(check())


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
def test_an_answer_that_is_late_is_told_and_nobodys(begun: bytes, play: Play) -> None:
    """Past its deadline an answer, even one that has begun, is given up with its connection: the next request gets its own."""
    slow = True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal slow
        while (await request_of(reader))[0]:
            writer.write(begun if slow else OK)
            slow = False

    async def check() -> tuple[bytes, int]:
        async with asking(serve) as client:
            with pytest.raises(TimeoutError, match=http_client.TIMED_OUT):
                await client.request("GET", "/", deadline_s=0.05)
            return (await client.request("GET", "/")).body, client.opened

    assert play(check()) == (b"ok", 2)


def test_deadlines_end_in_their_own_order(play: Play) -> None:
    """Requests with different deadlines share a timer, and the shortest ends first, whichever was sent first."""
    ended: list[float] = []

    async def check() -> None:
        async with asking(silent) as client:

            async def one(deadline_s: float) -> None:
                with pytest.raises(TimeoutError, match=http_client.TIMED_OUT):
                    await client.request("GET", "/", deadline_s=deadline_s)
                ended.append(deadline_s)

            await asyncio.gather(*(one(deadline_s) for deadline_s in (0.8, 0.1, 1.3, 0.4)))

    play(check())
    assert ended == [0.1, 0.4, 0.8, 1.3]


def test_requests_need_no_timer_each() -> None:
    """Fifty requests set one timer for connecting and one for all their http_client."""
    timers: list[float] = []

    async def check() -> None:
        async with asking(answering(OK)) as client:
            loop: Any = asyncio.get_running_loop()
            call_at = loop.call_at

            def counted(when: float, *call: Any, **more: Any) -> Any:
                timers.append(when)
                return call_at(when, *call, **more)

            loop.call_at = counted
            for _ in range(50):
                await client.request("GET", "/")

    asyncio.run(check())
    assert len(timers) == 2


def test_a_request_that_is_cancelled_takes_its_answer_with_it(play: Play) -> None:
    """The connection of a cancelled request is given up: the next request gets its own answer."""
    turn = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        while (await request_of(reader))[0]:
            turn += 1
            if turn > 1:
                writer.write(OK)
            else:
                asked.set()

    asked = asyncio.Event()

    async def check() -> tuple[bytes, int]:
        async with asking(serve) as client:
            task = asyncio.create_task(client.request("GET", "/"))
            await asked.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return (await client.request("GET", "/")).body, client.opened

    assert play(check()) == (b"ok", 2)


def test_closing_the_client_ends_what_is_under_way(play: Play) -> None:
    """Who waits is told, and no connection stays open."""

    async def check() -> None:
        async with asking(silent) as client:
            task = asyncio.create_task(client.request("GET", "/"))
            await until(lambda: any(connection._waiting for connection in client._open))
            client.close()
            with pytest.raises(ConnectionAbortedError, match=http_client.CLIENT_CLOSED):
                await task
            await until(lambda: not client._open)

    play(check())


def test_a_connection_closed_while_idle_is_noticed(play: Play) -> None:
    """The next request is sent on a new connection, and nothing fails."""

    async def check() -> tuple[list[bytes], int, int]:
        async with asking(answering(OK, then_close=True)) as client:
            found = []
            for _ in range(3):
                found.append((await client.request("GET", "/")).body)
                await until(lambda: not client._open)
            return found, client.opened, client.reused

    assert play(check()) == ([b"ok"] * 3, 3, 0)


def test_a_connection_closed_as_it_is_used_again_is_told_and_nothing_sent_twice(play: Play) -> None:
    """The server's closing and the next request may cross: that is a failure with its own words, not a second try in secret."""
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.requests.append(await request_of(reader))
        writer.write(OK)
        seen.requests.append(await request_of(reader))

    assert str(play(failure(asking(serve), times=2))) == http_client.CLOSED_KEPT
    assert len(seen.requests) == 2


def test_what_nobody_asked_for_ends_the_connection(play: Play) -> None:
    """Bytes that come while nothing is asked would be the next request's answer; they are not."""
    more = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK)
        await answered.wait()
        writer.write(more)
        await request_of(reader)

    answered = asyncio.Event()

    async def check() -> tuple[int, int]:
        async with asking(serve) as client:
            await client.request("GET", "/")
            answered.set()
            await until(lambda: not client._open)
            return (await client.request("GET", "/")).status, client.opened

    assert play(check()) == (200, 2)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2000, http_client.HEAD_TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2000 + b"\r\nContent-Length: 0\r\n\r\n", http_client.HEAD_TOO_LARGE),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, http_client.HEAD_TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000, http_client.BODY_TOO_LARGE),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1000 + b"\r\n3e9\r\n" + b"x" * 1001,
            http_client.BODY_TOO_LARGE,
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3000, http_client.BODY_TOO_LARGE),
    ],
)
def test_answers_larger_than_allowed_are_told(answer: bytes, message: str, play: Play) -> None:
    """Heads and bodies have a limit; an answer beyond it is given up."""
    assert str(play(failure(asking(answering(answer), Limits(head_bytes=1000, body_bytes=2000))))) == message


def test_an_answer_just_as_large_as_allowed_is_read(play: Play) -> None:
    """A body of the limit's size is whole, and a large body in the first packet makes no large head."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000
    found, _ = play(bodies(asking(answering(answer), Limits(head_bytes=1000, body_bytes=2000))))
    assert found == [b"x" * 2000] * 3


def test_a_large_body_passes_whole_both_ways(play: Play) -> None:
    """Many packets are one body."""
    body = bytes(range(256)) * 20_000
    seen = Seen()

    async def check() -> bytes:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        async with asking(answering(answer, seen=seen)) as client:
            return (await client.request("POST", "/", {}, body)).body

    assert play(check()) == body
    assert seen.requests[0][1] == body


def test_what_is_missing_is_added_to_a_request() -> None:
    """The server's name and the body's length are added, unless they are given; no body says no length, but where one is usual."""
    client = Client("::1", 8080)
    assert client.encode("GET", "/a").message == b"GET /a HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n"
    assert client.encode("POST", "/a").message == b"POST /a HTTP/1.1\r\nhost: [::1]:8080\r\ncontent-length: 0\r\n\r\n"
    given = client.encode("PUT", "/a", {"Host": "b", "Content-Length": "3"}, b"abc").message
    assert given == b"PUT /a HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabc"
    assert (
        Client("b", 1).encode("DELETE", "/a", {}, b"x").message == b"DELETE /a HTTP/1.1\r\nhost: b:1\r\ncontent-length: 1\r\n\r\nx"
    )


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("get", "/", {}),
        ("", "/", {}),
        ("GET", "", {}),
        ("GET", "a", {}),
        ("GET", "/a b", {}),
        ("GET", "/ä", {}),
        ("GET", "/a\r\nx: y", {}),
        ("GET", "/", {"": "a"}),
        ("GET", "/", {"a b": "a"}),
        ("GET", "/", {"a": "b\r\nc: d"}),
        ("GET", "/", {"a": "→"}),
    ],
)
def test_what_cannot_be_sent_is_refused(method: str, path: str, headers: dict[str, str]) -> None:
    """A line break in a header would be another header: such a request is never sent."""
    with pytest.raises(UsageError, match=r"is no (HTTP method|path|header)"):
        Client("a", 1).encode(method, path, headers)


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
        waiting = connection.send(HttpRequest(b"", is_head=False), loop, 0.0)
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

    monkeypatch.setattr(http_client, "_decoded", refuse)
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
    monkeypatch.setattr(http_client, "MAX_DECODED_BYTES", len(TEXT))
    assert encoded("gzip", gzip.compress(TEXT, mtime=0)).body == TEXT
    for sent in (
        gzip.compress(TEXT + b"!", mtime=0),
        gzip.compress(TEXT, mtime=0) + gzip.compress(b"!", mtime=0),
        gzip.compress(b"\0" * 10**6, mtime=0),
    ):
        with pytest.raises(OSError, match=DECODED_TOO_LARGE):
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
    assert Response(200, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", b"").has_length is length
