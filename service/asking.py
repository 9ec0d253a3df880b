"""Catalogues over the database as it is opened: each read and write run where it belongs, writes again after a conflict."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from service import prompts
from service.async_queries import SessionEach
from service.catalogue import (
    Catalogue,
    DatabaseCatalogue,
    EvaluationDetail,
    PromptDetail,
    Statistics,
    Templates,
    TestCase,
    UserPrompts,
)
from service.database import Database, DatabaseRun
from service.models import TestResult


def catalogue(database: Database) -> Catalogue:
    """Return the catalogue straight from the database, without a cache."""
    reads: Catalogue = DatabaseCatalogue(database.readers)
    if database.asks_at_once is not None:
        reads = _AskedAtOnce(database, database.asks_at_once)
    return _Driven(reads, DatabaseCatalogue(database.writers), database.run, database.run_again)


class _AskedAtOnce(DatabaseCatalogue):
    """Asks for an evaluation and for its results at the same time: two connections, one round trip less."""

    def __init__(self, database: Database, each: SessionEach) -> None:
        super().__init__(database.readers)
        self._each = each

    async def evaluation(self, evaluation_id: str) -> EvaluationDetail | None:
        async def results(session: AsyncSession) -> tuple[TestCase, ...]:
            chosen = select(TestResult.id, TestResult.test_case_name, TestResult.score, TestResult.passed)
            rows = await session.execute(chosen.where(TestResult.evaluation_id == evaluation_id).order_by(TestResult.id))
            return tuple([cast("TestCase", tuple(row)) for row in rows])

        try:
            found, cases = await self._each.ask([lambda session: prompts.evaluation(session, evaluation_id), results])
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # whoever asks need not know that there were two questions
        return None if found is None else (found, cases)


class _Driven:
    """A catalogue whose reads and writes are each run by something."""

    def __init__(self, reads: Catalogue, writes: Catalogue, run: DatabaseRun, run_again: DatabaseRun) -> None:
        self._reads, self._writes = reads, writes
        self._run, self._run_again = run, run_again

    async def prompt(self, prompt_id: str) -> PromptDetail | None:
        return await self._run(lambda: self._reads.prompt(prompt_id))

    async def user_prompts(self, user_id: str) -> UserPrompts:
        return await self._run(lambda: self._reads.user_prompts(user_id))

    async def evaluation(self, evaluation_id: str) -> EvaluationDetail | None:
        return await self._run(lambda: self._reads.evaluation(evaluation_id))

    async def templates(self, category: str) -> Templates:
        return await self._run(lambda: self._reads.templates(category))

    async def statistics(self) -> Statistics:
        return await self._run(self._reads.statistics)

    async def update_prompt(self, prompt_id: str, user_id: str, title: str, at: datetime) -> int | None:
        return await self._run_again(lambda: self._writes.update_prompt(prompt_id, user_id, title, at))

    async def create_prompt(self, row: Mapping[str, Any]) -> None:
        await self._run_again(lambda: self._writes.create_prompt(row))

    async def re_evaluate(self, evaluation_id: str, score: float) -> None:
        await self._run_again(lambda: self._writes.re_evaluate(evaluation_id, score))

    async def rename_template(self, template_id: str, category: str, name: str) -> None:
        await self._run_again(lambda: self._writes.rename_template(template_id, category, name))
