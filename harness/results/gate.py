"""The result of a gate: baseline and candidate compared figure by figure, and one verdict with an exit code.

Rows come from stored runs or from both versions timed interleaved; reports treat them alike.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.results.run import RunWarning


class GateVerdict(StrEnum):
    """The verdict on one figure and, of those with an exit code, on a whole comparison; the most severe first."""

    REGRESSED = "regressed"
    NOT_COMPARABLE = "not comparable"
    INCONCLUSIVE = "inconclusive"
    """It had to be decided and could not be, so that the gate does not pass."""
    IMPROVED = "improved"
    EQUIVALENT = "equivalent"
    """Of a paired time: its whole interval is within the margin."""
    EQUAL = "equal"
    """Of a work count: the same, exactly or within its tolerance."""
    NOT_JUDGED = "not judged"
    """Such figures cannot decide; others do."""


class RowKind(StrEnum):
    """The kind of figure that a row compares."""

    WORK = "work"
    MEMORY = "memory"
    TIME = "time"
    """A stored or a paired time, or one of its percentiles."""
    ERRORS = "errors"
    """The share of operations that failed."""
    THROUGHPUT = "throughput"
    """Operations per second."""
    METRIC = "metric"
    """A figure of a result file that is not a time, such as a size in bytes."""
    CHECKS = "checks"
    """A threshold or check of the tool that wrote a result file."""
    STATUS = "status"
    """Whether a scenario or an arm ran at all."""


EXIT_CODES: Mapping[GateVerdict, int] = {
    GateVerdict.REGRESSED: 1,
    GateVerdict.NOT_COMPARABLE: 4,
    GateVerdict.INCONCLUSIVE: 3,
    GateVerdict.IMPROVED: 0,
    GateVerdict.EQUIVALENT: 0,
}
"""The exit code of each verdict on a whole comparison, the most severe first."""
OWN_FIGURE = "the arm itself"
"""The label in place of a group, for figures of an arm that belong to no operation."""


@dataclass(frozen=True)
class GateRow:
    """One figure of one arm in one group of cases, in the baseline and in the candidate."""

    kind: RowKind
    scenario: str
    """The scenario, or the file of a pytest benchmark."""
    engine: str
    rtt_ms: float
    arm: str
    group: str
    metric: str
    """The figure's name, such as `vm_steps`, `peak_memory`, `time` and `status`."""
    verdict: GateVerdict
    reason: str
    """The reason for the verdict, in one sentence."""
    base: float | None = None
    """The baseline's figure in `unit`; None where there is none. Of a paired time both figures may be missing."""
    candidate: float | None = None
    """The candidate's figure in `unit`."""
    unit: str = ""
    """`ns`, `bytes`, `share`, `per s`, or "" for counts."""
    change: float | None = None
    """The ratio candidate ÷ baseline: 1.03 is 3 % more."""
    low: float | None = None
    """The lower bound of the ratio's interval: of 99 % for interleaved versions, of 95 % for two files."""
    high: float | None = None
    """The upper bound of that interval."""
    tolerated: float = 0.0
    """The share by which the figure may change."""
    scale: float = 1.0
    """The share of the data set on which the figure was taken."""
    paired: bool = False
    """Whether a time comes from interleaved versions."""
    detectable: float | None = None
    """Of a paired time, the smallest slowdown, as a share, that would have been seen in 95 of 100 cases."""

    @property
    def is_untimed(self) -> bool:
        """Whether it is a benchmark that was not timed, because nothing that it depends on has changed."""
        return self.kind == RowKind.TIME and self.verdict == GateVerdict.EQUIVALENT and self.change is None

    @property
    def place(self) -> str:
        """The scenario with its engine, if that is known, and RTT: `indexes · postgres, RTT 5 ms`."""
        rtt = f", RTT {self.rtt_ms:g} ms" if self.rtt_ms else ""
        return f"{self.scenario} · {self.engine}{rtt}" if self.engine else f"{self.scenario}{rtt}"

    @property
    def label(self) -> str:
        """The arm, group and metric: `optimised · orders · vm steps at 0.25 of the data`."""
        part = f" at {self.scale:g} of the data" if self.scale != 1.0 else ""
        parts = (self.arm, self.group or (OWN_FIGURE if self.arm and self.kind != RowKind.STATUS else ""))
        return " · ".join([*(p for p in parts if p), self.metric.replace("_", " ") + part])


def status_row(
    scenario: str, engine: str, rtt_ms: float, verdict: GateVerdict, reason: str, *, arm: str = "", group: str = ""
) -> GateRow:
    """Return the row of a scenario, arm or benchmark that did not run as it should."""
    return GateRow(RowKind.STATUS, scenario, engine, rtt_ms, arm, group, "status", verdict, reason)


@dataclass(frozen=True)
class GateTiming:
    """The time that a gate took, and the part of it in which it timed."""

    total_s: float
    """Seconds from the start of the gate, earlier parts included."""
    timed_s: float
    """The seconds in which a benchmark was timed; all others are overhead."""
    process_pairs: int


@dataclass(frozen=True)
class GateResult:
    """The result of a gate: all rows, and the verdict on the whole."""

    base: str
    """The baseline's name."""
    candidate: str
    """The candidate's name."""
    verdict: GateVerdict
    """One of `EXIT_CODES`."""
    sentence: str
    """The reason for the verdict."""
    rows: list[GateRow] = field(default_factory=list)
    incomparable: list[RunWarning] = field(default_factory=list)
    """The reasons why baseline and candidate, or parts of them, cannot be compared."""
    warnings: list[RunWarning] = field(default_factory=list)
    """Warnings that do not change the verdict."""
    unfinished: str = ""
    """The reason why it ended before everything was decided, such as an interrupt; empty if it did not."""
    timing: GateTiming | None = None
    """The time that was spent, if anything was timed."""

    @property
    def exit_code(self) -> int:
        """The exit code: 0 pass, 1 regressed, 3 inconclusive, 4 not comparable."""
        return EXIT_CODES[self.verdict]

    @property
    def counts(self) -> dict[GateVerdict, int]:
        """The number of rows per verdict, the most severe first; verdicts without rows are left out."""
        counts = Counter(row.verdict for row in self.rows)
        return {verdict: counts[verdict] for verdict in GateVerdict if counts[verdict]}
