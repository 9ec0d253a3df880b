"""Do work counts repeat exactly, and is one percent more detected? Ten kinds of work, counted in fresh processes and compared.

Each kind of SQLite work is done a hundred times, and once more by the second arm: one percent more of everything counted.
"""

import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

from harness.bench.job import BenchJob, Figures, Task
from harness.bench.process import run_job
from harness.errors import ScenarioFailedError
from harness.gate.work_counts import Rules, work
from harness.results.gate import GateRow, GateVerdict
from harness.results.run import BASELINE, ScenarioResult, ScenarioStatus, WorkCount, counted_again
from harness.runtime.child import JobFailed
from harness.scenario import Case, Group, Probe, Scenario, Setting
from tools.section import Requirement, Section, SectionTable

TITLE = "Do work counts repeat exactly, and is one percent more detected?"

RUNS, FEWEST_RUNS = 16, 3
"""Each but the first is compared with the one before it: 15 times 10 kinds of work times 4 counts are 600 comparisons."""

ALARMS = {GateVerdict.REGRESSED, GateVerdict.IMPROVED}
MUST_SHOW = ("vm_steps", "statements")
"""Counts that must detect one percent more every time."""

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
_TEXT = (
    "An operation executes one statement a hundred times, in SQLite in memory; the second arm executes it a hundred and one times."
    " As in a run, two fresh processes, each with its own memory layout, count the work of both. The gate's rule for work counts"
    " compares the baseline's counts with those of the previous run, where nothing may be reported, and the second arm's with"
    " the baseline's in the previous run, where one percent more must be reported every time."
)
_NOTE = (
    "Only steps and statements are required to show it. The interpreter's own counts are those of every run: calls grow with the"
    " work, while memory that is freed and allocated again does not; where it does not repeat, it is not judged."
)


class CountedSteps:
    """Counts statements and the steps of SQLite's virtual machine."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection, self._counts = connection, {"vm_steps": 0.0, "statements": 0.0}

    async def __aenter__(self) -> Self:
        """Have SQLite call back at every step and every statement."""
        self._connection.set_progress_handler(lambda: self._add("vm_steps"), 1)
        self._connection.set_trace_callback(lambda _: self._add("statements"))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Have it call back no more."""
        self._connection.set_progress_handler(None, 0)
        self._connection.set_trace_callback(None)

    def counts(self) -> Mapping[str, float]:
        """Return both counts."""
        return self._counts

    def _add(self, metric: str) -> None:
        self._counts[metric] += 1


class CountedQueries(Scenario[sqlite3.Connection]):
    """Work whose amount is known."""

    arms: ClassVar[Mapping[str, str]] = {name: f"executes it {times} times" for name, times in TIMES.items()}
    groups: ClassVar[Sequence[Group]] = [Group(kind, "one statement, many times") for kind in KINDS]

    def __init__(self) -> None:
        self._times: dict[sqlite3.Connection, int] = {}

    def cases(self, _setting: Setting) -> Sequence[Case]:
        """Return one case per kind of work."""
        return [Case(kind, kind, sql) for kind, sql in KINDS.items()]

    @asynccontextmanager
    async def open(self, arm: str, _setting: Setting) -> AsyncIterator[sqlite3.Connection]:
        """Build a database of two hundred rows in memory."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER, words TEXT)")
        connection.executemany("INSERT INTO t (b, words) VALUES (?, ?)", [(n % 7, f"number {n}") for n in range(200)])
        self._times[connection] = TIMES[arm]
        try:
            yield connection
        finally:
            connection.close()

    async def run(self, instance: sqlite3.Connection, case: Case) -> Any:
        """Do the work as often as the arm does, in a transaction."""
        instance.execute("BEGIN")
        for _ in range(self._times[instance]):
            rows = instance.execute(case.args).fetchall()
        return rows

    async def reset(self, instance: sqlite3.Connection, _case: Case, _answer: Any) -> None:
        """Take back what was written."""
        instance.execute("ROLLBACK")

    def probes(self, instance: sqlite3.Connection) -> Sequence[Probe]:
        """Count steps and statements."""
        return (CountedSteps(instance),)


def run(effort: float) -> Section:
    """Count in fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [count(Path(folder)) for _ in range(max(FEWEST_RUNS, round(RUNS * effort)))]
    return section(compared(runs))


def count(folder: Path) -> list[WorkCount]:
    """Return the counts of a run: of two fresh processes."""
    found: list[WorkCount] = []
    for task in (Task.EXAMINE, Task.RECOUNT):
        for event in run_job(BenchJob(task, Path(__file__), Setting(folder, folder))):
            if isinstance(event, JobFailed):
                raise ScenarioFailedError(f"counting failed: {event.message}")
            if isinstance(event, Figures):
                found = counted_again(found, event.work_counts)
    return found


def compared(runs: Sequence[Sequence[WorkCount]]) -> dict[str, tuple[list[GateRow], list[GateRow]]]:
    """Compare each run's counts with those of the one before; return metric → the rows of the same work, and of more."""
    rows: dict[str, tuple[list[GateRow], list[GateRow]]] = {}
    for before, after in pairwise(runs):
        for place, arm in enumerate(TIMES):
            found, missing = work(_result(before, BASELINE), _result(after, arm), Rules({}))
            if missing:
                raise ScenarioFailedError(f"{missing[0].metric} was counted in one run and not in another")
            for row in found:
                rows.setdefault(row.metric, ([], []))[place].append(row)
    return rows


def _result(counts: Iterable[WorkCount], arm: str) -> ScenarioResult:
    """Return a result that has an arm's counts as the baseline's."""
    of_arm = [replace(each, arm=BASELINE) for each in counts if each.arm == arm]
    return ScenarioResult("counted", "", "", "counted.py", "sqlite", 0.0, ScenarioStatus.OK, work_counts=of_arm)


def section(found: Mapping[str, tuple[Sequence[GateRow], Sequence[GateRow]]]) -> Section:
    """Return the section."""
    rows, must, everywhere = [], [(0, 0, 0, 0)], [0, 0]
    for metric, (same, more) in found.items():
        alarms, hits = (row.verdict in ALARMS for row in same), (row.verdict == GateVerdict.REGRESSED for row in more)
        numbers, unjudged = (len(same), sum(alarms), len(more), sum(hits)), [row.verdict == GateVerdict.NOT_JUDGED for row in same]
        changes = [row.change for row in more if row.change is not None]
        seen = f"{min(changes) - 1:+.2%}" if changes else "–"
        rows.append([metric.replace("_", " "), *map(str, numbers[:2]), str(sum(unjudged)), *map(str, numbers[2:]), seen])
        must += [numbers] * (metric in MUST_SHOW)
        everywhere = [everywhere[0] + numbers[0], everywhere[1] + numbers[1]]
    comparisons, _, slowdowns, found_of_all = map(sum, zip(*must, strict=True))
    missed, (all_comparisons, all_false) = slowdowns - found_of_all, everywhere
    requirements = [
        Requirement(
            f"the same work raises no alarm: {all_false} false alarms in {all_comparisons} comparisons",
            comparisons > 0 and not all_false,
        ),
        Requirement(f"one percent more is found every time: {missed} missed", slowdowns > 0 and not missed),
    ]
    columns = (
        "count",
        "the same work: comparisons",
        "false alarms",
        "not judged",
        "1 % more: comparisons",
        "found",
        "smallest change seen",
    )
    return Section(TITLE, _TEXT, [SectionTable("Counts between runs", columns, rows)], requirements, [_NOTE])
