"""The scenario of the load worker's benchmark: requests to the raw echo, and operations that do nothing."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from harness.load.http_client import Client, HttpRequest
from harness.scenario import Case, Group, Scenario, Setting

ECHO, NOTHING = "baseline", "nothing"
SERVER, PID = "echo", "process"
"""The name of the echo among a setting's servers, and the fact with its process id."""


@dataclass(frozen=True)
class EchoInstance:
    """An arm's client, its request and the echo's process."""

    arm: str
    client: Client
    request: HttpRequest
    pid: int


class EchoLoad(Scenario[EchoInstance]):
    """Send requests to the raw echo, whose rate is the limit of generator and echo, or do nothing, at the generator's limit."""

    arms: ClassVar = {ECHO: "the raw echo over HTTP, a connection for each user", NOTHING: "completed at once, in memory"}
    groups: ClassVar = [Group("ask", "one request")]

    def cases(self, _: Setting) -> Sequence[Case]:
        """Return the single request."""
        return [Case("ask", "ask", None)]

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[EchoInstance]:
        """Create a client, which connects with its first request."""
        server = setting.servers[SERVER]
        place = urlsplit(server.direct_url)
        with closing(Client(place.hostname or "", place.port or 0)) as client:
            yield EchoInstance(arm, client, client.encode("GET", "/"), int(server.facts[PID]))

    async def run(self, instance: EchoInstance, _case: Case) -> int:
        """Send the request, and return the response's status."""
        return 200 if instance.arm == NOTHING else (await instance.client.send(instance.request)).status

    def targets(self, instance: EchoInstance) -> Mapping[str, int]:
        """Return the echo's process."""
        return {SERVER: instance.pid}
