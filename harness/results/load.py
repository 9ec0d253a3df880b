"""What a run under load found: the part of the run file that says how arms behave when many ask at once.

Response time counts from the moment an operation was due (its intended start, in the open model), service time from the moment it
began, queue time is what lies between. In the closed model a user begins when its last operation has ended, so that response and
service time are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

ALL = "all operations"
"""The group of figures over all groups of operations together."""


class LoadModel(StrEnum):
    """How operations arrive."""

    OPEN = "open"
    """On a schedule, whether earlier ones have completed or not."""
    CLOSED = "closed"
    """From a number of concurrent users, each of which waits for its last operation to complete."""


class Phase(StrEnum):
    """A part of a block of load."""

    WARM_UP = "warm-up"
    MEASURED = "measured"
    DRAIN = "drain"


class CapacityKind(StrEnum):
    """What a capacity search raises until the SLO is missed."""

    RATE = "operations per second"
    USERS = "concurrent users"


@dataclass(frozen=True)
class LatencySummary:
    """A distribution of times in nanoseconds, from a histogram that merges without loss.

    `percentiles_ns` and `intervals_ns` map "50", "90", "95", "99" and "99.9"; None where too few operations support a percentile,
    or too few blocks an interval (95 %). `mean_ns`, `min_ns` and `max_ns` are None without operations.
    """

    operations: int
    mean_ns: float | None = None
    min_ns: int | None = None
    max_ns: int | None = None
    percentiles_ns: dict[str, float | None] = field(default_factory=dict)
    intervals_ns: dict[str, tuple[float, float] | None] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadedArm:
    """One arm's operations of one group, over all its blocks; only what was due in measured time counts.

    `offered_per_s` is the rate of planned arrivals, None in the closed model; `achieved_per_s` is what was answered well a second
    of measured time. `dropped` were due when as many as allowed were under way, and never began; `unfinished` were not finished when
    waiting for them ended: they are in `response` with the time they had waited by then, at least which they take. Errors are in no
    times.
    `overloaded` is the reason for which the times say nothing about the arm at this rate, but that it does not hold it.
    """

    arm: str
    group: str
    offered_per_s: float | None
    achieved_per_s: float
    operations: int
    errors: int
    dropped: int
    unfinished: int
    response: LatencySummary
    service: LatencySummary
    queue: LatencySummary
    error_messages: dict[str, int] = field(default_factory=dict)
    overloaded: str | None = None


@dataclass(frozen=True)
class LoadRatio:
    """How many times shorter an arm's response time is than the baseline's at a percentile ("50" to "99.9"): baseline ÷ arm.

    `low` and `high` bound the 95 % interval, bootstrapped over cycles of blocks; None with too few cycles.
    """

    arm: str
    group: str
    percentile: str
    ratio: float
    low: float | None
    high: float | None
    cycles: int


@dataclass(frozen=True)
class Tick:
    """A moment of a run, every half second or so: what was finished since the last one, and how the processes did.

    `at_s` counts from the start of the first block of engine process number `process`. `cpu_percent` (of one core) and `rss_bytes`
    are by process name, the generator's under "generator"; `counts` is what the scenario counts, such as statements, an operation.
    """

    process: int
    at_s: float
    arm: str
    phase: Phase
    operations: int
    errors: int
    in_flight: int
    p50_ns: float | None
    p99_ns: float | None
    cpu_percent: dict[str, float] = field(default_factory=dict)
    rss_bytes: dict[str, int] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CapacityStep:
    """One level that a capacity search tried: a rate a second, or a number of users.

    `sustained` is None where the generator, not the arm, was the limit (`invalid` says so), or where there was too little evidence.
    """

    level: float
    achieved_per_s: float
    operations: int
    errors: int
    percentiles_ns: dict[str, float | None]
    sustained: bool | None
    reason: str
    invalid: str | None = None


@dataclass(frozen=True)
class Capacity:
    """The highest level of one kind (`RATE` or `USERS`) at which an arm keeps an objective such as "p95 < 150 ms".

    `sustained` is the highest level that held, `failed_at` the lowest above it that did not; None where none was found: `reason` says why.
    """

    arm: str
    kind: CapacityKind
    objective: str
    sustained: float | None
    failed_at: float | None
    steps: list[CapacityStep]
    reason: str


@dataclass(frozen=True)
class UnderLoad:
    """All that a run under load adds to a scenario's result. `model` is "open" or "closed"; `arrivals` describes what was planned.

    `invalid` is the reason for which nothing may be concluded: the generator was the bottleneck.
    """

    model: str
    arrivals: str
    block_s: float
    warm_up_s: float
    arms: list[LoadedArm] = field(default_factory=list)
    ratios: list[LoadRatio] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    capacities: list[Capacity] = field(default_factory=list)
    invalid: str | None = None
    lost_workers: list[str] = field(default_factory=list)
