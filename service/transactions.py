"""Transactions: atomicity, lock order, snapshots, and retries after a conflict.

Three techniques each for creating a prompt with its evaluation, counting uses of templates, and reading statistics. Those of the
baseline and of the review take a session, one per request, as the service under review does. An optimised unit of work is passed to
`Transactions`: only the code that opens a session can discard it and retry. Rows are dicts with all columns, ids included.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import InstrumentedAttribute

from service.models import Evaluation, Prompt, PromptTemplate

Row = Mapping[str, Any]
Counts = tuple[int, int]  # number of prompts and of evaluations
Answer = TypeVar("Answer")
Work = Callable[[AsyncSession], Awaitable[Answer]]

DEADLOCK, NOT_SERIALIZABLE = "40P01", "40001"  # SQLSTATEs after which PostgreSQL requires the whole transaction to be retried
BUSY = "BUSY"  # a conflict in SQLite or Turso: another connection holds the write lock, or has written since this one began to read
_SQLITE_BUSY = 5
_PRIMARY_CODE = 0xFF
_TURSO_BUSY = {"database is locked", "database snapshot is stale, rollback and retry the transaction"}


async def create_baseline(session: AsyncSession, prompt: Row, evaluation: Row) -> None:
    """Save a prompt, then its evaluation, each with its own commit: a failure between them leaves half of the pair."""
    session.add(Prompt(**prompt))
    await session.commit()
    session.add(Evaluation(**evaluation))
    await session.commit()


async def create_from_template_baseline(session: AsyncSession, template_id: str, prompt: Row, evaluation: Row) -> None:
    """Save the pair as above, then count a use of its template: three commits."""
    await create_baseline(session, prompt, evaluation)
    await _use(session, template_id)
    await session.commit()


async def use_baseline(session: AsyncSession, template_ids: Sequence[str]) -> None:
    """Count a use of each template, in order: read, add one, write. As all techniques, raises NoResultFound for a missing one."""
    for template_id in template_ids:
        await _use(session, template_id)
    await session.commit()


async def statistics_baseline(session: AsyncSession) -> Counts:
    """Count prompts, then evaluations, in the current transaction."""
    return await _count(session, Prompt.id), await _count(session, Evaluation.id)


@asynccontextmanager
async def review_transaction(session: AsyncSession, *, savepoint: bool = False) -> AsyncIterator[AsyncSession]:
    """Commit at the end, or roll back and raise: the review's transaction. With `savepoint`, only a SAVEPOINT, released at the end.

    A SAVEPOINT undoes its own statements; it neither commits nor takes a lock. Nothing is retried.
    """
    if savepoint:
        async with session.begin_nested():
            yield session
        return
    try:
        yield session
        await session.commit()
    except Exception:
        await session.rollback()
        raise


@asynccontextmanager
async def review_read_only(session: AsyncSession) -> AsyncIterator[AsyncSession]:
    """Forbid writes on the connection, and allow them again at the end, as the review does: with a PRAGMA that only SQLite knows.

    The PRAGMA belongs to the connection, not to the transaction. If the second one is not sent, or goes to another connection, the
    next user of this connection from the pool cannot write.
    """
    await session.execute(text("PRAGMA query_only = ON"))
    try:
        yield session
    finally:
        await session.execute(text("PRAGMA query_only = OFF"))


async def create_proposed(session: AsyncSession, prompt: Row, evaluation: Row) -> None:
    """Save a prompt, its evaluation in a SAVEPOINT, and commit both."""
    async with review_transaction(session):
        session.add(Prompt(**prompt))
        await session.flush()
        async with review_transaction(session, savepoint=True):
            session.add(Evaluation(**evaluation))
            await session.flush()


async def create_from_template_proposed(session: AsyncSession, template_id: str, prompt: Row, evaluation: Row) -> None:
    """Save the pair in a SAVEPOINT, as a step of a larger transaction that then counts a use of the template, and commit all.

    With SQLite's driver the SAVEPOINT precedes any transaction, so it is the transaction, and its release commits the pair.
    """
    async with review_transaction(session):
        async with review_transaction(session, savepoint=True):
            session.add(Prompt(**prompt))
            await session.flush()
            session.add(Evaluation(**evaluation))
            await session.flush()
        await _use(session, template_id)


async def use_proposed(session: AsyncSession, template_ids: Sequence[str]) -> None:
    """Count a use of each template, the first in the transaction and each further one in a SAVEPOINT, as the review nests steps."""
    first, *others = template_ids
    async with review_transaction(session):
        await _use(session, first)
        for template_id in others:
            async with review_transaction(session, savepoint=True):
                await _use(session, template_id)


async def statistics_proposed(session: AsyncSession) -> Counts:
    """Count prompts, then evaluations, on a connection on which writes are forbidden."""
    async with review_read_only(session):
        return await _count(session, Prompt.id), await _count(session, Evaluation.id)


def conflict(error: BaseException) -> str | None:
    """Return the kind of a conflict that a retry may avoid: "40P01", "40001" or "BUSY"; None for all other errors.

    A lost connection is not a conflict: if it was lost during COMMIT, the transaction may have been committed.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    if state in {DEADLOCK, NOT_SERIALIZABLE}:
        return str(state)
    if getattr(cause, "sqlite_errorcode", 0) & _PRIMARY_CODE == _SQLITE_BUSY:
        return BUSY
    # Turso's driver provides no error code, and raises one of its two errors without a DB-API class.
    from_turso = type(cause).__module__.partition(".")[0] == "turso"
    return BUSY if from_turso and str(cause) in _TURSO_BUSY else None


@dataclass(frozen=True)
class Transactions:
    """Runs units of work, each in one transaction on its own session, and retries after a conflict."""

    writers: async_sessionmaker[AsyncSession]
    """Makes sessions whose transactions take the locks they need at the start (BEGIN IMMEDIATE) or lock rows in key order."""
    readers: async_sessionmaker[AsyncSession]  # makes sessions that cannot write and see one snapshot
    attempts: int = 10  # limit of attempts per unit of work
    first_wait_s: float = 0.002  # upper bound of the random wait before the first retry, in seconds; it doubles with each retry
    longest_wait_s: float = 0.2  # limit of that bound, in seconds; random waits keep transactions from colliding again
    retries: Counter[str] = field(default_factory=Counter)  # number of retries by kind of conflict

    async def write(self, work: Work[Answer]) -> Answer:
        """Run the work and commit all of it or nothing. The work may run several times, so it must have no other effects."""
        return await self._run(self.writers, work)

    async def read(self, work: Work[Answer]) -> Answer:
        """Run work that only reads: every statement sees the same snapshot, and no writer waits for it."""
        return await self._run(self.readers, work)

    async def _run(self, sessions: async_sessionmaker[AsyncSession], work: Work[Answer]) -> Answer:
        attempt = 1
        while True:
            try:
                async with sessions.begin() as session:
                    return await work(session)
            except Exception as error:
                kind = conflict(error)
                if kind is None or attempt == self.attempts:
                    raise
                self.retries[kind] += 1
            bound_s = min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1))
            await asyncio.sleep(random.uniform(0, bound_s))  # noqa: S311 - jitter needs no cryptography
            attempt += 1


@asynccontextmanager
async def read_only(engine: AsyncEngine, set_up: Callable[[AsyncEngine], None]) -> AsyncIterator[AsyncEngine]:
    """Open an engine next to `engine` that can only read, with one snapshot per transaction.

    It shares no connection with a writer. PostgreSQL receives this with each BEGIN. SQLite opens the file read-only; Turso cannot,
    so writes are forbidden on its connections when they are opened. `set_up` is called on a new engine, for its listeners,
    including the one that sends BEGIN: without it SQLite's driver gives each SELECT its own snapshot.
    """
    if engine.dialect.name == "postgresql":
        yield engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return
    turso = engine.dialect.driver == "aioturso"
    read_only_file = engine.url.set(database=f"file:{engine.url.database}", query={"mode": "ro", "uri": "true"})
    readers = create_async_engine(engine.url if turso else read_only_file)
    set_up(readers)
    if turso:
        event.listen(readers.sync_engine, "connect", _forbid_writing)
    try:
        yield readers
    finally:
        await readers.dispose()


async def create_optimised(transactions: Transactions, prompt: Row, evaluation: Row) -> None:
    """Save a prompt and its evaluation in one transaction; no SAVEPOINT is needed, since neither is valid without the other."""

    async def work(session: AsyncSession) -> None:
        session.add_all([Prompt(**prompt), Evaluation(**evaluation)])

    await transactions.write(work)


async def create_from_template_optimised(transactions: Transactions, template_id: str, prompt: Row, evaluation: Row) -> None:
    """Save the pair and count a use of its template in one transaction."""

    async def work(session: AsyncSession) -> None:
        session.add_all([Prompt(**prompt), Evaluation(**evaluation)])
        await _use_locked(session, [template_id])

    await transactions.write(work)


async def use_optimised(transactions: Transactions, template_ids: Sequence[str]) -> None:
    """Count a use of each template: lock all rows in key order, whatever order they are given in, and add one."""
    await transactions.write(lambda session: _use_locked(session, template_ids))


async def statistics_optimised(transactions: Transactions) -> Counts:
    """Count prompts and evaluations in one snapshot, on a connection that can only read."""
    return await transactions.read(statistics_baseline)


def _forbid_writing(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = 1")
    cursor.close()


async def _use(session: AsyncSession, template_id: str) -> None:
    template = await session.get_one(PromptTemplate, template_id)
    template.usage_count += 1
    await session.flush()


async def _use_locked(session: AsyncSession, template_ids: Sequence[str]) -> None:
    uses = Counter(template_ids)
    wanted = select(PromptTemplate).where(PromptTemplate.id.in_(uses)).order_by(PromptTemplate.id)
    templates = (await session.scalars(wanted.with_for_update())).all()
    if len(templates) < len(uses):
        raise NoResultFound(f"no template {min(uses.keys() - {template.id for template in templates})!r}")
    for template in templates:
        template.usage_count += uses[template.id]


async def _count(session: AsyncSession, column: InstrumentedAttribute[str]) -> int:
    return int((await session.scalars(select(func.count(column)))).one())
