"""What the coordinator and its child processes say to each other: one job in, events out, a JSON line each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import msgspec

from harness.results.run import Finding, Memory, Statement, WorkCount
from harness.scenario import Setting

Task = Literal["prepare", "try", "examine", "revisit", "count", "pairs", "memory", "instructions"]


class BenchJob(msgspec.Struct, frozen=True):
    """What one child process does.

    prepare: build what instances start from · try: the same, and verify answers · examine: verify answers, show findings, count exact
    work and take plans · revisit: verify answers and take the arms' own figures, at another distance · count: exact work alone, at
    another scale · pairs: time · memory: one arm, one group · instructions: count those of one arm, in a process that callgrind
    watches.
    `cases_per_group` limits what is verified, None verifies every case; `slow_groups` says whether groups whose one operation takes
    seconds are timed as well, and `slow_from_ns` how long an operation makes another group one of those; `secondary_groups` says whether
    those that no promise rests on are; `interpreter` whether calls and allocations are counted beside what the data layer does;
    `timeout_s` ends a process that takes longer, 0 waits for ever; `excluded` lists (arm, group) that cannot run; `ablate` puts sets
    of the scenario's switches in the place of its arms; `cpus` are the cores the process may use, all of its parent's if empty;
    `injected` is the share by which a baseline instance is slowed, to see whether that is found; `prefix` is what the process is started
    under.
    """

    task: Task
    file: Path
    setting: Setting
    process: int = 0
    budget_ns: int = 0
    minimum_pairs: int = 1
    arm: str = ""
    group: str = ""
    limit_bytes: int | None = None
    timeout_s: int = 0
    slow_groups: bool = True
    slow_from_ns: int = sys.maxsize
    secondary_groups: bool = True
    interpreter: bool = True
    cases_per_group: int | None = None
    excluded: tuple[tuple[str, str], ...] = ()
    ablate: bool = False
    cpus: tuple[int, ...] = ()
    injected: float = 0.0
    prefix: tuple[str, ...] = ()


class DataPrepared(msgspec.Struct, tag=True, frozen=True):
    """`prepare` is done."""

    dataset: dict[str, str | int]
    engine_settings: dict[str, str]


class AnswersVerified(msgspec.Struct, tag=True, frozen=True):
    """The arms agree on `cases` cases; `cannot_run` holds (arm, group, error) of what raised as written."""

    cases: int
    cannot_run: list[tuple[str, str, str]]


class WorkCounted(msgspec.Struct, tag=True, frozen=True):
    """Exact work and plans of one arm in one group."""

    work_counts: list[WorkCount]
    statements: list[Statement] = []


class FindingTried(msgspec.Struct, tag=True, frozen=True):
    """One finding was tried."""

    finding: Finding


class SlotTimes(msgspec.Struct, frozen=True):
    """One arm's turn: its place in the order and each operation's nanoseconds."""

    arm: str
    position: int
    latencies_ns: list[int]


class PairTimes(msgspec.Struct, tag=True, frozen=True):
    """One pair was timed. `controls_ns` are the controls that were timed after it, by name."""

    group: str
    case: str
    slots: list[SlotTimes]
    controls_ns: dict[str, int] = {}


class MemoryMeasured(msgspec.Struct, tag=True, frozen=True):
    """One operation's memory."""

    memory: Memory


class JobFailed(msgspec.Struct, tag=True, frozen=True):
    """The child gives up. `code` is the exit code this means; `detail` is the traceback, for a file and never for a screen."""

    message: str
    code: int
    detail: str = ""


class JobDone(msgspec.Struct, tag=True, frozen=True):
    """The child did all it was asked to."""


Event = DataPrepared | AnswersVerified | WorkCounted | FindingTried | PairTimes | MemoryMeasured | JobFailed | JobDone


def encode_job(job: BenchJob) -> bytes:
    """Return a job as JSON."""
    return msgspec.json.encode(job, enc_hook=encode_paths)


def decode_job(body: bytes) -> BenchJob:
    """Return the job in `body`."""
    return msgspec.json.decode(body, type=BenchJob, dec_hook=decode_paths)


def encode_paths(value: object) -> str:
    """Return a path as JSON knows it; a hook for msgspec."""
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot send {type(value).__name__} to a child process")


def decode_paths(kind: type, value: object) -> object:
    """Return a path from JSON; a hook for msgspec."""
    if kind is Path:
        return Path(str(value))
    raise TypeError(f"cannot read {kind.__name__} from the coordinator")
