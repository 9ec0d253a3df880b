"""State."""

import sqlite3
from contextlib import asynccontextmanager

from harness import Case, Group, Promise, Scenario, speedup, times


class Insert(Scenario):
    """Inserts the same row again and forgets to take it back."""

    arms = {"baseline": "a", "optimised": "b"}
    groups = [Group("g", "insert")]
    promises = [Promise("A1", "faster", times(1.1), speedup("g"))]

    def cases(self, setting):
        return [Case("g", f"n {n}", n) for n in range(5)]

    @asynccontextmanager
    async def open(self, arm, setting):
        db = sqlite3.connect(":memory:")
        db.execute("create table t (id integer primary key)")
        yield db
        db.close()

    async def run(self, instance, case):
        instance.execute("insert into t values (?)", (case.args,))
        instance.commit()
        return case.args
