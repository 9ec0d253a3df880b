"""The counting relay forwards data unchanged and counts a client's turn as one round trip, in one packet or several."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.bench.probes.round_trips import counting_relay
from harness.scenario import Server

pytestmark = pytest.mark.slow


@contextmanager
def echo() -> Iterator[str]:
    """Yield the URL of a server that echoes each line."""

    def serve_one(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                connection.sendall(line)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield f"toy://someone:secret@127.0.0.1:{listening.getsockname()[1]}/place?x=1"
        listening.shutdown(socket.SHUT_RDWR)


def test_a_turn_is_one_trip_in_any_number_of_packets() -> None:
    """Three turns are three trips, one of them in two packets; the replies are the server's own."""
    with echo() as url, counting_relay({"toy": Server(url, url)}) as (servers, probe):
        assert probe is not None
        relayed = servers["toy"].url
        assert relayed != url
        assert relayed.startswith("toy://someone:secret@127.0.0.1:")
        assert relayed.endswith("/place?x=1")
        assert servers["toy"].direct_url == url
        with socket.create_connection(("127.0.0.1", int(relayed.rpartition(":")[2].partition("/")[0])), timeout=10) as client:
            lines = client.makefile("rb")

            async def turns() -> int:
                async with probe:
                    for parts in ((b"one\n",), (b"tw", b"o\n"), (b"x" * 500_000 + b"\n",)):
                        for part in parts:
                            client.sendall(part)
                            await asyncio.sleep(0.02)  # so that each is a separate packet
                        assert lines.readline() == b"".join(parts)
                return int(probe.counts()["round_trips"])

            assert [asyncio.run(turns()) for _ in range(2)] == [3, 3]


def test_remote_servers_and_unix_sockets_are_not_relayed() -> None:
    """No relay is started for them, and there is nothing to count."""
    servers = {"remote": Server("toy://db.example:5432/x", "toy://db.example:5432/x"), "file": Server("unix:/x", "unix:/x")}
    with counting_relay(servers) as (relayed, probe):
        assert relayed == servers
        assert probe is None


def test_a_stopped_server_ends_the_connection() -> None:
    """The client gets a reset, as it would get a refusal without a relay."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"toy://127.0.0.1:{listening.getsockname()[1]}"
    with counting_relay({"toy": Server(url, url)}) as (servers, _):
        port = int(servers["toy"].url.rpartition(":")[2])
        # The reset may arrive while the connection is being made.
        with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.recv(1)
