"""A loop that never sleeps: it turns while it is wanted, and what was idle is told from what was work."""

from __future__ import annotations

import asyncio

import pytest

from harness.load.awake import IDLE_TURN_NS, Awake
from harness.runtime.clock import FakeClock


class Moving(FakeClock):
    """A clock on which every reading is so much later than the one before."""

    step_ns = 0

    def now_ns(self) -> int:
        """Return the time, and move on."""
        self.time_ns += self.step_ns
        return self.time_ns


async def turns(awake: Awake, number: int) -> int:
    """Return what was idle within so many turns of the loop."""
    async with awake:
        for _ in range(number):
            await asyncio.sleep(0)
    return awake.idle_ns


@pytest.mark.parametrize(("step_ns", "share"), [(IDLE_TURN_NS, 1), (IDLE_TURN_NS + 1, 0)])
def test_short_turns_are_idle_and_longer_ones_are_work(step_ns: int, share: int) -> None:
    """Each turn of at most IDLE_TURN_NS counts as idle, with all its time."""
    clock = Moving()
    clock.step_ns = step_ns
    idle_ns = asyncio.run(turns(Awake(clock), 20))
    assert idle_ns == pytest.approx(20 * step_ns * share, abs=2 * step_ns * share)


def test_the_loop_turns_only_while_it_is_wanted() -> None:
    """Not wanted, nothing turns, and after it the loop sleeps again."""
    clock = Moving()
    clock.step_ns = 1

    async def check_it() -> None:
        assert await turns(Awake(clock, wanted=False), 20) == 0
        before = asyncio.all_tasks()
        awake = Awake(clock)
        async with awake:
            assert len(asyncio.all_tasks()) == len(before) + 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        seen_ns = awake.idle_ns
        await asyncio.sleep(0)
        assert awake.idle_ns == seen_ns > 0

    asyncio.run(check_it())
