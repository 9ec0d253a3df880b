"""What a gate found: two versions side by side, a row a figure, and one verdict of the whole that a build ends with.

Rows come from stored runs (`harness.gate.stored_runs`) or from both versions, interleaved (`harness gate --against`);
what is made of them, in the terminal, in a pull request or for a test reporter, is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.results.run import RunWarning


class GateVerdict(StrEnum):
    """The verdict on one figure, and of those with an exit code, on two versions as a whole."""

    REGRESSED = "regressed"
    NOT_COMPARABLE = "not comparable"
    INCONCLUSIVE = "inconclusive"
    """It could not be decided and should have been, so that the gate does not pass."""
    IMPROVED = "improved"
    EQUIVALENT = "equivalent"
    """A paired time whose whole interval is within the margin."""
    EQUAL = "equal"
    """A work count, to the last digit or within its tolerance."""
    NOT_JUDGED = "not judged"
    """It cannot be decided from such figures, and others decide."""


class RowKind(StrEnum):
    """What a row compares."""

    WORK = "work"
    MEMORY = "memory"
    TIME = "time"
    """Stored or paired."""
    STATUS = "status"
    """Whether a scenario or an arm ran at all."""


EXIT_CODES: Mapping[GateVerdict, int] = {
    GateVerdict.REGRESSED: 1,
    GateVerdict.NOT_COMPARABLE: 4,
    GateVerdict.INCONCLUSIVE: 3,
    GateVerdict.IMPROVED: 0,
    GateVerdict.EQUIVALENT: 0,
}
"""What a verdict of the whole means to a shell, the most pressing first."""

OWN_FIGURE = "the arm itself"
"""How a group is called that is none: of figures of an arm that are no operation's."""


@dataclass(frozen=True)
class GateRow:
    """One figure before and after, of one arm in one group of cases.

    `kind` is one of EXACT, MEMORY, TIME and STATUS; `metric` names the figure, and `base` and `candidate` hold it in `unit`: "" for
    counts, "bytes", or "ns"; None where one side has none, and of paired times both may be missing. `change` is candidate ÷ base;
    `low` and `high` bound its interval where there is one: of 99 % for versions timed in turn, of 95 % for two files. `tolerated`
    is the share by which it may change. `verdict` is one of GateVerdict, `reason` says why in a sentence.
    """

    kind: RowKind
    scenario: str
    engine: str
    rtt_ms: float
    arm: str
    group: str
    metric: str
    verdict: GateVerdict
    reason: str
    base: float | None = None
    candidate: float | None = None
    unit: str = ""
    change: float | None = None
    low: float | None = None
    high: float | None = None
    tolerated: float = 0.0
    scale: float = 1.0
    paired: bool = False

    @property
    def place(self) -> str:
        """Where the figure was taken, for a person: `indexes · sqlite, RTT 5 ms`."""
        away = f", RTT {self.rtt_ms:g} ms" if self.rtt_ms else ""
        return f"{self.scenario} · {self.engine}{away}"

    @property
    def label(self) -> str:
        """What the figure is of, for a person: `optimised · user_prompts · vm steps at 0.25 of the data`."""
        part = f" at {self.scale:g} of the data" if self.scale != 1.0 else ""
        parts = (self.arm, self.group or OWN_FIGURE if self.kind != RowKind.STATUS else self.group)
        return " · ".join([*(p for p in parts if p), self.metric.replace("_", " ") + part])


@dataclass(frozen=True)
class GateResult:
    """All that a gate found. `verdict` is one of EXIT_CODES, `sentence` says why; `base` and `candidate` name the two sides.

    `incomparable` are reasons why the sides, or parts of them, say nothing about each other, each with its remedy; `warnings` are to
    be read and decide nothing.
    """

    base: str
    candidate: str
    verdict: GateVerdict
    sentence: str
    rows: list[GateRow] = field(default_factory=list)
    incomparable: list[RunWarning] = field(default_factory=list)
    warnings: list[RunWarning] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """What it means to a shell: 0 good, 1 regressed, 3 inconclusive, 4 not comparable."""
        return EXIT_CODES[self.verdict]

    @property
    def counts(self) -> dict[GateVerdict, int]:
        """How many rows have each word, the most pressing first; words without a row are left out."""
        counts = Counter(row.verdict for row in self.rows)
        return {word: counts[word] for word in GateVerdict if counts[word]}
