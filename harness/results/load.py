"""The part of the run file that holds a load test: the arms' behaviour with many concurrent operations.

Response time counts from the time at which an operation was due (its intended start, in the open model), service time from its
actual start; queue time lies between them. In the closed model response and service time are the same.
"""

from dataclasses import dataclass, field
from enum import StrEnum

ALL = "all operations"
"""The group of figures over all groups of operations together."""


class LoadModel(StrEnum):
    """The way in which operations arrive."""

    OPEN = "open"
    """On a schedule, whether earlier ones have completed or not."""
    CLOSED = "closed"
    """From a number of concurrent users, each of which waits for its last operation to complete."""


class Phase(StrEnum):
    """A part of a block of load."""

    WARM_UP = "warm-up"
    MEASURED = "measured"
    DRAIN = "drain"


class LoadState(StrEnum):
    """The state of an arm, a level or a scenario under load."""

    SUSTAINED = "sustained"
    SATURATED = "saturated"
    """An arm that cannot sustain the load, and has no times."""
    NOT_SUSTAINED = "not sustained"
    """Of a scenario: by some arms, or by all of them."""
    FAILS = "fails"
    """More operations of an arm fail than are tolerated."""
    FAILED = "failed"
    INVALID = "invalid"
    """The generator was the limit."""
    UNDECIDED = "undecided"
    """A level of a search at which the generator was the limit, or with too few operations."""


class CapacityKind(StrEnum):
    """The quantity that a capacity search raises until the SLO is missed."""

    RATE = "operations per second"
    USERS = "concurrent users"


@dataclass(frozen=True)
class ArmFigure:
    """A figure of one arm in one group of cases or operations."""

    arm: str
    group: str


@dataclass(frozen=True)
class LatencySummary:
    """A distribution of times, from a histogram that merges without loss. Percentiles are labelled "50", "90" … "99", "99.9"."""

    operations: int
    mean_ns: float | None = None
    """None without operations; so are `min_ns` and `max_ns`."""
    min_ns: int | None = None
    max_ns: int | None = None
    percentiles_ns: dict[str, float | None] = field(default_factory=dict)
    """Label → nanoseconds; None if too few operations support the percentile."""
    intervals_ns: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    """Label → 95 % confidence interval in nanoseconds; None with too few operations or blocks."""


@dataclass(frozen=True)
class LoadedArm(ArmFigure):
    """One arm's operations of one group over all its blocks; only operations due in measured time count."""

    offered_per_s: float | None
    """Planned operations per second; None in the closed model."""
    achieved_per_s: float
    """Operations completed without an error per second of measured time."""
    operations: int
    """Operations that completed without an error."""
    errors: int
    """Operations that raised; they are in no distribution of times."""
    dropped: int
    """Operations that were due while the limit of in-flight operations was reached, and did not start."""
    unfinished: int
    """Operations not completed at the drain timeout: in `response` with the time they had waited by then (right-censored)."""
    response: LatencySummary
    service: LatencySummary
    queue: LatencySummary
    error_messages: dict[str, int] = field(default_factory=dict)
    """Message → number of operations."""
    overloaded: str | None = None
    """The reason why the arm does not sustain the load; its times then describe the run's length and not the arm."""
    warm_up: int = 0
    """Operations of the warm-up, failed ones included. They are in no figure, and count where failures are judged."""
    warm_up_errors: dict[str, int] = field(default_factory=dict)
    """Message → number of operations of the warm-up that failed."""
    failing: str | None = None
    """Its failures, if they are beyond the tolerance, with the most frequent error: it is then not compared with other arms."""


@dataclass(frozen=True)
class LoadRatio(ArmFigure):
    """The baseline's response time ÷ an arm's at one percentile: the number of times the arm is faster."""

    percentile: str
    """A label of `LatencySummary`, such as "99"."""
    ratio: float
    low: float | None
    """Lower bound of the 95 % confidence interval, bootstrapped over cycles of blocks; None with too few cycles; so is `high`."""
    high: float | None
    cycles: int


@dataclass(frozen=True)
class Tick:
    """A sample of a run's course, about every half second: operations since the last one, and the processes' resources."""

    process: int
    """The load worker's number, from 1."""
    at_s: float
    """Seconds since the start of the worker's first block."""
    arm: str
    phase: Phase
    operations: int
    errors: int
    in_flight: int
    p50_ns: float | None
    p99_ns: float | None
    cpu_percent: dict[str, float] = field(default_factory=dict)
    """Process name ("generator" is the load worker) → percent of one core."""
    rss_bytes: dict[str, int] = field(default_factory=dict)
    """Process name → resident memory."""
    counts: dict[str, float] = field(default_factory=dict)
    """The scenario's counts per operation, such as statements."""


@dataclass(frozen=True)
class CapacityStep:
    """One level that a capacity search tried."""

    level: float
    """Operations per second, or concurrent users."""
    achieved_per_s: float
    operations: int
    errors: int
    percentiles_ns: dict[str, float | None]
    """Percentiles by label, "mean" and "max" of the response times."""
    sustained: bool | None
    """Whether the objective was met; None if the generator was the limit, or with too little data."""
    reason: str
    invalid: str | None = None
    """The reason why the generator, not the arm, was the limit."""
    failing: str | None = None
    """The failed operations, if their share alone misses the objective."""


@dataclass(frozen=True)
class Capacity:
    """The highest level of one kind at which an arm meets an objective."""

    arm: str
    kind: CapacityKind
    objective: str
    """Such as "p95 < 150 ms, errors <= 1 %"."""
    sustained: float | None
    """The highest level that was sustained; None if no level was."""
    failed_at: float | None
    """The lowest level above it that was not; None if the search found none."""
    steps: list[CapacityStep]
    reason: str
    """The reason why the search ended."""
    failing: str | None = None
    """The failed operations at the lowest level, if they are the reason why no level was sustained."""


@dataclass(frozen=True)
class LoadResult:
    """All that a load test or a capacity search adds to a scenario's result."""

    models: list[LoadModel]
    """The load models; both only after a capacity search of both kinds."""
    arrivals: str
    """The arrival schedule or the users, in words."""
    block_s: float
    """Measured time of a block, in seconds."""
    warm_up_s: float
    arms: list[LoadedArm] = field(default_factory=list)
    ratios: list[LoadRatio] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    capacities: list[Capacity] = field(default_factory=list)
    invalid: str | None = None
    """The reason why no conclusion is valid: the generator was the limit."""
    lost_workers: list[str] = field(default_factory=list)
    """A message for each load worker that ended early."""
    error_tolerance: float = 0.0
    """The share of failed operations that is tolerated, 0 to 1."""
    unsustained: list[str] = field(default_factory=list)
    """A message for each arm that does not sustain the load: the run is inconclusive. Without arms that may fail as written."""
