"""Errors as RFC 9457 problem details (`application/problem+json`), all in one format.

Internal errors are logged and not disclosed. Refused input is not repeated in the response either.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.database import is_busy
from service.streaming import MalformedCursorError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1

_log = logging.getLogger(__name__)


class RefusedInput(BaseModel):
    """One refused part of a request, located by a `pointer` into the body (RFC 6901) or by the name of a `parameter`."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(BaseModel):
    """A problem according to RFC 9457. `errors` is present if a request was refused because of its content."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "about:blank", "title": "Not Found", "status": 404, "detail": "No such prompt."}]}
    )
    type: Annotated[str, Field(description="`about:blank`: the status is the kind of problem.")] = "about:blank"
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    errors: list[RefusedInput] | None = None


class ProblemError(HTTPException):
    """An exception that becomes a problem response."""


def not_found(what: str) -> ProblemError:
    """Return the problem of a missing object."""
    return ProblemError(HTTPStatus.NOT_FOUND, f"No such {what}.")


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI documentation of these problems, and of the two that any request may end with."""
    schema = {"$ref": "#/components/schemas/Problem"}
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE}):
        detail = status.description or status.phrase
        example = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
        found[status.value] = {"description": status.phrase, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}
    retry = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
    found[HTTPStatus.SERVICE_UNAVAILABLE.value]["headers"] = {"Retry-After": retry}
    return found


def response(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: list[RefusedInput] | None = None
) -> JSONResponse:
    """Return a problem as a response."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return JSONResponse(problem.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make an application answer every error with a problem."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(MalformedCursorError, _malformed_cursor)
    app.add_exception_handler(IntegrityError, _conflict)
    app.add_middleware(_answering_errors)


def _answering_errors(app: ASGIApp) -> ASGIApp:
    """Answer unhandled exceptions: 503 if the database is busy, else 500. A response that has started is broken off instead."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        started = False

        async def recording(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await app(scope, receive, recording)
        except Exception as error:
            if started:
                raise
            if is_busy(error):
                _log.warning("%s %s: the database is busy: %s", scope["method"], scope["path"], type(error).__name__)
                answer = response(503, "The database is busy; retry after the given time.", {"Retry-After": str(RETRY_AFTER_S)})
            else:
                _log.exception("%s %s failed", scope["method"], scope["path"])
                answer = response(500, "Internal error; see the log of the service.")
            await answer(scope, receive, send)

    return serve


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request))
    status = error.status_code
    detail = error.detail if isinstance(error, ProblemError) else _DETAILS.get(status, HTTPStatus(status).phrase)
    return response(status, detail, headers)


# Details of errors that FastAPI raised, since its own texts differ between versions.
_DETAILS = {400: "The body is not valid JSON.", 404: "No resource at this URL.", 405: "The method is not allowed at this URL."}


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return response(400, _DETAILS[400])
    return response(422, "The request contains invalid values.", errors=[_refused(each) for each in found])


async def _malformed_cursor(_request: Request, error: Exception) -> JSONResponse:
    return response(422, "The request contains invalid values.", errors=[RefusedInput(detail=str(error), parameter="cursor")])


async def _conflict(_request: Request, error: Exception) -> JSONResponse:
    _log.info("refused by a constraint: %s", type(error).__name__)
    return response(409, "An id exists already.")


def _refused(error: Mapping[str, Any]) -> RefusedInput:
    where, *path = error["loc"]
    if where == "body":
        escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
        return RefusedInput(detail=error["msg"], pointer="".join(f"/{step}" for step in escaped))
    return RefusedInput(detail=error["msg"], parameter=str(path[0]) if path else None)


def _allowed(request: Request) -> list[str]:
    """Return all methods of a URL: the router itself names only those of its first matching route."""
    routes = iter_route_contexts(request.app.routes)
    matching = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in matching for method in route.methods or ()})
