"""A few milliseconds of SQLite in memory; each further arm does exactly a stated percentage more of the same.

As a script, `workload.py PERCENT` is one version of it for `harness gate --against`.
"""

import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

from harness.results.run import BASELINE
from harness.scenario import Case, Group, Scenario, Setting

QUERIES, INJECTED = 200, (0, 1, 3, 5, 10)
"""Queries of the baseline, and the percentages that the arms do more: one percent is two queries, 0 is the baseline's twin."""

SQL, ROWS = "SELECT sum(b) FROM t WHERE id BETWEEN 500 AND 620", 2000


def arm_of(percent: int) -> str:
    """Return the name of the arm that does `percent` more."""
    return f"plus {percent} %"


@dataclass(frozen=True)
class QueryWorkload:
    """The database of one arm, and the number of queries per operation."""

    connection: sqlite3.Connection
    queries: int

    @classmethod
    def new(cls, percent: int) -> Self:
        """Build a database in memory for operations that do a percentage more than the baseline's."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER)")
        connection.executemany("INSERT INTO t (b) VALUES (?)", [(n % 7,) for n in range(ROWS)])
        return cls(connection, QUERIES * (100 + percent) // 100)

    def close(self) -> None:
        """Close the database."""
        self.connection.close()


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
        **{arm_of(percent): f"{QUERIES + QUERIES * percent // 100} queries" for percent in INJECTED},
    }
    groups: ClassVar[Sequence[Group]] = [Group("queries", "sums over ranges of rows")]

    def cases(self, _setting: Setting) -> Sequence[Case]:
        """Return the one case there is."""
        return [Case("queries", "queries", None)]

    @asynccontextmanager
    async def open(self, arm: str, _setting: Setting) -> AsyncIterator[QueryWorkload]:
        """Build a database of the arm's own."""
        instance = QueryWorkload.new(next((percent for percent in INJECTED if arm_of(percent) == arm), 0))
        try:
            yield instance
        finally:
            instance.close()

    async def run(self, instance: QueryWorkload, _case: Case) -> Any:
        """Do all queries."""
        return operation(instance)


if __name__ == "__main__":
    from harness.gate.against.protocol import serve

    serve({"queries": partial(operation, QueryWorkload.new(int(sys.argv[1])))})
