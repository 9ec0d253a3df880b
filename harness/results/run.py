"""The run file: what measuring writes and rendering reads, and the only thing that passes between them.

A run is a folder: `run.json` (this module's `Run`), the raw samples beside it in `samples/`, and the reports made from both; it is
read and written by `harness.results.store`.
Every record is frozen, its numbers carry their unit in the name, and flat lists with named dimensions stand in place of
nested maps, so that a data frame is one step away.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.results.controls import Controls
from harness.results.gains import Ablation
from harness.results.load import UnderLoad
from harness.results.tails import PercentileRatio


@dataclass(frozen=True)
class Latency:
    """How long one arm took in one group of cases, from raw nanoseconds, one value an operation.

    `percentiles_ns` maps "50", "90", "95", "99" and "99.9" to nanoseconds, or to None where too few samples support it;
    `process_medians_ns` holds each fresh process's median.
    """

    arm: str
    group: str
    samples: int
    mean_ns: float
    min_ns: int
    max_ns: int
    percentiles_ns: dict[str, float | None]
    process_medians_ns: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Ratio:
    """How many times faster an arm is than the baseline: the paired ratio baseline ÷ arm, above 1 is faster.

    `processes` holds each fresh process's median ratio; `low` and `high` bound the 95 % interval over them and are None with
    fewer than two processes. The A/A control is a Ratio whose arm is `CONTROL`.
    """

    arm: str
    group: str
    ratio: float
    low: float | None
    high: float | None
    processes: list[float]
    pairs: int


BASELINE = "baseline"
"""The arm that every other one is compared with; always the first."""

CONTROL = "baseline again"
"""The arm name of the A/A control: a second instance of the baseline, measured through the same path."""


@dataclass(frozen=True)
class WorkCount:
    """A figure that repeats exactly, or did not: statements, rows, VM steps, bytes of index. Per operation, from its own pass.

    `scale` is the share of the data set it was counted on; a growth exponent comes from several scales.
    """

    arm: str
    group: str
    metric: str
    value: float
    scale: float = 1.0
    repeats_exactly: bool = True


@dataclass(frozen=True)
class Statement:
    """One statement shape of an arm: how often one operation sends it, and its query plan, taken outside timing."""

    arm: str
    group: str
    sql: str
    count: int
    plan: list[str]
    uses_index: bool
    scans_table: bool


@dataclass(frozen=True)
class Memory:
    """One operation's memory in a child process of its own.

    `curve` is the resident set sampled by memory-profiler as (seconds from the start, bytes); `peak_bytes` comes from the kernel's
    high-water mark, which no sampling can miss; `idle_bytes` is the resident set just before. `error` says how it ended badly.
    """

    arm: str
    group: str
    idle_bytes: int
    peak_bytes: int
    seconds: float
    curve: list[tuple[float, int]]
    rows: int | None = None
    scale: float = 1.0
    limit_bytes: int | None = None
    error: str | None = None

    @property
    def added_bytes(self) -> int:
        """Peak above idle, in bytes."""
        return max(0, self.peak_bytes - self.idle_bytes)


PEAK_MEMORY = "peak_memory"
"""The metric name of memory added at the peak, in growth records."""


@dataclass(frozen=True)
class Growth:
    """How a figure grows with the data: the exponent k of cost ~ rows^k, fitted over `scales`."""

    arm: str
    group: str
    metric: str
    scales: list[float]
    values: list[float]
    exponent: float


@dataclass(frozen=True)
class ArmResult:
    """One arm of a scenario. `cannot_run` holds the error of an arm that cannot run as written; such an arm has no timings."""

    name: str
    description: str
    cannot_run: str | None = None


@dataclass(frozen=True)
class Finding:
    """Something the proposal does as written that a reader of the review should know; `holds` says whether it showed."""

    arm: str
    message: str
    holds: bool
    evidence: str


@dataclass(frozen=True)
class Verdict:
    """What became of one promise for one arm.

    `verdict` is one of `harness.verdicts.promise.WORDS`. `value`, `low` and `high` are in `unit`: "×" (times faster), "less"
    (share saved), "share", "works" (share of checks), "exponent", or a plain unit such as "ms", "MB" and "statements".
    `promised_low` and `promised_high` bound the promise in the same unit; `neutral` is "no effect"; with `less_is_better` the
    promise is a limit, `promised_low`.
    """

    promise: str
    text: str
    arm: str
    verdict: str
    sentence: str
    unit: str
    part: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    promised_low: float | None = None
    promised_high: float | None = None
    neutral: float | None = None
    less_is_better: bool = False


@dataclass(frozen=True)
class RunWarning:
    """A reason not to trust a result, and what would remove it."""

    name: str
    message: str
    remedy: str


NOT_RUN = "not run"
"""The status of a scenario that makes no sense on an engine or at a distance, or that cannot run here; never a silent gap."""


@dataclass(frozen=True)
class ScenarioResult:
    """All that a run learned from one scenario on one engine at one distance.

    `status` is "ok", "failed", "interrupted" or `NOT_RUN`; a failed one has its `error` in one line and the `exit_code` it means to
    a shell; of one that was not run, `error` is the reason. `ablation` has an entry a group where switches were tried one by one,
    `load` what many users at once met, `controls` what the run measured of itself. `tolerances` (metric → share) and
    `higher_is_better` are the scenario's, for the gate.
    """

    name: str
    title: str
    doc: str
    file: str
    engine: str
    rtt_ms: float
    status: str
    error: str | None = None
    exit_code: int = 0
    arms: list[ArmResult] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    verified_cases: int = 0
    pairs: int = 0
    processes: int = 0
    dataset: dict[str, str | int] = field(default_factory=dict)
    engine_settings: dict[str, str] = field(default_factory=dict)
    latencies: list[Latency] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    work_counts: list[WorkCount] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    warnings: list[RunWarning] = field(default_factory=list)
    samples_file: str | None = None
    ablation: list[Ablation] = field(default_factory=list)
    load: UnderLoad | None = None
    percentile_ratios: list[PercentileRatio] = field(default_factory=list)
    tolerances: dict[str, float] = field(default_factory=dict)
    higher_is_better: list[str] = field(default_factory=list)
    controls: Controls = field(default_factory=Controls)


@dataclass(frozen=True)
class RunSettings:
    """What was asked for. `budget_s` is the time meant for timing pairs, in seconds, over all scenarios."""

    engines: list[str]
    size: str
    seed: int
    rtts_ms: list[float]
    quick: bool
    processes: int
    budget_s: float


@dataclass(frozen=True)
class Priority:
    """How a review ranks one of its areas, in its words.

    `answers` are the promises, parts apart, whose figures answer its gain; `switch` turns it on in an ablation of the whole.
    """

    area: str
    priority: str
    impact: str
    effort: str
    gain: str
    answers: list[str] = field(default_factory=list)
    switch: str | None = None


@dataclass(frozen=True)
class Score:
    """How a review rates one side of its subject, today and once its advice is followed, and the promises that answer it."""

    aspect: str
    today: str
    goal: str
    promises: list[str]


@dataclass(frozen=True)
class Review:
    """What a review says: its promises by id, their areas by the ids' letter, how it ranks these and rates its subject."""

    title: str
    areas: dict[str, str]
    promises: dict[str, str]
    priorities: list[Priority] = field(default_factory=list)
    scorecard: list[Score] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """One run: what was asked, where, when, and what came of it. `kind` is "pairs" or "load" (many users, blocks of arms)."""

    schema_version: int
    kind: str
    name: str
    started_at: str
    finished_at: str | None
    command: str
    commit: str | None
    dirty: bool
    interrupted: bool
    settings: RunSettings
    environment: dict[str, str]
    scenarios: list[ScenarioResult] = field(default_factory=list)
    warnings: list[RunWarning] = field(default_factory=list)
    review: Review | None = None


@dataclass(frozen=True)
class Sample:
    """One timed operation. `position` is its arm's place in the pair's order (0 first); `case` names the input."""

    process: int
    pair: int
    position: int
    arm: str
    group: str
    case: str
    latency_ns: int
