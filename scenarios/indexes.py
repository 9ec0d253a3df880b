"""The review's fourth recommendation: composite and covering indexes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

import datasets
from fixtures.requests import categories, models
from fixtures.rows import delete_rows
from fixtures.store import PromptScenario, dataset, first_args
from harness import Arm, Case, Group, NotMeasurableError, Promise, Setting, SqlInstance, demonstrates
from harness.probes.index_bytes import stored_bytes
from harness.probes.vm_steps import VmSteps
from harness.verdicts.measures import WORK, count, fewer_times, growth, latency, plan_share, slowdown, speedup
from harness.verdicts.promise import at_least, at_most, measured, times
from service import bulk, prompts
from service.migrations import composite_indexes

CASES = 24
INSERTED = 100
USER_PROMPTS = "a user's active prompts, newest first, 50 of them: the review's most frequent query"
ANALYSIS = "mean score of every prompt with more than five scored evaluations, best twenty"
CLAIM_WORK = "work of the composite queries"
CLAIM_GROWTH = "growth of the work with the rows"

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

ADVISED = ("proposed", "optimised")  # the arms that promises are judged for; `analysed` shows what ANALYZE alone contributes


class Indexes(PromptScenario[SqlInstance]):
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
        Group("user_prompts", USER_PROMPTS, growth=(1 / 16, 1 / 4)),
        Group("prompt_evaluations", "a prompt's completed evaluations, best first"),
        Group("evaluation_results", "an evaluation's failed test results, best first"),
        Group("category_templates", "a category's most used templates", load=False),
        Group("analysis", ANALYSIS, growth=(1 / 16, 1 / 4), load=False),
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
            *(Promise("I1", CLAIM_WORK, measured("×"), fewer_times(WORK, g), f"{p}, work counts") for g, p in COMPOSITE.items()),
            Promise("I2", "index coverage at least 95 %", at_least(0.95, "share"), plan_share(using_index=True)),
            Promise("I3", "no full table scans", at_most(0, "statement shapes"), plan_share(using_index=False)),
            Promise("I4", "user's prompts within 10 ms", at_most(10, "ms"), latency("user_prompts"), part="user's prompts"),
            Promise("I4", "evaluation analysis within 50 ms", at_most(50, "ms"), latency("analysis"), part="evaluation analysis"),
            Promise("I4", CLAIM_GROWTH, measured("exponent"), growth(WORK, "user_prompts"), part="growth of user's prompts"),
            Promise("I4", CLAIM_GROWTH, measured("exponent"), growth(WORK, "analysis"), part="growth of the analysis"),
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
        prompt_ids = datasets.prompt_ids(rows, stream, CASES)
        evaluation_ids = datasets.evaluation_ids(rows, stream, CASES)
        inputs: dict[str, Sequence[Any]] = {
            "user_prompts": datasets.user_ids(rows, stream, CASES),
            "prompt_evaluations": prompt_ids,
            "evaluation_results": evaluation_ids,
            "category_templates": categories(rows),
            "analysis": [None],
            "prompt_detail": prompt_ids,
            "version_history": prompt_ids,
            "evaluation_detail": evaluation_ids,
            "newest_evaluations": models(rows),
            "insert": [datasets.prompts_to_insert(rows, stream, INSERTED)],
        }
        return [Case(group, f"{group} {i}", value) for group, values in inputs.items() for i, value in enumerate(values)]

    async def run(self, instance: SqlInstance, case: Case) -> Any:
        """Query in a new session, as a request would."""
        async with instance.sessions() as session:
            return await OPERATIONS[case.group](session, case.args)

    async def reset(self, instance: SqlInstance, case: Case, _answer: Any) -> None:
        """Delete the inserted prompts."""
        if case.group == "insert":
            await delete_rows(instance.undo, "prompts", [row["id"] for row in case.args])

    async def facts(self, instance: SqlInstance) -> Mapping[str, float]:
        """Return the size of the indexes on disk."""
        return {"index_mb": (await stored_bytes(instance.engine)).index_bytes / 1e6}

    @demonstrates("declared for PostgreSQL only, the partial index is a full one on SQLite, without a warning")
    async def partial_index_is_full(self, instance: SqlInstance, _cases: Sequence[Case]) -> str:
        """Read the definition of the index."""
        if instance.engine.dialect.name != "sqlite":
            raise NotMeasurableError("PostgreSQL makes it partial, as the review intends")
        definition = "SELECT sql FROM sqlite_schema WHERE name = 'idx_prompts_user_status_created'"
        async with instance.engine.connect() as connection:
            sql: str = (await connection.exec_driver_sql(definition)).scalar_one()
        assert "WHERE" not in sql.upper(), f"it is partial: {sql}"
        return f"SQLite executed: {' '.join(sql.split())}"

    @demonstrates(
        "ANALYZE alone makes the most frequent query slower: the planner takes the index on deleted_at for a selective one",
        arm="baseline",
    )
    async def statistics_mislead(self, instance: SqlInstance, cases: Sequence[Case]) -> str:
        """Count the steps of the most frequent query before and after."""
        if instance.engine.dialect.driver != "aiosqlite":
            raise NotMeasurableError("this is about SQLite's planner, and its VM steps show it")

        async def vm_steps() -> float:
            async with VmSteps(instance.engine) as steps, instance.sessions() as session:
                await prompts.active_prompts(session, first_args(cases, "user_prompts"))
            return steps.counts()["vm_steps"]

        before = await vm_steps()
        async with instance.undo.connect() as connection:
            await connection.exec_driver_sql("ANALYZE")
        after = await vm_steps()
        assert after > before, f"{before:g} VM steps before ANALYZE, {after:g} after"
        return f"a user's prompts take {before:g} VM steps without statistics and {after:g} with them"
