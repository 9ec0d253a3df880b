"""The catalogue on the database: its reads and writes."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.statements import Statements
from service.catalogue import DatabaseCatalogue
from service.models import Base
from service.sessions import sessionmaker

OnEngine = Callable[..., Any]

LATER = datetime(2025, 6, 1)  # noqa: DTZ001 - the service stores naive UTC
PROMPT, USER, DELETED = "p0037", "ann", "p0000"
EVALUATION = "e00-p0037"


def test_reads_are_tuples_of_the_rows(on_engine: OnEngine) -> None:
    """Each read returns the rows as nested tuples; a missing or deleted row is None or an empty tuple."""

    async def check(engine: AsyncEngine) -> None:
        catalogue = DatabaseCatalogue(sessionmaker(engine))
        prompt = await catalogue.prompt(PROMPT)
        assert prompt is not None
        assert prompt[:2] == (PROMPT, 'Title, "1"')
        assert [await catalogue.prompt(missing) for missing in (DELETED, "unknown")] == [None, None]
        listed = await catalogue.user_prompts(USER)
        assert len(listed) == 50
        assert listed == tuple(sorted(listed, key=lambda row: (row[2], row[0]), reverse=True))
        found = await catalogue.evaluation(EVALUATION)
        assert found is not None
        assert (found[0][0], len(found[1]), type(found[1][0])) == (EVALUATION, 12, tuple)
        assert await catalogue.evaluation("nothing") is None
        assert [type(row) for row in await catalogue.templates("b")] == [tuple] * 20
        assert await catalogue.templates("nothing") == ()
        assert {type(row) for row in await catalogue.statistics()} == {tuple}

    on_engine(check)


def test_writes_change_the_named_rows_and_no_others(on_engine: OnEngine) -> None:
    """Each write changes its rows; a write whose row does not exist changes nothing and reports it."""

    async def rows(engine: AsyncEngine) -> dict[str, dict[str, tuple[Any, ...]]]:
        async with engine.connect() as connection:
            return {
                name: {row.id: tuple(row) for row in await connection.execute(select(table))}
                for name, table in Base.metadata.tables.items()
            }

    async def check(engine: AsyncEngine) -> None:
        catalogue = DatabaseCatalogue(sessionmaker(engine))
        before = await rows(engine)
        assert await catalogue.update_prompt(PROMPT, USER, "New", LATER) == 3
        assert await catalogue.update_prompt(PROMPT, "bob", "Not his", LATER) is None
        assert await catalogue.update_prompt(DELETED, "bob", "Deleted", LATER) is None
        new = dict(zip(Base.metadata.tables["prompts"].columns.keys(), before["prompts"][PROMPT], strict=True), id="new")
        await catalogue.create_prompt(new)
        await catalogue.re_evaluate(EVALUATION, 0.125)
        await catalogue.rename_template("t07", "b", "New name")
        await catalogue.rename_template("t07", "a", "Not there")
        after = await rows(engine)
        changed = {name: sorted(key for key, row in table.items() if before[name].get(key) != row) for name, table in after.items()}
        assert changed == {
            "prompts": ["new", PROMPT],
            "evaluations": [EVALUATION],
            "test_results": sorted(key for key in before["test_results"] if key.endswith(f"-{EVALUATION}")),
            "prompt_templates": ["t07"],
        }
        prompt = await catalogue.prompt(PROMPT)
        found = await catalogue.evaluation(EVALUATION)
        assert prompt is not None
        assert found is not None
        assert (prompt[1], prompt[4]) == ("New", 3)
        assert (found[0][2], found[0][5], {row[2] for row in found[1]}) == ("completed", 0.125, {0.125})

    on_engine(check)


def test_concurrent_updates_are_all_counted(on_engine: OnEngine) -> None:
    """Ten concurrent updates of one prompt return ten consecutive versions."""

    async def check(engine: AsyncEngine) -> None:
        catalogue = DatabaseCatalogue(sessionmaker(engine))
        async with Statements(engine) as sent:
            versions = await asyncio.gather(*(catalogue.update_prompt(PROMPT, USER, f"{n}", LATER) for n in range(10)))
        assert set(versions) == set(range(3, 13))
        assert sent.counts()["statements"] == 10

    on_engine(check)
