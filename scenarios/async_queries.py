"""The review's second recommendation: asyncio sessions, and queries in parallel."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from statistics import fmean
from typing import Any

import datasets
from fixtures.async_queries import (
    ADDRESS_REFUSED,
    CONCURRENT,
    GATHER_FAILS,
    NOT_COMMITTED,
    AsyncQueriesInstance,
    SessionFaults,
    answering,
    subjects,
)
from fixtures.rows import delete_rows, stored
from fixtures.store import SelfTimedScenario, TimedAnswer, dataset
from harness import Arm, Case, Group, Promise, Setting, Statement
from harness.probes.cpu import CpuTime
from harness.verdicts.measures import combine, shown, speedup, verified
from harness.verdicts.promise import measured, times, works
from service.migrations import composite_indexes
from service.prompts import API, queries, query

DASHBOARDS = 12
API_SUBJECTS = 3
CREATED = 20
CLAIM_A3 = "asyncio endpoints work"
AS_WRITTEN = combine([shown(ADDRESS_REFUSED), shown(GATHER_FAILS), shown(NOT_COMMITTED), verified("api")], fmean)


class AsyncQueries(SessionFaults, SelfTimedScenario[AsyncQueriesInstance]):
    """Independent queries at the same time.

    A dashboard sends eight queries that do not need each other's answers. The baseline runs them one after another on a synchronous
    session, in a thread, as FastAPI does for endpoints that are plain functions. The review makes an asyncio engine and one session
    per request. Queries gathered on such a session fail or wait for each other, so they are awaited one after another there.
    Optimised: a session in autocommit for every query where the database is behind a network; where it is in the process, the whole
    request in one thread, as in the baseline but without pings. Every arm has the optimised indexes, and sends the same queries.
    """

    arms = {
        "baseline": "a synchronous session in a thread, one query after another, a ping before each request",
        "proposed": Arm("the review's asyncio engine, one session per request", as_written=True),
        "optimised": "one session per query, all at the same time; one thread where the database is in the process",
    }
    groups = (
        Group("dashboard", "eight independent queries of one request"),
        Group("cpu", "the same, in CPU time of this process, all threads", load=False),
        Group("dashboards", f"{CONCURRENT} such requests at the same time", uncounted=True, load=False),
        Group("api", "each query of the service, as a request of its own", secondary=True),
        Group("create", f"{CREATED} new prompts, committed", secondary=True, load=False),
    )
    promises = (
        Promise("A1", "several queries in parallel 5–10× faster", times(5, 10), speedup("dashboard"), part="one request"),
        Promise("A1", "with concurrent requests", measured("×"), speedup("dashboards"), part=f"{CONCURRENT} requests at once"),
        Promise("A2", "30 % more done with the same CPU", times(1.3), speedup("cpu")),
        Promise("A3", CLAIM_A3, works(), AS_WRITTEN, part="as written", arms=("proposed",)),
        Promise("A3", CLAIM_A3, works(), verified("api", "dashboard", "create"), part="once it runs"),
    )
    migrations = dict.fromkeys(arms, composite_indexes.upgrade_optimised)
    reusable = True

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return dashboards of popular subjects, their queries one by one, and prompts to create."""
        rows, stream = dataset(setting), setting.stream
        about = subjects(rows, stream, DASHBOARDS)
        return [
            *(Case(group, f"{group} {i}", [subject]) for group in ("dashboard", "cpu") for i, subject in enumerate(about)),
            Case("dashboards", "dashboards at once", about[:CONCURRENT]),
            *(Case("api", f"api {name} {i}", (name, subject)) for i, subject in enumerate(about[:API_SUBJECTS]) for name in API),
            Case("create", "create prompts", datasets.prompts_to_insert(rows, stream, CREATED)),
        ]

    async def open(self, arm: str, setting: Setting) -> AsyncIterator[AsyncQueriesInstance]:
        """Open the arm's own copy with the arm's engine, warmed up."""
        async with self.database(arm, setting) as store, answering(store) as instance:
            yield instance

    async def run(self, instance: AsyncQueriesInstance, case: Case) -> TimedAnswer:
        """Answer the case's requests as the arm does."""
        if case.group == "create":
            return TimedAnswer(await instance.requests.create(case.args))
        if case.group == "api":
            name, subject = case.args
            return TimedAnswer(await instance.requests.run_queries([query(API[name], subject)]))
        with CpuTime() as cpu:
            answers = await asyncio.gather(*(instance.requests.run_queries(queries(subject)) for subject in case.args))
        return TimedAnswer(answers, cpu.used_ns if case.group == "cpu" else None)

    async def state(self, instance: AsyncQueriesInstance, case: Case) -> Any:
        """Read back what was created."""
        return await stored(instance.store.undo, "prompts", _ids(case)) if case.group == "create" else None

    async def reset(self, instance: AsyncQueriesInstance, case: Case, _answer: TimedAnswer) -> None:
        """Delete the created prompts."""
        if case.group == "create":
            await delete_rows(instance.store.undo, "prompts", _ids(case))

    async def statements(self, instance: AsyncQueriesInstance, case: Case) -> Sequence[Statement]:
        """Return the statements and their plans; none for psycopg, whose statements are those of the other arms."""
        return () if instance.engine.driver == "psycopg" else await super().statements(instance, case)


def _ids(case: Case) -> list[str]:
    return [row["id"] for row in case.args]
