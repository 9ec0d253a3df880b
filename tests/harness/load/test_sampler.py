"""The sampler: operations, processes and the scenario's counts since the last tick."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.load.block import BlockTime, InFlight, Recorder
from harness.load.sampler import GENERATOR, Sampler, Watch, usage, watched
from harness.results.load import Tick
from harness.runnable import runnable
from harness.runtime.clock import MonotonicClock
from harness.scenario import Case

if TYPE_CHECKING:
    from tests.harness.load.conftest import Stage

MS = 1_000_000
CASE = Case("read", "read 0", 0)


def recorder(stage: Stage) -> Recorder:
    """Return a recorder with 100 ms of warm-up and 1 s of measured time."""
    found = Recorder(runnable(stage.scenario), "baseline", stage.clock)
    found.begin(0, BlockTime(stage.clock, stage.pacer, lambda: False, 100 * MS, 1000 * MS, 0))
    return found


async def operations(found: Recorder, number: int) -> None:
    """Run a number of operations."""
    for _ in range(number):
        operation = InFlight(CASE, 0)
        found.in_flight.add(operation)
        await found.operate(operation)


def test_a_tick_covers_the_time_since_the_last_one(stage: Stage) -> None:
    """It has the phase and counts per operation; percentiles only if enough operations support them."""
    found = recorder(stage)
    watch = Watch("baseline", found, {}, 0)
    watch.start(0, {"statements": 10.0})
    asyncio.run(operations(found, 30))
    first = watch.tick(500 * MS, {"statements": 70.0, "hits": 15.0})
    assert (first.at_s, first.phase, first.operations, first.errors) == (0.5, "measured", 30, 0)
    assert first.counts == {"statements": 2.0, "hits": 0.5}
    assert first.p50_ns is not None
    assert first.p99_ns is None
    asyncio.run(operations(found, 10))
    second = watch.tick(1200 * MS, {"statements": 80.0, "hits": 15.0})
    assert (second.phase, second.operations, second.counts) == ("drain", 10, {"statements": 1.0, "hits": 0.0})


def test_a_tick_without_operations_or_readings_has_no_counts(stage: Stage) -> None:
    """The next tick counts from the last reading."""
    found = recorder(stage)
    watch = Watch("baseline", found, {}, 0)
    watch.start(0, {"statements": 0.0})
    assert watch.tick(50 * MS, {"statements": 9.0}).counts == {}
    asyncio.run(operations(found, 1))
    assert watch.tick(60 * MS, None).counts == {}
    asyncio.run(operations(found, 2))
    assert watch.tick(70 * MS, {"statements": 13.0}).counts == {"statements": 2.0}
    assert watch.tick(80 * MS, None).phase == "warm-up"


def test_a_targets_children_are_added_to_it() -> None:
    """CPU and memory of a server include its workers; exited processes count as 0."""
    child_program = "import subprocess as s, sys; c = s.Popen(['cat'], stdin=s.PIPE); print(c.pid, flush=True)"
    program = f"{child_program}; sys.stdin.read(); c.communicate()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        child = int(parent.stdout.readline())
        found = watched({"service": parent.pid, "missing": 2**22 + 1, "unknown": 0})
        assert {p.pid for p in found["service"]} == {parent.pid, child}
        assert [p.pid for p in found[GENERATOR]] == [os.getpid()]
        assert "missing" not in found
        assert usage(found["service"])[1] > usage(found["service"][:1])[1]
        parent.stdin.close()
    assert usage(found["service"]) == (0.0, 0)


async def waits(sampler: Sampler, number: int) -> None:
    """Return when the sampler's thread has waited for a number of intervals."""
    counted = CountingEvent()
    sampler._ended = counted
    while counted.waits < number:  # noqa: ASYNC110 - a thread counts, which cannot set an event of this loop
        await asyncio.sleep(0.001)


class CountingEvent(threading.Event):
    """An event that counts the waits that timed out."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, and count a timeout."""
        is_set = super().wait(timeout)
        self.waits += not is_set
        return is_set


def test_ticks_are_sent_during_blocks_only(stage: Stage) -> None:
    """Counts are read in the loop; a count that raises leaves a gap, and ticks continue."""
    ticks: list[Tick] = []
    reads = [0]

    async def counts() -> Mapping[str, float]:
        reads[0] += 1
        if reads[0] == 2:
            raise RuntimeError("not now")
        return {"reads": float(reads[0])}

    async def go() -> None:
        enough, loop = asyncio.Event(), asyncio.get_running_loop()

        def send(tick: Tick) -> None:
            ticks.append(tick)
            if len(ticks) == 3:
                loop.call_soon_threadsafe(enough.set)

        async with Sampler(send, MonotonicClock(), interval_s=0.01) as sampler:
            await sampler.begin("baseline", recorder(stage), {}, counts)
            await enough.wait()
            sampler.end()
            await waits(sampler, 2)  # a tick that was being taken has been sent by then
            before = len(ticks)
            await waits(sampler, 3)
            assert len(ticks) == before

    asyncio.run(go())
    assert {t.arm for t in ticks} == {"baseline"}
    assert all(t.rss_bytes[GENERATOR] > 0 for t in ticks)
    assert reads[0] >= 3


def test_slow_counts_do_not_delay_a_tick(stage: Stage) -> None:
    """The tick is sent without counts."""
    ticks: list[Tick] = []

    async def counts() -> Mapping[str, float]:
        return {}

    async def never() -> Mapping[str, float]:
        await asyncio.sleep(60)
        return {}

    async def go() -> None:
        enough, loop = asyncio.Event(), asyncio.get_running_loop()

        def send(tick: Tick) -> None:
            ticks.append(tick)
            loop.call_soon_threadsafe(enough.set)

        async with Sampler(send, MonotonicClock(), interval_s=0.01) as sampler:
            await sampler.begin("baseline", recorder(stage), {}, counts)
            sampler._counts = never
            await enough.wait()

    asyncio.run(go())
    assert ticks[-1].counts == {}
