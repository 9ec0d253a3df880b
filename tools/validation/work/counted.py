"""Ten kinds of SQLite work, each done a hundred times, and once more by the second arm: one percent more of everything counted."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, Self

from harness.results.run import BASELINE
from harness.scenario import Case, Group, Probe, Scenario, Setting

MORE = "more"
TIMES: Mapping[str, int] = {BASELINE: 100, MORE: 101}

KINDS = {
    "point": "SELECT b FROM t WHERE id = 17",
    "range": "SELECT sum(b) FROM t WHERE id BETWEEN 20 AND 60",
    "scan": "SELECT count(*) FROM t WHERE b = 3",
    "sort": "SELECT id FROM t ORDER BY b, id LIMIT 5",
    "group": "SELECT b, count(*) FROM t GROUP BY b",
    "join": "SELECT count(*) FROM t AS one JOIN t AS other ON other.id = one.id + 1",
    "like": "SELECT count(*) FROM t WHERE words LIKE '%7%'",
    "insert": "INSERT INTO t (b, words) VALUES (1, 'one')",
    "update": "UPDATE t SET b = b + 1 WHERE id = 5",
    "delete": "DELETE FROM t WHERE id > 190",
}


class CountedSteps:
    """Counts statements and the steps of SQLite's virtual machine."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._steps = self._statements = 0

    async def __aenter__(self) -> Self:
        """Have SQLite call back at every step and every statement."""
        self._connection.set_progress_handler(self._step, 1)
        self._connection.set_trace_callback(self._statement)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Have it call back no more."""
        self._connection.set_progress_handler(None, 0)
        self._connection.set_trace_callback(None)

    def counts(self) -> Mapping[str, float]:
        """Return both counts."""
        return {"vm_steps": self._steps, "statements": self._statements}

    def _step(self) -> int:
        self._steps += 1
        return 0

    def _statement(self, _: str) -> None:
        self._statements += 1


class CountedQueries(Scenario[sqlite3.Connection]):
    """Work whose amount is known."""

    arms: ClassVar[Mapping[str, str]] = {name: f"does it {times} times" for name, times in TIMES.items()}
    groups: ClassVar[Sequence[Group]] = [Group(kind, "one statement, many times") for kind in KINDS]

    def __init__(self) -> None:
        self._times: dict[sqlite3.Connection, int] = {}

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return one case per kind of work."""
        del setting
        return [Case(kind, kind, sql) for kind, sql in KINDS.items()]

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[sqlite3.Connection]:
        """Build a database of two hundred rows in memory."""
        del setting
        return self._opened(arm)

    @asynccontextmanager
    async def _opened(self, arm: str) -> AsyncIterator[sqlite3.Connection]:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER, words TEXT)")
        connection.executemany("INSERT INTO t (b, words) VALUES (?, ?)", [(n % 7, f"number {n}") for n in range(200)])
        self._times[connection] = TIMES[arm]
        try:
            yield connection
        finally:
            connection.close()

    async def run(self, instance: sqlite3.Connection, case: Case) -> Any:
        """Do the work as many times as the arm does, in a transaction."""
        instance.execute("BEGIN")
        for _ in range(self._times[instance]):
            rows = instance.execute(case.args).fetchall()
        return rows

    async def reset(self, instance: sqlite3.Connection, case: Case, answer: Any) -> None:
        """Take back what was written."""
        del case, answer
        instance.execute("ROLLBACK")

    def probes(self, instance: sqlite3.Connection) -> Sequence[Probe]:
        """Count steps and statements."""
        return (CountedSteps(instance),)
