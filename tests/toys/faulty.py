"""A scenario whose server answers well until load begins, and then fails in every way that a server over HTTP can."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

from harness.load.http_client import Client
from harness.scenario import Case, Group, Scenario, Server, Setting

GOOD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
HOW = ("good", "closes", "resets", "garbage", "half", "hangs")
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 seconds: closing the connection resets it."""

GOOD_AT_FIRST = 6
"""Number of good answers of each kind: two cases of two arms, the first one twice, which are compared before any load."""


class Faulty(Scenario[Client]):
    """Send requests to a server that fails in every way.

    Its first answers, which are compared between arms, are good.
    """

    arms = {"baseline": "one client", "optimised": "another"}
    groups = [Group(how, how) for how in HOW]

    @contextmanager
    def servers(self, setting: Setting) -> Iterator[Mapping[str, Server]]:
        """Start the server in a thread."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            threading.Thread(target=_serve, args=(listening,), daemon=True).start()
            yield {"http": Server(url, url)}
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # or the thread that waits for a connection would still be given one

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return two of each kind."""
        return [Case(how, f"{how} {i}", how) for how in HOW for i in range(2)]

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[Client]:
        """Make a client."""
        place = urlsplit(setting.servers["http"].url)
        client = Client(str(place.hostname), int(place.port or 0))
        yield client
        client.close()

    async def run(self, instance: Client, case: Case) -> bytes:
        """Send a request; one that hangs ends at the deadline of the load generator."""
        return (await instance.request("GET", f"/{case.args}")).body


def _serve(listening: socket.socket) -> None:
    asked: Counter[str] = Counter()
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, asked), daemon=True).start()


def _answer(connection: socket.socket, asked: Counter[str]) -> None:
    """Answer a connection's one request in the way that its path names."""
    with connection, suppress(OSError):
        request = connection.recv(65_536)
        if not request:  # someone has looked whether the server is there
            return
        how = request.split(b" ")[1][1:].decode()
        asked[how] += 1
        if how == "good" or asked[how] <= GOOD_AT_FIRST:
            connection.sendall(GOOD)
            return
        if how == "hangs":
            connection.recv(1)  # until the client closes the connection
        if how == "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.sendall({"garbage": b"no such protocol\r\n\r\n", "half": GOOD[:-1]}.get(how, b""))
