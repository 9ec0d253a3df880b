"""What a step of a run adds to a scenario's result, stored so that a run that is resumed has it without doing the step again."""

import msgspec

from harness.bench.job import Message
from harness.bench.load_outcome import LoadOutcome
from harness.results.run import RunWarning

RESUMED = "resumed"
"""The name of the line that each process adds that goes on with a run."""


class StepOutcome(msgspec.Struct):
    """What one step has added to a trial, in the order in which it came."""

    messages: list[tuple[Message, int, float]] = []
    """Each message of its workers, the number of the process that sent it, and the share of the data that it is of."""
    left_running: list[str] = []
    """Names of the threads and processes that went on after the job."""
    warnings: list[RunWarning] = []
    """Warnings that follow from no figure."""
    load: LoadOutcome | None = None
    """The figures of a load test."""
    spent_s: dict[str, float] = {}
    """RunPhase → seconds of its process."""
    overhead_s: float | None = None
    """Of a process that has timed its pairs: its seconds besides them."""
    not_run: str | None = None
    """The reason why the trial cannot run here."""


def together(*outcomes: StepOutcome) -> StepOutcome:
    """Return the outcomes of the parts of one step as one."""
    found = StepOutcome()
    for each in outcomes:
        found.messages += each.messages
        found.left_running += each.left_running
        found.warnings += each.warnings
        found.spent_s |= each.spent_s
        found.overhead_s = each.overhead_s if found.overhead_s is None else found.overhead_s
    return found


class StoredStep(msgspec.Struct):
    """One line of the file of steps."""

    step: str
    """The step's name, which no other one of the run has."""
    trial: str
    """The scenario on an engine at an RTT; empty of a line that is of none."""
    outcome: StepOutcome
    left_s: float = 0.0
    """Seconds of the run's budget that were left after it."""
    budget_s: float = 0.0
    """The run's budget in seconds; 0 of a line that is of no step."""
