"""A base class for scenarios of HTTP services: servers that run already, or applications that the harness starts, one per arm."""

from __future__ import annotations

import asyncio
import json as json_text
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import InitVar, dataclass
from functools import lru_cache
from typing import Any, ClassVar

from harness.errors import UsageError
from harness.load.http_client import Client, HttpRequest, Response
from harness.network import Conditions, link
from harness.network.addresses import REMOTE_VARIABLE, is_loopback, is_remote_allowed
from harness.scenario import Case, Probe, Scenario, Setting
from harness.served_application import ApplicationStatements, ServedApplication, served_application
from harness.targets import urls
from harness.targets.comparison import ComparedAnswer, answer_of, status_words
from harness.targets.http_scenario import DEADLINE_S, FAILED, FailedStatusError, server_pid
from harness.targets.source import merged_headers

SERVICE = "service"
"""Name of the process of an arm's service, for its CPU time and memory."""
SHOWN_BYTES = 100
"""The length to which the body of a failed response is shown."""
ENCODED = 10_000
"""Limit of the encoded requests that a client keeps."""


@dataclass(frozen=True)
class Request:
    """A request with more than a path: as `args` of a case, or for `ServiceClient.send`.

    Example:
        Case("order", "a book", Request("POST", "/orders", json={"item": 7}))
    """

    method: str
    path: str
    """Path and query, with a slash at its beginning."""
    json: InitVar[Any] = None
    """The body as a JSON document."""
    body: bytes = b""
    """The body as bytes."""
    headers: Mapping[str, str] | tuple[tuple[str, str], ...] = ()

    def __post_init__(self, json: Any) -> None:
        """Encode the document, and make the request hashable."""
        headers = dict(self.headers)
        if json is not None:
            object.__setattr__(self, "body", json_text.dumps(json).encode())
            headers = merged_headers({"content-type": "application/json"}, headers)
        object.__setattr__(self, "headers", tuple(headers.items()))


class ServiceClient:
    """An arm's service, and a client that keeps its connections."""

    def __init__(self, url: str, client: Client, base: urls.TargetUrl, pid: int, application: ServedApplication | None) -> None:
        self.url = url
        """The URL of the service, without a slash at its end and at the RTT of the setting."""
        self.pid = pid
        """The process of the service; 0 if it is not known."""
        self.application = application
        """The application, if the harness has started it."""
        self.client = client
        self._base = base
        self._encoded = lru_cache(ENCODED)(self._encode)

    async def get(self, path: str) -> Response:
        """Get a path, and return the response; raise if its status is 400 or above."""
        return await self.send(path)

    async def send(self, request: str | Request) -> Response:
        """Send a request, of which a text is the path to get, and return the response; raise if its status is 400 or above.

        Raises:
            FailedStatusError: the status is 400 or above.
            OSError: there was no response; the application that the harness has started may have ended, which is then said.
        """
        if not isinstance(request, str | Request):
            raise UsageError(f"a request is {request!r:.60}; write a path to get, or Request(method, path, json=…)")
        try:
            response = await self.client.send(self._encoded(request), DEADLINE_S)
        except OSError as error:
            if self.application is not None and (ended := await asyncio.to_thread(self.application.ended)):
                raise ConnectionError(f"the application ended: {ended}") from error
            raise
        if response.status >= FAILED:
            name = request if isinstance(request, str) else f"{request.method} {request.path}"
            body = response.sent[:SHOWN_BYTES].decode(errors="replace")
            raise FailedStatusError(f"{name} was answered {status_words(response.status)}{f': {body}' if body else ''}")
        return response

    def probes(self) -> Sequence[Probe]:
        """Return the probe that counts the statements of an application that the harness has started."""
        return () if self.application is None else (ApplicationStatements(self.application),)

    def targets(self) -> Mapping[str, int]:
        """Return the process of the service."""
        return {SERVICE: self.pid}

    def _encode(self, request: str | Request) -> HttpRequest:
        if isinstance(request, str):
            request = Request("GET", request)
        headers = merged_headers({"host": self._base.authority}, self._base.headers, dict(request.headers))
        path = urls.joined(self._base.path, urls.encoded_path(request.path))
        return self.client.encode(request.method, path, headers, request.body)


@asynccontextmanager
async def served(
    service: str, environment: Mapping[str, str] | None = None, rtt_ms: float = 0.0, *, allow_remote: bool = False
) -> AsyncIterator[ServiceClient]:
    """Yield a client of a service: of a URL, or of an ASGI or WSGI application, which is started here and stopped at the end.

    An application is `module:app`, or `module:create_app(…)` with constants; it gets `environment` in addition to this process's.

    Raises:
        UsageError: the URL cannot be used or is not on this machine, or the application cannot be started, with the reason.

    Example:
        def application(self, database):
            return served("shop.api:app", {"DATABASE_URL": database.url}, database.setting.rtt_ms)
    """
    async with AsyncExitStack() as stack:
        application = None
        if urls.is_url(service):
            base = urls.parse(service)
            if not (allow_remote or is_remote_allowed() or is_loopback(base.host)):
                raise UsageError(
                    f"{base.shown} is not on this machine; with its owner's consent, declare allow_remote = True in the scenario, "
                    f"add --allow-remote, or set {REMOTE_VARIABLE}=1"
                )
            pid = server_pid(base.host, base.port)
        else:
            application = await asyncio.to_thread(stack.enter_context, served_application(service, environment))
            base, pid = urls.parse(application.url), application.pid
        host, port = base.host, base.port
        if rtt_ms:
            proxy = stack.enter_context(link((host, port), Conditions(rtt_ms=rtt_ms)))
            host, port = proxy.host, proxy.port
        client = Client(host, port)
        stack.callback(client.close)
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}{base.path.partition('?')[0].rstrip('/')}"
        yield ServiceClient(url, client, base, pid, application)


class HttpScenario(Scenario[ServiceClient]):
    """A scenario of HTTP services, one per arm, which answer the same requests. The docstring of a subclass is its card.

    An operation is a request, from sending it to the end of the response, on a connection that is kept. A response with a status of
    400 or above is a failure. The answers of all arms must be equal: the status, and the body; JSON is compared by its values.

    Each process that measures starts the applications for itself, each in a process of its own: its memory and CPU time are those
    of the application, and its statements are counted if it uses SQLAlchemy.

    Example:
        from harness import Case, Group, HttpScenario, Promise, speedup, times

        class Search(HttpScenario):
            '''Search with an index.'''

            services = {"baseline": "shop.api:create_app()", "optimised": "shop.api:create_app(indexed=True)"}
            groups = [Group("search", "a search for one word")]
            promises = [Promise("H1", "twice as fast", times(2), speedup("search"))]

            def cases(self, setting):
                return [Case("search", word, f"/search?q={word}") for word in ("red", "green", "blue")]
    """

    services: ClassVar[Mapping[str, str]] = {}
    """Arm → a URL, or an application as `module:app` or `module:create_app(…)` with constants."""
    ignored: ClassVar[Sequence[str]] = ()
    """Members of JSON bodies that are not compared, such as a time."""
    allow_remote: ClassVar[bool] = False
    """Whether a URL may be that of another machine, whose owner consents."""
    busy: ClassVar[bool] = True
    waits_to_open: ClassVar[bool] = True
    adds_latency: ClassVar[bool] = True

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Name the arms after the services where the class declares no descriptions."""
        super().__init_subclass__(**arguments)
        if "services" in vars(cls):
            if "arms" not in vars(cls):
                cls.arms = dict(cls.services)
            elif cls.arms.keys() != cls.services.keys():
                raise TypeError(f"{cls.__name__}: `arms` and `services` have different names; give each arm one service")

    def environment(self, arm: str, setting: Setting) -> Mapping[str, str]:
        """Return variables of the environment for the application of an arm, in addition to those of the run."""
        return {}

    def open(self, arm: str, setting: Setting) -> Any:
        """Start the arm's application, or connect to its URL."""
        variables = self.environment(arm, setting)
        return served(self.services[arm], variables, setting.rtt_ms, allow_remote=self.allow_remote)

    async def run(self, instance: ServiceClient, case: Case) -> Any:
        """Send the request that the case's `args` are: a path to get, or a `Request`."""
        return await instance.send(case.args)

    def normalise(self, case: Case, answer: Any) -> ComparedAnswer:
        """Return the status and the body, without the members that are ignored."""
        return answer_of(answer, self.ignored)

    def targets(self, instance: ServiceClient) -> Mapping[str, int]:
        """Return the process of the service."""
        return instance.targets()

    def probes(self, instance: ServiceClient) -> Sequence[Probe]:
        """Count the statements of an application that the harness has started."""
        return instance.probes()

    def counts(self, instance: ServiceClient) -> Mapping[str, float]:
        """Return the connections opened, which a server that keeps them does not need anew."""
        return {"connections opened": float(instance.client.opened)}
