"""ASGI middleware that times HTTP requests by route and class of status."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prometheus_client import Histogram

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NO_ROUTE = "no route"  # the route of a request that matches none: the path is chosen by the client and may differ every time
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestTimes:
    """An application around another. `seconds` has the labels method, route and status.

    The route is the template of the framework, as in `/prompts/{prompt_id}`; FastAPI leaves it in the scope. The time ends when the
    whole response has been sent. A request without a response is a "5xx" if it raised, and "cancelled" if its client disconnected.
    """

    def __init__(self, app: App, seconds: Histogram, now_ns: Callable[[], int]) -> None:
        self._app = app
        self._seconds = seconds
        self._now_ns = now_ns
        self._by_labels: dict[tuple[str, str, str], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and time it if it is HTTP."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = "cancelled"

        async def recording(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = f"{message['status'] // 100}xx"
            await send(message)

        started_ns = self._now_ns()
        try:
            await self._app(scope, receive, recording)
        except Exception:
            status = "5xx"
            raise
        finally:
            took_s = (self._now_ns() - started_ns) / 1e9
            self._metric(scope, status).observe(took_s)

    def _metric(self, scope: Scope, status: str) -> Histogram:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        key = (method, getattr(scope.get("route"), "path", NO_ROUTE), status)
        found = self._by_labels.get(key)
        if found is None:
            found = self._by_labels[key] = self._seconds.labels(*key)
        return found
