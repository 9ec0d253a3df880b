"""A job of a bench worker, and the messages that the worker sends while it does it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from harness.results.run import AA_CONTROL, Finding, Memory, SlotTotals, Statement, WorkCount
from harness.runtime.child import JobFailed
from harness.runtime.watch import OPERATION_TIMEOUT_S
from harness.scenario import Setting


class Task(StrEnum):
    """The kinds of job."""

    PREPARE = "prepare"
    """Build the data that instances start from."""
    TRY = "try"
    """Build the data, verify the answers and try the findings."""
    EXAMINE = "examine"
    """Verify the answers, count the work, collect the statements with their plans and try the findings."""
    RECOUNT = "recount"
    """Count the same work in another process, after fewer operations: what depends on either does not repeat."""
    REVISIT = "revisit"
    """Verify the answer to a case of each group and collect the arms' own figures, at a higher RTT, which changes no answer."""
    COUNT = "count"
    """Count the work at another scale."""
    PAIRS = "pairs"
    """Time pairs."""
    MEMORY = "memory"
    """Measure the memory of one arm's operations, group by group."""
    INSTRUCTIONS = "instructions"
    """Count the instructions of one arm; the process runs under callgrind."""


RECORDED = 32
"""The most operations of a slot whose times are kept: a quick operation is repeated thousands of times in one, and the record of a
run of some minutes would take gigabytes. Slots in a run are many, so that percentiles rest on thousands of operations anyway."""
SLOWED = "baseline slowed"
"""The arm name of a third baseline instance, the one that gets an injected slowdown."""
BASELINE_COPIES = (AA_CONTROL, SLOWED)
"""Arms that are further instances of the baseline."""
COUNTING = (Task.EXAMINE, Task.RECOUNT, Task.COUNT, Task.INSTRUCTIONS)
WAITING = "waiting for its turn"
"""Activity of a process that is ready to time pairs while another one does."""
PREVIEWED = 2
"""Number of each group's cases that are compared and timed in a preview."""
EXIT_S = 5.0
"""Seconds that a worker has to exit after its job."""


@dataclass(frozen=True)
class Effort:
    """The time and the processes that a run gives to each scenario on one engine at one RTT."""

    slow_processes: int = 3
    """Number of the processes that time slow groups as well."""
    slow_from_s: float = 0.5
    """Seconds of a baseline operation from which its group counts as slow; at a high RTT many do."""
    is_full: bool = True
    """Whether secondary groups are timed too, slow ones at every RTT, calls and allocations counted in addition to the data layer's
    work, and everything is timed alone. Otherwise scenarios without a server, and then those with network latency, are timed in
    parallel, each on one core."""
    is_preview: bool = False
    """Whether slow groups are left out, the first `PREVIEWED` cases of each group stand for all, dear ones are compared once,
    neither calls nor allocations are counted, and memory is measured in as few repetitions as have a range."""


class BenchJob(msgspec.Struct, tag=True, frozen=True):
    """One job of a bench worker."""

    task: Task
    """The kind of job."""
    file: Path
    """The scenario's file."""
    setting: Setting
    """The setting of its instances."""
    process: int = 0
    """Number of the process among those that time pairs, from 1."""
    budget_ns: int = 0
    """Nanoseconds after which no repetition whose memory is measured begins."""
    arm: str = ""
    """The arm to measure, for memory and instructions."""
    groups: tuple[str, ...] = ()
    """The groups whose pairs are timed, or whose memory is measured in this order."""
    limit_bytes: int | None = None
    """Memory that the operation may add; None: no limit."""
    timeout_s: float = OPERATION_TIMEOUT_S
    """Timeout of one operation, in seconds."""
    exit_s: float = EXIT_S
    """Seconds to exit after the job."""
    slow: tuple[str, ...] = ()
    """Groups that are timed without warm-up and without a control, because their operation takes long."""
    effort: Effort = Effort()
    """The effort of the run."""
    excluded: tuple[tuple[str, str], ...] = ()
    """The (arm, group) that cannot run."""
    ablate: bool = False
    """Whether the arms are sets of the scenario's switches."""
    cpus: tuple[int, ...] = ()
    """Cores to pin the process to; empty for those of its parent."""
    injected: float = 0.0
    """Share by which a baseline instance is slowed, to see whether that is detected."""
    prefix: tuple[str, ...] = ()
    """Command to run the process under."""
    digest: str = ""
    """A digest of the scenario's file as the run has imported it; empty where it is not known."""


class TimePairs(msgspec.Struct, tag=True, frozen=True):
    """The answer of the parent to `ReadyToTime`: what to time, now that the machine is the worker's."""

    pairs: dict[str, int]
    """Group → pairs to time; none lets the worker close its instances and exit."""
    budget_ns: int = 0
    """Nanoseconds after which no pair begins, except the first ones of each group; 0: no limit."""
    cpus: tuple[int, ...] = ()
    """Cores to move to; empty for those that it was started on."""


class ReadyToTime(msgspec.Struct, tag=True, frozen=True):
    """The instances are open and warm, or have timed their pairs, and the worker waits for `TimePairs`."""


class DataPrepared(msgspec.Struct, tag=True, frozen=True):
    """The scenario's data were built."""

    dataset: dict[str, str | int] = {}
    """Description of the data, with their digest."""
    engine_settings: dict[str, str] = {}
    """Version and settings of the engine."""
    warnings: list[str] = []
    """Problems that cost time and nothing else."""
    changes: dict[str, list[str]] = {}
    """Arm → the DDL statements that changed its database."""


class AnswersVerified(msgspec.Struct, tag=True, frozen=True):
    """The arms' answers are equal."""

    cases: int = 0
    """Number of cases verified."""
    cannot_run: list[tuple[str, str, str]] = []
    """(arm, group, error) of arms that raised as written."""
    took_s: dict[str, dict[str, float]] = {}
    """Arm → group → mean seconds of a case: how long its pairs will take, roughly."""


class Figures(msgspec.Struct, tag=True, frozen=True):
    """Something was counted, tried or measured."""

    work_counts: list[WorkCount] = []
    """Work counts of one arm in one group."""
    statements: list[Statement] = []
    """The statements that it sends there, with their plans."""
    findings: list[Finding] = []
    """Findings, demonstrated or not."""
    memory: list[Memory] = []
    """The memory of one operation."""


class SlotTimes(msgspec.Struct, frozen=True):
    """One arm's slot in a pair."""

    arm: str
    """Name of the arm."""
    latencies_ns: list[int]
    """The nanoseconds of each recorded operation, in the order they ran."""
    everything: SlotTotals | None = None
    """The totals of all operations where only some were recorded; None: all were."""

    @property
    def totals(self) -> SlotTotals:
        """The totals of all operations."""
        return self.everything or SlotTotals.of(self.latencies_ns)


def recorded(arm: str, times_ns: list[int], start: float) -> SlotTimes:
    """Return a slot of these operations, with the times of at most `RECORDED` of them.

    Those are evenly spaced, and the first of them is drawn: `start` is uniform from 0 to 1. A systematic sample like that has the
    distribution of all, also at the tails, and of the slot's beginning, where caches are cold.
    """
    if len(times_ns) <= RECORDED:
        return SlotTimes(arm, times_ns)
    step = len(times_ns) / RECORDED
    return SlotTimes(arm, [times_ns[int((place + start) * step)] for place in range(RECORDED)], SlotTotals.of(times_ns))


class PairTimes(msgspec.Struct, tag=True, frozen=True):
    """One pair: a case timed on every arm. Sent by a worker after each pair."""

    group: str
    """Name of the case's group."""
    case: str
    """Name of the case."""
    slots: list[SlotTimes]
    """The slots in the random order in which they ran."""
    controls_ns: dict[str, int] = {}
    """Name → nanoseconds of the controls that were timed after the pair."""
    lasted_ns: int = 0
    """Nanoseconds of the pair with its resets and controls."""


class JobDone(msgspec.Struct, tag=True, frozen=True):
    """The job is complete."""

    spent_s: dict[str, float] = {}
    """Activity, as the worker named it when it began → seconds; see `harness.bench.profile`."""
    started: list[int] = []
    """The process ids of what the worker has started and has not ended, without servers."""


Message = DataPrepared | AnswersVerified | Figures | ReadyToTime | PairTimes | JobFailed | JobDone
"""What a worker sends; its last message is a `JobDone` or a `JobFailed`."""
