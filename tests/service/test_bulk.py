"""Bulk writes: every technique that runs writes the same rows and returns the same count."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from harness.databases.engines import sqlite
from harness.probes.statements import Statements
from service import bulk
from service.models import Base, Prompt
from service.sessions import sessionmaker

OnEngine = Callable[..., Any]
OnSession = Callable[..., Any]

AT = datetime(2025, 6, 1)  # noqa: DTZ001 - the service stores naive UTC


def prompt(key: str, text: str, **other: Any) -> dict[str, Any]:
    """Return a new prompt's row."""
    row = {"user_id": "cid", "status": "draft", "version": 1, "parent_id": None, "deleted_at": None}
    return {"id": key, "title": text, "content": f"{text} ✓", "created_at": AT, "updated_at": AT, **row, **other}


NEW = [prompt(f"n{number:02d}", f"new {number}", deleted_at=AT if number % 3 else None) for number in range(25)]
MIXED = [prompt("p0037", "changed", user_id="thief", status="archived"), *NEW[:3], prompt("p0000", "changed too")]


@pytest.fixture
def written(filled: Path, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs a technique on a fresh database and returns its count and the resulting table."""

    def run(technique: Any, *args: Any) -> tuple[int, list[Any]]:
        async def opened() -> tuple[int, list[Any]]:
            async with sqlite.engine(copyfile(filled, tmp_path / "fresh.db")) as engine:
                async with sessionmaker(engine)() as session:
                    count = await technique(session, *args)
                async with engine.connect() as connection:
                    rows = await connection.execute(Base.metadata.tables["prompts"].select().order_by(Prompt.id))
                    return count, list(rows)

        return asyncio.run(opened())

    return run


def test_the_review_as_written_cannot_insert(on_session: OnSession) -> None:
    """As written, the generic insert has no `on_conflict_do_update`: AttributeError for any rows."""

    async def insert(session: AsyncSession) -> None:
        with pytest.raises(AttributeError, match="on_conflict_do_update"):
            await bulk.insert_as_written(session, NEW)

    on_session(insert)


@pytest.mark.parametrize("technique", [bulk.insert_repaired, bulk.insert_optimised])
def test_inserts_agree(written: Callable[..., Any], technique: Any) -> None:
    """Each technique inserts the same rows as add_all and counts each once."""
    assert written(technique, NEW) == written(bulk.insert_baseline, NEW)
    assert written(technique, NEW)[0] == len(NEW)


@pytest.mark.parametrize("technique", [bulk.upsert_repaired, bulk.upsert_optimised])
def test_upserts_agree(written: Callable[..., Any], technique: Any) -> None:
    """Each technique changes only title, content and time of existing prompts, and inserts the others."""
    count, rows = written(technique, MIXED)
    assert (count, rows) == written(bulk.upsert_baseline, MIXED)
    assert count == len(MIXED)
    changed = next(row for row in rows if row.id == "p0037")
    assert (changed.title, changed.content, changed.updated_at) == ("changed", "changed ✓", AT)
    assert (changed.user_id, changed.status) == ("ann", "active")


def test_the_review_counts_a_repeated_id_twice(written: Callable[..., Any]) -> None:
    """The repaired upsert sums the driver's row counts, so a duplicate id counts twice; the others count it once."""
    twice = [prompt("n00", "first", user_id="dan"), prompt("n00", "second", user_id="eve")]
    counts, tables = zip(
        *(written(t, twice) for t in (bulk.upsert_baseline, bulk.upsert_repaired, bulk.upsert_optimised)), strict=True
    )
    assert counts == (1, 2, 1)
    assert tables[0] == tables[1] == tables[2]
    assert [(row.title, row.user_id) for row in tables[0] if row.id == "n00"] == [("second", "dan")]


def test_a_repaired_batch_has_ten_variables_per_row(on_engine: OnEngine) -> None:
    """One VALUES statement of 25 rows has 250 variables, so 3 276 rows reach SQLite's default limit."""

    async def sent(engine: AsyncEngine) -> list[int]:
        async with Statements(engine) as probe, sessionmaker(engine)() as session:
            await bulk.insert_repaired(session, NEW)
        return [len(statement.parameters) for statement in probe.sent()]

    assert on_engine(sent) == [10 * len(NEW)]


def test_an_insert_is_atomic(written: Callable[..., Any]) -> None:
    """If a later batch fails, the rows of earlier batches are not kept."""

    async def insert(session: AsyncSession) -> int:
        with pytest.raises(IntegrityError):
            await bulk.insert_optimised(session, [*(prompt(f"m{n}", "m") for n in range(bulk.BATCH)), prompt("p0037", "taken")])
        return 0

    _, rows = written(insert)
    assert not [row for row in rows if row.user_id == "cid"]


def test_the_optimised_insert_takes_a_generator(written: Callable[..., Any]) -> None:
    """Rows can be generated while they are inserted, so at most one batch is in memory."""

    def making() -> Iterator[dict[str, Any]]:
        yield from NEW

    assert written(bulk.insert_optimised, making()) == written(bulk.insert_baseline, NEW)


IDS = ["p0037", "p0000", "unknown", "p0037", "p0444", "p0333"]


@pytest.mark.parametrize("technique", [bulk.set_status_proposed, bulk.set_status_optimised])
def test_changes_of_status_agree(written: Callable[..., Any], technique: Any) -> None:
    """Each technique changes the existing prompts, deleted or not, counts each once, and changes no other."""
    count, rows = written(technique, IDS, "archived", AT)
    assert (count, rows) == written(bulk.set_status_baseline, IDS, "archived", AT)
    assert count == 4
    assert {row.id for row in rows if row.updated_at == AT} == {"p0000", "p0037", "p0333", "p0444"}


@pytest.mark.parametrize("technique", [bulk.soft_delete_proposed, bulk.soft_delete_optimised])
def test_soft_deletes_agree(written: Callable[..., Any], technique: Any) -> None:
    """Each technique marks only prompts not yet deleted and counts exactly those."""
    count, rows = written(technique, IDS, AT)
    assert (count, rows) == written(bulk.soft_delete_baseline, IDS, AT)
    assert {row.id for row in rows if row.deleted_at == AT} == {"p0037", "p0444"}
    assert count == 2


@pytest.mark.parametrize("technique", [bulk.soft_delete_proposed, bulk.soft_delete_optimised])
def test_nothing_to_change_is_zero(written: Callable[..., Any], technique: Any) -> None:
    """No ids change no prompt."""
    assert written(technique, [], AT)[0] == 0


def test_ids_are_one_variable_on_postgresql_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL the optimised condition is a comparison with ANY of one array."""
    monkeypatch.setattr(bulk, "_dialect", lambda session: "postgresql")
    condition = bulk._among(AsyncSession(), Prompt.id, IDS)
    assert str(update(Prompt).where(condition).values(status="x")).endswith("WHERE prompts.id = ANY (:param_1)")
