"""The prompt service, composed from its switches: each read and each write uses the technique of its level.

Levels differ visibly in one more way, in addition to the review's cursor (`streaming`) and its shared connection to SQLite
(`database`): the review's bulk insert is an upsert. If an id already exists, the baseline and the optimised insert are refused,
while the review's insert replaces title and content, even of another user's prompt.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import make_url, select
from sqlalchemy.ext.asyncio import AsyncSession

from service import bulk, loading, prompts, streaming, transactions
from service.async_queries import SessionEach
from service.cache.catalogue import Front, Owners, open_front
from service.catalogue import Catalogue, DatabaseCatalogue, EvaluationDetail
from service.database import Database, open_database
from service.loading import KEYS_PER_STATEMENT, chunks
from service.models import Prompt
from service.prompts import Query
from service.settings import ServiceSettings
from service.streaming import Page
from service.switches import Level, Switches

Row = Mapping[str, Any]

# Techniques by level: the baseline's, the proposed and the optimised one.
_LOAD = (loading.with_evaluations_one_by_one, loading.with_evaluations_proposed, loading.with_evaluations_optimised)
_WITH_EVALUATIONS = dict(zip(Level, _LOAD, strict=True))
_INSERT: Mapping[Level, bulk.Insert] = dict(
    zip(Level, (bulk.insert_baseline, bulk.insert_repaired, bulk.insert_optimised), strict=True)
)
_SET_STATUS = dict(zip(Level, (bulk.set_status_baseline, bulk.set_status_proposed, bulk.set_status_optimised), strict=True))
_SOFT_DELETE = dict(zip(Level, (bulk.soft_delete_baseline, bulk.soft_delete_proposed, bulk.soft_delete_optimised), strict=True))
_EXPORT = dict(zip(Level, (streaming.export_baseline, streaming.export_proposed, streaming.export_optimised), strict=True))


@dataclass(frozen=True)
class PromptService:
    """The operations of the service. Rows are mappings with all columns, ids included."""

    switches: Switches
    database: Database
    front: Front  # the catalogue, cached or not, and the invalidation for other writes

    async def ping(self) -> None:
        """Send the database a trivial query."""
        await self.database.read(lambda session: session.execute(select(1)))

    async def page(self, user_id: str, cursor: str | None, limit: int) -> Page[str]:
        """Return a page of a user's live prompts by cursor. Raises MalformedCursorError if the cursor was not issued by a page."""
        return await self.database.read(lambda session: streaming.page(session, self.switches.streaming, user_id, cursor, limit))

    async def page_from(self, user_id: str, offset: int, limit: int) -> Page[int]:
        """Return a page of a user's live prompts by offset. All levels use the same technique."""
        return await self.database.read(lambda session: streaming.page_by_offset(session, user_id, offset, limit))

    async def with_evaluations(self, user_id: str) -> list[dict[str, Any]]:
        """Return a user's fifty newest prompts, each with its completed evaluations."""
        return await self.database.read(lambda session: _WITH_EVALUATIONS[self.switches.loading](session, user_id))

    async def create(self, prompt: Row, evaluation: Row) -> None:
        """Save a prompt and its first evaluation. Raises IntegrityError if one of the ids exists already."""
        async with self.front.writing({prompt["id"]: prompt["user_id"]}):
            if self.switches.transactions is Level.OPTIMISED:
                once = transactions.Transactions(self.database.writers, self.database.readers, attempts=1)
                await self.database.run_again(lambda: transactions.create_optimised(once, prompt, evaluation))
            else:
                is_baseline = self.switches.transactions is Level.BASELINE
                create = transactions.create_baseline if is_baseline else transactions.create_proposed
                await self.database.write(lambda session: create(session, prompt, evaluation))

    async def create_many(self, rows: Sequence[Row]) -> int:
        """Insert prompts and return their number.

        Raises IntegrityError if an id exists already, and inserts nothing; the review's insert replaces the row instead.
        """
        insert = _INSERT[self.switches.bulk]
        async with self.front.writing({row["id"]: row["user_id"] for row in rows}):
            return await self.database.write(lambda session: insert(session, rows))

    async def set_status(self, ids: Sequence[str], status: str, at: datetime) -> int:
        """Set the status of these prompts and return the number changed; missing prompts are ignored."""
        change = _SET_STATUS[self.switches.bulk]
        async with self.front.writing(await self._owners(ids)):
            return await self.database.write(lambda session: change(session, ids, status, at))

    async def soft_delete(self, ids: Sequence[str], at: datetime) -> int:
        """Mark these prompts as deleted and return the number changed; prompts that are already deleted are ignored."""
        delete = _SOFT_DELETE[self.switches.bulk]
        async with self.front.writing(await self._owners(ids)):
            return await self.database.write(lambda session: delete(session, ids, at))

    def export(self, user_id: str | None) -> AsyncIterator[str]:
        """Yield chunks of CSV with the live prompts of a user, or of all users."""
        return self.database.pieces(_EXPORT[self.switches.streaming](self.database.readers, user_id))

    async def _owners(self, ids: Iterable[str]) -> Owners:
        """Return each prompt's user, if a cache needs them. A prompt never changes its user."""
        if self.front.changing is None:
            return {}

        async def owners(session: AsyncSession) -> Owners:
            owned = select(Prompt.id, Prompt.user_id)
            return {
                row.id: row.user_id
                for keys in chunks(ids, KEYS_PER_STATEMENT)
                for row in await session.execute(owned.where(Prompt.id.in_(keys)))
            }

        return await self.database.read(owners)


@asynccontextmanager
async def open_service(settings: ServiceSettings) -> AsyncIterator[PromptService]:
    """Open the service, in the event loop that uses it, and close it at the end. Raises ValueError for an unsupported database."""
    async with (
        open_database(make_url(settings.database_url), settings.switches) as database,
        open_front(settings, _catalogue(database)) as front,
    ):
        yield PromptService(settings.switches, database, front)


def _catalogue(database: Database) -> Catalogue:
    """Return the catalogue without a cache, whose methods run through the dispatchers of the database."""
    reads, writes = DatabaseCatalogue(database.readers), DatabaseCatalogue(database.writers)
    each = database.concurrent_reads

    def read(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        return lambda *args: database.run(lambda: method(*args))

    def write(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        return lambda *args: database.run_again(lambda: method(*args))

    dispatched = SimpleNamespace(
        prompt=read(reads.prompt),
        user_prompts=read(reads.user_prompts),
        evaluation=read(reads.evaluation) if each is None else partial(_evaluation_concurrently, each),
        templates=read(reads.templates),
        statistics=read(reads.statistics),
        update_prompt=write(writes.update_prompt),
        create_prompt=write(writes.create_prompt),
        re_evaluate=write(writes.re_evaluate),
        rename_template=write(writes.rename_template),
    )
    return cast("Catalogue", dispatched)


async def _evaluation_concurrently(each: SessionEach, evaluation_id: str) -> EvaluationDetail | None:
    """Read an evaluation and its results on two connections: one round trip less."""
    queries: list[Query] = [lambda s: prompts.evaluation(s, evaluation_id), lambda s: prompts.test_cases(s, evaluation_id)]
    try:
        found, cases = await each.run_queries(queries)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None  # callers do not need to know that there were two queries
    return None if found is None else (found, tuple(cases))
