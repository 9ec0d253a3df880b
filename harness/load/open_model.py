"""The open model: operations begin when they are due, whether or not earlier ones are answered.

Response time counts from the moment an operation was due. A system that stalls is asked all the same, as by independent users, so
that its stalls are in the times of everything that was due meanwhile, and not of one operation alone (coordinated omission).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.load.pacing import Waits
from harness.load.recorder import InFlight, Phases, Recorder
from harness.runtime.clock import Clock
from harness.scenario import Case

LEAD_NS = 1_000_000
"""Between planning and the first arrival, so that the first one is not late already."""

PATIENCE_NS = 200_000_000
"""How long at most until an end before time is noticed."""

BURST = 64
"""So many arrivals that are due already are begun before the loop gets round to the operations themselves."""

GIVE_UP_S = 5.0
"""How long an operation that is given up may take to end."""


@dataclass(frozen=True)
class ArrivalSchedule:
    """When operations of one block are due, in nanoseconds from its start, ascending, and each one's case."""

    offsets_ns: Sequence[int]
    cases: Sequence[Case]


async def run_open(
    tally: Recorder, plan: ArrivalSchedule, phases: Phases, cap: int, clock: Clock, pacer: Waits, stopped: Callable[[], bool]
) -> None:
    """Carry out one block. Arrivals that are due while `cap` operations are under way are dropped; `stopped()` cuts it short."""
    start_ns = clock.now_ns() + LEAD_NS
    tally.begin(start_ns, phases)
    loop, flying, at_once = asyncio.get_running_loop(), tally.flying, 0
    for offset_ns, case in zip(plan.offsets_ns, plan.cases, strict=True):
        due_ns = start_ns + offset_ns
        now_ns = clock.now_ns()
        if now_ns < due_ns:
            at_once = 0
            if not await _reach(due_ns, clock, pacer, stopped):
                break
            now_ns = clock.now_ns()
        else:
            at_once += 1
            if at_once % BURST == 0:
                await asyncio.sleep(0)
        tally.plan(case, due_ns)
        if tally.is_measured(due_ns):
            tally.lateness_ns.append(now_ns - due_ns)
        if len(flying) >= cap:
            tally.dropped(case, due_ns)
            continue
        flight = InFlight(case, due_ns)
        tally.take_off(flight)
        flight.task = loop.create_task(tally.operate(flight))
    else:
        await _reach(tally.until_ns, clock, pacer, stopped)
    tally.end()
    await drain(tally, phases.drain_ns, clock, pacer)


async def drain(tally: Recorder, drain_ns: int, clock: Clock, pacer: Waits) -> None:
    """Wait for what is under way, then give up the rest and make sure that the loop is idle, as the next block wants it."""
    if tally.flying:
        deadline = asyncio.ensure_future(pacer.until(clock.now_ns() + drain_ns))
        idle = asyncio.ensure_future(tally.idle())
        await asyncio.wait({deadline, idle}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (deadline, idle):
            waiting.cancel()
        await asyncio.gather(deadline, idle, return_exceptions=True)
    left = [flight.task for flight in tally.give_up() if flight.task is not None]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=GIVE_UP_S)


async def _reach(due_ns: int, clock: Clock, pacer: Waits, stopped: Callable[[], bool]) -> bool:
    """Wait for a moment; False if the block is to end before."""
    while True:
        if stopped():
            return False
        now_ns = clock.now_ns()
        if now_ns >= due_ns:
            return True
        await pacer.until(min(due_ns, now_ns + PATIENCE_NS))
