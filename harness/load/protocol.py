"""What a supervisor and the engine's process say to each other: one job and then orders in, reports out, a JSON line each."""

from __future__ import annotations

import msgspec

from harness.load.block import LoadBlock
from harness.results.load import LoadModel, Tick
from harness.scenario import Setting

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
    model: LoadModel = LoadModel.OPEN
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
