"""Prompts with their evaluations: equal answers with 51 statements or two."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.statements import Statements
from service import loading
from service.sessions import sessionmaker

OnEngine = Callable[..., Any]

TECHNIQUES = (loading.with_evaluations_one_by_one, loading.with_evaluations_proposed, loading.with_evaluations_optimised)


async def load(engine: AsyncEngine, technique: Any, user_id: str, limit: int) -> tuple[Any, Any]:
    """Return the result of a technique, and the number of statements."""
    async with Statements(engine) as probe, sessionmaker(engine)() as session:
        loaded = await technique(session, user_id, limit)
    return loaded, probe.counts()["statements"]


@pytest.mark.parametrize(("user_id", "limit"), [("ann", 50), ("bob", 7), ("unknown", 50)])
def test_all_techniques_load_the_same(on_engine: OnEngine, user_id: str, limit: int) -> None:
    """Every technique returns a user's newest live prompts with their completed evaluations sorted by id."""

    async def loads(engine: AsyncEngine) -> list[Any]:
        return [(await load(engine, technique, user_id, limit))[0] for technique in TECHNIQUES]

    baseline, proposed, optimised = on_engine(loads)
    assert baseline == proposed == optimised
    assert len(baseline) == (0 if user_id == "unknown" else limit)
    if user_id == "ann":
        assert {prompt["eval_count"] for prompt in baseline} >= {0, 1, 6}
    assert all(prompt["evaluations"] == sorted(prompt["evaluations"], key=lambda e: str(e["id"])) for prompt in baseline)


def test_fifty_prompts_take_51_statements_or_two(on_engine: OnEngine) -> None:
    """The baseline sends one statement plus one per prompt; the others send two."""

    async def counts(engine: AsyncEngine) -> list[float]:
        return [(await load(engine, technique, "ann", 50))[1] for technique in TECHNIQUES]

    assert on_engine(counts) == [51, 2, 2]


def test_long_key_lists_are_split(on_engine: OnEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more prompts than keys per statement, the optimised technique sends further statements and loads the same."""
    monkeypatch.setattr(loading, "KEYS_PER_STATEMENT", 20)

    async def both(engine: AsyncEngine) -> tuple[Any, Any]:
        proposed, _ = await load(engine, loading.with_evaluations_proposed, "ann", 50)
        optimised, statements = await load(engine, loading.with_evaluations_optimised, "ann", 50)
        return proposed == optimised, statements

    assert on_engine(both) == (True, 1 + 3)
