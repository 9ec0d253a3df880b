"""The most frequent reads of the service and the writes that change them, each on its own session, directly on the database.

`DatabaseCatalogue` is the service without a cache. Answers consist of tuples throughout, so callers can share them. A write commits
once. Times are arguments: a run must write the same rows whenever it runs.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from service import prompts
from service.models import Evaluation, Prompt, PromptTemplate, TestResult

PromptDetail = tuple[str, str, str, str, int, datetime]  # (id, title, content, status, version, created_at)
UserPrompts = tuple[tuple[str, str, datetime], ...]  # (id, title, created_at) of each prompt, newest first
TestCase = tuple[str, str, float | None, bool]  # (id, test_case_name, score, passed)
EvaluationDetail = tuple[tuple[str, str, str, str, str, float | None], tuple[TestCase, ...]]
"""(id, prompt_id, status, provider, model, overall_score), and its test results sorted by id."""

Templates = tuple[tuple[str, str, int], ...]  # (id, name, usage_count) of each template, most used first
Statistics = tuple[tuple[str, float, int], ...]  # (prompt_id, mean score, number of evaluations) of the best-scoring prompts


class Catalogue(Protocol):
    """The five reads and four writes. A missing prompt or evaluation reads as None."""

    async def prompt(self, prompt_id: str) -> PromptDetail | None:
        """Return a live prompt."""

    async def user_prompts(self, user_id: str) -> UserPrompts:
        """Return a user's fifty newest active prompts."""

    async def evaluation(self, evaluation_id: str) -> EvaluationDetail | None:
        """Return an evaluation with its test results."""

    async def templates(self, category: str) -> Templates:
        """Return a category's twenty most used templates."""

    async def statistics(self) -> Statistics:
        """Return the twenty best-scoring prompts."""

    async def update_prompt(self, prompt_id: str, user_id: str, title: str, at: datetime) -> int | None:
        """Change the title of a user's live prompt; return its new version, or None if it does not exist."""

    async def create_prompt(self, row: Mapping[str, Any]) -> None:
        """Save a new prompt, given with all of its columns."""

    async def re_evaluate(self, evaluation_id: str, score: float) -> None:
        """Change the score of an evaluation and of each of its test results."""

    async def rename_template(self, template_id: str, category: str, name: str) -> None:
        """Change the name of a template of a category."""


class DatabaseCatalogue:
    """Every read goes to the database. The baseline, and the source behind a cache."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def prompt(self, prompt_id: str) -> PromptDetail | None:
        """Send one statement."""
        async with self._sessions() as session:
            return await prompts.prompt(session, prompt_id)

    async def user_prompts(self, user_id: str) -> UserPrompts:
        """Send one statement."""
        async with self._sessions() as session:
            return tuple(await prompts.active_prompts(session, user_id))

    async def evaluation(self, evaluation_id: str) -> EvaluationDetail | None:
        """Send one statement for the evaluation, and one for its results."""
        async with self._sessions() as session:
            found = await prompts.evaluation(session, evaluation_id)
            return None if found is None else (found, tuple(await prompts.test_cases(session, evaluation_id)))

    async def templates(self, category: str) -> Templates:
        """Send one statement."""
        async with self._sessions() as session:
            return tuple(await prompts.top_templates(session, category))

    async def statistics(self) -> Statistics:
        """Send one statement, over all evaluations."""
        async with self._sessions() as session:
            return tuple(await prompts.evaluation_analysis(session))

    async def update_prompt(self, prompt_id: str, user_id: str, title: str, at: datetime) -> int | None:
        """Send one UPDATE; the database increments the version, so concurrent updates are all counted."""
        async with self._sessions.begin() as session:
            return await retitle(session, prompt_id, user_id, title, at)

    async def create_prompt(self, row: Mapping[str, Any]) -> None:
        """Send one INSERT."""
        async with self._sessions.begin() as session:
            await session.execute(insert(Prompt), [dict(row)])

    async def re_evaluate(self, evaluation_id: str, score: float) -> None:
        """Send one UPDATE for the evaluation, and one for its results."""
        async with self._sessions.begin() as session:
            await session.execute(
                update(Evaluation).where(Evaluation.id == evaluation_id).values(overall_score=score, status="completed")
            )
            await session.execute(update(TestResult).where(TestResult.evaluation_id == evaluation_id).values(score=score))

    async def rename_template(self, template_id: str, category: str, name: str) -> None:
        """Send one UPDATE."""
        change = update(PromptTemplate).where(PromptTemplate.id == template_id, PromptTemplate.category == category)
        async with self._sessions.begin() as session:
            await session.execute(change.values(name=name))


async def retitle(session: AsyncSession, prompt_id: str, user_id: str, title: str, at: datetime) -> int | None:
    """Change the title of a user's live prompt; return the version that the database assigned, or None if it does not exist."""
    change = (
        update(Prompt)
        .where(Prompt.id == prompt_id, Prompt.user_id == user_id, Prompt.deleted_at.is_(None))
        .values(title=title, version=Prompt.version + 1, updated_at=at)
        .returning(Prompt.version)
    )
    return (await session.execute(change)).scalar_one_or_none()
