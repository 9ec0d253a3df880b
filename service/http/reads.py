"""What the API answers without changing anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from service.composition import Service
from service.http import schemas
from service.http.problems import documented, not_found
from service.paging import MOST_BEFORE

MISSING, REFUSED = HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY

_BEGINNING = 2
"""Pieces of an export that are there before its answer begins: the headings, and the first rows."""

router = APIRouter()

PromptId = Annotated[schemas.Id, Path(description="A prompt's id.")]
UserId = Annotated[schemas.Id, Path(description="A user's id; one that nobody has, has no prompts.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Prompts on a page.")]
Cursor = Annotated[str | None, Query(max_length=200, description="From the page before; opaque. Not together with an offset.")]
Offset = Annotated[int | None, Query(ge=0, le=MOST_BEFORE, description="How many prompts to pass over.")]


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
    """Return a page of a user's live prompts, newest first: by cursor, or by offset. Given both, the offset is what counts."""
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
    """Return the twenty best-scoring prompts; where there is a cache, of up to half an hour ago."""
    found = await _service(request).catalogue.statistics()
    return schemas.Statistics(best=[schemas.Best.of(row) for row in found])


@router.get(
    "/exports/prompts.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **documented(REFUSED)},
)
async def export(
    request: Request,
    user_id: Annotated[schemas.Id | None, Query(description="Whose prompts; everybody's if it is left out.")] = None,
) -> StreamingResponse:
    """Return live prompts as CSV, newest first, as they are read. An answer that breaks off is not whole."""
    pieces = await _begun(_service(request).export(user_id))
    headers = {"Content-Disposition": 'attachment; filename="prompts.csv"'}
    return StreamingResponse(pieces, headers=headers, media_type="text/csv; charset=utf-8")


@router.get("/health", responses=documented())
async def health(request: Request) -> schemas.Health:
    """Say that the service reaches its database, and with which switches it runs."""
    service = _service(request)
    await service.ping()
    return schemas.Health(status="ok", switches=str(service.switches))


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(MISSING)},
)
async def metrics(request: Request) -> Response:
    """Return metrics in Prometheus' text format, where monitoring is on."""
    instruments = request.app.state.instruments
    if instruments is None:
        raise not_found("monitoring in this service")
    return Response(instruments.render(), media_type=instruments.media_type)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _listed(rows: Any) -> list[schemas.Listed]:
    return [schemas.Listed.of(row) for row in rows]


async def _begun(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Return the pieces, the first two of them made.

    What goes wrong with these is still an error with a status; later, the answer has begun.
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
