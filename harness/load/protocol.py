"""The messages between a supervisor and its load worker: one job and then orders in one direction, reports in the other."""

import msgspec

from harness.load.block import LoadBlock
from harness.results.load import LoadModel, Tick
from harness.runtime.watch import OPERATION_TIMEOUT_S
from harness.scenario import Setting
from harness.verdicts.failures import TOLERANCE

CLOSED = 75
"""The exit code of a load worker whose connection to its supervisor was closed in its own process."""


class LoadJob(msgspec.Struct, tag=True, frozen=True):
    """The load that a worker generates: scenario files, each with its setting, in blocks of one arm each."""

    files: list[str]
    """Scenario files, as `harness.runtime.child.encode_path` writes them."""
    settings: list[Setting]
    """The setting of each file."""
    block_s: float
    """Measured seconds of a block."""
    warm_up_s: float = 0.0
    """Seconds before them in which operations are sent and not recorded."""
    drain_s: float = 10.0
    """Timeout of the operations in flight after them, in seconds; no operation starts meanwhile."""
    model: LoadModel = LoadModel.OPEN
    arrivals: str = "50"
    """Open model: the arrival schedule (see `harness.load.arrivals`); every block replays all of it."""
    share: tuple[int, int] = (0, 1)
    """Open model: this worker's part of the schedule, as (worker, number of workers)."""
    in_flight_limit: int = 1000
    """Limit of operations in flight; arrivals beyond it are dropped and counted."""
    timeout_s: float = OPERATION_TIMEOUT_S
    """Timeout of one operation, in seconds; opening an arm's instance, and closing all, may take `LONG` times as long."""
    error_tolerance: float = TOLERANCE
    """Share of failed operations that is tolerated, 0 to 1."""
    arms: list[str] | None = None
    """The arms that take part; None for all."""
    verified_cases: int = 2
    """Cases of each group on which the arms must agree before any load; 0 where that was seen to beforehand."""
    cycles: int | None = None
    """Number of blocks of each arm; None until stopped."""
    first_cycle: int = 0
    """The cycle, or on request the block, to begin with: the ones before it were run by a worker that has ended."""
    arrived: int = 0
    """The operations that were due in those, from which the cases go on."""
    on_request: bool = False
    """Whether every `Order` is one block, instead of cycles over the arms."""
    cpus: tuple[int, ...] = ()
    """Cores to pin the worker to; empty for those of its parent."""
    alone: bool = False
    """Whether no other process uses these cores, so that the worker need not let them sleep."""
    digests: list[str] = msgspec.field(default_factory=list)
    """A digest of each file as the run has imported it; empty where it is not known."""


class Order(msgspec.Struct, tag=True, frozen=True):
    """The load from the next cycle on. To a worker on request, each order is one block."""

    users: int = 0
    """Concurrent users of the closed model; 0 in the open model."""
    rate_factor: float = 1.0
    """Factor on the rates of the arrival schedule in the open model."""
    arm: str = ""
    """On request: the arm of the block."""
    block_s: float | None = None
    """On request: measured seconds of the block; None for the job's."""
    cycle: int | None = None
    """On request: the cycle of the block; blocks of one cycle get the same arrivals and cases. None: arrivals of its own."""
    stop: bool = False
    """Whether the run ends after the current block, which is cut short; nothing else counts then."""


class WorkerReady(msgspec.Struct, tag=True, frozen=True):
    """The worker's instances are open and their answers were compared."""

    facts: dict[str, str]
    """Description of the worker's process, for the record."""
    cannot_run: list[tuple[str, str, str, str]]
    """(scenario, arm, group, error) of groups that an arm cannot run as written."""
    arms: list[str] = []
    """The arms that take load, of the first scenario, in the order of even cycles."""


class StepStarted(msgspec.Struct, tag=True, frozen=True):
    """The worker begins a step that runs a scenario's code, which the supervisor does not wait for longer than its timeout."""

    step: str
    """The step in words, such as "optimised, case 'user 7' of group 'page'"."""
    arm: str
    """Its arm; empty if it is of all arms."""
    timeout_s: float
    """The longest time that it may take, in seconds."""


class WorkerFinished(msgspec.Struct, tag=True, frozen=True):
    """The last message of a worker that has done its job: an exit without it is a crash, whatever the exit code."""

    left: list[str] = []
    """The threads that the scenario has left running, by their names."""
    started: list[int] = []
    """The process ids of what the worker has started and has not ended, without servers."""


class TickMeasured(msgspec.Struct, tag=True, frozen=True):
    """A sample of the run so far."""

    tick: Tick
    """The sample."""


WorkerReport = WorkerReady | LoadBlock | TickMeasured | StepStarted | WorkerFinished
