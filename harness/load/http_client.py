"""A lean HTTP/1.1 client for measuring: kept connections to one server, and little work of its own beside a request.

A client's own work is in every latency that it measures, and takes time from its core for other requests. So a request is encoded
once and sent again and again; of an answer nothing is read but its status and where it ends, until somebody asks; and one timer
watches the deadlines of all connections. The parser is `httptools`, as in uvicorn. Bodies are held whole; there is no TLS, no
redirect, no cookie and no pipelining, and nothing is sent a second time.
"""

from __future__ import annotations

import asyncio
import math
import re
import socket
from collections.abc import Mapping

from harness.errors import UsageError
from harness.load.answer import Response
from harness.load.connection import GIVEN_UP, NO_ANSWER, HttpConnection, HttpRequest, Limits, reason

NO_CONNECTION = "no connection to the server in time"
REFUSED = "the server refuses connections"
UNKNOWN = "the server's name is not known"

DEADLINE_S = 30.0
_SWEEP_APART_S = 0.001
"""The least time between two looks at the deadlines: some loops' timers are early, and would look again at once."""

_WITH_BODY = frozenset({"PATCH", "POST", "PUT"})
_NO_METHOD = re.compile(r"[^A-Z]")
_NO_PATH = re.compile(r"[^\x21-\x7e]")
_NO_NAME = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_NO_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class Client:
    """Requests to one server, on as many connections as there are requests at once; each is kept for the next.

    `opened` counts the connections made, `reused` the requests sent on a kept one.
    """

    def __init__(self, host: str, port: int, limits: Limits = Limits()) -> None:  # noqa: B008 - it is frozen
        self.opened = 0
        self.reused = 0
        self._host = host
        self._port = port
        self._limits = limits
        self._idle: list[HttpConnection] = []
        self._open: set[HttpConnection] = set()
        self._looks_at_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def encode(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> HttpRequest:
        """Encode a request, to be sent as often as one likes; `host` and `content-length` are added where they are missing.

        Raises:
            UsageError: the method, the path or a header has a character that cannot stand there.
        """
        if not method or _NO_METHOD.search(method):
            raise UsageError(f"{method!r} is no HTTP method; use capital letters, as in GET")
        if not path.startswith("/") or _NO_PATH.search(path):
            raise UsageError(f"{path!r} is no path; begin it with a slash, and percent-encode what is not ASCII or is a space")
        fields = dict(headers or {})
        for name, value in fields.items():
            if not name or _NO_NAME.search(name) or _NO_VALUE.search(value):
                raise UsageError(f"{name!r}: {value!r} is no header; a line break or a character beyond Latin-1 cannot be sent")
        given = {name.lower() for name in fields}
        if "host" not in given:
            fields["host"] = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        if (body or method in _WITH_BODY) and "content-length" not in given:
            fields["content-length"] = str(len(body))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return HttpRequest("\r\n".join(lines).encode("latin-1") + body, method == "HEAD")

    async def send(self, request: HttpRequest, deadline_s: float = DEADLINE_S) -> Response:
        """Send a request and return its answer, whatever its status.

        Raises:
            OSError: no answer came; the message is one of the constants here and in `harness.load.connection`, or begins with one.
                It is a TimeoutError past the deadline, which counts from the call and includes connecting.
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
        if due_s < self._looks_at_s:
            self._look_at(loop, due_s)
        try:
            response = await connection.ask(request, loop, due_s)
        except BaseException:
            connection.end()  # what is still to come on it would be taken for the next answer
            raise
        if connection.is_open:
            self._idle.append(connection)
        return response

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        deadline_s: float = DEADLINE_S,
    ) -> Response:
        """Encode a request and send it; raises what these raise."""
        return await self.send(self.encode(method, path, headers, body), deadline_s)

    def close(self) -> None:
        """Close all connections; requests under way fail."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._looks_at_s = None, math.inf
        for connection in list(self._open):
            connection.fail(ConnectionAbortedError(GIVEN_UP))
        self._idle.clear()

    async def _connect(self, loop: asyncio.AbstractEventLoop, due_s: float) -> HttpConnection:
        def connection() -> HttpConnection:
            return HttpConnection(self._open, self._limits)

        try:
            async with asyncio.timeout_at(due_s):
                _, made = await loop.create_connection(connection, self._host, self._port)
        except TimeoutError:
            raise TimeoutError(NO_CONNECTION) from None
        except ConnectionRefusedError:
            raise ConnectionRefusedError(REFUSED) from None
        except socket.gaierror:
            raise OSError(UNKNOWN) from None
        except OSError as error:
            raise OSError(f"no connection to the server: {reason(error)}") from None
        self.opened += 1
        return made

    def _look_at(self, loop: asyncio.AbstractEventLoop, moment_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at_s = moment_s
        self._timer = loop.call_at(moment_s, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the requests that are overdue, and look again when the next will be: seldom, because most are answered by then."""
        now_s = loop.time()
        self._timer, self._looks_at_s = None, math.inf
        for connection in list(self._open):
            if connection.due_s <= now_s:
                connection.fail(TimeoutError(NO_ANSWER))
        due_s = min((connection.due_s for connection in self._open), default=math.inf)
        if due_s < math.inf:
            self._look_at(loop, max(due_s, now_s + _SWEEP_APART_S))
