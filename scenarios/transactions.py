"""The review's seventh recommendation: a transaction manager with SAVEPOINTs and read-only blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, NoResultFound, PendingRollbackError

from fixtures.store import ENGINES, dataset, prepare
from fixtures.transactions.instance import (
    CONNECTIONS,
    CREATE,
    CREATE_FROM_TEMPLATE,
    STATISTICS,
    USE,
    Pair,
    TransactionInstance,
    new_pairs,
    open_instance,
)
from fixtures.transactions.trials import blocking_facts, competition_facts, integrity_facts, use_at_once
from harness.errors import NotMeasurableError
from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.probes.work import work
from harness.results.run import Statement
from harness.scenario import Arm, Case, Group, Prepared, Probe, Scenario, Server, Setting, demonstrates
from harness.servers.lifecycle import servers
from harness.verdicts.measures import count, latency, shown, speedup, times_as_long
from harness.verdicts.promise import Promise, at_least, at_most, cut, measured, works
from harness.verdicts.rates import fewer_of
from service import transactions
from service.models import Evaluation, Prompt

TABLES = ("prompts", "evaluations", "prompt_templates")
CASES = 4
READS = 4
TASKS, EACH = 4, 2
"""Of one timed competition: a deadlock costs as much time as the server takes to look for one."""

WHOLE = "transactions are kept whole, 100 %"
NO_LOCKS = "no locks for readers"
LEAKS = "a write in the read-only block is refused, and so is every later request's on that connection"
COMMIT_LEAKS = "a commit in the read-only block hands its connection to the next request, which cannot write"
ELSEWHERE = "the read-only block runs on SQLite alone: the others do not take its PRAGMA"


class TransactionManagement(Scenario[TransactionInstance]):
    """Transactions that hold what they promise.

    A prompt is created with its evaluation, by itself and as a step of something larger; many tasks count uses of the same two
    templates, in opposite orders; statistics are read while somebody writes. The service commits each row by itself and closes its
    session. The review commits at the end, nests a SAVEPOINT and forbids a reader's connection to write by a PRAGMA; nothing is
    tried again. Both leave it to the driver when a transaction begins. Done right, SQLAlchemy begins them; writers take their locks
    first, in one order, and the loser of a conflict starts over; readers have connections of their own, and an embedded engine has
    one that writes. The pair is created again with an error, a cancellation and a lost connection at each of its steps.
    """

    arms = {
        "baseline": "a commit for each row, a session that is only closed",
        "proposed": Arm("one commit, SAVEPOINTs, PRAGMA query_only for readers", as_written=True),
        "optimised": "one transaction that begins with its locks, conflicts tried again, readers apart",
    }
    groups = (
        Group("create_pair", "a prompt with its evaluation"),
        Group(
            "create_from_template",
            "a prompt with its evaluation, as a step of something that also counts a use of its template",
            secondary=True,
            load=False,
        ),
        Group("read_only", "statistics: how many prompts and evaluations there are", secondary=True),
        Group(
            "read_beside_writer", f"a transaction writes and stays open; statistics {READS} times; it is rolled back", load=False
        ),
        Group("read_after_writer", f"a transaction writes and is rolled back; statistics {READS} times", load=False),
        Group(
            "use_at_once",
            f"{TASKS} tasks count uses of the same two templates at once, {EACH} times each",
            uncounted=True,
            load=False,
        ),
    )
    promises = (
        Promise("T1", WHOLE, at_least(1, "share"), count("pair_integrity", ""), part="a prompt with its evaluation"),
        Promise("T1", WHOLE, at_least(1, "share"), count("nested_integrity", ""), part="the same, nested"),
        Promise("T1", "time of creating the pair", measured("×"), speedup("create_pair"), part="time of the pair"),
        Promise(
            "T2",
            "90 % fewer deadlocks and lock errors",
            cut(0.9),
            fewer_of("lock_errors_per_1000", "competing_transactions"),
            part="lock errors",
        ),
        Promise("T2", "no update lost", at_most(0, "per 1000"), count("lost_updates_per_1000", ""), part="lost updates"),
        Promise("T2", "time of the competition, losers included", measured("×"), speedup("use_at_once"), part="time"),
        Promise("T3", NO_LOCKS, at_most(0, "blocked reads"), count("blocked_reads", ""), part="reads beside a writer"),
        Promise("T3", NO_LOCKS, at_most(0, "blocked writes"), count("blocked_writes", ""), part="writes beside a reader"),
        Promise(
            "T3",
            "reads beside an open write against reads after it",
            measured("×"),
            times_as_long("read_beside_writer", "read_after_writer"),
            part="time of the reads",
        ),
        Promise("T3", f"{READS} reads beside an open write", measured("ms"), latency("read_beside_writer"), part="latency"),
        Promise("T3", NO_LOCKS, works(), shown(LEAKS, COMMIT_LEAKS, ELSEWHERE), part="as written", arms=("proposed",)),
    )
    engines = ENGINES

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the engine, where it is a server."""
        return servers(setting)

    def prepare(self, setting: Setting) -> Prepared:
        """Load what is written and counted."""
        return asyncio.run(prepare(setting, TABLES, {}))

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return pairs to create, of this stream alone; the other groups have one case each."""
        pairs = new_pairs(dataset(setting), setting.stream, CASES)
        single = ("read_only", "read_beside_writer", "read_after_writer", "use_at_once")
        return [
            *(
                Case(group, f"{group} {i}", pair)
                for group in ("create_pair", "create_from_template")
                for i, pair in enumerate(pairs)
            ),
            *(Case(group, group.replace("_", " "), None) for group in single),
        ]

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[TransactionInstance]:
        """Open the arm's own copy, by its own engines."""
        return open_instance(setting, arm)

    async def run(self, instance: TransactionInstance, case: Case) -> Any:
        """Write, read or compete as the arm does; return what was counted, or how many transactions were tried."""
        if case.group == "create_pair":
            return await instance.act(CREATE, *case.args)
        if case.group == "create_from_template":
            return await instance.act(CREATE_FROM_TEMPLATE, instance.template, *case.args)
        if case.group == "use_at_once":
            return await use_at_once(instance, TASKS, EACH)
        if case.group == "read_beside_writer":
            async with instance.open_write():
                return [await instance.act(STATISTICS) for _ in range(READS)]
        if case.group == "read_after_writer":
            async with instance.open_write():
                pass
            return [await instance.act(STATISTICS) for _ in range(READS)]
        return await instance.act(STATISTICS)

    def normalise(self, case: Case, answer: Any) -> Any:
        """Compare a competition by what was tried: what was refused or lost is each arm's own, and is a metric."""
        if case.group == "use_at_once":
            return answer.tried
        return case.group if answer is None else answer

    async def state(self, instance: TransactionInstance, case: Case) -> Any:
        """Return the pair that was created and the uses of its template."""
        if case.args is None:
            return None
        return await instance.parts(case.args), (await instance.uses_now())[instance.template]

    async def reset(self, instance: TransactionInstance, case: Case, answer: Any) -> None:
        """Delete the pair, and put the templates' uses back."""
        del answer
        if not case.group.startswith("read"):
            await instance.restore(case.args)

    def probes(self, instance: TransactionInstance) -> Sequence[Probe]:
        """Count statements, rows and the engine's work, of writers and readers together."""
        return work(instance.writers, instance.readers)

    async def statements(self, instance: TransactionInstance, case: Case) -> Sequence[Statement]:
        """Return the statements, with plans where there are any."""
        async with Statements(instance.writers) as written, Statements(instance.readers) as read:
            answer = await self.run(instance, case)
        await self.reset(instance, case, answer)
        sent = {s.sql: s for s in (*written.sent(), *read.sent())}
        return await plans(instance.store.undo, sent.values(), arm=instance.arm, group=case.group)

    async def facts(self, instance: TransactionInstance) -> Mapping[str, float]:
        """Strike at each step, let tasks compete, and see who has to wait for whom."""
        return {**await integrity_facts(instance), **await competition_facts(instance), **await blocking_facts(instance)}

    @demonstrates("a COMMIT that fails leaves its connection in the transaction, and the next request pays for it", arm="baseline")
    async def failed_commit(self, instance: TransactionInstance, cases: Sequence[Case]) -> str:
        """Commit an evaluation of no prompt, its foreign key checked only then."""
        _, evaluation = _a_pair(cases)
        if instance.writers.dialect.driver != "aiosqlite":
            raise NotMeasurableError(f"{instance.store.setting.engine} ends the transaction itself, or checks no key that late")
        async with instance.sessions() as session:
            await session.execute(text("PRAGMA defer_foreign_keys = ON"))
            session.add(Evaluation(**evaluation))
            await _error_of(session.commit())
        error = await _error_of(instance.act(USE, instance.hot))
        return f"the next request on the connection, which did nothing wrong, got {error}"

    @demonstrates("rows released from a SAVEPOINT survive the rollback of the transaction around it")
    async def survivors(self, instance: TransactionInstance, cases: Sequence[Case]) -> str:
        """Create a pair from a template that does not exist: the request fails after its SAVEPOINT."""
        pair = _a_pair(cases)
        with suppress(NoResultFound):
            await instance.act(CREATE_FROM_TEMPLATE, "no such template", *pair)
        left = sum(map(len, await instance.parts(pair)))
        await instance.restore(pair)
        assert left, "nothing was left behind: here a transaction begins before the SAVEPOINT"
        return f"the request failed and was rolled back; {left} of its 2 rows are in the database"

    @demonstrates(ELSEWHERE)
    async def elsewhere(self, instance: TransactionInstance, cases: Sequence[Case]) -> str:
        """Read statistics as written."""
        del cases
        if instance.writers.dialect.driver == "aiosqlite":
            raise NotMeasurableError("SQLite takes the PRAGMA")
        return await _error_of(instance.act(STATISTICS))

    @demonstrates(LEAKS)
    async def leaks(self, instance: TransactionInstance, cases: Sequence[Case]) -> str:
        """Write in the read-only block, by mistake, and go on with other requests."""
        _readable_or_skip(instance)
        async with instance.sessions() as session:
            with suppress(PendingRollbackError):  # query_only = OFF is not sent: the session wants to be rolled back first
                async with transactions.review_read_only(session):
                    session.add(Prompt(**_a_pair(cases)[0]))
                    await session.flush()
        return await _refused(instance)

    @demonstrates(COMMIT_LEAKS)
    async def commit_leaks(self, instance: TransactionInstance, cases: Sequence[Case]) -> str:
        """Commit in the read-only block of a service that has more than one connection, and go on with other requests."""
        del cases
        _readable_or_skip(instance)
        async with instance.open_write(), instance.sessions() as session:
            await session.execute(select(Prompt.id).limit(1))
        async with instance.sessions() as session, transactions.review_read_only(session):
            await session.commit()  # query_only = OFF goes to another connection
        return await _refused(instance)

    @demonstrates("the read-only block is no transaction: its statements see different moments")
    async def two_moments(self, instance: TransactionInstance, cases: Sequence[Case]) -> str:
        """Count prompts twice in one block, while another request creates one."""
        _readable_or_skip(instance)
        pair = _a_pair(cases)
        statement = select(func.count(Prompt.id))
        async with instance.sessions() as session, transactions.review_read_only(session):
            first = (await session.scalars(statement)).one()
            await instance.act(CREATE, *pair)
            second = (await session.scalars(statement)).one()
        await instance.restore(pair)
        assert first != second, "both saw the same moment"
        return f"the same block counted {first} prompts, then {second}"

    @demonstrates(
        "once a BEGIN has cured the SAVEPOINT, whoever reads before writing is refused if another wrote: no timeout helps"
    )
    async def deferred(self, instance: TransactionInstance, cases: Sequence[Case]) -> str:
        """Read and then write in one transaction, another one being committed between the two, with BEGIN said by SQLAlchemy."""
        del cases
        if instance.writers.dialect.name != "sqlite":
            raise NotMeasurableError("PostgreSQL locks rows, and has no one lock for writers to wait for")
        async with instance.store.sessions() as session, transactions.review_transaction(session):
            await session.execute(select(Prompt.id).limit(1))
            await instance.act(USE, instance.hot)
            error = await _error_of(asyncio.wait_for(transactions.use_proposed(session, instance.hot), 1))
        return f"within 1 s, although the busy timeout is 5 s: {error}"

    @demonstrates("the loser of a conflict gets an error: nothing is tried again")
    async def no_retry(self, instance: TransactionInstance, cases: Sequence[Case]) -> str:
        """Let tasks compete."""
        del cases
        found = await use_at_once(instance, TASKS, EACH)
        kinds = ", ".join(f"{number} by {kind}" for kind, number in found.refused.items())
        assert found.refused, "nobody was refused: here they wait, and overwrite each other's updates"
        return f"of {found.tried} transactions {found.done} were done, {kinds} refused"


def _a_pair(cases: Sequence[Case]) -> Pair:
    pair: Pair = next(case.args for case in cases if case.group == "create_pair")
    return pair


def _readable_or_skip(instance: TransactionInstance) -> None:
    if instance.writers.dialect.driver != "aiosqlite":
        raise NotMeasurableError(f"the block raises on {instance.store.setting.engine} before it does anything")


async def _error_of(request: Any) -> str:
    try:
        await request
    except TimeoutError:
        raise AssertionError("it waited for whoever was in the way") from None
    except Exception as error:  # noqa: BLE001 - Turso lets errors through that are no DB-API errors
        cause = error.orig if isinstance(error, DBAPIError) else error
        return f"{type(cause).__name__}: {str(cause).splitlines()[0]}"
    raise AssertionError("no error was raised")


async def _refused(instance: TransactionInstance) -> str:
    """Send a few requests that write, one after another, and say how many were refused."""
    errors = []
    for _ in range(CONNECTIONS):
        try:
            await instance.act(USE, instance.hot)
        except DBAPIError as error:
            errors.append(str(error.orig))
    assert errors, "every later request could write"
    return f"{len(errors)} of the next {CONNECTIONS} requests: {errors[0]}"
