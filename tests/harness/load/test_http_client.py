"""The HTTP client."""

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
from harness.load.http_client import DECODED_TOO_LARGE, NOT_GZIP, Client, HttpConnection, HttpRequest, Response

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Seen:
    """The requests that a test's server received, and the number of its connections."""

    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    """Serve each connection on a free port; yield the port."""
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
async def asking(serve: Serve) -> AsyncIterator[Client]:
    """Serve; yield a client of the server."""
    async with server(serve) as port:
        client = Client("127.0.0.1", port)
        try:
            yield client
        finally:
            client.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Callable[[Awaitable[Any]], Any]:
    """Return a function that runs a coroutine in either loop."""
    if request.param == "uvloop" and find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    factory = asyncio.new_event_loop if request.param == "asyncio" else import_module("uvloop").new_event_loop

    def run(coroutine: Any) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(coroutine)

    return run


Play = Callable[[Any], Any]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit responses to heads of 1000 and bodies of 2000 bytes."""
    monkeypatch.setattr(http_client, "MAX_HEAD_BYTES", 1000)
    monkeypatch.setattr(http_client, "MAX_BODY_BYTES", 2000)


async def request_of(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return a request's head and body, both empty at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            return b"", b""
        head += line
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return head, await reader.readexactly(length)


def answering(*answers: bytes, seen: Seen | None = None, then_close: bool = False) -> Serve:
    """Return a server that sends these responses in order on each connection, and repeats the last one."""
    seen = Seen() if seen is None else seen

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        turn = 0
        while (request := await request_of(reader))[0]:
            seen.requests.append(request)
            writer.write(answers[min(turn, len(answers) - 1)])
            turn += 1
            if then_close:
                return

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read, and never respond."""
    del writer
    while (await request_of(reader))[0]:
        pass


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until a condition inside the client is true, which has no event for it."""
    while not condition():  # noqa: ASYNC110 - see above
        await asyncio.sleep(0)


async def bodies(serving: AbstractAsyncContextManager[Client], method: str = "GET", times: int = 3) -> tuple[list[bytes], Client]:
    """Send several requests, one after the other."""
    async with serving as client:
        return [(await client.request(method, "/")).body for _ in range(times)], client


async def failure(serving: AbstractAsyncContextManager[Client], times: int = 1, deadline_s: float = 30.0) -> OSError:
    """Send requests until one fails, and return its error; one of them has to fail."""
    async with serving as client:
        for _ in range(times - 1):
            await client.request("GET", "/", deadline_s=deadline_s)
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the caller looks at the message
            await client.request("GET", "/", deadline_s=deadline_s)
    return caught.value


def test_requests_and_responses_are_complete(play: Play) -> None:
    """Method, path, headers and body reach the server; status, headers and body reach the caller, also of errors."""
    seen = Seen()

    async def check() -> Any:
        async with asking(answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\nX-Made: yes\r\n\r\nhello", seen=seen)) as client:
            return await client.request("PUT", "/a?b=c", {"x-sent": "yes"}, b"body")

    response = play(check())
    assert (response.status, response.headers["x-made"], response.body) == (503, "yes", b"hello")
    head, body = seen.requests[0]
    assert head.startswith(b"PUT /a?b=c HTTP/1.1\r\n")
    assert b"x-sent: yes\r\n" in head
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
def test_bodies_of_any_framing_are_read_and_the_connection_is_kept(answer: bytes, body: bytes, play: Play) -> None:
    """Chunks are joined, interim responses skipped, and a response without a body ends with its headers."""
    found, client = play(bodies(asking(answering(answer))))
    assert found == [body] * 3
    assert (client.opened, client.reused) == (1, 2)


@pytest.mark.parametrize("said", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n", b""])
def test_a_response_to_head_has_no_body_whatever_its_headers(said: bytes, play: Play) -> None:
    """The client does not wait for a body, and reuses the connection."""
    found, client = play(bodies(asking(answering(b"HTTP/1.1 200 OK\r\n" + said + b"\r\n")), "HEAD"))
    assert found == [b""] * 3
    assert (client.opened, client.reused) == (1, 2)


def test_an_unexpected_body_is_discarded(play: Play) -> None:
    """After a response to HEAD with a body, the next request has a new connection and gets its own response."""

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
def test_an_unreliable_connection_is_not_reused(answer: bytes, play: Play) -> None:
    """A connection that the server closes, or on which it sends extra data, is closed after the response."""
    found, client = play(bodies(asking(answering(answer))))
    assert found == [b"ok"] * 3
    assert (client.opened, client.reused) == (3, 0)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"]
)
def test_a_body_that_ends_with_the_connection_is_complete(head: bytes, play: Play) -> None:
    """Without a length, the end of the connection is the end of the body."""
    found, client = play(bodies(asking(answering(head + b"to the end", then_close=True))))
    assert found == [b"to the end"] * 3
    assert client.opened == 3


def test_each_concurrent_request_has_a_connection_which_is_kept(play: Play) -> None:
    """Five concurrent requests need five connections, and five later ones reuse them."""
    seen = Seen()

    async def check() -> tuple[int, int]:
        async with asking(answering(OK, seen=seen)) as client:
            for _ in range(2):
                await asyncio.gather(*(client.request("GET", "/") for _ in range(5)))
            return client.opened, client.reused

    assert play(check()) == (5, 5)
    assert seen.connections == 5


def test_an_encoded_request_can_be_sent_repeatedly(play: Play) -> None:
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
def test_a_missing_or_invalid_response_is_an_error(said: bytes, message: str, play: Play) -> None:
    """A missing, an incomplete and an invalid response each raise an error with a distinct message."""
    assert str(play(failure(asking(answering(said, then_close=True))))).startswith(message)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n\r\nto the"])
def test_a_reset_is_an_error_and_not_the_end_of_a_body(said: bytes, play: Play) -> None:
    """A reset raises an error, even if the end of the connection would be the end of the body."""

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


def test_a_refused_connection_is_an_error(play: Play) -> None:
    """A closed port raises an error at once."""

    async def check() -> None:
        with pytest.raises(ConnectionRefusedError, match=http_client.REFUSED):
            await Client("127.0.0.1", 1).request("GET", "/")

    play(check())


def test_an_unknown_host_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message does not contain the name: a client has one server, and failures are counted by message."""

    def unknown(*args: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def check() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(OSError, match=http_client.UNKNOWN_HOST):
            await Client("unknown.invalid", 80).request("GET", "/")

    asyncio.run(check())


def test_the_deadline_includes_connecting(play: Play) -> None:
    """A server with a full queue does not accept connections, and the request raises an error at its deadline."""

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


def test_other_failures_have_the_systems_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client without free file descriptors raises the system's message, without an address."""

    async def check() -> None:
        async def none_left(*args: Any, **more: Any) -> Any:
            raise OSError(24, "whatever ('127.0.0.1', 80)")

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", none_left)
        with pytest.raises(OSError, match=r"^no connection to the server: Too many open files$"):
            await Client("127.0.0.1", 80).request("GET", "/")

    asyncio.run(check())


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
def test_a_late_response_is_an_error_and_discarded(begun: bytes, play: Play) -> None:
    """After the deadline the connection is closed, even during a response: the next request gets its own response."""
    responses = iter([OK, begun, OK])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (await request_of(reader))[0]:
            writer.write(next(responses))

    async def check() -> tuple[bytes, int]:
        async with asking(serve) as client:
            await client.request("GET", "/")  # connects, which counts for the deadline too
            with pytest.raises(TimeoutError, match=http_client.TIMED_OUT):
                await client.request("GET", "/", deadline_s=0.05)
            return (await client.request("GET", "/")).body, client.opened

    assert play(check()) == (b"ok", 2)


def test_deadlines_end_in_their_order() -> None:
    """Requests with different deadlines share a timer, and the earliest deadline ends first, whichever was sent first."""
    ended: list[float] = []

    async def check() -> None:
        loop: Any = asyncio.get_running_loop()
        now_s = loop.time()
        begun_s = now_s
        loop.time = lambda: now_s
        async with asking(silent) as client:

            async def one(deadline_s: float) -> None:
                with pytest.raises(TimeoutError, match=http_client.TIMED_OUT):
                    await client.request("GET", "/", deadline_s=deadline_s)
                ended.append(deadline_s)

            requests = [asyncio.create_task(one(deadline_s)) for deadline_s in (8, 1, 13, 4)]
            while len(client._open) < len(requests):  # noqa: ASYNC110 - the client has no event for it
                await asyncio.sleep(0)
            for after_s, expected in ((0.9, []), (1.1, [1]), (7.9, [1, 4]), (8.1, [1, 4, 8]), (13.1, [1, 4, 8, 13])):
                now_s = begun_s + after_s
                for _ in range(20):
                    await asyncio.sleep(0)
                assert ended == expected
            await asyncio.gather(*requests)

    asyncio.run(check())


def test_requests_share_a_timer() -> None:
    """Fifty requests set one timer for connecting and one for all responses."""
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


def test_a_cancelled_requests_response_is_discarded(play: Play) -> None:
    """The connection of a cancelled request is closed: the next request gets its own response."""
    turn = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        while (await request_of(reader))[0]:
            turn += 1
            if turn > 1:
                writer.write(OK)
            else:
                received.set()

    received = asyncio.Event()

    async def check() -> tuple[bytes, int]:
        async with asking(serve) as client:
            task = asyncio.create_task(client.request("GET", "/"))
            await received.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return (await client.request("GET", "/")).body, client.opened

    assert play(check()) == (b"ok", 2)


def test_closing_the_client_fails_requests_in_flight(play: Play) -> None:
    """Pending requests raise an error, and no connection stays open."""

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
    """The next request has a new connection, and nothing fails."""

    async def check() -> tuple[list[bytes], int, int]:
        async with asking(answering(OK, then_close=True)) as client:
            found = []
            for _ in range(3):
                found.append((await client.request("GET", "/")).body)
                await until(lambda: not client._open)
            return found, client.opened, client.reused

    assert play(check()) == ([b"ok"] * 3, 3, 0)


def test_a_connection_closed_during_reuse_is_an_error_without_a_retry(play: Play) -> None:
    """If the server closes while the next request is sent, it fails with a distinct message and is not repeated."""
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.requests.append(await request_of(reader))
        writer.write(OK)
        seen.requests.append(await request_of(reader))

    assert str(play(failure(asking(serve), times=2))) == http_client.CLOSED_KEPT
    assert len(seen.requests) == 2


def test_unrequested_data_closes_the_connection(play: Play) -> None:
    """Data received without a request is not taken for the next request's response."""
    more = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK)
        await completed.wait()
        writer.write(more)
        await request_of(reader)

    completed = asyncio.Event()

    async def check() -> tuple[int, int]:
        async with asking(serve) as client:
            await client.request("GET", "/")
            completed.set()
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
def test_responses_above_the_limits_are_errors(answer: bytes, message: str, play: Play, limits: None) -> None:
    """Heads and bodies each have a limit."""
    assert str(play(failure(asking(answering(answer))))) == message


def test_a_response_at_the_limits_is_read(play: Play, limits: None) -> None:
    """A body of the limit's size is complete, and a large body in the first packet does not count as head."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000
    found, _ = play(bodies(asking(answering(answer))))
    assert found == [b"x" * 2000] * 3


def test_large_bodies_are_complete_in_both_directions(play: Play) -> None:
    """Many packets are one body."""
    body = bytes(range(256)) * 20_000
    seen = Seen()

    async def check() -> bytes:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        async with asking(answering(answer, seen=seen)) as client:
            return (await client.request("POST", "/", {}, body)).body

    assert play(check()) == body
    assert seen.requests[0][1] == body


def test_missing_headers_are_added_to_a_request() -> None:
    """Host and content-length are added unless given; without a body only methods that usually have one get a length."""
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
def test_an_invalid_request_is_rejected(method: str, path: str, headers: dict[str, str]) -> None:
    """A line break in a header would start another header: such a request is never sent."""
    with pytest.raises(UsageError, match=r"is not a (path|header)|is not an HTTP method"):
        Client("a", 1).encode(method, path, headers)


TEXT = b"the same text, " * 50


class NoTransport(asyncio.Transport):
    """Discards what is written."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def response_of(*packets: bytes) -> Response:
    """Return the response that a connection makes of these packets."""
    loop = asyncio.new_event_loop()
    try:
        connection = HttpConnection(set())
        connection.connection_made(NoTransport())
        waiting = connection.send(HttpRequest(b"", is_head=False), loop, 0.0)
        for packet in packets:
            connection.data_received(packet)
        return waiting.result()
    finally:
        loop.close()


def encoded(encoding: str, sent: bytes) -> Response:
    """Return a response with this body."""
    return response_of(f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(sent)}\r\n\r\n".encode() + sent)


_INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: early\r\n\r\n"
_CHUNKED = (
    b"HTTP/1.1 201 Created\r\nA: 1\r\na: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nB: late\r\n\r\n"
)


@given(st.lists(st.integers(0, len(_INTERIM + _CHUNKED)), max_size=12))
def test_packet_boundaries_do_not_matter(cuts: list[int]) -> None:
    """Status, headers and body are the same however a response is divided, without headers of trailers and interim responses."""
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
    """`body` is decoded, and `sent` is as transferred."""
    response = encoded(encoding, sent)
    assert response.body == TEXT
    assert response.sent == sent


def test_bodies_are_decoded_lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    """Creating a response and reading its size do not decode it."""

    def refuse(*args: Any) -> Any:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(http_client, "_decoded", refuse)
    response = encoded("gzip", gzip.compress(TEXT, mtime=0))
    assert len(response.sent) < len(TEXT)
    with pytest.raises(AssertionError, match="it was decoded"):
        _ = response.body


@pytest.mark.parametrize("sent", [gzip.compress(TEXT, mtime=0)[:-9], b"no gzip", gzip.compress(TEXT, mtime=0) + b"more"])
def test_an_invalid_gzip_body_is_an_error(sent: bytes) -> None:
    """An incomplete body, another format and trailing data each raise an error."""
    with pytest.raises(OSError, match=NOT_GZIP):
        _ = encoded("gzip", sent).body


def test_a_body_that_decodes_to_too_much_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding stops at its limit, in one member or several; a body of the limit's size is decoded."""
    monkeypatch.setattr(http_client, "MAX_DECODED_BYTES", len(TEXT))
    assert encoded("gzip", gzip.compress(TEXT, mtime=0)).body == TEXT
    for sent in (
        gzip.compress(TEXT + b"!", mtime=0),
        gzip.compress(TEXT, mtime=0) + gzip.compress(b"!", mtime=0),
        gzip.compress(b"\0" * 10**6, mtime=0),
    ):
        with pytest.raises(OSError, match=DECODED_TOO_LARGE):
            _ = encoded("gzip", sent).body


def test_an_unsupported_encoding_is_an_error() -> None:
    """A body that cannot be decoded is not returned as if it were plain."""
    with pytest.raises(OSError, match="has the encoding br, which is not supported"):
        _ = encoded("br", b"\x0b").body


def test_a_body_that_mentions_an_encoding_is_not_decoded() -> None:
    """A body that contains the header's text is returned as transferred."""
    text = b"\nContent-Encoding: gzip\n"
    assert response_of(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text).body == text


def test_data_after_a_response_does_not_affect_its_headers() -> None:
    """Invalid data after the response in the same packet is ignored."""
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
def test_a_length_is_detected_from_the_headers(head: bytes, length: bool) -> None:
    """A length or chunks delimit a body; otherwise the connection's end does."""
    assert Response(200, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", b"").has_length is length


def test_without_httptools_only_the_client_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module can be imported; creating a client raises one line with the command that installs the extra."""
    monkeypatch.setattr(http_client, "httptools", None)
    with pytest.raises(
        UsageError, match=r"^the HTTP client needs the package httptools; install it with: pip install '.*\[load\]'$"
    ):
        Client("127.0.0.1", 80)
