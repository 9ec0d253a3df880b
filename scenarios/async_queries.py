"""The review's second recommendation: asyncio sessions, and queries in parallel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple, cast

from sqlalchemy import Engine, func, inspect, select, text
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import datasets
from fixtures.store import ENGINES, Store, dataset, open_store, prepare
from fixtures.subjects import subjects
from harness.databases.synchronous import copy_pragmas, synchronous_url
from harness.probes.cpu import CpuTime
from harness.probes.ping import ping
from harness.probes.plans import plans
from harness.probes.pool import PoolUse
from harness.probes.statements import Statements
from harness.probes.work import work
from harness.results.run import Statement
from harness.scenario import Arm, Case, Group, Prepared, Probe, Scenario, Server, Setting, demonstrates
from harness.servers.lifecycle import processes, servers
from harness.verdicts.measures import combine, shown, speedup, verified
from harness.verdicts.promise import Promise, measured, times, works
from service import async_queries, bulk
from service.async_queries import OneSession, Requests, SessionEach, Threaded
from service.dashboard import API, Subject, question, questions
from service.migrations import composite_indexes
from service.models import Prompt
from service.sessions import sessionmaker

TABLES = datasets.TABLES
DASHBOARDS = 12
API_SUBJECTS = 3
AT_ONCE = 10
CREATED = 20
REMOTE = "libsql://autoforge.turso.io"
"""An address of the kind that the review has, of nobody's database."""

PREPARED_AFTER = 2
"""Times that a connection is asked the same before its driver has the statement prepared: psycopg wants five."""

NOBODY = Subject("", "", "", "", "", "")
INSERTS: Mapping[str, async_queries.Insert] = {"baseline": bulk.insert_baseline, "optimised": bulk.insert_optimised}

ADDRESS_REFUSED = "the rewritten address of a remote libSQL database is refused, and no asyncio engine is made"
LOCAL_FILE = "the rewritten address of a libSQL database without a host is a new, empty SQLite file"
GATHER_FAILS = "queries gathered on a request's one session fail, because it is still getting its connection"
NOT_COMMITTED = "bulk_create flushes and nobody commits: what was created is gone when the request ends"


class TimedReads(NamedTuple):
    """What an operation answered, and the nanoseconds that count; None where the whole operation does."""

    answers: Any
    own_ns: int | None = None


@dataclass(frozen=True)
class AsyncQueriesInstance:
    """How an arm answers requests, and the engine that it does so on."""

    arm: str
    store: Store
    requests: Requests
    engine: AsyncEngine | Engine


class AsyncQueries(Scenario[AsyncQueriesInstance]):
    """Independent queries at the same time.

    A dashboard asks eight questions that do not need each other's answers. The baseline answers them one after another on a
    synchronous session, in a thread, as FastAPI does for endpoints that are plain functions. The review makes an asyncio engine
    and a session for each request. Queries gathered on such a session fail or wait for each other, so they are awaited one after
    another there. Done right: a session in autocommit for every question where the database is behind a network; where it is in the
    process, the whole request in one thread, as today but without pings. Every arm has the indexes done right, and asks the same.
    """

    arms = {
        "baseline": "a synchronous session in a thread, one query after another, a ping before each request",
        "proposed": Arm("the review's asyncio engine, one session a request", as_written=True),
        "optimised": "a session for every query at the same time; one thread where the database is in the process",
    }
    groups = (
        Group("dashboard", "eight independent questions of one request"),
        Group("cpu", "the same, in CPU time of this process, all threads", load=False),
        Group("dashboards", f"{AT_ONCE} such requests at the same time", uncounted=True, load=False),
        Group("api", "each question that the service answers, as a request of its own", secondary=True),
        Group("create", f"{CREATED} new prompts, committed", secondary=True, load=False),
    )
    engines = ENGINES
    promises = (
        Promise("A1", "several queries in parallel 5–10× faster", times(5, 10), speedup("dashboard"), part="one request"),
        Promise("A1", "when many ask", measured("×"), speedup("dashboards"), part=f"{AT_ONCE} requests at once"),
        Promise("A2", "30 % more done with the same CPU", times(1.3), speedup("cpu")),
        Promise(
            "A3",
            "asyncio endpoints work",
            works(),
            combine([shown(ADDRESS_REFUSED), shown(GATHER_FAILS), shown(NOT_COMMITTED), verified("api")], fmean),
            part="as written",
            arms=("proposed",),
        ),
        Promise("A3", "asyncio endpoints work", works(), verified("api", "dashboard", "create"), part="once it runs"),
    )

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the engine, where it is a server."""
        return servers(setting)

    def prepare(self, setting: Setting) -> Prepared:
        """Load all tables; every arm has the good indexes, so that only the way of asking differs."""
        return asyncio.run(prepare(setting, TABLES, dict.fromkeys(self.arms, composite_indexes.upgrade_optimised)))

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return dashboards of what is asked for most, their questions one by one, and prompts to create."""
        rows, stream = dataset(setting), setting.stream
        about = subjects(rows, stream, DASHBOARDS)
        return [
            *(Case(group, f"{group} {i}", [subject]) for group in ("dashboard", "cpu") for i, subject in enumerate(about)),
            Case("dashboards", "dashboards at once", about[:AT_ONCE]),
            *(Case("api", f"api {name} {i}", (name, subject)) for i, subject in enumerate(about[:API_SUBJECTS]) for name in API),
            Case("create", "create prompts", datasets.prompts_to_insert(rows, stream, CREATED)),
        ]

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[AsyncQueriesInstance]:
        """Open the arm's own copy, and let it answer until its connections are those of a service that has been up for a while."""
        async with open_store(setting, arm, restored=True) as store:
            in_process = store.engine.dialect.name == "sqlite"
            threaded = arm == "baseline" or (arm == "optimised" and in_process)
            async with _in_threads(arm, store) if threaded else _on_asyncio(arm, store) as instance:
                await asyncio.gather(*(instance.requests.ask(questions(NOBODY) * PREPARED_AFTER) for _ in range(AT_ONCE)))
                yield instance

    async def run(self, instance: AsyncQueriesInstance, case: Case) -> TimedReads:
        """Answer the case's requests as the arm does."""
        if case.group == "create":
            return TimedReads(await instance.requests.create(case.args))
        if case.group == "api":
            name, subject = case.args
            return TimedReads(await instance.requests.ask([question(API[name], subject)]))
        with CpuTime() as cpu:
            answers = await asyncio.gather(*(instance.requests.ask(questions(subject)) for subject in case.args))
        return TimedReads(answers, cpu.used_ns if case.group == "cpu" else None)

    def own_ns(self, case: Case, answer: TimedReads) -> int | None:
        """Return the CPU time, where that is what counts."""
        del case
        return answer.own_ns

    def normalise(self, case: Case, answer: TimedReads) -> Any:
        """Compare the answers."""
        del case
        return answer.answers

    async def state(self, instance: AsyncQueriesInstance, case: Case) -> Any:
        """Read back what was created."""
        if case.group == "create":
            async with instance.store.undo.connect() as connection:
                chosen = select(Prompt.__table__).where(Prompt.id.in_([row["id"] for row in case.args])).order_by(Prompt.id)
                return [tuple(row) for row in await connection.execute(chosen)]
        return None

    async def reset(self, instance: AsyncQueriesInstance, case: Case, answer: TimedReads) -> None:
        """Take the created prompts out again."""
        del answer
        if case.group == "create":
            await _remove(instance, case)

    def targets(self, instance: AsyncQueriesInstance) -> Mapping[str, int]:
        """Return the servers of the run, where they run here."""
        return processes(instance.store.setting.servers)

    async def ping(self, instance: AsyncQueriesInstance) -> int:
        """Ask the database for nothing."""
        return await ping(instance.store.engine)

    def probes(self, instance: AsyncQueriesInstance) -> Sequence[Probe]:
        """Count statements, rows and the engine's work."""
        return work(instance.engine)

    async def statements(self, instance: AsyncQueriesInstance, case: Case) -> Sequence[Statement]:
        """Return the statements and their plans."""
        async with Statements(instance.engine) as sent:
            answer = await self.run(instance, case)
        await self.reset(instance, case, answer)
        if instance.engine.driver == "psycopg":
            return ()  # it writes parameters in a way that asyncpg cannot explain; the statements are the other arms'
        return await plans(instance.store.engine, sent.sent(), arm=instance.arm, group=case.group)

    @demonstrates(ADDRESS_REFUSED)
    async def address_refused(self, instance: AsyncQueriesInstance, cases: Sequence[Case]) -> str:
        """Make the asyncio engine as written for an address of the review's kind."""
        del instance, cases
        try:
            async_queries.engine_proposed(async_queries.address_as_written(REMOTE))
        except ArgumentError as error:
            return f"ArgumentError: {str(error).splitlines()[0]}"
        raise AssertionError("the engine was made")

    @demonstrates(LOCAL_FILE)
    async def local_file(self, instance: AsyncQueriesInstance, cases: Sequence[Case]) -> str:
        """Make the asyncio engine as written for an address that names only a database, and look what is there."""
        del cases
        path = instance.store.setting.folder / f"{instance.store.name}-as-written.db"
        engine = async_queries.engine_proposed(async_queries.address_as_written(f"libsql:///{path}"))
        try:
            async with engine.connect() as connection:
                tables = await connection.run_sync(lambda there: inspect(there).get_table_names())
            made = path.exists()
        finally:
            await engine.dispose()
            path.unlink(missing_ok=True)
        assert made, "no file was made"
        assert not tables, f"there are tables: {', '.join(tables)}"
        return "an engine was made without an error, on a file that was not there before and has no table"

    @demonstrates(GATHER_FAILS)
    async def gather_fails(self, instance: AsyncQueriesInstance, cases: Sequence[Case]) -> str:
        """Gather a dashboard's questions on a new session."""
        asked = questions(_first_subject(cases))
        async with AsyncSession(_asyncio(instance)) as session:
            outcomes = await asyncio.gather(*(each(session) for each in asked), return_exceptions=True)
        failed = [error for error in outcomes if isinstance(error, InvalidRequestError)]
        assert failed, "every query was answered"
        return f"{len(failed)} of {len(asked)} queries: {type(failed[0]).__name__}: {str(failed[0]).partition(';')[0]}"

    @demonstrates(
        "queries gathered on a session that has its connection already are no quicker: one connection answers one after another"
    )
    async def gather_is_serial(self, instance: AsyncQueriesInstance, cases: Sequence[Case]) -> str:
        """Gather a dashboard's questions on a session with a connection, and count connections."""
        asked = questions(_first_subject(cases))
        async with PoolUse(_asyncio(instance)) as use, AsyncSession(_asyncio(instance)) as session:
            await session.connection()
            await async_queries.gathered_on_one_session(session, asked)
        taken = use.counts()["checkouts"]
        assert taken == 1, f"{taken:g} connections were taken"
        return f"{len(asked)} queries went through one connection"

    @demonstrates(NOT_COMMITTED)
    async def not_committed(self, instance: AsyncQueriesInstance, cases: Sequence[Case]) -> str:
        """Create prompts in a request as written, and count them in the next one."""
        rows = next(case.args for case in cases if case.group == "create")
        sessions = sessionmaker(_asyncio(instance))
        async for session in async_queries.session_as_written(sessions):
            created = await async_queries.bulk_create_as_written(session, [Prompt(**row) for row in rows])
        async for session in async_queries.session_as_written(sessions):
            chosen = select(func.count()).where(Prompt.id.in_([prompt.id for prompt in created]))
            found = (await session.execute(chosen)).scalar_one()
        assert found == 0, f"{found} of {len(rows)} are there"
        return f"{len(created)} prompts were created without an error; the next request finds none of them"


@asynccontextmanager
async def _in_threads(arm: str, store: Store) -> AsyncIterator[AsyncQueriesInstance]:
    url = synchronous_url(store.databases.url(store.name))
    engine = async_queries.engine_baseline(url) if arm == "baseline" else async_queries.engine_in_threads(url)
    await copy_pragmas(engine, store.engine)
    try:
        with ThreadPoolExecutor(async_queries.THREADS) as threads:
            yield AsyncQueriesInstance(arm, store, Threaded(engine, threads, INSERTS[arm]), engine)
    finally:
        engine.dispose()


@asynccontextmanager
async def _on_asyncio(arm: str, store: Store) -> AsyncIterator[AsyncQueriesInstance]:
    url = store.databases.url(store.name)
    engine = async_queries.engine_proposed(url) if arm == "proposed" else async_queries.engine_optimised(url)
    store.databases.configure(engine)
    try:
        requests = OneSession(engine) if arm == "proposed" else SessionEach(engine, async_queries.CONNECTIONS)
        yield AsyncQueriesInstance(arm, store, requests, engine)
    finally:
        await engine.dispose()


def _first_subject(cases: Sequence[Case]) -> Subject:
    [subject] = next(case.args for case in cases if case.group == "dashboard")
    return cast("Subject", subject)


def _asyncio(instance: AsyncQueriesInstance) -> AsyncEngine:
    assert isinstance(instance.engine, AsyncEngine), "findings are about the proposed arm, which has an asyncio engine"
    return instance.engine


async def _remove(instance: AsyncQueriesInstance, case: Case) -> None:
    async with instance.store.undo.connect() as connection:
        await connection.execute(text("DELETE FROM prompts WHERE id = :id"), [{"id": row["id"]} for row in case.args])
        await connection.commit()
