"""The review's fourth recommendation: composite and covering indexes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

import datasets
from fixtures.store import ENGINES, Store, dataset, open_store, prepare
from harness.errors import NotMeasurableError
from harness.probes.index_bytes import stored_bytes
from harness.probes.ping import ping
from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.probes.vm_steps import VmSteps
from harness.probes.work import work
from harness.results.run import Statement
from harness.scenario import Arm, Case, Group, Prepared, Probe, Scenario, Server, Setting, demonstrates
from harness.servers.lifecycle import servers
from harness.verdicts.measures import WORK, count, fewer_times, growth, latency, plan_share, slowdown, speedup
from harness.verdicts.promise import Promise, at_least, at_most, measured, times
from service import bulk, prompts
from service.migrations import building, composite_indexes

TABLES = datasets.TABLES
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


class Indexes(Scenario[Store]):
    """Composite indexes for the queries that matter.

    The baseline has the single-column indexes that the service already has, and no planner statistics, since nobody gathers any.
    The review adds four composite ones, the first meant to be partial; it names the predicate for PostgreSQL alone, which SQLite
    ignores in silence. Done right, the predicate is given to both, columns stand in the order of the query, redundant and
    misleading indexes are dropped, and ANALYZE is run. What ANALYZE does by itself, for better and worse, is an arm of its own.
    The gain is tried on the four queries the indexes are for and on the rest of what the service reads; the price, which the review
    does not mention, on inserts.
    """

    arms = {
        "baseline": "single-column indexes, as the service has them",
        "analysed": "the same indexes, and ANALYZE",
        "proposed": Arm("plus the review's four composite indexes, as written", as_written=True),
        "optimised": "partial and covering where it pays, redundant indexes dropped",
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
    promises = (
        *(Promise("I1", "composite queries 5–10× faster", times(5, 10), speedup(g), part=p) for g, p in COMPOSITE.items()),
        *(
            Promise("I1", "work of the composite queries", measured("×"), fewer_times(WORK, g), part=f"{p}, exact work")
            for g, p in COMPOSITE.items()
        ),
        Promise("I2", "index coverage at least 95 %", at_least(0.95, "share"), plan_share(using_index=True)),
        Promise("I3", "no full table scans", at_most(0, "statement shapes"), plan_share(using_index=False)),
        Promise("I4", "user's prompts within 10 ms", at_most(10, "ms"), latency("user_prompts"), part="user's prompts"),
        Promise("I4", "evaluation analysis within 50 ms", at_most(50, "ms"), latency("analysis"), part="evaluation analysis"),
        Promise("I4", "how the work grows", measured("exponent"), growth(WORK, "user_prompts"), part="growth of user's prompts"),
        Promise("I4", "how the work grows", measured("exponent"), growth(WORK, "analysis"), part="growth of the analysis"),
        Promise("I5", "slower inserts (a cost, not in the review)", measured("×"), slowdown("insert"), part="insert"),
        Promise("I5", "bytes of index (a cost, not in the review)", measured("MB"), count("index_mb", ""), part="size"),
    )
    engines = ENGINES

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the engine, where it is a server."""
        return servers(setting)

    def prepare(self, setting: Setting) -> Prepared:
        """Load all tables, and a copy with each arm's indexes."""
        migrations = {
            "analysed": building.analyse,
            "proposed": composite_indexes.upgrade_proposed,
            "optimised": composite_indexes.upgrade_optimised,
        }
        return asyncio.run(prepare(setting, TABLES, migrations))

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return what busy users ask for, and new prompts to insert."""
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

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[Store]:
        """Open the arm's own copy."""
        return open_store(setting, arm)

    async def run(self, instance: Store, case: Case) -> Any:
        """Ask the service, in a session of its own, as a request would."""
        async with instance.sessions() as session:
            return await OPERATIONS[case.group](session, case.args)

    async def reset(self, instance: Store, case: Case, answer: Any) -> None:
        """Take the inserted prompts out again."""
        del answer
        if case.group == "insert":
            async with instance.undo.connect() as connection:
                await connection.execute(text("DELETE FROM prompts WHERE id = :id"), [{"id": row["id"]} for row in case.args])
                await connection.commit()

    async def ping(self, instance: Store) -> int:
        """Ask the database for nothing."""
        return await ping(instance.engine)

    def probes(self, instance: Store) -> Sequence[Probe]:
        """Count statements, rows and the engine's work."""
        return work(instance.engine)

    async def statements(self, instance: Store, case: Case) -> Sequence[Statement]:
        """Return the statement and its plan."""
        async with Statements(instance.engine) as sent:
            await self.run(instance, case)
        await self.reset(instance, case, None)
        return await plans(instance.engine, sent.sent(), arm=instance.arm, group=case.group)

    async def facts(self, instance: Store) -> Mapping[str, float]:
        """Return what the indexes take on disk."""
        return {"index_mb": (await stored_bytes(instance.engine)).index_bytes / 1e6}

    @demonstrates("written for PostgreSQL alone, the partial index is a full one on SQLite, without a warning")
    async def partial_index_is_full(self, instance: Store, cases: Sequence[Case]) -> str:
        """Read the index that was made."""
        del cases
        _only_on(instance, "sqlite", "PostgreSQL makes it partial, as the review means it")
        async with instance.engine.connect() as connection:
            sql = (
                await connection.execute(
                    text("SELECT sql FROM sqlite_schema WHERE name = 'idx_prompts_user_status_created'"),
                )
            ).scalar_one()
        assert "WHERE" not in sql.upper(), f"it is partial: {sql}"
        return f"SQLite was told: {' '.join(sql.split())}"

    @demonstrates(
        "ANALYZE alone makes the most frequent query slower: the planner takes the index on deleted_at for a narrow one",
        arm="baseline",
    )
    async def statistics_mislead(self, instance: Store, cases: Sequence[Case]) -> str:
        """Count the steps of the most frequent query before and after."""
        if instance.engine.dialect.driver != "aiosqlite":
            raise NotMeasurableError("SQLite's planner is meant, and its steps are what shows it")
        case = next(case for case in cases if case.group == "user_prompts")
        before = await self._steps(instance, case)
        async with instance.undo.connect() as connection:
            await connection.exec_driver_sql("ANALYZE")
        after = await self._steps(instance, case)
        assert after > before, f"{before:g} VM steps before ANALYZE, {after:g} after"
        return f"a user's prompts take {before:g} VM steps without statistics and {after:g} with them"

    async def _steps(self, instance: Store, case: Case) -> float:
        async with VmSteps(instance.engine) as steps:
            await self.run(instance, case)
        return steps.counts()["vm_steps"]


def _only_on(instance: Store, dialect: str, instead: str) -> None:
    if instance.engine.dialect.name != dialect:
        raise NotMeasurableError(instead)
