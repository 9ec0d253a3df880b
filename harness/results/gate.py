"""What a gate found: two versions side by side, a row a figure, and one verdict of the whole that a build ends with.

Rows come from stored runs (`harness.gate.stored_runs`) or from both versions, interleaved (`harness gate --against`);
what is made of them, in the terminal, in a pull request or for a test reporter, is the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from harness.results.run import RunWarning

REGRESSED = "regressed"
IMPROVED = "improved"
EQUAL = "equal"
EQUIVALENT = "equivalent"
NOT_JUDGED = "not judged"
INCONCLUSIVE = "inconclusive"
NOT_COMPARABLE = "not comparable"

ROW_WORDS = (REGRESSED, NOT_COMPARABLE, INCONCLUSIVE, IMPROVED, EQUIVALENT, EQUAL, NOT_JUDGED)
"""Every word a row can have, the most pressing first.

`equal`: exact work, to the last count, or within what is tolerated. `equivalent`: a paired time whose whole interval is within the
margin. `inconclusive`: it could not be told and should have been, so that the gate does not pass. `not judged`: it cannot be told
from such figures, and others decide.
"""

EXIT_CODES = {REGRESSED: 1, NOT_COMPARABLE: 4, INCONCLUSIVE: 3, IMPROVED: 0, EQUIVALENT: 0}
"""What a verdict of the whole means to a shell, the most pressing first."""

EXACT, MEMORY, TIME, STATUS = "exact", "memory", "time", "status"
"""Kinds of rows: counted work, memory at the peak, time (stored or in pairs), and whether a scenario or an arm ran at all."""

OWN_FIGURE = "the arm itself"
"""How a group is called that is none: of figures of an arm that are no operation's."""


@dataclass(frozen=True)
class GateRow:
    """One figure before and after, of one arm in one group of cases.

    `kind` is one of EXACT, MEMORY, TIME and STATUS; `metric` names the figure, and `base` and `candidate` hold it in `unit`: "" for
    counts, "bytes", or "ns"; None where one side has none, and of paired times both may be missing. `change` is candidate ÷ base;
    `low` and `high` bound its interval where there is one: of 99 % for versions timed in turn, of 95 % for two files. `tolerated`
    is the share by which it may change. `verdict` is one of ROW_WORDS, `reason` says why in a sentence.
    """

    kind: str
    scenario: str
    engine: str
    rtt_ms: float
    arm: str
    group: str
    metric: str
    verdict: str
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
        parts = (self.arm, self.group or OWN_FIGURE if self.kind != STATUS else self.group)
        return " · ".join([*(p for p in parts if p), self.metric.replace("_", " ") + part])


@dataclass(frozen=True)
class GateResult:
    """All that a gate found. `verdict` is one of EXIT_CODES, `sentence` says why; `base` and `candidate` name the two sides.

    `incomparable` are reasons why the sides, or parts of them, say nothing about each other, each with its remedy; `warnings` are to
    be read and decide nothing.
    """

    base: str
    candidate: str
    verdict: str
    sentence: str
    rows: list[GateRow] = field(default_factory=list)
    incomparable: list[RunWarning] = field(default_factory=list)
    warnings: list[RunWarning] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """What it means to a shell: 0 good, 1 regressed, 3 inconclusive, 4 not comparable."""
        return EXIT_CODES[self.verdict]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows have each word, the most pressing first; words without a row are left out."""
        counts = Counter(row.verdict for row in self.rows)
        return {word: counts[word] for word in ROW_WORDS if counts[word]}
