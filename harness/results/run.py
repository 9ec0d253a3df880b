"""The run record: what measuring writes and reports read. `harness.results.store` reads and writes it.

Every record is frozen, numbers have their unit in the name, and there are flat lists with named dimensions instead of nested maps.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self, TypeVar

from harness.results.load import ArmFigure, LoadResult
from harness.version import version

Key = TypeVar("Key")

PURE_CPU, PING = "pure CPU", "ping"
"""The controls that are timed between pairs: a fixed piece of pure Python, and the scenario's round trip if it has one."""


@dataclass(frozen=True)
class Drift:
    """The change of a control within the processes of a scenario."""

    name: str
    samples: int
    median_ns: float
    """Over all processes."""
    ratio: float
    """Second half of a process ÷ first half, the median over processes; 1: no change."""
    explained: float
    """By how much `ratio` may differ from 1 because of the control's noise, as a share."""
    processes: list[float] = field(default_factory=list)
    """Each process's ratio."""


@dataclass(frozen=True)
class InjectedSlowdown:
    """A slowdown that was injected into the baseline, and how it was measured in one group of cases."""

    group: str
    share: float
    """The injected slowdown, as a share of the baseline's time."""
    slower: float
    """The measured slowdown, as a share."""
    low: float | None
    """Lower bound of the 95 % confidence interval over processes."""
    high: float | None
    pairs: int

    @property
    def found(self) -> bool:
        """Whether it was detected: the whole interval is above 0."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True)
class Controls:
    """All controls of a scenario except the A/A control."""

    drifts: list[Drift] = field(default_factory=list)
    injected: list[InjectedSlowdown] = field(default_factory=list)


class ScenarioStatus(StrEnum):
    """The end of a scenario on one engine at one RTT."""

    OK = "ok"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    NOT_RUN = "not run"
    """It is not meaningful on this engine or at this RTT, or cannot run here; `error` has the reason."""


class RunKind(StrEnum):
    """The kind of a run."""

    PAIRS = "pairs"
    """Arms were timed in interleaved pairs."""
    LOAD = "load"
    """Arms were put under load in interleaved blocks."""
    FILE = "file"
    """A result file of another tool."""
    COMPARISON = "comparison"
    """Two result files were compared."""


class PromiseVerdict(StrEnum):
    """The outcome of one promise for one arm, best first; or of one benchmark in two result files."""

    EXCEEDED = "exceeded"
    CONFIRMED = "confirmed"
    FELL_SHORT = "fell short"
    """A gain, smaller than promised."""
    MISSED = "missed"
    """Below the promise; whether there is any gain is not shown."""
    REFUTED = "refuted"
    """The whole interval excludes a gain worth having."""
    INCONCLUSIVE = "inconclusive"
    WITHHELD = "withheld"
    """The A/A control failed where this was timed; see `harness.verdicts.controls`."""
    NOT_MEASURED = "not measured"
    IMPROVED = "improved"
    """Of two result files: the second is faster."""
    REGRESSED = "regressed"
    """Of two result files: the second is slower, or fails more."""
    EQUAL = "equal"
    """Of two result files: they are the same."""
    NOT_COMPARABLE = "not comparable"
    """Of two result files: another load, or all operations of both failed."""
    MEASURED = "measured"
    """Measured, nothing promised: a figure that the reader should know, such as a cost."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """Return a member for a verdict of a newer version, in its word, so that the rest of the run is readable."""
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member


UNPAIRED_VERDICTS = (
    PromiseVerdict.REGRESSED,
    PromiseVerdict.NOT_COMPARABLE,
    PromiseVerdict.IMPROVED,
    PromiseVerdict.INCONCLUSIVE,
    PromiseVerdict.EQUAL,
)
"""The possible verdicts on benchmarks of two result files, the most pressing first."""


class Interaction(StrEnum):
    """The interaction of a switch with the others: its gain last compared with its gain alone."""

    ADDS_UP = "adds up"
    NEEDS_OTHERS = "needs others"
    REDUNDANT = "made redundant by others"
    INCONCLUSIVE = "inconclusive"


class GainSum(StrEnum):
    """The gain of all switches together, compared with the product of the gains alone."""

    AS_PRODUCT = "as much as the product"
    MORE = "more than the product"
    LESS = "less than the product"
    INCONCLUSIVE = "inconclusive"


CLEAR = 0.05
"""The corrected p-value below which a gain is significant."""


@dataclass(frozen=True)
class Gain:
    """A gain in speed: a paired ratio, above 1 is faster."""

    ratio: float
    low: float | None
    """Lower bound of the 95 % confidence interval over processes; None with fewer than two processes."""
    high: float | None
    processes: list[float]
    """Each fresh process's median ratio over its pairs."""
    p_corrected: float | None = None
    """p-value of no effect (t test over processes), after Holm's correction for all comparisons of the group."""

    @property
    def is_clear(self) -> bool:
        """Whether there is a significant effect, faster or slower, at 5 % after the correction."""
        return self.p_corrected is not None and self.p_corrected < CLEAR


@dataclass(frozen=True)
class SwitchGain:
    """The gain of one switch."""

    switch: str
    description: str
    alone: Gain
    """Turned on while all others are off."""
    last: Gain
    """Turned on while all others are on."""
    difference: Gain
    """Last ÷ alone."""
    interaction: Interaction
    rank_best: int | None = None
    """The best rank it can have, by the gain last: switches whose intervals overlap share ranks. None without intervals."""
    rank_worst: int | None = None


@dataclass(frozen=True)
class Ablation:
    """The gains of the switches in one group of cases, all from the same pairs."""

    group: str
    pairs: int
    switches: list[SwitchGain]
    """The largest gain last first."""
    total: Gain
    """All on against all off."""
    product: Gain
    """The product of the gains alone."""
    surplus: Gain
    """Total ÷ product."""
    together: GainSum


@dataclass(frozen=True)
class PercentileRatio(ArmFigure):
    """The ratio of a percentile: baseline ÷ arm, above 1 is faster."""

    percentile: str
    """`50`, `95` or `99`."""
    samples: int
    """Of the side that has fewer."""
    ratio: float | None = None
    """None if the samples of a side do not support the percentile."""
    low: float | None = None
    """Lower bound of the 95 % confidence interval (`harness.stats.percentiles`); None with fewer than two processes."""
    high: float | None = None
    effective_samples: float | None = None
    """The number of independent samples that `samples` count as; None in the record of an older version."""


@dataclass(frozen=True)
class Latency(ArmFigure):
    """One arm's latency in one group of cases, from raw nanoseconds; mean, minimum and maximum are of all operations."""

    samples: int
    """The number of recorded operations, which the percentiles are of."""
    mean_ns: float
    min_ns: int
    max_ns: int
    percentiles_ns: dict[str, float | None]
    """By "50", "90", "95", "99" and "99.9"; None for a percentile that the sample count does not support."""
    process_medians_ns: list[float] = field(default_factory=list)
    """Each fresh process's median."""
    intervals_ns: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Label → 95 % confidence interval in nanoseconds (`harness.stats.percentiles`), of the percentiles that have one."""
    effective_samples: dict[str, float] = field(default_factory=dict)
    """Label → the number of independent samples that `samples` count as for the percentile: those of one slot are alike."""


@dataclass(frozen=True)
class OperationCounts(ArmFigure):
    """The operations of an arm that were tried and those that failed, which are in no distribution of times."""

    operations: int
    """All of them, failed ones included."""
    errors: int
    per_s: float | None = None
    """Operations per second, None where it is unknown."""
    messages: dict[str, int] = field(default_factory=dict)
    """Error message → number of operations."""


@dataclass(frozen=True)
class FileMetric(ArmFigure):
    """A figure of a result file that is not a time, such as a size in bytes; `group` is its name."""

    unit: str
    """Such as "bytes"; "" for a plain number. All figures below are in it."""
    samples: int | None
    """None where the file does not state it."""
    median: float | None
    mean: float | None
    min: float | None
    max: float | None
    percentiles: dict[str, float | None] = field(default_factory=dict)
    """`50`, `90`, `95`, `99` and `99.9` → the percentile; None where unknown."""
    less_is_better: bool | None = None
    """None where the better direction is unknown: it is then shown and not judged."""


@dataclass(frozen=True)
class Ratio(ArmFigure):
    """The paired ratio baseline ÷ arm: times faster, above 1 is faster. The A/A control is one whose arm is `AA_CONTROL`."""

    ratio: float
    low: float | None
    """Lower bound of the 95 % confidence interval over processes; None with fewer than two processes."""
    high: float | None
    processes: list[float]
    """Each fresh process's median ratio."""
    pairs: int


BASELINE = "baseline"
"""The arm that all others are compared with; always the first."""
AA_CONTROL = "A/A control"
"""The arm name of the A/A control: a second instance of the baseline, measured in the same way."""


@dataclass(frozen=True)
class WorkCount(ArmFigure):
    """A count of work per operation, from its own untimed pass: statements, rows, VM steps, bytes of index."""

    metric: str
    value: float
    scale: float = 1.0
    """The share of the data set it was counted on; a growth exponent comes from several scales."""
    repeats_exactly: bool = True
    """Whether repeats counted the same: in one process, and in each fresh one that has counted."""

    @property
    def key(self) -> tuple[str, str, str, float]:
        """By what a count is the same one in another process or run: arm, group, metric and scale."""
        return self.arm, self.group, self.metric, self.scale


def unrepeated(first: Mapping[Key, float], again: Mapping[Key, float]) -> set[Key]:
    """Return what two fresh processes of one version have both counted, and not to the same digit.

    Example:
        unrepeated({"calls": 7, "bytes": 640}, {"calls": 7, "bytes": 653}) == {"bytes"}
    """
    return {key for key, value in first.items() if key in again and again[key] != value}


def counted_again(first: Iterable[WorkCount], again: Iterable[WorkCount]) -> list[WorkCount]:
    """Return the counts of one version from a fresh process more: a count that has another value in it does not repeat."""
    known, now = ({count.key: count for count in counts} for counts in (first, again))
    differs = unrepeated(*({key: count.value for key, count in counts.items()} for counts in (known, now)))
    differs |= {key for key, count in now.items() if not count.repeats_exactly}
    every = known | {key: count for key, count in now.items() if key not in known}
    return [replace(count, repeats_exactly=count.repeats_exactly and key not in differs) for key, count in every.items()]


@dataclass(frozen=True)
class Statement(ArmFigure):
    """One statement shape of an arm, with its query plan, taken outside timing."""

    sql: str
    count: int
    """The number of times that one operation sends it."""
    plan: list[str]
    uses_index: bool
    scans_table: bool


@dataclass(frozen=True)
class Memory(ArmFigure):
    """One operation's memory: of a process that serves one arm, of every process below it and of the servers.

    Of several repetitions of the same case these are the figures of the one that added the median.
    """

    idle_bytes: int
    """The memory just before the first repetition: the resident set, and the private memory of the other processes."""
    peak_bytes: int
    """The highest memory, from the samples and from the kernel's high-water marks, which sampling could miss."""
    seconds: float
    curve: list[tuple[float, int]]
    """The memory sampled by memory-profiler: seconds from the start, bytes. That of a quick operation is of its repetitions."""
    rows: int | None = None
    scale: float = 1.0
    limit_bytes: int | None = None
    error: str | None = None
    """The reason if the operation did not complete."""
    repetitions: int = 1
    lowest_added_bytes: int | None = None
    """The least that a repetition added; None with a single one."""
    highest_added_bytes: int | None = None
    """The most that a repetition added; None with a single one."""
    servers: dict[str, int] = field(default_factory=dict)
    """Name of each server that is part of the figures → the bytes that its processes added at most."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Name of each server that is not part of them → the reason."""
    not_measured: str | None = None
    """The reason if the arm was not measured in this group."""

    @property
    def added_bytes(self) -> int:
        """Peak above idle, in bytes."""
        return max(0, self.peak_bytes - self.idle_bytes)

    @property
    def has_figures(self) -> bool:
        """Whether the operation was measured and has completed."""
        return self.error is None and self.not_measured is None

    @property
    def range_bytes(self) -> tuple[int, int]:
        """The least and the most that a repetition added."""
        low, high = self.lowest_added_bytes, self.highest_added_bytes
        return self.added_bytes if low is None else low, self.added_bytes if high is None else high


PEAK_MEMORY = "peak_memory"
"""The metric name of the memory added at the peak, in growth records."""


@dataclass(frozen=True)
class Growth(ArmFigure):
    """The growth of a figure with the data: the exponent k of cost ~ rows^k."""

    metric: str
    scales: list[float]
    """Shares of the rows that it was measured at."""
    values: list[float]
    """The figure at each scale."""
    exponent: float
    """0 is constant, 1 is linear, 2 is quadratic."""


@dataclass(frozen=True)
class ArmResult:
    """One arm of a scenario."""

    name: str
    description: str
    errors: dict[str, str] = field(default_factory=dict)
    """Group → error, of each group that it cannot run as written; such a group has no timings."""
    as_written: bool = False
    """Whether it tests advice literally and may fail to run."""
    code: str = ""
    """Its declaration as `path:line` in the repository; empty if that is not known."""
    changes: list[str] = field(default_factory=list)
    """The DDL statements that changed its database, such as those that create an index."""

    @property
    def cannot_run(self) -> str | None:
        """Its errors as one text, such as "mix, reads: OSError: refused"; None without errors."""
        groups: dict[str, list[str]] = {}
        for group, error in self.errors.items():
            groups.setdefault(error, []).append(group)
        return "; ".join(f"{', '.join(named)}: {error}" for error, named in groups.items()) or None


@dataclass(frozen=True)
class Finding:
    """Something that an arm does as written and that a reader of the advice should know."""

    arm: str
    message: str
    holds: bool
    """Whether it was observed."""
    evidence: str


@dataclass(frozen=True)
class Verdict:
    """The verdict on one promise for one arm."""

    promise: str
    text: str
    """The promise's claim in words."""
    arm: str
    verdict: PromiseVerdict
    sentence: str
    """The promise and the measurement, or the reason why it was not measured, in English."""
    unit: str
    """"×" (times faster), "time" (times as long), "less" (share saved), "share", "works" (share of passed checks), "exponent", or a
    plain unit such as "ms", "MB" and "statements"."""
    part: str = ""
    value: float | None = None
    """In `unit`, as are the bounds."""
    low: float | None = None
    """Lower bound of the 95 % confidence interval; equal to `value` for an exact count."""
    high: float | None = None
    promised_low: float | None = None
    promised_high: float | None = None
    neutral: float | None = None
    """The value of "no effect"."""
    less_is_better: bool = False
    """Whether the promise is a limit, `promised_low`."""
    checks: int | None = None
    """The number of checks behind a share of passed checks."""
    groups: list[str] = field(default_factory=list)
    """The groups of cases that it was read from; empty where the measure names none."""
    note: str = ""
    """Where the figure comes from; a part of the sentence."""
    slower: dict[str, str] = field(default_factory=dict)
    """Group → the worst percentile that is slower, whatever the gain; a part of the sentence."""


@dataclass(frozen=True)
class RunWarning:
    """A reason not to trust a result, and its remedy."""

    name: str
    message: str
    remedy: str


@dataclass(frozen=True)
class ScenarioResult:
    """All results of one scenario on one engine at one RTT."""

    name: str
    title: str
    doc: str
    file: str
    engine: str
    """Empty of a scenario without a database."""
    rtt_ms: float
    status: ScenarioStatus
    error: str | None = None
    """Of a failed scenario, in one line; the reason if it was not run."""
    exit_code: int = 0
    """The exit code of a failed scenario."""
    arms: list[ArmResult] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    """Names and descriptions of the groups of cases."""
    verified_cases: int = 0
    """The number of answers that were compared between arms."""
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
    """The raw samples, relative to the run's folder; histograms under load."""
    ablation: list[Ablation] = field(default_factory=list)
    """One entry per group in which switches were ablated."""
    load: LoadResult | None = None
    load_left_out: str = ""
    """Why the scenario's load test, or the search of its capacity, was left out of a run."""
    percentile_ratios: list[PercentileRatio] = field(default_factory=list)
    tolerances: dict[str, float] = field(default_factory=dict)
    """Metric → share by which the gate tolerates a change."""
    higher_is_better: list[str] = field(default_factory=list)
    """Metrics of which more is better, for the gate."""
    controls: Controls = field(default_factory=Controls)
    operations: list[OperationCounts] = field(default_factory=list)
    """Of a result file; under load, `load.arms` has them."""
    metrics: list[FileMetric] = field(default_factory=list)
    """Of a result file: what it measured besides times."""
    load_settings: dict[str, str] = field(default_factory=dict)
    """What identifies a load, in words: model, users, rate, stages, duration, warm-up. Another load is not comparable. Empty
    where the load is a part of a run of pairs."""
    profile: dict[str, float] = field(default_factory=dict)
    """Phase (`harness.results.profile.RunPhase`) → seconds of its worker processes; processes in parallel add up."""

    @property
    def place(self) -> str:
        """The engine and the RTT in words: `postgres, RTT 5 ms`; without a database the RTT alone."""
        return f"{self.engine}, RTT {self.rtt_ms:g} ms".removeprefix(", ")

    @property
    def is_timed_under_load(self) -> bool:
        """Whether its latencies and ratios are those of its load, and not of pairs."""
        return self.load is not None and bool(self.load_settings)


@dataclass(frozen=True)
class RunSettings:
    """The options of a run."""

    engines: list[str]
    """Database engines; of a request that names none, each scenario's first one. Empty if no scenario has a database."""
    size: str
    seed: int
    rtts_ms: list[float]
    quick: bool
    processes: int
    budget_s: float
    """The time budget of the whole run in seconds; of a run under load, the duration of its load."""

    def on(self, engines: Iterable[str]) -> Self:
        """Return the settings of a record: those of a request, with the engines that were used where it named none or none was."""
        used = [engine for engine in dict.fromkeys(engines) if engine]
        return self if self.engines and used else replace(self, engines=used)


@dataclass(frozen=True)
class Priority:
    """A review's ranking of one of its areas, in its words."""

    area: str
    priority: str
    impact: str
    effort: str
    gain: str
    answers: list[str] = field(default_factory=list)
    """The promises whose figures answer the gain; a part is `promise · part`."""
    switch: str | None = None
    """The switch of an ablation that turns the area on."""


@dataclass(frozen=True)
class Score:
    """A review's rating of one aspect of its subject."""

    aspect: str
    today: str
    goal: str
    """Once the advice is followed."""
    promises: list[str]
    """The promises that answer it."""


@dataclass(frozen=True)
class Review:
    """A review: its promises, priorities and ratings."""

    title: str
    areas: dict[str, str]
    """By the letter that the promises' ids begin with."""
    promises: dict[str, str]
    """Texts by id."""
    priorities: list[Priority] = field(default_factory=list)
    scorecard: list[Score] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """One run: its options, environment and results."""

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
    repository: str = ""
    """Web address of the repository that has the commit; empty if it is not known."""
    harness_version: str = field(default_factory=version)
    """The version of this package that wrote the run."""
    resumed: int = 0
    """How often it was resumed after an interruption."""

    @property
    def incomplete(self) -> str:
        """Why results may be missing, as the end of a sentence about the run; "" if it ended by itself."""
        if self.interrupted:
            return "was interrupted"
        return "did not finish" if self.finished_at is None and self.kind in {RunKind.PAIRS, RunKind.LOAD} else ""


@dataclass(frozen=True)
class SlotTotals:
    """The totals of all operations of a slot."""

    operations: int
    total_ns: int
    min_ns: int
    max_ns: int

    @classmethod
    def of(cls, latencies_ns: Sequence[int]) -> "SlotTotals":
        """Return the totals of these operations."""
        return cls(len(latencies_ns), sum(latencies_ns), min(latencies_ns), max(latencies_ns))

    @property
    def mean_ns(self) -> float:
        """The mean of an operation, in nanoseconds."""
        return self.total_ns / self.operations


@dataclass(frozen=True)
class Slot:
    """The operations of one arm in one pair, timed one after another."""

    process: int
    pair: int
    position: int
    """The arm's position in the pair's order, from 0."""
    arm: str
    group: str
    case: str
    """The name of the input."""
    latencies_ns: Sequence[int]
    """The nanoseconds of each recorded operation, in the order they ran."""
    everything: SlotTotals | None = None
    """The totals of all operations where only some were recorded; None: all were."""

    @property
    def totals(self) -> SlotTotals:
        """The totals of all operations."""
        return self.everything or SlotTotals.of(self.latencies_ns)
