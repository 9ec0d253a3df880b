"""A user's newest prompts, each with its completed evaluations: N+1 statements, the review's two, and the optimised two.

All techniques return the same plain structure, with evaluations sorted by id, and differ only in the loading of the evaluations.
The order of the prompts ends with the id: for a tie at the limit, the time alone could select other prompts with another plan.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import Evaluation, Prompt
from service.prompts import in_state

KEYS_PER_STATEMENT = 500
"""Keys per IN list: far below every database's limit on variables, and the value that SQLAlchemy uses for `selectinload`."""

_FIELDS = ("id", "provider", "model", "overall_score", "created_at")
_COLUMNS = (Evaluation.prompt_id, *(getattr(Evaluation, name) for name in _FIELDS))

Item = TypeVar("Item")


async def with_evaluations_one_by_one(session: AsyncSession, user_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """Fetch the evaluations of each prompt separately: 51 statements for 50 prompts. The baseline."""
    loaded = []
    for prompt in await session.execute(_newest_prompts(user_id, limit)):
        completed = select(Evaluation).where(Evaluation.prompt_id == prompt.id, Evaluation.status == in_state("completed"))
        loaded.append(_assembled(prompt, map(_fields, await session.scalars(completed))))
    return loaded


async def with_evaluations_proposed(session: AsyncSession, user_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """Fetch all evaluations in a second statement, as ORM objects, and group them in memory: the review's two statements."""
    prompts = (await session.execute(_newest_prompts(user_id, limit))).all()
    if not prompts:
        return []
    ids = [prompt.id for prompt in prompts]
    completed = select(Evaluation).where(Evaluation.prompt_id.in_(ids), Evaluation.status == in_state("completed"))
    by_prompt: defaultdict[str, list[Evaluation]] = defaultdict(list)
    for evaluation in (await session.scalars(completed)).all():
        by_prompt[evaluation.prompt_id].append(evaluation)
    return [_assembled(prompt, map(_fields, by_prompt[prompt.id])) for prompt in prompts]


async def with_evaluations_optimised(session: AsyncSession, user_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """Fetch only the required columns, as rows, not objects, in IN lists of bounded length: two statements for 50 prompts."""
    prompts = (await session.execute(_newest_prompts(user_id, limit))).all()
    by_prompt: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for ids in chunks([prompt.id for prompt in prompts], KEYS_PER_STATEMENT):
        completed = select(*_COLUMNS).where(Evaluation.prompt_id.in_(ids), Evaluation.status == in_state("completed"))
        for prompt_id, *values in await session.execute(completed):
            by_prompt[prompt_id].append(dict(zip(_FIELDS, values, strict=True)))
    return [_assembled(prompt, by_prompt[prompt.id]) for prompt in prompts]


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`; the last list may be shorter. Yields nothing if there are no items."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _newest_prompts(user_id: str, limit: int) -> Select[Any]:
    return (
        select(Prompt.id, Prompt.title, Prompt.created_at)
        .where(Prompt.user_id == user_id, Prompt.deleted_at.is_(None))
        .order_by(Prompt.created_at.desc(), Prompt.id.desc())
        .limit(limit)
    )


def _fields(evaluation: Evaluation) -> dict[str, Any]:
    return {name: getattr(evaluation, name) for name in _FIELDS}


def _assembled(prompt: Row[Any], evaluations: Iterable[dict[str, Any]]) -> dict[str, Any]:
    ordered = sorted(evaluations, key=itemgetter("id"))
    return {
        "id": prompt.id,
        "title": prompt.title,
        "created_at": prompt.created_at,
        "evaluations": ordered,
        "eval_count": len(ordered),
    }
