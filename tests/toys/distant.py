"""A scenario whose instances talk to a server, which the coordinator starts: a socket that echoes."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from harness.errors import NotMeasurableError, UsageError
from harness.scenario import Case, Group, Scenario, Server, Setting
from harness.verdicts.measures import speedup
from harness.verdicts.promise import Promise, times


class Distant(Scenario[Any]):
    """Send one request to an echo server instead of two.

    The engine "dead" has a server that does not answer, "missing" one that cannot run here, "mortal" one that stops after a while.
    """

    arms = {"baseline": "two round trips", "optimised": "one"}
    groups = (Group("echo", "receive a byte"),)
    promises = (Promise("D1", "twice as fast", times(2), speedup("echo"), arms=["optimised"]),)
    engines = ("sqlite", "dead", "missing", "mortal")

    @contextmanager
    def servers(self, setting: Setting) -> Iterator[Mapping[str, Server]]:
        """Start an echo server."""
        if setting.engine == "dead":
            raise UsageError("no echo answers at 127.0.0.1:1; start it, or name another")
        if setting.engine == "missing":
            raise NotMeasurableError("there is no echo for this machine")
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            most = 3 if setting.engine == "mortal" else 10_000
            threading.Thread(target=_echo, args=(listening, most), daemon=True).start()
            yield {"echo": Server(f"echo://127.0.0.1:{port}", f"echo://127.0.0.1:{port}")}
            with suppress(OSError):  # the mortal one has closed it already
                listening.shutdown(socket.SHUT_RDWR)  # or the thread that waits for a connection would still be given one

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the one case."""
        port = int(setting.servers["echo"].url.rpartition(":")[2])
        return [Case("echo", "echo", port)]

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[int]:
        """Return the number of requests."""
        yield 2 if arm == "baseline" else 1

    async def run(self, instance: int, case: Case) -> bytes:
        """Send a byte and receive it, once per request."""
        for _ in range(instance):
            reader, writer = await asyncio.open_connection("127.0.0.1", case.args)
            writer.write(b"x")
            received = await reader.read(1)
            writer.close()
        return received


def _echo(listening: socket.socket, most: int) -> None:
    """Echo a byte per connection, up to the limit, then stop."""
    for _ in range(most):
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            connection.sendall(connection.recv(1))
    listening.close()
