"""Statements, parameter sets, rows and transactions are counted exactly."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.statements import SentStatement, Statements

OnEngine = Callable[..., Any]


def test_every_kind_of_statement_is_counted(on_engine: OnEngine) -> None:
    """Each execution is one, an executemany of three is one; BEGIN, COMMIT and the connection's set-up are none."""

    async def work(engine: AsyncEngine) -> Mapping[str, float]:
        await engine.dispose()
        async with Statements(engine) as probe:
            async with engine.begin() as connection:
                await connection.execute(text("SELECT * FROM owner"))
                await connection.execute(text("INSERT INTO owner VALUES (:id, 'new')"), [{"id": key} for key in "abc"])
            async with engine.begin() as connection:
                await connection.execute(text("UPDATE pet SET age = 1 WHERE id < 10"))
        return probe.counts()

    assert on_engine(work) == {"statements": 3, "parameter_sets": 5, "rows": 20, "transactions": 2}


def test_a_savepoint_is_a_statement_and_not_a_transaction(on_engine: OnEngine) -> None:
    """SAVEPOINT and RELEASE are sent to the database like any other statement."""

    async def work(engine: AsyncEngine) -> Mapping[str, float]:
        async with Statements(engine) as probe, engine.begin() as connection, connection.begin_nested() as nested:
            await nested.rollback()
        return probe.counts()

    assert on_engine(work) == {"statements": 2, "parameter_sets": 2, "rows": 0, "transactions": 1}


@pytest.mark.parametrize("batches", [1, 3])
def test_streamed_rows_are_counted_as_they_are_fetched(on_engine: OnEngine, batches: int) -> None:
    """Of a streamed result, only the fetched batches count."""

    async def work(engine: AsyncEngine) -> Mapping[str, float]:
        async with Statements(engine) as probe, engine.connect() as connection:
            result = await connection.stream(text("SELECT * FROM pet"))
            partitions = result.partitions(50)
            for _ in range(batches):
                await anext(partitions)
            await result.close()
        return probe.counts()

    assert on_engine(work)["rows"] == 50 * batches


def test_rows_that_are_not_read_count_too(on_engine: OnEngine) -> None:
    """The driver fetches a plain result completely, even if only its first row is read."""

    async def work(engine: AsyncEngine) -> Mapping[str, float]:
        async with Statements(engine) as probe, engine.connect() as connection:
            (await connection.execute(text("SELECT * FROM pet"))).first()
        return probe.counts()

    assert on_engine(work)["rows"] == 200


def test_returned_rows_of_an_insert_count(on_engine: OnEngine) -> None:
    """Rows of RETURNING count like those of a SELECT."""
    pet = Table("pet", MetaData(), Column("id", Integer, primary_key=True), Column("age", Integer))

    async def work(engine: AsyncEngine) -> Mapping[str, float]:
        async with Statements(engine) as probe, engine.begin() as connection:
            await connection.execute(insert(pet).returning(pet.c.id), [{"age": age} for age in range(5)])
        return probe.counts()

    assert on_engine(work)["rows"] == 5


def test_a_failed_statement_counts(on_engine: OnEngine) -> None:
    """The database rejects it, but it was sent."""

    async def work(engine: AsyncEngine) -> Mapping[str, float]:
        async with Statements(engine) as probe, engine.connect() as connection:
            with pytest.raises(IntegrityError):
                await connection.execute(text("INSERT INTO owner VALUES ('o1', 'again')"))
        return probe.counts()

    assert on_engine(work)["statements"] == 1


def test_statements_have_their_first_parameters(on_engine: OnEngine) -> None:
    """Each distinct text is recorded once, in the order first sent, with its first parameters and its count."""

    async def work(engine: AsyncEngine) -> list[SentStatement]:
        async with Statements(engine) as probe, engine.begin() as connection:
            for age in (3, 4, 5):
                await connection.execute(text("SELECT id FROM pet WHERE age = :age"), {"age": age})
            await connection.execute(text("UPDATE pet SET age = :age"), [{"age": 7}, {"age": 8}])
        return probe.sent()

    assert on_engine(work) == [
        SentStatement("SELECT id FROM pet WHERE age = ?", (3,), 3),
        SentStatement("UPDATE pet SET age = ?", (7,), 1),
    ]


def test_counting_starts_at_zero_and_ends(on_engine: OnEngine) -> None:
    """Entered again, the probe starts at zero; exited, it has no listener left on the engine."""

    async def work(engine: AsyncEngine) -> tuple[list[float], bool]:
        probe = Statements(engine)
        counts = []
        for _ in range(2):
            async with probe, engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
            counts.append(probe.counts()["statements"])
        return counts, any(engine.sync_engine.dispatch.before_cursor_execute)

    assert on_engine(work) == ([1, 1], False)
