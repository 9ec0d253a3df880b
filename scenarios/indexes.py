"""The review's fourth recommendation: composite and covering indexes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

import datasets
from fixtures.indexes.faults import IndexFaults
from fixtures.store import PromptScenario, dataset
from harness import (
    WORK,
    Arm,
    Case,
    Group,
    Promise,
    Setting,
    SqlInstance,
    at_least,
    at_most,
    count,
    fewer_times,
    growth,
    latency,
    measured,
    plan_share,
    slowdown,
    speedup,
    times,
)
from harness.probes.index_bytes import stored_bytes
from service import bulk, prompts
from service.migrations import composite_indexes

CASES = 24
INSERTED = 100

COMPOSITE = {
    "user_prompts": "user's active prompts",
    "prompt_evaluations": "evaluations of a prompt",
    "evaluation_results": "failed results of an evaluation",
    "category_templates": "templates of a category",
}

OPERATIONS: Mapping[str, Callable[[AsyncSession, Any], Awaitable[Any]]] = {
    "user_prompts": prompts.active_prompts,
    "prompt_evaluations": prompts.best_evaluations,
    "evaluation_results": lambda session, evaluation_id: prompts.results(session, evaluation_id, passed=False),
    "category_templates": prompts.top_templates,
    "analysis": lambda session, _: prompts.evaluation_analysis(session),
    "prompt_detail": prompts.prompt,
    "version_history": prompts.version_history,
    "evaluation_detail": prompts.evaluation,
    "newest_evaluations": lambda session, provider_and_model: prompts.newest_evaluations(session, *provider_and_model),
    "insert": bulk.insert_optimised,
}


ADVISED = ("proposed", "optimised")
"""The arms that promises are judged for; `analysed` shows what ANALYZE alone contributes."""


class Indexes(IndexFaults, PromptScenario[SqlInstance]):
    """Composite indexes for the queries that matter.

    The baseline has the single-column indexes of the service, and no planner statistics, because nothing gathers them. The review
    adds four composite indexes, the first of which is meant to be partial; it declares the predicate for PostgreSQL only, which
    SQLite ignores without a warning. Optimised: the predicate for both engines, columns in the order of the query, redundant and
    misleading indexes dropped, and ANALYZE. The effect of ANALYZE alone, for better and worse, is a separate arm. The gain is
    measured on the four queries that the indexes are for and on the other reads of the service; the cost, which the review does not
    mention, on inserts.
    """

    arms = {
        "baseline": "single-column indexes, as the service has them",
        "analysed": "the same indexes, and ANALYZE",
        "proposed": Arm("plus the review's four composite indexes, as written", as_written=True),
        "optimised": "partial and covering indexes where they pay off, redundant indexes dropped",
    }
    groups = (
        Group(
            "user_prompts",
            "a user's active prompts, newest first, 50 of them: the review's most frequent query",
            growth=(1 / 16, 1 / 4),
        ),
        Group("prompt_evaluations", "a prompt's completed evaluations, best first"),
        Group("evaluation_results", "an evaluation's failed test results, best first"),
        Group("category_templates", "a category's most used templates", load=False),
        Group(
            "analysis",
            "mean score of every prompt with more than five scored evaluations, best twenty",
            growth=(1 / 16, 1 / 4),
            load=False,
        ),
        Group("prompt_detail", "one prompt by its id", secondary=True),
        Group("version_history", "all versions of a prompt", secondary=True, load=False),
        Group("evaluation_detail", "one evaluation by its id", secondary=True, load=False),
        Group("newest_evaluations", "the newest evaluations by a provider's model", secondary=True, load=False),
        Group("insert", f"{INSERTED} new prompts in one transaction", load=False),
    )
    promises = tuple(
        replace(promise, arms=ADVISED)
        for promise in (
            *(Promise("I1", "composite queries 5–10× faster", times(5, 10), speedup(g), part=p) for g, p in COMPOSITE.items()),
            *(
                Promise("I1", "work of the composite queries", measured("×"), fewer_times(WORK, g), part=f"{p}, work counts")
                for g, p in COMPOSITE.items()
            ),
            Promise("I2", "index coverage at least 95 %", at_least(0.95, "share"), plan_share(using_index=True)),
            Promise("I3", "no full table scans", at_most(0, "statement shapes"), plan_share(using_index=False)),
            Promise("I4", "user's prompts within 10 ms", at_most(10, "ms"), latency("user_prompts"), part="user's prompts"),
            Promise("I4", "evaluation analysis within 50 ms", at_most(50, "ms"), latency("analysis"), part="evaluation analysis"),
            Promise(
                "I4",
                "growth of the work with the rows",
                measured("exponent"),
                growth(WORK, "user_prompts"),
                part="growth of user's prompts",
            ),
            Promise(
                "I4",
                "growth of the work with the rows",
                measured("exponent"),
                growth(WORK, "analysis"),
                part="growth of the analysis",
            ),
            Promise("I5", "slower inserts (a cost, not in the review)", measured("×"), slowdown("insert"), part="insert"),
            Promise("I5", "size of the indexes (a cost, not in the review)", measured("MB"), count("index_mb", ""), part="size"),
        )
    )
    migrations = {
        "analysed": composite_indexes.analyse,
        "proposed": composite_indexes.upgrade_proposed,
        "optimised": composite_indexes.upgrade_optimised,
    }

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return what busy users request, and new prompts to insert."""
        rows, stream = dataset(setting), setting.stream
        categories = sorted({row["category"] for row in datasets.rows(rows, "prompt_templates")})
        sample = datasets.block(rows, "evaluations", 0).columns
        models = sorted(set(zip(sample["provider"], sample["model"], strict=True)))
        prompt_ids = datasets.prompt_ids(rows, stream, CASES)
        evaluation_ids = datasets.evaluation_ids(rows, stream, CASES)
        inputs: dict[str, Sequence[Any]] = {
            "user_prompts": datasets.user_ids(rows, stream, CASES),
            "prompt_evaluations": prompt_ids,
            "evaluation_results": evaluation_ids,
            "category_templates": categories,
            "analysis": [None],
            "prompt_detail": prompt_ids,
            "version_history": prompt_ids,
            "evaluation_detail": evaluation_ids,
            "newest_evaluations": models,
            "insert": [datasets.prompts_to_insert(rows, stream, INSERTED)],
        }
        return [Case(group, f"{group} {i}", value) for group, values in inputs.items() for i, value in enumerate(values)]

    async def run(self, instance: SqlInstance, case: Case) -> Any:
        """Query in a new session, as a request would."""
        async with instance.sessions() as session:
            return await OPERATIONS[case.group](session, case.args)

    async def reset(self, instance: SqlInstance, case: Case, answer: Any) -> None:
        """Delete the inserted prompts."""
        del answer
        if case.group == "insert":
            async with instance.undo.connect() as connection:
                await connection.execute(text("DELETE FROM prompts WHERE id = :id"), [{"id": row["id"]} for row in case.args])
                await connection.commit()

    async def facts(self, instance: SqlInstance) -> Mapping[str, float]:
        """Return the size of the indexes on disk."""
        return {"index_mb": (await stored_bytes(instance.engine)).index_bytes / 1e6}
