"""The record of a history: figures over the runs of many commits, and the steps among them."""

from dataclasses import dataclass, field
from enum import StrEnum

from harness.results.run import RunWarning


class FigureKind(StrEnum):
    """The kind of a figure, which decides how a step of it is recognised (`harness.history.figures`)."""

    RATIO = "ratio"
    """Paired: baseline ÷ arm, above 1 is faster."""
    TIME = "time"
    """A percentile in nanoseconds."""
    WORK = "work"
    """A work count."""
    METRIC = "metric"
    """A figure of another tool's file that is not a time."""


@dataclass(frozen=True)
class HistoryRun:
    """One run of the history, in the order of the commits."""

    label: str
    """The short commit, marked with `+` for uncommitted changes; the run's name where it has no commit."""
    name: str
    file: str
    commit: str | None
    dirty: bool
    started_at: str
    code: int
    """Runs with the same number measured the same code."""
    remarks: tuple[str, ...] = ()
    """What is not as usual, such as `was interrupted` and `failed: indexes · sqlite`."""


@dataclass(frozen=True)
class HistoryPoint:
    """A figure in one run."""

    run: int
    """The run's position in `History.runs`."""
    value: float
    low: float | None = None
    """Lower bound of the 95 % confidence interval that the run states."""
    high: float | None = None
    partial: bool = False
    """Whether the scenario was interrupted, or operations failed."""


@dataclass(frozen=True)
class HistoryStep:
    """A lasting change of a figure from one commit to the next one that was measured."""

    before_run: int
    """The last run before it."""
    run: int
    """The first run after it."""
    before: float
    after: float
    change: float | None
    """After ÷ before; None where one is 0."""
    low: float | None
    """Lower bound of the change's interval, which holds for all figures of the page together; None for a work count."""
    high: float | None
    evidence: str
    """The reason why it counts."""
    better: bool | None
    """Whether the figure became better; None where the better direction is unknown."""


@dataclass(frozen=True)
class HistoryLine:
    """A figure over the runs that are comparable."""

    number: int
    """The position of its setting in the lists of the scenario's lines."""
    points: tuple[HistoryPoint, ...]
    steps: tuple[HistoryStep, ...] = ()


@dataclass(frozen=True)
class FigureHistory:
    """One figure of one arm in one group over all runs."""

    kind: FigureKind
    arm: str
    """"" for another tool's benchmark."""
    group: str
    metric: str
    """Such as `vm_steps`, `p95` and `ratio`."""
    unit: str
    """`ns`, `×`, `bytes`, another tool's unit, or "" for counts."""
    lines: tuple[HistoryLine, ...]

    @property
    def steps(self) -> list[HistoryStep]:
        """The steps of all lines."""
        return [step for line in self.lines for step in line.steps]

    @property
    def constant(self) -> float | None:
        """The value, if it is not measured with an error and the same in all runs of all lines; None otherwise."""
        if self.kind in {FigureKind.RATIO, FigureKind.TIME}:
            return None
        values = {point.value for line in self.lines for point in line.points}
        return next(iter(values)) if len(values) == 1 else None


@dataclass(frozen=True)
class ScenarioHistory:
    """The figures of one scenario on one engine at one RTT, or of one tool, over all runs."""

    name: str
    title: str
    engine: str
    """"" for another tool."""
    rtt_ms: float
    runs: int
    """The number of runs that have it."""
    figures: tuple[FigureHistory, ...]
    time_lines: tuple[str, ...] = ()
    """What differs from the first line, per line of times and ratios; one entry where all runs are comparable."""
    work_lines: tuple[str, ...] = ()
    """The same per line of work counts, which do not depend on the machine."""

    @property
    def place(self) -> str:
        """Its engine and RTT, as far as it has them: `postgres, RTT 5 ms`; empty for another tool."""
        return ", ".join(filter(None, (self.engine, f"RTT {self.rtt_ms:g} ms" if self.rtt_ms else "")))

    @property
    def steps(self) -> list[tuple[FigureHistory, HistoryStep]]:
        """Every step with its figure."""
        return [(figure, step) for figure in self.figures for step in figure.steps]


@dataclass(frozen=True)
class History:
    """Figures over the runs of many commits."""

    runs: tuple[HistoryRun, ...]
    scenarios: tuple[ScenarioHistory, ...]
    warnings: tuple[RunWarning, ...] = field(default_factory=tuple)
    tests: int = 0
    """The number of places at which ratios, times and metrics were tested for a step: intervals are corrected for it."""

    @property
    def commits(self) -> int:
        """The number of versions of the code that were measured."""
        return len({run.code for run in self.runs})

    @property
    def stepped(self) -> list[int]:
        """The positions of the runs at which a step happened, in their order."""
        return sorted({step.run for scenario in self.scenarios for _, step in scenario.steps})
