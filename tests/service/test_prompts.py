"""The service's reads: correct answers, in an order that does not depend on the plan."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from service import prompts
from service.migrations import composite_indexes
from service.models import Base
from service.sessions import sessionmaker

OnEngine = Callable[..., Any]
OnSession = Callable[..., Any]

READS: dict[str, Callable[[AsyncSession], Awaitable[Any]]] = {
    "active prompts": lambda session: prompts.active_prompts(session, "ann", limit=20),
    "best evaluations": lambda session: prompts.best_evaluations(session, "p0444"),
    "failed results": lambda session: prompts.results(session, "e00-p0037", passed=False),
    "passed results": lambda session: prompts.results(session, "e00-p0037", passed=True, limit=3),
    "top templates": lambda session: prompts.top_templates(session, "b", limit=7),
    "analysis": lambda session: prompts.evaluation_analysis(session, more_than=2),
    "prompt": lambda session: prompts.prompt(session, "p0037"),
    "versions": lambda session: prompts.version_history(session, "p0037"),
    "evaluation": lambda session: prompts.evaluation(session, "e00-p0074"),
    "newest evaluations": lambda session: prompts.newest_evaluations(session, "openai", "big", limit=15),
}


def rows(session: AsyncSession, table: str) -> Awaitable[Any]:
    """Read a whole table to compute the expected answer from."""
    return session.execute(Base.metadata.tables[table].select())


@pytest.mark.parametrize("read", READS)
def test_answers_do_not_depend_on_the_indexes(on_engine: OnEngine, read: str) -> None:
    """A read returns the same rows in the same order with any set of indexes, and without."""

    async def every_plan(engine: AsyncEngine) -> list[Any]:
        async def run_read() -> Any:
            async with sessionmaker(engine)() as session:
                return await READS[read](session)

        answers = [await run_read()]
        for upgrade in (composite_indexes.upgrade_proposed, composite_indexes.upgrade_optimised, composite_indexes.upgrade_keyset):
            async with engine.begin() as connection:
                await connection.run_sync(upgrade)
            answers.append(await run_read())
        async with engine.begin() as connection:
            named = await connection.execute(text("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"))
            for name in named.scalars().all():
                await connection.execute(text(f"DROP INDEX {name}"))
        return [*answers, await run_read()]

    first, *others = on_engine(every_plan)
    assert first
    assert all(other == first for other in others)


def test_active_prompts_are_live_active_newest_first(on_session: OnSession) -> None:
    """Drafts, deleted prompts and other users' prompts are excluded; ties in time are broken by the id, descending."""

    async def both(session: AsyncSession) -> tuple[Any, Any]:
        everything = (await rows(session, "prompts")).all()
        return await prompts.active_prompts(session, "ann"), everything

    found, everything = on_session(both)
    wanted = [r for r in everything if r.user_id == "ann" and r.status == "active" and r.deleted_at is None]
    wanted.sort(key=lambda r: (r.created_at, r.id), reverse=True)
    assert found == [(r.id, r.title, r.created_at) for r in wanted[:50]]
    assert all(type(row) is tuple for row in found)


def test_best_evaluations_put_a_missing_score_last(on_session: OnSession) -> None:
    """Completed evaluations are sorted by score, best first, and those without a score come last."""
    scores = [score for _, score in on_session(READS["best evaluations"])]
    known = [score for score in scores if score is not None]
    assert None in scores
    assert scores == [*sorted(known, reverse=True), *[None] * (len(scores) - len(known))]


def test_analysis_is_the_mean_over_scored_completed_evaluations(on_session: OnSession) -> None:
    """Only prompts with more evaluations than requested are ranked, by their mean score."""

    async def both(session: AsyncSession) -> tuple[Any, Any]:
        return await prompts.evaluation_analysis(session, more_than=2, limit=1000), (await rows(session, "evaluations")).all()

    found, everything = on_session(both)
    scores: dict[str, list[float]] = defaultdict(list)
    for row in everything:
        if row.status == "completed" and row.overall_score is not None:
            scores[row.prompt_id].append(row.overall_score)
    wanted = {key: (sum(some) / len(some), len(some)) for key, some in scores.items() if len(some) > 2}
    assert {key: count for key, _, count in found} == {key: count for key, (_, count) in wanted.items()}
    assert [mean for _, mean, _ in found] == pytest.approx([wanted[key][0] for key, _, _ in found], abs=1e-6)
    assert found == sorted(found, key=lambda row: (-row[1], row[0]))


def test_version_history_is_the_same_from_either_end(on_session: OnSession) -> None:
    """The history of the first and of the second version contains both, oldest first."""

    async def both_ends(session: AsyncSession) -> tuple[Any, Any]:
        return await prompts.version_history(session, "p0148"), await prompts.version_history(session, "p0185")

    from_first, from_second = on_session(both_ends)
    assert from_first == from_second == [("p0148", 1, None), ("p0185", 2, "p0148")]


def test_a_deleted_or_unknown_row_is_none(on_session: OnSession) -> None:
    """A soft-deleted prompt and an unknown id read as None."""

    async def three(session: AsyncSession) -> list[Any]:
        return [
            await prompts.prompt(session, "p0000"),
            await prompts.prompt(session, "unknown"),
            await prompts.evaluation(session, "unknown"),
        ]

    assert on_session(three) == [None, None, None]
