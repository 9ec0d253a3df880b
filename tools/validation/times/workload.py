"""A few milliseconds of SQLite in memory; each further arm does exactly a stated percentage more of the same."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.results.run import BASELINE
from harness.scenario import Case, Group, Scenario, Setting

QUERIES = 200
"""Queries of the baseline: one percent more is two more."""

INJECTED = (0, 1, 3, 5, 10)
"""Percent that the arms do more; 0 is the baseline's twin."""

SQL = "SELECT sum(b) FROM t WHERE id BETWEEN 500 AND 620"
ROWS = 2000


def arm(percent: int) -> str:
    """Return the name of the arm that does `percent` more."""
    return f"plus {percent} %"


@dataclass(frozen=True)
class QueryWorkload:
    """The database of one arm, and the number of queries per operation."""

    connection: sqlite3.Connection
    queries: int


def database() -> sqlite3.Connection:
    """Return a new database in memory, with its rows."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER)")
    connection.executemany("INSERT INTO t (b) VALUES (?)", [(n % 7,) for n in range(ROWS)])
    return connection


def operation(instance: QueryWorkload) -> int:
    """Do an operation and return its last query's sum."""
    total = 0
    for _ in range(instance.queries):
        ((total,),) = instance.connection.execute(SQL)
    return total


class SlowedQueries(Scenario[QueryWorkload]):
    """Work with known slowdowns."""

    arms: ClassVar[Mapping[str, str]] = {
        BASELINE: f"{QUERIES} queries",
        **{arm(p): f"{QUERIES + QUERIES * p // 100} queries" for p in INJECTED},
    }
    groups: ClassVar[Sequence[Group]] = [Group("queries", "sums over ranges of rows")]

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the one case there is."""
        del setting
        return [Case("queries", "queries", None)]

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[QueryWorkload]:
        """Build a database of the arm's own."""
        del setting
        return self._opened(arm)

    @asynccontextmanager
    async def _opened(self, name: str) -> AsyncIterator[QueryWorkload]:
        percent = next((p for p in INJECTED if arm(p) == name), 0)
        connection = database()
        try:
            yield QueryWorkload(connection, QUERIES + QUERIES * percent // 100)
        finally:
            connection.close()

    async def run(self, instance: QueryWorkload, case: Case) -> Any:
        """Do all queries."""
        del case
        return operation(instance)
