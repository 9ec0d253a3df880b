"""What a request's body must be before anybody reads it: JSON by its own account, and no larger than allowed.

FastAPI can limit bodies as well, but where a body says how long it is, its refusal is plain text and no problem details.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

from service.http.problems import ProblemError

JSON = "application/json"


class JsonRoute(APIRoute):
    """A route with a body. The limit is `app.state.body_limit_bytes`.

    A body that says how long it is, is refused before any of it is read; one that does not, at the first byte too many.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler behind the two checks."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != JSON:
                raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"A body here is {JSON}.", {"Accept": JSON})
            return await handle(_limited(request, request.app.state.body_limit_bytes))

        return checked


def _limited(request: Request, limit_bytes: int) -> Request:
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said) > limit_bytes:
        raise _too_large(limit_bytes)
    came_bytes = 0

    async def receive() -> Message:
        nonlocal came_bytes
        message = await request.receive()
        came_bytes += len(message.get("body", b""))
        if came_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        return message

    return Request(request.scope, receive)


def _too_large(limit_bytes: int) -> ProblemError:
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body may have {limit_bytes} bytes.")
