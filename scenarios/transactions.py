"""The review's seventh recommendation: a transaction manager with SAVEPOINTs and read-only blocks."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from fixtures.store import PromptScenario, dataset
from fixtures.transactions.findings import COMMIT_LEAKS, ELSEWHERE, LEAKS, TransactionFaults
from fixtures.transactions.instance import (
    CREATE,
    CREATE_FROM_TEMPLATE,
    STATISTICS,
    TransactionInstance,
    connection_options,
    new_pairs,
    open_instance,
)
from fixtures.transactions.trials import TIMED_EACH, TIMED_TASKS, blocking_facts, competition_facts, integrity_facts, use_at_once
from harness import Arm, Case, Group, Probe, Promise, Scenario, Setting, Statement, fewer_of
from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.probes.work import work
from harness.verdicts.measures import count, latency, shown, speedup, times_as_long
from harness.verdicts.promise import at_least, at_most, cut, measured, works

CASES = 4
READS = 4
ATOMIC = "transactions are atomic, 100 %"
NO_LOCKS = "no locks for readers"
DURING = "time of reads during an open write, compared with reads after it"
LOCK_ERRORS = fewer_of("lock_errors_per_1000", "competing_transactions")
STEP = "a prompt with its evaluation, as a step of a request that also counts a use of its template"
BESIDE = f"a transaction writes and stays open; statistics {READS} times; it is rolled back"
AT_ONCE = f"{TIMED_TASKS} concurrent tasks count uses of the same two templates, {TIMED_EACH} times each"


class TransactionManagement(TransactionFaults, PromptScenario[TransactionInstance]):
    """Transactions that are atomic, retried after conflicts, and do not block readers.

    A prompt is created with its evaluation, alone and as a step of a larger request; many tasks count uses of the same two
    templates, in opposite orders; statistics are read while another transaction writes. The service commits each row separately and
    only closes its session. The review commits at the end, nests a SAVEPOINT and forbids a reader's connection to write by a
    PRAGMA; nothing is retried. Both leave it to the driver when a transaction begins. Optimised: SQLAlchemy begins them; writers
    take their locks first, in one order, and the loser of a conflict starts over; readers have separate connections, and an
    embedded engine has one that writes. The pair is created again with an error, a cancellation and a lost connection at each of
    its steps.
    """

    arms = {
        "baseline": "a commit for each row, a session that is only closed",
        "proposed": Arm("one commit, SAVEPOINTs, PRAGMA query_only for readers", as_written=True),
        "optimised": "one transaction that begins with its locks, conflicts retried, separate connections for readers",
    }
    groups = (
        Group("create_pair", "a prompt with its evaluation"),
        Group("create_from_template", STEP, secondary=True, load=False),
        Group("read_only", "statistics: the number of prompts and evaluations", secondary=True),
        Group("read_beside_writer", BESIDE, load=False),
        Group("read_after_writer", f"a transaction writes and is rolled back; statistics {READS} times", load=False),
        Group("use_at_once", AT_ONCE, uncounted=True, load=False),
    )
    promises = (
        Promise("T1", ATOMIC, at_least(1, "share"), count("pair_integrity", ""), part="a prompt with its evaluation"),
        Promise("T1", ATOMIC, at_least(1, "share"), count("nested_integrity", ""), part="the same, nested"),
        Promise("T1", "time of creating the pair", measured("×"), speedup("create_pair"), part="time of the pair"),
        Promise("T2", "90 % fewer deadlocks and lock errors", cut(0.9), LOCK_ERRORS, part="lock errors"),
        Promise("T2", "no update lost", at_most(0, "per 1000"), count("lost_updates_per_1000", ""), part="lost updates"),
        Promise("T2", "time of the competition, losers included", measured("×"), speedup("use_at_once"), part="time"),
        Promise("T3", NO_LOCKS, at_most(0, "blocked reads"), count("blocked_reads", ""), part="reads beside a writer"),
        Promise("T3", NO_LOCKS, at_most(0, "blocked writes"), count("blocked_writes", ""), part="writes beside a reader"),
        Promise("T3", DURING, measured("×"), times_as_long("read_beside_writer", "read_after_writer"), part="time of the reads"),
        Promise("T3", f"{READS} reads during an open write", measured("ms"), latency("read_beside_writer"), part="latency"),
        Promise("T3", NO_LOCKS, works(), shown(LEAKS, COMMIT_LEAKS, ELSEWHERE), part="as written", arms=("proposed",)),
    )
    tables = ("prompts", "evaluations", "prompt_templates")
    ping = Scenario.ping  # none: each arm has engines of its own, and a ping would need one more connection

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return pairs to create, of this stream alone; the other groups have one case each."""
        pairs = new_pairs(dataset(setting), setting.stream, CASES)
        single = ("read_only", "read_beside_writer", "read_after_writer", "use_at_once")
        creating = ("create_pair", "create_from_template")
        created = [Case(group, f"{group} {i}", pair) for group in creating for i, pair in enumerate(pairs)]
        return [*created, *(Case(group, group.replace("_", " "), None) for group in single)]

    async def open(self, arm: str, setting: Setting) -> AsyncIterator[TransactionInstance]:
        """Open the arm's own copy with the arm's engines."""
        async with self.database(arm, setting, connection_options(arm, setting)) as store, open_instance(store) as instance:
            yield instance

    async def run(self, instance: TransactionInstance, case: Case) -> Any:
        """Write, read or compete as the arm does; return what was counted, or the competition."""
        if case.group == "create_pair":
            return await instance.act(CREATE, *case.args)
        if case.group == "create_from_template":
            return await instance.act(CREATE_FROM_TEMPLATE, instance.template, *case.args)
        if case.group == "use_at_once":
            return await use_at_once(instance, TIMED_TASKS, TIMED_EACH)
        if case.group == "read_beside_writer":
            async with instance.open_write():
                return [await instance.act(STATISTICS) for _ in range(READS)]
        if case.group == "read_after_writer":
            async with instance.open_write():
                pass
            return [await instance.act(STATISTICS) for _ in range(READS)]
        return await instance.act(STATISTICS)

    def normalise(self, case: Case, answer: Any) -> Any:
        """Compare a competition by the number of transactions tried: those refused or lost differ by arm, and are a metric."""
        if case.group == "use_at_once":
            return answer.tried
        return case.group if answer is None else answer

    async def state(self, instance: TransactionInstance, case: Case) -> Any:
        """Return the pair that was created and the uses of its template."""
        if case.args is None:
            return None
        return await instance.parts(case.args), (await instance.uses_now())[instance.template]

    async def reset(self, instance: TransactionInstance, case: Case, _answer: Any) -> None:
        """Delete the pair, and put the templates' uses back."""
        if not case.group.startswith("read"):
            await instance.restore(case.args)

    def probes(self, instance: TransactionInstance) -> Sequence[Probe]:
        """Count statements, rows and the engine's work, of writers and readers together."""
        return work(instance.writers, instance.readers)

    async def statements(self, instance: TransactionInstance, case: Case) -> Sequence[Statement]:
        """Return the statements of both engines, with plans where they have any."""
        async with Statements(instance.writers) as written, Statements(instance.readers) as read:
            answer = await self.run(instance, case)
        await self.reset(instance, case, answer)
        sent = {s.sql: s for s in (*written.sent(), *read.sent())}
        return await plans(instance.store.undo, sent.values(), arm=instance.store.arm, group=case.group)

    async def facts(self, instance: TransactionInstance) -> Mapping[str, float]:
        """Return the figures of faults at each step, of competing tasks, and of reads and writes that had to wait."""
        return {**await integrity_facts(instance), **await competition_facts(instance), **await blocking_facts(instance)}
