"""The sampler: what has happened since the last tick, of operations, processes and the scenario's own counts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.load.block import InFlight, Phases, Recorder
from harness.load.sampler import GENERATOR, Sampler, Watch, usage, watched
from harness.results.load import Tick
from harness.runnable import runnable
from harness.runtime.clock import MonotonicClock
from harness.scenario import Case

if TYPE_CHECKING:
    from tests.harness.load.conftest import Stage

MS = 1_000_000
CASE = Case("read", "read 0", 0)


def tally(stage: Stage) -> Recorder:
    """Return a tally that warms up for 100 ms and measures for a second."""
    found = Recorder(runnable(stage.scenario), "baseline", stage.clock)
    found.begin(0, Phases(100 * MS, 1000 * MS, 0))
    return found


async def operations(found: Recorder, number: int) -> None:
    """Do so many at once."""
    for _ in range(number):
        flight = InFlight(CASE, 0)
        found.start(flight)
        await found.operate(flight)


def test_a_tick_tells_what_was_finished_since_the_last_one(stage: Stage) -> None:
    """With the phase, and counts by the operation; percentiles only where enough operations support them."""
    found = tally(stage)
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


def test_a_tick_without_operations_or_answer_has_no_counts(stage: Stage) -> None:
    """And the next one counts from the last answer."""
    found = tally(stage)
    watch = Watch("baseline", found, {}, 0)
    watch.start(0, {"statements": 0.0})
    assert watch.tick(50 * MS, {"statements": 9.0}).counts == {}
    asyncio.run(operations(found, 1))
    assert watch.tick(60 * MS, None).counts == {}
    asyncio.run(operations(found, 2))
    assert watch.tick(70 * MS, {"statements": 13.0}).counts == {"statements": 2.0}
    assert watch.tick(80 * MS, None).phase == "warm-up"


def test_a_targets_children_are_added_to_it() -> None:
    """CPU and memory of a server are those of its workers too; one that has ended counts nothing."""
    program = "import subprocess, sys; c = subprocess.Popen(['sleep', '60']); print(c.pid, flush=True); sys.stdin.read(); c.kill()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        child = int(parent.stdout.readline())
        found = watched({"service": parent.pid, "gone": 2**22 + 1})
        assert {p.pid for p in found["service"]} == {parent.pid, child}
        assert [p.pid for p in found[GENERATOR]] == [os.getpid()]
        assert "gone" not in found
        assert usage(found["service"])[1] > usage(found["service"][:1])[1]
        parent.stdin.close()
    assert usage(found["service"]) == (0.0, 0)


def test_the_thread_ticks_a_block_and_nothing_between_blocks(stage: Stage) -> None:
    """Counts are asked for in the loop; a count that raises leaves a gap and the ticking goes on."""
    ticks: list[Tick] = []
    asked = [0]

    async def counts() -> Mapping[str, float]:
        asked[0] += 1
        if asked[0] == 2:
            raise RuntimeError("not now")
        return {"asked": float(asked[0])}

    async def go() -> None:
        enough, loop = asyncio.Event(), asyncio.get_running_loop()

        def say(tick: Tick) -> None:
            ticks.append(tick)
            if len(ticks) == 3:
                loop.call_soon_threadsafe(enough.set)

        async with Sampler(say, MonotonicClock(), interval_s=0.01) as sampler:
            await sampler.begin("baseline", tally(stage), {}, counts)
            await enough.wait()
            sampler.end()
            await asyncio.sleep(0.03)
            before = len(ticks)
            await asyncio.sleep(0.03)
            assert len(ticks) == before

    asyncio.run(go())
    assert {t.arm for t in ticks} == {"baseline"}
    assert all(t.rss_bytes[GENERATOR] > 0 for t in ticks)
    assert asked[0] >= 3


def test_a_scenario_that_does_not_answer_in_time_is_no_reason_to_wait(stage: Stage) -> None:
    """The tick comes without counts."""
    ticks: list[Tick] = []

    async def counts() -> Mapping[str, float]:
        return {}

    async def never() -> Mapping[str, float]:
        await asyncio.sleep(60)
        return {}

    async def go() -> None:
        enough, loop = asyncio.Event(), asyncio.get_running_loop()

        def say(tick: Tick) -> None:
            ticks.append(tick)
            loop.call_soon_threadsafe(enough.set)

        async with Sampler(say, MonotonicClock(), interval_s=0.01) as sampler:
            await sampler.begin("baseline", tally(stage), {}, counts)
            sampler._counts = never
            await enough.wait()

    asyncio.run(go())
    assert ticks[-1].counts == {}
