"""Writing many prompts at once: inserts, upserts, status changes and soft deletes.

Every technique commits once, so all are equally durable, and returns the number of prompts changed. Times are arguments: a run must
write the same rows whenever it runs. Rows are dicts with all columns of a prompt; a parent precedes its children. An upsert
replaces title, content and updated_at of an existing prompt, and inserts a new one.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, String, Table, Update, any_, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from service.loading import KEYS_PER_STATEMENT, chunks
from service.models import Base, Prompt

PromptRow = Mapping[str, Any]
Insert = Callable[[AsyncSession, Sequence[PromptRow]], Awaitable[int]]

BATCH = 1000  # rows per batch; ten times as many take ten times the memory for parameters and gain nothing
_REPLACED = ("title", "content", "updated_at")
_PROMPTS: Table = Base.metadata.tables["prompts"]


async def insert_baseline(session: AsyncSession, rows: Sequence[PromptRow]) -> int:
    """Insert through `add_all`: one object with its bookkeeping per row."""
    session.add_all([Prompt(**row) for row in rows])
    await session.commit()
    return len(rows)


async def insert_as_written(session: AsyncSession, rows: Sequence[PromptRow], batch_size: int = BATCH) -> int:
    """Insert or update as the review writes it: AttributeError, since the generic `insert()` has no `on_conflict_do_update`."""
    changed = 0
    for batch in chunks(rows, batch_size):
        statement = insert(Prompt).values(batch)
        statement = statement.on_conflict_do_update(  # type: ignore[attr-defined]  # this is the defect
            index_elements=["id"],
            set_={name: getattr(statement.excluded, name) for name in _REPLACED},  # type: ignore[attr-defined]  # as above
        )
        result: Any = await session.execute(statement)
        changed += result.rowcount
    await session.commit()
    return changed


async def insert_repaired(session: AsyncSession, rows: Sequence[PromptRow], batch_size: int = BATCH) -> int:
    """Insert or update as the review intends: the dialect's own insert, a thousand rows after one VALUES.

    A statement has one variable per value, ten per row. SQLite's default limit is 32 766 (250 000 on Debian) and asyncpg's is 32
    767, so batches above 3 276 rows fail. A duplicate id is counted twice by SQLite and refused by PostgreSQL.
    """
    changed = 0
    for batch in chunks(rows, batch_size):
        statement = _upsert(session, Prompt).values(batch)
        result: Any = await session.execute(_replacing(statement))
        changed += result.rowcount
    await session.commit()
    return changed


async def insert_optimised(session: AsyncSession, rows: Iterable[PromptRow]) -> int:
    """Insert with executemany, also from a generator. Raises IntegrityError if an id exists already; nothing is inserted."""
    inserted = 0
    for batch in chunks(rows, BATCH):
        await session.execute(insert(_PROMPTS), batch)
        inserted += len(batch)
    await session.commit()
    return inserted


async def upsert_baseline(session: AsyncSession, rows: Sequence[PromptRow]) -> int:
    """Look up each prompt, then change or add it: one SELECT per row before the first write."""
    for row in rows:
        prompt = await session.get(Prompt, row["id"])
        if prompt is None:
            session.add(Prompt(**row))
        else:
            for name in _REPLACED:
                setattr(prompt, name, row[name])
    await session.commit()
    return len({row["id"] for row in rows})


upsert_repaired = insert_repaired  # the review's insert is already an upsert


async def upsert_optimised(session: AsyncSession, rows: Sequence[PromptRow]) -> int:
    """Upsert with executemany. For a duplicate id the later row's values win, and it is counted once."""
    statement = _replacing(_upsert(session, _PROMPTS))
    for batch in chunks(rows, BATCH):
        await session.execute(statement, batch)
    await session.commit()
    return len({row["id"] for row in rows})


async def set_status_baseline(session: AsyncSession, ids: Sequence[str], status: str, at: datetime) -> int:
    """Load the prompts and set their status one by one."""
    changed = 0
    for some in chunks(ids, KEYS_PER_STATEMENT):
        for prompt in await session.scalars(select(Prompt).where(Prompt.id.in_(some))):
            prompt.status, prompt.updated_at = status, at
            changed += 1
    await session.commit()
    return changed


async def set_status_proposed(session: AsyncSession, ids: Sequence[str], status: str, at: datetime) -> int:
    """Set the status of all with one UPDATE and one variable per id; fails beyond the database's limit on variables."""
    return await _run(session, update(Prompt).where(Prompt.id.in_(ids)).values(status=status, updated_at=at))


async def set_status_optimised(session: AsyncSession, ids: Sequence[str], status: str, at: datetime) -> int:
    """Set the status of all with one UPDATE and the ids in one variable: no limit, and one statement text for any number of ids."""
    return await _run(session, update(_PROMPTS).where(_among(session, Prompt.id, ids)).values(status=status, updated_at=at))


async def soft_delete_baseline(session: AsyncSession, ids: Sequence[str], at: datetime) -> int:
    """Load the prompts that are not deleted yet and mark them one by one."""
    changed = 0
    for some in chunks(ids, KEYS_PER_STATEMENT):
        for prompt in await session.scalars(select(Prompt).where(Prompt.id.in_(some), Prompt.deleted_at.is_(None))):
            prompt.deleted_at = at
            changed += 1
    await session.commit()
    return changed


async def soft_delete_proposed(session: AsyncSession, ids: Sequence[str], at: datetime) -> int:
    """Mark those not deleted yet with one UPDATE and one variable per id."""
    return await _run(session, update(Prompt).where(Prompt.id.in_(ids), Prompt.deleted_at.is_(None)).values(deleted_at=at))


async def soft_delete_optimised(session: AsyncSession, ids: Sequence[str], at: datetime) -> int:
    """Mark those not deleted yet with one UPDATE and the ids in one variable."""
    live = update(_PROMPTS).where(_among(session, Prompt.id, ids), Prompt.deleted_at.is_(None))
    return await _run(session, live.values(deleted_at=at))


async def _run(session: AsyncSession, statement: Update) -> int:
    result: Any = await session.execute(statement)
    await session.commit()
    return int(result.rowcount)


def _among(session: AsyncSession, column: InstrumentedAttribute[str], ids: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a column is one of the ids, all in one variable: no limit, and one text for any number of them.

    Lists in chunks and executemany have neither advantage and were slower on SQLite.
    """
    if _dialect(session) == "postgresql":
        return column == any_(literal(list(ids), ARRAY(String)))
    each = func.json_each(json.dumps(list(ids))).table_valued("value")
    return column.in_(select(each.c.value))


def _upsert(session: AsyncSession, into: type[Prompt] | Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(into) if _dialect(session) == "postgresql" else sqlite.insert(into)


def _replacing(statement: postgresql.Insert | sqlite.Insert) -> postgresql.Insert | sqlite.Insert:
    replaced = {name: getattr(statement.excluded, name) for name in _REPLACED}
    return statement.on_conflict_do_update(index_elements=["id"], set_=replaced)


def _dialect(session: AsyncSession) -> str:
    return session.get_bind().dialect.name
