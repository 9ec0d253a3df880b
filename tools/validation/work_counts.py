"""Do work counts repeat exactly, and is one percent more detected? Ten kinds of work, counted in fresh processes and compared."""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from harness.bench.worker import BenchJob, Figures, Task, run_job
from harness.errors import ScenarioFailedError
from harness.gate.work_counts import Rules, work
from harness.results.gate import GateRow, GateVerdict
from harness.results.run import BASELINE, ScenarioResult, ScenarioStatus, WorkCount
from harness.runtime.child import JobFailed
from harness.scenario import Setting
from tools.validation.section import Requirement, Section, SectionTable
from tools.validation.work import counted

TITLE = "Do work counts repeat exactly, and is one percent more detected?"

PROCESSES = 16
"""Each but the first is compared with the one before it: 15 times 10 kinds of work times 2 counts are 300 comparisons."""

FEWEST_PROCESSES = 3
MUST_SHOW = ("vm_steps", "statements")
"""Counts that must detect one percent more every time."""

_SAYS = (
    "An operation does one statement a hundred times, in SQLite in memory; the second arm does it a hundred and one times. Fresh"
    " processes, each with its own hash seed and memory layout, count what both do. The gate's rule for work counts compares"
    " the baseline's counts in each process with those in the previous process, where nothing may be reported, and the second arm's"
    " with the baseline's in the previous process, where one percent more must be reported every time."
)
_NOTE = (
    "Only steps and statements are required to show it. The interpreter's own counts are those of every run: calls grow with the"
    " work, while memory that is freed and taken again does not."
)


@dataclass(frozen=True)
class ComparedCounts:
    """The gate's rows of one metric: the baseline with itself, and with one percent more work."""

    metric: str
    same: Sequence[GateRow]
    more: Sequence[GateRow]

    @property
    def false_alarms(self) -> int:
        """Number of comparisons of the same work that were not equal."""
        return sum(row.verdict != GateVerdict.EQUAL for row in self.same)

    @property
    def found(self) -> int:
        """Number of comparisons with more work that regressed."""
        return sum(row.verdict == GateVerdict.REGRESSED for row in self.more)


def run(effort: float) -> Section:
    """Count in fresh processes.

    Raises:
        ScenarioFailedError: a process failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        processes = [count(Path(folder)) for _ in range(max(FEWEST_PROCESSES, round(PROCESSES * effort)))]
    return section(compared(processes))


def count(folder: Path) -> list[WorkCount]:
    """Return the counts of a fresh process."""
    found: list[WorkCount] = []
    for event in run_job(BenchJob(Task.EXAMINE, Path(counted.__file__), Setting(folder, folder))):
        if isinstance(event, JobFailed):
            raise ScenarioFailedError(f"counting failed: {event.message}")
        if isinstance(event, Figures):
            found += event.work_counts
    return found


def compared(processes: Sequence[Sequence[WorkCount]]) -> list[ComparedCounts]:
    """Compare each process's counts with those of the one before it, by metric."""
    same, more = defaultdict[str, list[GateRow]](list), defaultdict[str, list[GateRow]](list)
    for before, after in pairwise(processes):
        for rows, arm in ((same, BASELINE), (more, counted.MORE)):
            found, lost = work(_result(before, BASELINE), _result(after, arm), Rules({}))
            if lost:
                raise ScenarioFailedError(f"{lost[0].metric} was counted in one process and not in another")
            for row in found:
                rows[row.metric].append(row)
    return [ComparedCounts(metric, rows, more[metric]) for metric, rows in same.items()]


def _result(exact: Iterable[WorkCount], arm: str) -> ScenarioResult:
    """Return a result that has an arm's counts as the baseline's."""
    counts = [replace(e, arm=BASELINE) for e in exact if e.arm == arm]
    return ScenarioResult("counted", "", "", "counted.py", "sqlite", 0.0, ScenarioStatus.OK, work_counts=counts)


def section(found: Sequence[ComparedCounts]) -> Section:
    """Return the section."""
    rows = []
    for one in found:
        changes = [row.change for row in one.more if row.change is not None]
        least = f"{min(changes) - 1:+.2%}" if changes else "–"
        rows.append(
            [one.metric.replace("_", " "), f"{len(one.same)}", f"{one.false_alarms}", f"{len(one.more)}", f"{one.found}", least]
        )
    must = [one for one in found if one.metric in MUST_SHOW]
    comparisons, alarms = sum(len(one.same) for one in must), sum(one.false_alarms for one in must)
    missed = sum(len(one.more) - one.found for one in must)
    requirements = [
        Requirement(
            f"the same work is equal: {alarms} false alarms in {comparisons} comparisons", bool(comparisons) and not alarms
        ),
        Requirement(f"one percent more is found every time: {missed} missed", bool(must) and not missed),
    ]
    columns = ("what", "the same work: comparisons", "false alarms", "1 % more: comparisons", "found", "smallest change seen")
    return Section(TITLE, _SAYS, [SectionTable("Counts between fresh processes", columns, rows)], requirements, [_NOTE])
