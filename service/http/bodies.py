"""Checks of a request body before it is read: its content type is JSON, and its size is within the limit.

FastAPI can limit bodies as well, but for a body with a Content-Length its refusal is plain text instead of problem details.
"""

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

    A body with a Content-Length above the limit is refused before any of it is read; one without, at the first byte above the
    limit.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with the two checks in front."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != JSON:
                raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The body must be {JSON}.", {"Accept": JSON})
            return await handle(_limited(request, request.app.state.body_limit_bytes))

        return checked


def _limited(request: Request, limit_bytes: int) -> Request:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    received_bytes = 0

    async def receive() -> Message:
        nonlocal received_bytes
        message = await request.receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        return message

    return Request(request.scope, receive)


def _too_large(limit_bytes: int) -> ProblemError:
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body exceeds the limit of {limit_bytes} bytes.")
