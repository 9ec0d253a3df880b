"""The relay: what goes through it arrives unchanged, and a round trip is a client's turn, however many packets it takes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.bench.probes.round_trips import CountingRelay, RoundTrips
from harness.scenario import Server

pytestmark = pytest.mark.slow


@contextmanager
def echo() -> Iterator[str]:
    """Yield the URL of a server that answers every line with itself."""

    def answer(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                connection.sendall(line)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield f"toy://someone:secret@127.0.0.1:{listening.getsockname()[1]}/place?x=1"
        listening.shutdown(socket.SHUT_RDWR)


def test_a_turn_is_a_trip_however_many_packets_it_takes() -> None:
    """Three turns are three trips, one of them in two packets; the answers are the server's own."""
    with echo() as url, CountingRelay({"toy": Server(url, url)}) as relay:
        far = relay.servers["toy"].far
        assert far != url
        assert far.startswith("toy://someone:secret@127.0.0.1:")
        assert far.endswith("/place?x=1")
        assert relay.servers["toy"].near == url
        with socket.create_connection(("127.0.0.1", int(far.rpartition(":")[2].partition("/")[0])), timeout=10) as client:
            lines = client.makefile("rb")

            async def turns() -> int:
                async with RoundTrips(relay) as probe:
                    for words in ((b"one\n",), (b"tw", b"o\n"), (b"x" * 500_000 + b"\n",)):
                        for word in words:
                            client.sendall(word)
                            await asyncio.sleep(0.02)  # packets of their own
                        assert lines.readline() == b"".join(words)
                return int(probe.counts()["round_trips"])

            assert [asyncio.run(turns()) for _ in range(2)] == [3, 3]


def test_servers_elsewhere_and_sockets_are_left_alone() -> None:
    """Nothing is started for them, and there is nothing to count."""
    servers = {"far": Server("toy://db.example:5432/x", "toy://db.example:5432/x"), "file": Server("unix:/x", "unix:/x")}
    with CountingRelay(servers) as relay:
        assert relay.servers == servers
        assert not relay.counts


def test_a_server_that_is_gone_ends_the_connection() -> None:
    """As without a relay, only later."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"toy://127.0.0.1:{listening.getsockname()[1]}"
    with CountingRelay({"toy": Server(url, url)}) as relay:
        port = int(relay.servers["toy"].far.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            assert client.recv(1) == b""
