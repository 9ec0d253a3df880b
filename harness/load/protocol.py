"""What a supervisor and the engine's process say to each other: one job and then orders in, reports out, a JSON line each."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.results.load import Tick
from harness.scenario import Setting
from harness.stats.histogram import HistogramWire

Model = Literal["open", "closed"]

IN_FLIGHT_CAP = 1000
"""So many operations may be under way at once by default; what is due beyond that is dropped, and counted."""


class LoadJob(msgspec.Struct, frozen=True):
    """What the engine runs and how: scenario files, each with its own setting, in blocks of one arm each.

    A block is `warm_up_s` seconds in which operations are sent and not recorded, `block_s` seconds of measured time, and at most
    `drain_s` in which nothing new begins. In the open model `arrivals` says when operations are due (see `harness.load.arrivals`;
    every block plays the whole plan) and `share` which part of the plan this engine offers: (worker, workers). In the closed model
    users begin again as soon as they are answered. `arms` are those that take part, None means all; `cycles` is how often each of
    them has a block, None until stopped. With `on_request` the engine takes no cycles of its own: every `Order` is one block.
    `cpus` are the cores it may use, all of its parent's if empty; `alone` whether it has them to itself: then it need not let them
    sleep.
    """

    files: list[str]
    settings: list[Setting]
    block_s: float
    warm_up_s: float = 0.0
    drain_s: float = 10.0
    model: Model = "open"
    arrivals: str = "50"
    share: tuple[int, int] = (0, 1)
    in_flight_limit: int = IN_FLIGHT_CAP
    arms: list[str] | None = None
    cycles: int | None = None
    on_request: bool = False
    cpus: tuple[int, ...] = ()
    alone: bool = False


class Order(msgspec.Struct, frozen=True):
    """How much load there is from the next cycle on: users of the closed model, a factor on the open model's rates.

    `users` None ends the run after the block under way. To an engine that works on request each order is one block: of `arm`, with
    `users` in the closed model or, where that is 0, by planned arrivals at `rate_factor` times their rates; `block_s` seconds of
    measured time, the job's where it is None.
    """

    users: int | None
    rate_factor: float = 1.0
    arm: str = ""
    block_s: float | None = None


class LatencyHistograms(msgspec.Struct, frozen=True):
    """One group of cases in one block: operations that were due in its measured time, and what became of them.

    `operations` were answered well, and are in all three histograms; `unfinished` were not finished when draining ended, and are in
    `response` with the time they had waited; `errors` (message → how many) and `dropped` are in none. All of them together were
    `planned`; in the closed model `planned` is what was begun. `completed` counts the good answers that came within measured time,
    whenever they were due: what the arm's throughput is judged by.
    """

    response: HistogramWire
    service: HistogramWire
    queue: HistogramWire
    operations: int
    errors: dict[str, int]
    dropped: int
    unfinished: int
    planned: int
    completed: int


class LoadBlock(msgspec.Struct, frozen=True):
    """One arm of one scenario took the load for a while. `cycle` numbers the round over all arms, `position` its place in it.

    `users` is 0 in the open model; `measured_ns` is the time that rates divide by, in the closed model the mean over users of the
    time their measured operations spanned. `lateness` is the generator's own: how late arrivals were begun, or in the closed model
    how late a clock in its loop ticked. `cpu_percent` is the generator's, of one core, over the block. `targets` says whether what
    was loaded is another process.
    """

    scenario: str
    arm: str
    cycle: int
    position: int
    users: int
    measured_ns: int
    groups: dict[str, LatencyHistograms]
    lateness: HistogramWire
    cpu_percent: float
    targets: bool = False


class WorkerReport(msgspec.Struct, frozen=True):
    """One line from the engine: ready to take load, a tick or a block of it, or the end with its reason.

    `facts` describe the engine's process, for the record; they come with `ready`, and so does `cannot_run`, (scenario, arm, group,
    error) of what raised as written when answers were compared.
    """

    ready: bool = False
    block: LoadBlock | None = None
    tick: Tick | None = None
    failed: str | None = None
    facts: dict[str, str] = {}
    cannot_run: list[tuple[str, str, str, str]] = []
