"""The prompt service over HTTP. All levels of all switches answer the same requests with the same responses.

The remaining differences belong to the review and are documented where they occur: prompts that its cursor omits (`streaming`),
rows that its upsert replaces (`composition`), and writes that its shared connection to SQLite loses under concurrent requests
(`database`). Statistics may be as old as their lifetime in a cache.
"""

import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.types import Message

from service.catalogue import Catalogue
from service.composition import PromptService, open_service
from service.http import schemas
from service.http.problems import Problem, ProblemError, documented, install, not_found
from service.settings import ServiceSettings
from service.streaming import MAX_OFFSET
from service.switches import Level

if TYPE_CHECKING:
    from service.observability.monitoring import Monitoring

Clock = Callable[[], datetime]
JSON = "application/json"
MISSING, REFUSED = HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY
_BODY = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, REFUSED)
_BEGINNING = 2  # chunks of an export that are produced before its response begins: the header, and the first rows

PromptId = Annotated[schemas.Id, Path(description="A prompt's id.")]
UserId = Annotated[schemas.Id, Path(description="A user's id; an unknown user has no prompts.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Prompts per page.")]
Cursor = Annotated[str | None, Query(max_length=200, description="From the previous page; opaque. Ignored if an offset is given.")]
Offset = Annotated[int | None, Query(ge=0, le=MAX_OFFSET, description="Number of prompts to skip.")]


def now_utc() -> datetime:
    """Return the current time in UTC without a zone, as the service stores it."""
    return datetime.now(UTC).replace(tzinfo=None)


def create_app(settings: ServiceSettings, monitoring: "Monitoring | None" = None, now: Clock = now_utc) -> FastAPI:
    """Return the application, which opens its database and its cache while it runs. `now` provides the times that are written."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if monitoring is not None and monitoring.slow is not None:
                stack.enter_context(monitoring.slow)
            app.state.service = service = await stack.enter_async_context(open_service(settings))
            if monitoring is not None:
                monitoring.watch(service.database.engine)
                monitoring.watch_cache(service.front.counts)
            yield

    app = FastAPI(
        title="Prompt service",
        version="1.0.0",
        description="Prompts, their evaluations and templates. Errors are problem details (RFC 9457).",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from another server
        redoc_url=None,
    )
    app.state.now = now
    app.state.body_limit_bytes = settings.body_limit_bytes
    app.state.monitoring = monitoring
    app.include_router(reads)
    app.include_router(writes)
    install(app)
    if monitoring is not None:
        app.add_middleware(monitoring.timed)
    _document_problems(app)
    return app


def from_environment() -> FastAPI:
    """Return the application that the environment configures, for `uvicorn --factory`. Raises ValueError for a bad variable."""
    settings = ServiceSettings.from_environment(os.environ)
    return create_app(settings, monitoring_for(settings))


def monitoring_for(settings: ServiceSettings) -> "Monitoring | None":
    """Return a service's monitoring if it is optimised, else None: the review's is for the methods of its own repositories."""
    if settings.switches.monitoring is not Level.OPTIMISED:
        return None
    from service.observability.monitoring import Monitoring  # noqa: PLC0415 - not needed without monitoring
    from service.observability.slow_query_log import SlowQueryLog  # noqa: PLC0415 - not needed without monitoring

    slow = None if settings.slow_log is None else SlowQueryLog(settings.slow_log, threshold_s=settings.slow_ms / 1000)
    return Monitoring(slow)


def _document_problems(app: FastAPI) -> None:
    """Add the schemas that the documented problems refer to; FastAPI adds only those of its own responses."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents


class JsonRoute(APIRoute):
    """A route with a JSON body. The limit of its size is `app.state.body_limit_bytes`.

    A body with a Content-Length above the limit is refused before any of it is read; one without, at the first byte above the
    limit. FastAPI can limit bodies as well, but for a body with a Content-Length its refusal is plain text, not problem details.
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


reads, writes = APIRouter(), APIRouter(route_class=JsonRoute)


@reads.get("/prompts/{prompt_id}", responses=documented(MISSING, REFUSED))
async def prompt(request: Request, prompt_id: PromptId) -> schemas.PromptDetail:
    """Return a live prompt."""
    found = await _catalogue(request).prompt(prompt_id)
    if found is None:
        raise not_found("prompt")
    return schemas.PromptDetail.of(found)


@reads.get("/users/{user_id}/prompts", responses=documented(REFUSED))
async def user_prompts(
    request: Request, user_id: UserId, limit: Limit = 50, cursor: Cursor = None, offset: Offset = None
) -> schemas.PromptPage:
    """Return a page of a user's live prompts, newest first: by cursor, or by offset. If both are given, the offset counts."""
    service = _service(request)
    if offset is not None:
        by_offset = await service.page_from(user_id, offset, limit)
        return schemas.PromptPage(prompts=_listed(by_offset.rows), next_offset=by_offset.next_cursor)
    page = await service.page(user_id, cursor, limit)
    return schemas.PromptPage(prompts=_listed(page.rows), next_cursor=page.next_cursor)


@reads.get("/users/{user_id}/prompts/newest", responses=documented(REFUSED))
async def newest_prompts(request: Request, user_id: UserId) -> schemas.Newest:
    """Return a user's fifty newest active prompts."""
    return schemas.Newest(prompts=_listed(await _catalogue(request).user_prompts(user_id)))


@reads.get("/users/{user_id}/prompts/with-evaluations", responses=documented(REFUSED))
async def prompts_with_evaluations(request: Request, user_id: UserId) -> schemas.PromptsWithEvaluations:
    """Return a user's fifty newest live prompts with their completed evaluations."""
    return schemas.PromptsWithEvaluations.model_validate({"prompts": await _service(request).with_evaluations(user_id)})


@reads.get("/evaluations/{evaluation_id}", responses=documented(MISSING, REFUSED))
async def evaluation(
    request: Request, evaluation_id: Annotated[schemas.Id, Path(description="An evaluation's id.")]
) -> schemas.EvaluationDetail:
    """Return an evaluation with its test results."""
    found = await _catalogue(request).evaluation(evaluation_id)
    if found is None:
        raise not_found("evaluation")
    row, results = found
    return schemas.EvaluationDetail.of([*row, [schemas.TestCase.of(result) for result in results]])


@reads.get("/templates", responses=documented(REFUSED))
async def templates(
    request: Request, category: Annotated[schemas.Name, Query(description="A category of templates.")]
) -> schemas.Templates:
    """Return a category's twenty most used templates."""
    found = await _catalogue(request).templates(category)
    return schemas.Templates(templates=[schemas.Template.of(row) for row in found])


@reads.get("/statistics", responses=documented())
async def statistics(request: Request) -> schemas.Statistics:
    """Return the twenty best-scoring prompts; with a cache, up to half an hour old."""
    return schemas.Statistics(best=[schemas.Best.of(row) for row in await _catalogue(request).statistics()])


@reads.get(
    "/exports/prompts.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **documented(REFUSED)},
)
async def export(
    request: Request,
    user_id: Annotated[schemas.Id | None, Query(description="User whose prompts are exported; default: all users.")] = None,
) -> StreamingResponse:
    """Return live prompts as CSV, newest first, while they are read. A response that breaks off is incomplete."""
    pieces = await _begun(_service(request).export(user_id))
    headers = {"Content-Disposition": 'attachment; filename="prompts.csv"'}
    return StreamingResponse(pieces, headers=headers, media_type="text/csv; charset=utf-8")


@reads.get("/health", responses=documented())
async def health(request: Request) -> schemas.Health:
    """Report that the service reaches its database, and its switches."""
    service = _service(request)
    await service.ping()
    return schemas.Health(status="ok", switches=str(service.switches))


@reads.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(MISSING)},
)
async def metrics(request: Request) -> Response:
    """Return metrics in Prometheus' text format, if monitoring is enabled."""
    monitoring = request.app.state.monitoring
    if monitoring is None:
        raise ProblemError(MISSING, "Monitoring is disabled; set monitoring=optimised.")
    return Response(monitoring.render(), media_type=monitoring.content_type)


@writes.post("/prompts", status_code=HTTPStatus.CREATED, responses=documented(*_BODY, HTTPStatus.CONFLICT))
async def create(request: Request, response: Response, body: schemas.NewPromptEvaluated) -> schemas.Created:
    """Create a prompt and its first evaluation."""
    service, at = _service(request), _now(request)
    await service.create(body.row(at), body.evaluation.row(body.id, at))
    response.headers["Location"] = f"/prompts/{quote(body.id, safe='')}"
    return schemas.Created(id=body.id, evaluation_id=body.evaluation.id)


@writes.patch("/prompts/{prompt_id}", responses=documented(*_BODY, MISSING))
async def update(request: Request, prompt_id: PromptId, body: schemas.TitleChange) -> schemas.Version:
    """Change the title of a user's live prompt, and increment its version."""
    version = await _catalogue(request).update_prompt(prompt_id, body.user_id, body.title, _now(request))
    if version is None:
        raise not_found("prompt of this user")
    return schemas.Version(id=prompt_id, version=version)


@writes.post("/bulk/prompts", status_code=HTTPStatus.CREATED, responses=documented(*_BODY, HTTPStatus.CONFLICT))
async def create_many(request: Request, body: schemas.NewPrompts) -> schemas.Changed:
    """Create many prompts, all or none."""
    at = _now(request)
    return schemas.Changed(prompts=await _service(request).create_many([prompt.row(at) for prompt in body.prompts]))


@writes.post("/bulk/prompts/status", responses=documented(*_BODY))
async def set_status(request: Request, body: schemas.StatusChange) -> schemas.Changed:
    """Set the status of many prompts."""
    return schemas.Changed(prompts=await _service(request).set_status(body.ids, body.status, _now(request)))


@writes.post("/bulk/prompts/deletion", responses=documented(*_BODY))
async def soft_delete(request: Request, body: schemas.Deletion) -> schemas.Changed:
    """Mark many prompts as deleted."""
    return schemas.Changed(prompts=await _service(request).soft_delete(body.ids, _now(request)))


def _service(request: Request) -> PromptService:
    service: PromptService = request.app.state.service
    return service


def _catalogue(request: Request) -> Catalogue:
    return _service(request).front.catalogue


def _now(request: Request) -> datetime:
    at: datetime = request.app.state.now()
    return at


def _listed(rows: Any) -> list[schemas.Listed]:
    return [schemas.Listed.of(row) for row in rows]


async def _begun(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Return the chunks, after producing the first two: an error in these still gets an error status."""
    first: list[str] = []
    while len(first) < _BEGINNING and (piece := await anext(pieces, None)) is not None:
        first.append(piece)

    async def all_pieces() -> AsyncIterator[str]:
        async with aclosing(pieces):  # type: ignore[type-var]  # it is a generator
            for piece in first:
                yield piece
            async for piece in pieces:
                yield piece

    return all_pieces()


def _limited(request: Request, limit_bytes: int) -> Request:
    received_bytes = 0

    def check(size_bytes: int) -> None:
        if size_bytes > limit_bytes:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body exceeds the limit of {limit_bytes} bytes.")

    async def receive() -> Message:
        nonlocal received_bytes
        message = await request.receive()
        received_bytes += len(message.get("body", b""))
        check(received_bytes)
        return message

    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit():
        check(int(declared))
    return Request(request.scope, receive)
