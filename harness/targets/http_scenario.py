"""Servers that run already, as a scenario: an operation is a request, from its intended start to the end of the response."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from harness.load.http_client import Client, HttpRequest
from harness.network import Conditions, link
from harness.network.addresses import is_loopback, with_address
from harness.scenario import Case, Group, Scenario, Server, Setting
from harness.targets.comparison import status_words
from harness.targets.plan import HttpPlan, TargetRequest
from harness.targets.values import filled

ENGINE = "http"
"""The engine of targets, for the record."""
FAILED = 400
"""The lowest status of a failed request."""
DRAWN = 2_000
"""Cases of a stream whose values are drawn."""
DEADLINE_S = 86_400.0
"""The client's own deadline, which never ends a request: the timeout of operations does."""

Values = tuple[tuple[str, str], ...]


class FailedStatusError(Exception):
    """A response whose status counts as a failure."""


@dataclass
class HttpInstance:
    """One server under load."""

    client: Client
    requests: Sequence[TargetRequest]
    host: str
    """The header `host`."""
    pid: int
    """Process id of the server; 0 if it is not known."""
    encoded: dict[tuple[int, Values], HttpRequest] = field(default_factory=dict)
    """Request and values → the bytes to send."""

    def request(self, key: tuple[int, Values]) -> HttpRequest:
        """Return a request as it is sent, encoded once."""
        found = self.encoded.get(key)
        if found is None:
            index, values = key
            made = filled(self.requests[index], dict(values))
            headers = made.headers if any(name.lower() == "host" for name in made.headers) else {"host": self.host, **made.headers}
            found = self.encoded[key] = self.client.encode(made.method, made.path, headers, made.body)
        return found


class HttpTarget(Scenario[HttpInstance]):
    """Requests of a plan."""

    engines = (ENGINE,)
    arms: Mapping[str, str]  # type: ignore[misc]  # of the plan, not of the class
    groups: Sequence[Group]  # type: ignore[misc]  # as above

    def __init__(self, plan: HttpPlan) -> None:
        """Take arms and groups from the plan."""
        self.plan = plan
        self.arms = {name: arm.url for name, arm in plan.arms.items()}
        counts: dict[str, int] = {}
        for request in self._requests:
            counts[request.group] = counts.get(request.group, 0) + 1
        drawn = ", ".join(f"{len(values):,} values of {name}" for name, values in plan.values.items())
        self.groups = [Group(name, _description(count, drawn), memory=False) for name, count in counts.items()]

    @property
    def _requests(self) -> Sequence[TargetRequest]:
        return next(iter(self.plan.arms.values())).requests

    @contextmanager
    def servers(self, setting: Setting) -> Iterator[Mapping[str, Server]]:
        """Put network latency between the load generator and the servers, if there is to be any."""
        with ExitStack() as stack:
            found = {}
            for name, arm in self.plan.arms.items() if setting.rtt_ms else ():
                direct = f"http://{arm.host}:{arm.port}"
                proxy = stack.enter_context(link((arm.host, arm.port), Conditions(rtt_ms=setting.rtt_ms)))
                found[name] = Server(direct, with_address(direct, proxy.host, proxy.port))
            yield found

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the requests in their order, with values drawn for their placeholders."""
        requests, values = self._requests, self.plan.values
        if not values:
            return [Case(request.group, f"{request.method} {request.path}", (i, ())) for i, request in enumerate(requests)]
        drawn = random.Random(f"{setting.seed}/{setting.stream}/values")  # noqa: S311 - it has to be reproducible
        number = max(len(requests), DRAWN)
        cases = []
        for place in range(number):
            index = place % len(requests)
            chosen = tuple((name, drawn.choice(each)) for name, each in values.items())
            cases.append(Case(requests[index].group, f"{requests[index].method} {requests[index].path}", (index, chosen)))
        return cases

    def load_cases(self, setting: Setting) -> Sequence[Case]:
        """Return the cases in their order: groups have the shares of the plan, not equal ones."""
        return self.cases(setting)

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[HttpInstance]:
        """Yield a client of the arm's server."""
        target = self.plan.arms[arm]
        host, port = target.host, target.port
        if arm in setting.servers:
            address = setting.servers[arm].url.rpartition("//")[2]
            host, port = address.rpartition(":")[0], int(address.rpartition(":")[2])
        client = Client(host, port)
        try:
            yield HttpInstance(client, target.requests, authority(target.host, target.port), server_pid(target.host, target.port))
        finally:
            client.close()

    async def run(self, instance: HttpInstance, case: Case) -> int:
        """Send the request, read its response to the end and return the status; raise if it is 400 or above."""
        response = await instance.client.send(instance.request(case.args), DEADLINE_S)
        if response.status >= FAILED:
            raise FailedStatusError(status_words(response.status))
        return response.status

    def targets(self, instance: HttpInstance) -> Mapping[str, int]:
        """Return the server's process, 0 if it is not known."""
        return {"server": instance.pid}

    def counts(self, instance: HttpInstance) -> Mapping[str, float]:
        """Return the connections opened, which a server that keeps them does not need anew."""
        return {"connections opened": float(instance.client.opened)}


def _description(requests: int, drawn: str) -> str:
    counted = f"{requests:,} requests" if requests > 1 else "one request"
    return f"{counted}, with {drawn}" if drawn else counted


def authority(host: str, port: int) -> str:
    """Return the value of the header `host` for a server."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port == 80 else f"{shown}:{port}"  # noqa: PLR2004 - the port of http


def server_pid(host: str, port: int) -> int:
    """Return the process that listens at an address of this machine, the oldest of several; 0 if it is not known."""
    if not is_loopback(host):
        return 0
    pids: set[int] = set()
    with suppress(psutil.Error, OSError):
        pids = {
            c.pid for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid and _is_at(c.laddr, host, port)
        }
    found: list[tuple[float, int]] = []
    for pid in pids:
        with suppress(psutil.Error):
            found.append((psutil.Process(pid).create_time(), pid))
    return min(found, default=(0.0, 0))[1]


def _is_at(address: Any, host: str, port: int) -> bool:
    """Return whether a listening socket accepts connections to a loopback address."""
    if not address or address.port != port:
        return False
    with suppress(ValueError):
        at = ipaddress.ip_address(address.ip)
        return at.is_unspecified or at.is_loopback or address.ip == host
    return False
