"""The service's reads: one function per query, rows as plain tuples; and the dashboard of eight queries about one subject.

Every ORDER BY ends with the id. Otherwise rows that tie would come in the order in which the plan visits them, and a LIMIT among
them would select other rows with other indexes: arms that are both correct would disagree. States are literals in the SQL, since
the planner only chooses a partial index for a state that it can see.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import ColumnElement, Float, Integer, Select, func, literal, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from service.models import Evaluation, Prompt, PromptTemplate, TestResult

_SCORE_UNITS = 1_000_000

Row = TypeVar("Row", bound=tuple[Any, ...])


def in_state(state: str) -> ColumnElement[str]:
    """Return a state such as "active" as a literal in the SQL."""
    return literal(state, literal_execute=True)


async def active_prompts(session: AsyncSession, user_id: str, limit: int = 50) -> list[tuple[str, str, datetime]]:
    """Return (id, title, created_at) of a user's active prompts, newest first: the review's most frequent query."""
    active = select(Prompt.id, Prompt.title, Prompt.created_at).where(
        Prompt.user_id == user_id, Prompt.status == in_state("active"), Prompt.deleted_at.is_(None)
    )
    return await _rows(session, active.order_by(Prompt.created_at.desc(), Prompt.id.desc()).limit(limit))


async def best_evaluations(session: AsyncSession, prompt_id: str, limit: int = 20) -> list[tuple[str, float | None]]:
    """Return (id, overall_score) of a prompt's completed evaluations, best first, those without a score last."""
    of_prompt = (Evaluation.prompt_id == prompt_id, Evaluation.status == in_state("completed"))
    completed = select(Evaluation.id, Evaluation.overall_score).where(*of_prompt)
    return await _rows(session, completed.order_by(Evaluation.overall_score.desc().nulls_last(), Evaluation.id).limit(limit))


async def results(
    session: AsyncSession, evaluation_id: str, *, passed: bool, limit: int = 100
) -> list[tuple[str, str, float | None]]:
    """Return (id, test_case_name, score) of an evaluation's passed or failed test cases, best first, NULL last."""
    columns = select(TestResult.id, TestResult.test_case_name, TestResult.score)
    found = columns.where(TestResult.evaluation_id == evaluation_id, TestResult.passed == passed)
    return await _rows(session, found.order_by(TestResult.score.desc().nulls_last(), TestResult.id).limit(limit))


async def test_cases(session: AsyncSession, evaluation_id: str) -> list[tuple[str, str, float | None, bool]]:
    """Return (id, test_case_name, score, passed) of all of an evaluation's test cases, sorted by id."""
    columns = select(TestResult.id, TestResult.test_case_name, TestResult.score, TestResult.passed)
    return await _rows(session, columns.where(TestResult.evaluation_id == evaluation_id).order_by(TestResult.id))


async def top_templates(session: AsyncSession, category: str, limit: int = 20) -> list[tuple[str, str, int]]:
    """Return (id, name, usage_count) of a category's most used templates."""
    columns = select(PromptTemplate.id, PromptTemplate.name, PromptTemplate.usage_count)
    found = columns.where(PromptTemplate.category == category)
    return await _rows(session, found.order_by(PromptTemplate.usage_count.desc(), PromptTemplate.id).limit(limit))


async def evaluation_analysis(session: AsyncSession, more_than: int = 5, limit: int = 20) -> list[tuple[str, float, int]]:
    """Return (prompt_id, mean score, evaluations) of the best-scoring prompts with more than `more_than` scored evaluations.

    The mean is computed over whole millionths. A sum of floats depends on the order in which the plan visits the rows, so the arms
    would differ in the last digit, and rank near ties differently.
    """
    units = func.round(Evaluation.overall_score * _SCORE_UNITS).cast(Integer)
    count = func.count()
    mean = type_coerce(type_coerce(func.sum(units), Float) / (count * _SCORE_UNITS), Float[float])
    statement = (
        select(Evaluation.prompt_id, mean.label("mean_score"), count.label("evaluations"))
        .where(Evaluation.status == in_state("completed"), Evaluation.overall_score.is_not(None))
        .group_by(Evaluation.prompt_id)
        .having(count > more_than)
        .order_by(mean.desc(), Evaluation.prompt_id)
        .limit(limit)
    )
    return await _rows(session, statement)


async def prompt(session: AsyncSession, prompt_id: str) -> tuple[str, str, str, str, int, datetime] | None:
    """Return (id, title, content, status, version, created_at) of a live prompt, or None."""
    statement = select(Prompt.id, Prompt.title, Prompt.content, Prompt.status, Prompt.version, Prompt.created_at).where(
        Prompt.id == prompt_id, Prompt.deleted_at.is_(None)
    )
    return next(iter(await _rows(session, statement)), None)


async def version_history(session: AsyncSession, prompt_id: str) -> list[tuple[str, int, str | None]]:
    """Return (id, version, parent_id) of a prompt's live versions, oldest first: two walks along an index from the given one."""
    given = select(Prompt.id, Prompt.parent_id).where(Prompt.id == prompt_id)
    earlier = given.cte("earlier", recursive=True)
    parent, child = aliased(Prompt), aliased(Prompt)
    earlier = earlier.union(select(parent.id, parent.parent_id).join(earlier, parent.id == earlier.c.parent_id))
    later = given.cte("later", recursive=True)
    later = later.union(select(child.id, child.parent_id).join(later, child.parent_id == later.c.id))
    either = select(earlier.c.id).union(select(later.c.id))
    live = select(Prompt.id, Prompt.version, Prompt.parent_id).where(Prompt.id.in_(either), Prompt.deleted_at.is_(None))
    return await _rows(session, live.order_by(Prompt.version, Prompt.id))


async def evaluation(session: AsyncSession, evaluation_id: str) -> tuple[str, str, str, str, str, float | None] | None:
    """Return (id, prompt_id, status, provider, model, overall_score) of an evaluation, or None."""
    e = Evaluation
    statement = select(e.id, e.prompt_id, e.status, e.provider, e.model, e.overall_score).where(e.id == evaluation_id)
    return next(iter(await _rows(session, statement)), None)


async def newest_evaluations(
    session: AsyncSession, provider: str, model: str, limit: int = 50
) -> list[tuple[str, str, float | None, datetime]]:
    """Return (id, status, overall_score, created_at) of the newest evaluations by a provider's model."""
    columns = select(Evaluation.id, Evaluation.status, Evaluation.overall_score, Evaluation.created_at)
    found = columns.where(Evaluation.provider == provider, Evaluation.model == model)
    return await _rows(session, found.order_by(Evaluation.created_at.desc(), Evaluation.id.desc()).limit(limit))


class Subject(NamedTuple):
    """The ids and names that a request is about."""

    user_id: str
    prompt_id: str
    evaluation_id: str
    category: str
    provider: str
    model: str


QueryOf = Callable[[AsyncSession, Subject], Awaitable[Any]]
Query = Callable[[AsyncSession], Awaitable[Any]]

# Eight queries that do not depend on each other, by name.
DASHBOARD: Mapping[str, QueryOf] = {
    "user's prompts": lambda session, about: active_prompts(session, about.user_id),
    "prompt": lambda session, about: prompt(session, about.prompt_id),
    "version history": lambda session, about: version_history(session, about.prompt_id),
    "best evaluations": lambda session, about: best_evaluations(session, about.prompt_id),
    "evaluation": lambda session, about: evaluation(session, about.evaluation_id),
    "failed results": lambda session, about: results(session, about.evaluation_id, passed=False),
    "passed results": lambda session, about: results(session, about.evaluation_id, passed=True),
    "templates": lambda session, about: top_templates(session, about.category),
}
# All queries that the service answers, by name.
API: Mapping[str, QueryOf] = {
    **DASHBOARD,
    "newest evaluations": lambda session, about: newest_evaluations(session, about.provider, about.model),
    "analysis": lambda session, _: evaluation_analysis(session),
}


def query(make: QueryOf, subject: Subject) -> Query:
    """Return a query about a subject, to be run on any session."""
    return lambda session: make(session, subject)


def queries(subject: Subject) -> list[Query]:
    """Return the dashboard's queries about a subject."""
    return [query(make, subject) for make in DASHBOARD.values()]


async def _rows(session: AsyncSession, statement: Select[Row]) -> list[Row]:
    return [cast("Row", tuple(row)) for row in await session.execute(statement)]
