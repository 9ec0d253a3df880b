"""The closed model: so many users, each of whom asks again once answered.

Their number bounds how much is under way, so a system that stalls is asked less; response times say how long a user waited, and
nothing of users who would have come meanwhile. A capacity in users is asked this way.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence

from harness.load.open_model import GIVE_UP_S, drain
from harness.load.pacing import Waits
from harness.load.recorder import InFlight, Phases, Recorder
from harness.runtime.clock import Clock
from harness.scenario import Case

METRONOME_NS = 10_000_000
"""How often the loop's lag is looked at."""


async def run_closed(
    tally: Recorder, users: Sequence[Iterator[Case]], phases: Phases, clock: Clock, pacer: Waits, stopped: Callable[[], bool]
) -> int:
    """Carry out one block; `users` holds each user's endless cases. Return the nanoseconds that its rates divide by.

    That is the mean over users of the time between the start of their first measured operation and the end of their last: with
    whole operations in it, neither a long last one nor an idle rest tilts the rate.
    """
    tally.begin(clock.now_ns(), phases)
    spans_ns: list[int] = []
    working = [asyncio.ensure_future(_user(tally, cases, clock, spans_ns)) for cases in users]
    due_ns = clock.now_ns()
    while not stopped() and (due_ns := due_ns + METRONOME_NS) < tally.until_ns:
        await pacer.until(due_ns)
        if tally.is_measured(due_ns):
            tally.lateness_ns.append(clock.now_ns() - due_ns)
    if not stopped():
        await pacer.until(tally.until_ns)
    tally.end()
    await drain(tally, phases.drain_ns, clock, pacer)
    await asyncio.wait(working, timeout=GIVE_UP_S)
    return round(math.fsum(spans_ns) / len(spans_ns)) if spans_ns else tally.measured_ns


async def _user(tally: Recorder, cases: Iterator[Case], clock: Clock, spans_ns: list[int]) -> None:
    first_ns: int | None = None
    try:
        for case in cases:
            flight = InFlight(case, clock.now_ns())
            flight.task = asyncio.current_task()
            tally.plan(case, flight.due_ns)
            if first_ns is None and tally.is_measured(flight.due_ns):
                first_ns = flight.due_ns
            tally.take_off(flight)
            await tally.operate(flight)
            if flight.given_up:
                return
            await asyncio.sleep(0)  # an answer from memory never waits: one user would keep the loop for a whole block
            if clock.now_ns() >= tally.until_ns:
                return
    finally:
        if first_ns is not None:
            spans_ns.append(clock.now_ns() - first_ns)
