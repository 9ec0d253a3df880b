"""The load generator's own cost: CPU time per operation that is not the operation's, from a null operation at the worker's start.

An instance may live in the generator's process: an embedded database, an ORM, a driver. Its CPU time is what is measured, and a
closed model then always fills a core, so that a full core alone does not show that the generator was the limit. What an operation
spends is not to be seen from outside: callbacks of the event loop, C code and a driver's threads work for it while `run` is
suspended, so that a clock around each step of `run` would charge them to the generator. The generator's part, on the other hand, is
the same for every operation: schedule, task, clock, recorder, and for a synchronous scenario the way to a thread and back. It is
calibrated with an operation without any work, on the same code path, in the same process. The rest of the CPU time is the
operations'. The calibration takes the cheapest of several rounds and never waits for an arrival, so the generator's part is rather
underestimated, and so is the number of runs that are called invalid.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from itertools import repeat

from harness.load.block import BlockTime, Recorder, run_open, run_user
from harness.load.pacing import PacerProtocol
from harness.results.load import LoadModel
from harness.runnable import runnable
from harness.runtime.clock import Clock, cpu_ns
from harness.scenario import Case, Scenario

ROUNDS = 3
OPERATIONS = 800
"""Null operations of a round."""
USERS = 8
"""Concurrent users of a round, in the closed model."""
LONG_NS = 3600 * 10**9


class _Null(Scenario[None]):
    """An operation without any work."""

    async def run(self, instance: None, case: Case) -> None:
        """Return at once."""


class _SynchronousNull(_Null):
    def run(self, instance: None, case: Case) -> None:  # type: ignore[override]  # a scenario's own may be either
        """Return at once."""


async def own_cost_ns(
    model: LoadModel, clock: Clock, pacer: PacerProtocol, pool: Executor | None = None, read_cpu_ns: Callable[[], int] = cpu_ns
) -> float:
    """Return the generator's own CPU time per operation in nanoseconds, in the running loop; `pool` runs synchronous operations."""
    scenario = runnable(_Null() if pool is None else _SynchronousNull(), pool)
    case, costs = Case("null", "null", None), []
    for _ in range(ROUNDS):
        recorder, before_ns = Recorder(scenario, None, clock), read_cpu_ns()
        if model == LoadModel.CLOSED:
            recorder.begin(clock.now_ns(), BlockTime(clock, pacer, lambda: False, 0, LONG_NS, LONG_NS))
            await asyncio.gather(*(run_user(recorder, repeat(case, OPERATIONS // USERS), clock, []) for _ in range(USERS)))
        else:
            at_once = BlockTime(clock, pacer, lambda: False, 0, 1, LONG_NS)
            await run_open(recorder, repeat((0, case), OPERATIONS), OPERATIONS, at_once)
        costs.append((read_cpu_ns() - before_ns) / OPERATIONS)
    return min(costs)
