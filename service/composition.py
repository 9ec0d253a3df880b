"""The prompt service, composed from its switches: each question and each write by the technique of its level.

One difference between levels remains visible, beside the review's cursor (`paging`) and its shared connection to SQLite
(`engines`): the review's bulk insert is an upsert. Where an id is taken already, today's and the optimised insert are refused, and
the review's replaces title and content of whosoever's prompt it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import make_url, select
from sqlalchemy.ext.asyncio import AsyncSession

from service import bulk, loading, paging, prompts, streaming, transactions
from service.async_queries import SessionEach
from service.cache.front import Front, Owners, open_front
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
from service.database import Database, DatabaseRun, open_database
from service.loading import KEYS_PER_STATEMENT, chunks
from service.models import Prompt, TestResult
from service.settings import ServiceSettings
from service.streaming import Page
from service.switches import Level, Switches

Row = Mapping[str, Any]

_WITH_EVALUATIONS = {
    Level.BASELINE: loading.with_evaluations_one_by_one,
    Level.PROPOSED: loading.with_evaluations_proposed,
    Level.OPTIMISED: loading.with_evaluations_optimised,
}
_INSERT: Mapping[Level, Callable[[AsyncSession, Sequence[Row]], Awaitable[int]]] = {
    Level.BASELINE: bulk.insert_baseline,
    Level.PROPOSED: bulk.insert_repaired,
    Level.OPTIMISED: bulk.insert_optimised,
}
_SET_STATUS = {
    Level.BASELINE: bulk.set_status_baseline,
    Level.PROPOSED: bulk.set_status_proposed,
    Level.OPTIMISED: bulk.set_status_optimised,
}
_SOFT_DELETE = {
    Level.BASELINE: bulk.soft_delete_baseline,
    Level.PROPOSED: bulk.soft_delete_proposed,
    Level.OPTIMISED: bulk.soft_delete_optimised,
}
_EXPORT = {
    Level.BASELINE: streaming.export_baseline,
    Level.PROPOSED: streaming.export_proposed,
    Level.OPTIMISED: streaming.export_optimised,
}


@dataclass(frozen=True)
class Service:
    """What the service can be asked, open. Rows are mappings with all columns, ids included."""

    switches: Switches
    database: Database
    front: Front

    @property
    def catalogue(self) -> Catalogue:
        """The reads that may be cached, and the update of a prompt."""
        return self.front.catalogue

    async def ping(self) -> None:
        """Ask the database for nothing."""
        await self.database.read(lambda session: session.execute(select(1)))

    async def page(self, user_id: str, cursor: str | None, limit: int) -> Page[str]:
        """Return a page of a user's live prompts by cursor.

        Raises:
            MalformedCursorError: no page gave the cursor.
        """
        return await self.database.read(lambda session: paging.page(session, self.switches.streaming, user_id, cursor, limit))

    async def page_from(self, user_id: str, offset: int, limit: int) -> Page[int]:
        """Return a page of a user's live prompts by the number of those before it: there is one way to do that."""
        return await self.database.read(lambda session: streaming.page_by_offset(session, user_id, offset, limit))

    async def with_evaluations(self, user_id: str) -> list[dict[str, Any]]:
        """Return a user's fifty newest prompts, each with its completed evaluations."""
        load = _WITH_EVALUATIONS[self.switches.loading]
        return await self.database.read(lambda session: load(session, user_id))

    async def create(self, prompt: Row, evaluation: Row) -> None:
        """Save a prompt and its first evaluation.

        Raises:
            IntegrityError: one of the ids is taken.
        """
        async with self.front.writing({prompt["id"]: prompt["user_id"]}):
            if self.switches.transactions is Level.OPTIMISED:
                once = self.database.once
                await self.database.run_again(lambda: transactions.create_optimised(once, prompt, evaluation))
            else:
                today = self.switches.transactions is Level.BASELINE
                create = transactions.create_baseline if today else transactions.create_proposed
                await self.database.write(lambda session: create(session, prompt, evaluation))

    async def create_many(self, rows: Sequence[Row]) -> int:
        """Insert prompts; return how many.

        Raises:
            IntegrityError: an id is taken; nothing is inserted. Never with the review's insert, which replaces what is there.
        """
        insert = _INSERT[self.switches.bulk]
        async with self.front.writing({row["id"]: row["user_id"] for row in rows}):
            return await self.database.write(lambda session: insert(session, rows))

    async def set_status(self, ids: Sequence[str], status: str, at: datetime) -> int:
        """Set the status of those of these prompts that there are; return how many."""
        change = _SET_STATUS[self.switches.bulk]
        async with self.front.writing(await self._owners(ids)):
            return await self.database.write(lambda session: change(session, ids, status, at))

    async def soft_delete(self, ids: Sequence[str], at: datetime) -> int:
        """Mark those of these prompts as deleted that are not yet; return how many."""
        delete = _SOFT_DELETE[self.switches.bulk]
        async with self.front.writing(await self._owners(ids)):
            return await self.database.write(lambda session: delete(session, ids, at))

    def export(self, user_id: str | None) -> AsyncIterator[str]:
        """Yield a user's live prompts, or everybody's, as pieces of CSV."""
        return self.database.pieces(_EXPORT[self.switches.streaming](self.database.readers, user_id))

    async def _owners(self, ids: Iterable[str]) -> Owners:
        """Return whose these prompts are, where a cache has to know. A prompt does not change hands."""
        if self.front.changing is None:
            return {}

        async def owners(session: AsyncSession) -> Owners:
            found: dict[str, str] = {}
            for some in chunks(ids, KEYS_PER_STATEMENT):
                rows = await session.execute(select(Prompt.id, Prompt.user_id).where(Prompt.id.in_(some)))
                found |= {row.id: row.user_id for row in rows}
            return found

        return await self.database.read(owners)


@asynccontextmanager
async def open_service(settings: ServiceSettings) -> AsyncIterator[Service]:
    """Open the service as its settings say, in the loop that uses it, and close all that it opened at the end.

    Raises:
        ValueError: the service does not run on such a database.
    """
    async with (
        open_database(make_url(settings.database_url), settings.switches) as database,
        open_front(settings, database_catalogue(database)) as front,
    ):
        yield Service(settings.switches, database, front)


def database_catalogue(database: Database) -> Catalogue:
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
