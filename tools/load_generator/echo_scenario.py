"""What the load engine's bench asks: the raw echo, and nothing at all. A scenario, since that is what the engine runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from harness.load.http_client import Client, HttpRequest
from harness.scenario import Case, Group, Scenario, Setting

ECHO, NOTHING = "baseline", "nothing"
SERVER, PID = "echo", "process"
"""The name under which a setting holds the echo, and the fact that says which process it is."""

_GOOD = 200


@dataclass(frozen=True)
class EchoInstance:
    """A client and its one request, and the echo's process; no client where nothing is asked."""

    client: Client | None
    request: HttpRequest | None
    pid: int


class Asking(Scenario[EchoInstance]):
    """Ask the raw echo, or nothing at all.

    What the first does in a second is the generator's and the echo's limit, what the second does the generator's own.
    """

    arms: ClassVar = {ECHO: "the raw echo over HTTP, a connection for each user", NOTHING: "answered at once, from memory"}
    groups: ClassVar = [Group("ask", "one request")]

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the one request that there is."""
        del setting
        return [Case("ask", "ask", None)]

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[EchoInstance]:
        """Make a client, which connects with its first request."""
        server = setting.servers[SERVER]
        place = urlsplit(server.direct_url)
        assert place.hostname is not None
        assert place.port is not None
        pid = int(server.facts[PID])
        if arm == NOTHING:
            yield EchoInstance(None, None, pid)
            return
        client = Client(place.hostname, place.port)
        try:
            yield EchoInstance(client, client.encode("GET", "/"), pid)
        finally:
            client.close()

    async def run(self, instance: EchoInstance, case: Case) -> int:
        """Ask, and return the answer's status."""
        del case
        if instance.client is None or instance.request is None:
            return _GOOD
        return (await instance.client.send(instance.request)).status

    def targets(self, instance: EchoInstance) -> Mapping[str, int]:
        """Return the echo's process."""
        return {SERVER: instance.pid}
