"""The routes of the API that write. Each body is JSON, and limited in size (`bodies`)."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Request, Response

from service.composition import PromptService
from service.http import schemas
from service.http.bodies import JsonRoute
from service.http.problems import documented, not_found

_BODY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)

router = APIRouter(route_class=JsonRoute)


@router.post("/prompts", status_code=HTTPStatus.CREATED, responses=documented(*_BODY, HTTPStatus.CONFLICT))
async def create(request: Request, response: Response, body: schemas.NewPromptEvaluated) -> schemas.Created:
    """Create a prompt and its first evaluation."""
    service, at = _service(request), _now(request)
    await service.create(body.row(at), body.evaluation.row(body.id, at))
    response.headers["Location"] = f"/prompts/{quote(body.id, safe='')}"
    return schemas.Created(id=body.id, evaluation_id=body.evaluation.id)


@router.patch("/prompts/{prompt_id}", responses=documented(*_BODY, HTTPStatus.NOT_FOUND))
async def update(
    request: Request, prompt_id: Annotated[schemas.Id, Path(description="A prompt's id.")], body: schemas.TitleChange
) -> schemas.Version:
    """Change the title of a user's live prompt, and increment its version."""
    version = await _service(request).catalogue.update_prompt(prompt_id, body.user_id, body.title, _now(request))
    if version is None:
        raise not_found("prompt of this user")
    return schemas.Version(id=prompt_id, version=version)


@router.post("/bulk/prompts", status_code=HTTPStatus.CREATED, responses=documented(*_BODY, HTTPStatus.CONFLICT))
async def create_many(request: Request, body: schemas.NewPrompts) -> schemas.Changed:
    """Create many prompts, all or none."""
    at = _now(request)
    return schemas.Changed(prompts=await _service(request).create_many([prompt.row(at) for prompt in body.prompts]))


@router.post("/bulk/prompts/status", responses=documented(*_BODY))
async def set_status(request: Request, body: schemas.StatusChange) -> schemas.Changed:
    """Set the status of many prompts."""
    return schemas.Changed(prompts=await _service(request).set_status(body.ids, body.status, _now(request)))


@router.post("/bulk/prompts/deletion", responses=documented(*_BODY))
async def soft_delete(request: Request, body: schemas.Deletion) -> schemas.Changed:
    """Mark many prompts as deleted."""
    return schemas.Changed(prompts=await _service(request).soft_delete(body.ids, _now(request)))


def _service(request: Request) -> PromptService:
    service: PromptService = request.app.state.service
    return service


def _now(request: Request) -> datetime:
    at: datetime = request.app.state.now()
    return at
