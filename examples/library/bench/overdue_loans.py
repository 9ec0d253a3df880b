"""Overdue loans of a branch."""

import random
from datetime import datetime, timedelta

from library import LibraryTables, overdue

from harness import WORK, Case, Group, Promise, SqlScenario, at_most, fewer_times, plan_share, speedup, times

NOW = datetime(2025, 6, 1)
BRANCHES = ("north", "south", "east", "west")
LOANS = 20_000


class OverdueLoans(SqlScenario):
    """A partial index for overdue loans."""

    arms = {"baseline": "no index", "optimised": "a partial index on (branch, due, id) of loans that are not returned"}
    groups = [Group("overdue", "a branch's twenty longest overdue loans")]
    promises = [
        Promise("L1", "ten times faster", times(10), speedup("overdue")),
        Promise("L2", "ten times less work", times(10), fewer_times(WORK, "overdue")),
        Promise("L3", "no full table scan", at_most(0, "statement shapes"), plan_share(using_index=False)),
    ]
    metadata = LibraryTables.metadata
    migrations = {"optimised": "CREATE INDEX overdue ON loans (branch, due, id) WHERE returned IS NULL"}

    def data(self, setting):
        """Yield loans, one of ten not returned."""
        draw = random.Random(setting.seed)
        due_dates = (NOW - timedelta(days=draw.randrange(-30, 400)) for _ in range(LOANS))
        yield (
            "loans",
            (
                {"id": n, "branch": draw.choice(BRANCHES), "due": due, "returned": None if n % 10 == 0 else due}
                for n, due in enumerate(due_dates)
            ),
        )

    def cases(self, setting):
        """Return the branches."""
        return [Case("overdue", f"branch {branch}", branch) for branch in BRANCHES]

    def run(self, instance, case):
        """Query in one session."""
        with instance.sessions() as session:
            return overdue(session, case.args, NOW)
