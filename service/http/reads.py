"""The routes of the API that change nothing."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from service.composition import PromptService
from service.http import schemas
from service.http.problems import ProblemError, documented, not_found
from service.paging import MAX_OFFSET

MISSING, REFUSED = HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY

_BEGINNING = 2  # chunks of an export that are produced before its response begins: the header, and the first rows
router = APIRouter()

PromptId = Annotated[schemas.Id, Path(description="A prompt's id.")]
UserId = Annotated[schemas.Id, Path(description="A user's id; an unknown user has no prompts.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Prompts per page.")]
Cursor = Annotated[str | None, Query(max_length=200, description="From the previous page; opaque. Ignored if an offset is given.")]
Offset = Annotated[int | None, Query(ge=0, le=MAX_OFFSET, description="Number of prompts to skip.")]


@router.get("/prompts/{prompt_id}", responses=documented(MISSING, REFUSED))
async def prompt(request: Request, prompt_id: PromptId) -> schemas.PromptDetail:
    """Return a live prompt."""
    found = await _service(request).catalogue.prompt(prompt_id)
    if found is None:
        raise not_found("prompt")
    return schemas.PromptDetail.of(found)


@router.get("/users/{user_id}/prompts", responses=documented(REFUSED))
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


@router.get("/users/{user_id}/prompts/newest", responses=documented(REFUSED))
async def newest_prompts(request: Request, user_id: UserId) -> schemas.Newest:
    """Return a user's fifty newest active prompts."""
    return schemas.Newest(prompts=_listed(await _service(request).catalogue.user_prompts(user_id)))


@router.get("/users/{user_id}/prompts/with-evaluations", responses=documented(REFUSED))
async def prompts_with_evaluations(request: Request, user_id: UserId) -> schemas.PromptsWithEvaluations:
    """Return a user's fifty newest live prompts with their completed evaluations."""
    return schemas.PromptsWithEvaluations.model_validate({"prompts": await _service(request).with_evaluations(user_id)})


@router.get("/evaluations/{evaluation_id}", responses=documented(MISSING, REFUSED))
async def evaluation(
    request: Request, evaluation_id: Annotated[schemas.Id, Path(description="An evaluation's id.")]
) -> schemas.EvaluationDetail:
    """Return an evaluation with its test results."""
    found = await _service(request).catalogue.evaluation(evaluation_id)
    if found is None:
        raise not_found("evaluation")
    row, results = found
    return schemas.EvaluationDetail.of([*row, [schemas.TestCase.of(result) for result in results]])


@router.get("/templates", responses=documented(REFUSED))
async def templates(
    request: Request, category: Annotated[schemas.Name, Query(description="A category of templates.")]
) -> schemas.Templates:
    """Return a category's twenty most used templates."""
    found = await _service(request).catalogue.templates(category)
    return schemas.Templates(templates=[schemas.Template.of(row) for row in found])


@router.get("/statistics", responses=documented())
async def statistics(request: Request) -> schemas.Statistics:
    """Return the twenty best-scoring prompts; with a cache, up to half an hour old."""
    found = await _service(request).catalogue.statistics()
    return schemas.Statistics(best=[schemas.Best.of(row) for row in found])


@router.get(
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


@router.get("/health", responses=documented())
async def health(request: Request) -> schemas.Health:
    """Report that the service reaches its database, and its switches."""
    service = _service(request)
    await service.ping()
    return schemas.Health(status="ok", switches=str(service.switches))


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(MISSING)},
)
async def metrics(request: Request) -> Response:
    """Return metrics in Prometheus' text format, if monitoring is enabled."""
    instruments = request.app.state.instruments
    if instruments is None:
        raise ProblemError(MISSING, "Monitoring is disabled; set monitoring=optimised.")
    return Response(instruments.render(), media_type=instruments.media_type)


def _service(request: Request) -> PromptService:
    service: PromptService = request.app.state.service
    return service


def _listed(rows: Any) -> list[schemas.Listed]:
    return [schemas.Listed.of(row) for row in rows]


async def _begun(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Return the chunks, after producing the first two.

    An error in these still gets an error status; later, the response has begun.
    """
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
