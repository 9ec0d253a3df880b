"""The run file: what measuring writes and rendering reads, and the only thing that passes between them.

A run is a folder: `run.json` (this module's `Run`), the raw samples beside it in `samples/`, and the reports made from both; it is
read and written by `harness.results.store`.
Every record is frozen, its numbers carry their unit in the name, and flat lists with named dimensions stand in place of
nested maps, so that a data frame is one step away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from harness.results.load import UnderLoad
from harness.version import version

PURE_CPU, PING = "pure CPU", "ping"
"""The controls that are timed between pairs: a fixed piece of pure Python, and the scenario's own round trip where it gives one."""


@dataclass(frozen=True)
class Drift:
    """How a control changed within the processes: `ratio` is the second half of a process against the first, 1 is no change.

    `ratio` is the middle one of the processes', which are in `processes`; `explained` is how far from 1 it may lie by the control's
    own noise, as a share. `median_ns` is over all processes.
    """

    name: str
    samples: int
    median_ns: float
    ratio: float
    explained: float
    processes: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class InjectedSlowdown:
    """A slow-down of `share` that was planted in the baseline, and what became of it in one group of cases.

    `slower` is the share it was measured at, `low` and `high` bound the 95 % interval over processes; found is an interval above 0.
    """

    group: str
    share: float
    slower: float
    low: float | None
    high: float | None
    pairs: int

    @property
    def found(self) -> bool:
        """Whether the interval shows it to be slower."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True)
class Controls:
    """All controls of a scenario but the A/A control."""

    drifts: list[Drift] = field(default_factory=list)
    injected: list[InjectedSlowdown] = field(default_factory=list)


class ScenarioStatus(StrEnum):
    """How a scenario ended on one engine at one RTT."""

    OK = "ok"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    NOT_RUN = "not run"
    """It makes no sense on this engine or at this RTT, or cannot run here; the reason is in its `error`."""


class RunKind(StrEnum):
    """What a run did."""

    PAIRS = "pairs"
    """Arms were timed in interleaved pairs."""
    LOAD = "load"
    """Arms were put under load in interleaved blocks."""
    FILE = "file"
    """A result file of another tool."""
    COMPARISON = "comparison"
    """Two result files were compared."""


class PromiseVerdict(StrEnum):
    """The outcome of one promise for one arm, best first."""

    EXCEEDED = "exceeded"
    CONFIRMED = "confirmed"
    FELL_SHORT = "fell short"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    WITHHELD = "withheld"
    """The A/A control failed where this was timed; see `harness.verdicts.controls`."""
    NOT_MEASURED = "not measured"
    IMPROVED = "improved"
    """Of two result files: the second is faster."""
    REGRESSED = "regressed"
    """Of two result files: the second is slower."""
    MEASURED = "measured"
    """Nothing was promised: a figure that the reader should know, such as a cost that the review does not mention."""


class Interaction(StrEnum):
    """What a switch's gains alone and last say together."""

    ADDS_UP = "adds up"
    NEEDS_OTHERS = "needs others"
    REDUNDANT = "made redundant by others"
    INCONCLUSIVE = "inconclusive"


class GainSum(StrEnum):
    """What the gains of all switches amount to, against the product of the gains alone."""

    AS_PRODUCT = "as much as the product"
    MORE = "more than the product"
    LESS = "less than the product"
    INCONCLUSIVE = "inconclusive"


CLEAR = 0.05
"""From which corrected p-value on a gain is told from none."""


@dataclass(frozen=True)
class Gain:
    """How many times faster something makes an operation: a paired ratio, above 1 is faster.

    `processes` holds each fresh process's median over its pairs; `low` and `high` bound the 95 % interval over them and are None
    with fewer than two. `p_corrected` is how often chance alone would show as much if there were nothing (a t test over the
    processes), after Holm's correction for all that is asked of the group.
    """

    ratio: float
    low: float | None
    high: float | None
    processes: list[float]
    p_corrected: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether there is something, faster or slower, at 5 % after the correction."""
        return self.p_corrected is not None and self.p_corrected < CLEAR


@dataclass(frozen=True)
class SwitchGain:
    """What one switch brings: `alone`, turned on where all others are off, and `last`, where all others are on already.

    `difference` is last ÷ alone. `interaction` is an `Interaction`. The ranks are by the gain last:
    the best and the worst place that this switch can have, where one stands above another only if its whole interval does; those
    that cannot be told apart share places. None without intervals.
    """

    switch: str
    description: str
    alone: Gain
    last: Gain
    difference: Gain
    interaction: Interaction
    rank_best: int | None = None
    rank_worst: int | None = None


@dataclass(frozen=True)
class Ablation:
    """What the switches bring in one group of cases, all from the same pairs; `switches` by their gain last, the greatest first.

    `total` is all on against all off, `product` what the gains alone multiply to, `surplus` total ÷ product, and `together`, one
    a `GainSum`, what that amounts to.
    """

    group: str
    pairs: int
    switches: list[SwitchGain]
    total: Gain
    product: Gain
    surplus: Gain
    together: GainSum


@dataclass(frozen=True)
class PercentileRatio:
    """How many times shorter an arm's percentile is than the baseline's: baseline ÷ arm, above 1 is faster.

    `percentile` is "50", "95" or "99"; `samples` are those of the side that has fewer. `ratio` is None where so many samples do not
    resolve the percentile. `low` and `high` bound the 95 % interval, bootstrapped over processes and blocks of pairs; None where
    there are too few of them.
    """

    arm: str
    group: str
    percentile: str
    samples: int
    ratio: float | None = None
    low: float | None = None
    high: float | None = None


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
    fewer than two processes. The A/A control is a Ratio whose arm is `AA_CONTROL`.
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

AA_CONTROL = "A/A control"
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

    `verdict` is a `PromiseVerdict`. `value`, `low` and `high` are in `unit`: "×" (times faster), "less"
    (share saved), "share", "works" (share of checks), "exponent", or a plain unit such as "ms", "MB" and "statements".
    `promised_low` and `promised_high` bound the promise in the same unit; `neutral` is "no effect"; with `less_is_better` the
    promise is a limit, `promised_low`.
    """

    promise: str
    text: str
    arm: str
    verdict: PromiseVerdict
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
    status: ScenarioStatus
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
    kind: RunKind
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
    harness_version: str = field(default_factory=version)
    """The version of this package that made the run."""


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
