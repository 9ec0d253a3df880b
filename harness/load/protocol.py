"""The messages between a supervisor and its load worker: one job and then orders in one direction, reports in the other."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.results.load import Tick
from harness.scenario import Setting
from harness.stats.histogram import HistogramWire

Model = Literal["open", "closed"]

IN_FLIGHT_CAP = 1000
"""Default limit of operations in flight; arrivals beyond it are dropped and counted."""


class LoadJob(msgspec.Struct, tag=True, frozen=True):
    """The load that a worker generates: scenario files, each with its setting, in blocks of one arm each."""

    files: list[str]
    """Scenario files."""

    settings: list[Setting]
    """The setting of each file."""

    block_s: float
    """Measured seconds of a block."""

    warm_up_s: float = 0.0
    """Seconds before them in which operations are sent and not recorded."""

    drain_s: float = 10.0
    """Timeout of the operations in flight after them, in seconds; no operation starts meanwhile."""

    model: Model = "open"
    """Open: operations start as planned. Closed: each user starts the next one when the last is complete."""

    arrivals: str = "50"
    """Open model: the arrival plan (see `harness.load.arrivals`); every block plays all of it."""

    share: tuple[int, int] = (0, 1)
    """Open model: this worker's part of the plan, as (worker, number of workers)."""

    in_flight_limit: int = IN_FLIGHT_CAP
    """Limit of operations in flight."""

    arms: list[str] | None = None
    """The arms that take part; None for all."""

    cycles: int | None = None
    """Number of blocks of each arm; None until stopped."""

    on_request: bool = False
    """Whether every `Order` is one block, instead of cycles over the arms."""

    cpus: tuple[int, ...] = ()
    """Cores to pin the worker to; empty for those of its parent."""

    alone: bool = False
    """Whether no other process uses these cores, so that the worker need not let them sleep."""


class Order(msgspec.Struct, tag=True, frozen=True):
    """The load from the next cycle on. To a worker on request, each order is one block."""

    users: int | None
    """Users of the closed model; 0 for the open one. None ends the run after the current block."""

    rate_factor: float = 1.0
    """Factor on the planned rates of the open model."""

    arm: str = ""
    """On request: the arm of the block."""

    block_s: float | None = None
    """On request: measured seconds of the block; None for the job's."""


class LatencyHistograms(msgspec.Struct, frozen=True):
    """The operations of one group of cases that were due in the measured time of one block."""

    response: HistogramWire
    """Time from the intended start to completion, of completed and unfinished operations."""

    service: HistogramWire
    """Time from the actual start to completion, of completed operations."""

    queue: HistogramWire
    """Time from the intended to the actual start, of completed operations."""

    operations: int
    """Operations completed without an error."""

    errors: dict[str, int]
    """Error message → number of operations."""

    dropped: int
    """Operations that were not started because of the in-flight limit."""

    unfinished: int
    """Operations in flight when draining ended; they are in `response` with the time they had waited."""

    planned: int
    """Operations of all these kinds: planned ones in the open model, started ones in the closed model."""

    completed: int
    """Operations completed without an error within the measured time, whenever they were due: the arm's throughput."""


class LoadBlock(msgspec.Struct, frozen=True):
    """One block: the load on one arm of one scenario."""

    scenario: str
    """Name of the scenario."""

    arm: str
    """Name of the arm."""

    cycle: int
    """Number of the cycle over all arms, from 0."""

    position: int
    """Place of the block in its cycle, from 0."""

    users: int
    """Users of the closed model; 0 in the open model."""

    measured_ns: int
    """Nanoseconds to divide by for rates; in the closed model the mean over the users of the time their operations spanned."""

    groups: dict[str, LatencyHistograms]
    """Group → its operations."""

    lateness: HistogramWire
    """The generator's lateness: of starts in the open model, of a clock in its event loop in the closed model."""

    cpu_percent: float
    """CPU use of the generator, as a percentage of one core."""

    targets: bool = False
    """Whether the load goes to another process."""


class WorkerReady(msgspec.Struct, tag=True, frozen=True):
    """The worker's instances are open and their answers were compared."""

    facts: dict[str, str]
    """Description of the worker's process, for the record."""

    cannot_run: list[tuple[str, str, str, str]]
    """(scenario, arm, group, error) of what raised as written."""


class BlockMeasured(msgspec.Struct, tag=True, frozen=True):
    """A block is complete."""

    block: LoadBlock
    """What it measured."""


class TickMeasured(msgspec.Struct, tag=True, frozen=True):
    """A sample of the run so far."""

    tick: Tick
    """The sample."""


WorkerReport = WorkerReady | BlockMeasured | TickMeasured
