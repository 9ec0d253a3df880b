"""Precise waits, and a loop that stays awake."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from harness.load.pacing import IDLE_TURN_NS, FakePacer, KeepAwake, Pacer, TimerFd, lateness_ns
from harness.runtime.clock import FakeClock, MonotonicClock

MS = 1_000_000
CLOCK = MonotonicClock()
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
Loop = Callable[[], asyncio.AbstractEventLoop]


@LOOPS
def test_a_wait_never_ends_early(loop: Loop) -> None:
    """PacerProtocol of any length end at their moment or after it, where the loops' own timers may not."""

    async def main() -> list[int]:
        early = []
        async with Pacer(CLOCK) as pacer:
            for gap_ns in (1, 1000, 50_000, 300_000, MS, 2_400_000) * 5:
                due_ns = CLOCK.now_ns() + gap_ns
                await pacer.until(due_ns)
                early.append(due_ns - CLOCK.now_ns())
        return early

    with asyncio.Runner(loop_factory=loop) as runner:
        assert max(runner.run(main())) <= 0


@LOOPS
def test_many_wait_at_once_and_none_is_early_or_forgotten(loop: Loop) -> None:
    """A hundred waits at the same time each end, at their own moment or after it."""

    async def main() -> list[int]:
        start_ns = CLOCK.now_ns()

        async def one(number: int) -> int:
            await pacer.until(start_ns + number * 50_000)
            return CLOCK.now_ns() - start_ns - number * 50_000

        async with Pacer(CLOCK) as pacer:
            return await asyncio.gather(*(one((number * 37) % 100) for number in range(100)))

    with asyncio.Runner(loop_factory=loop) as runner:
        assert min(runner.run(main())) >= 0


@LOOPS
def test_those_who_wait_are_woken_in_the_order_of_their_moments(loop: Loop) -> None:
    """Whoever is due first is woken first, in whichever order they came, and nobody before the clock says so."""
    clock, woken = FakeClock(), list[int]()

    async def one(pacer: Pacer, due_ns: int) -> None:
        await pacer.until(due_ns)
        woken.append(due_ns)

    async def main() -> None:
        async with Pacer(clock) as pacer:
            waits = [asyncio.ensure_future(one(pacer, 1000 + 20 * ((number * 37) % 100))) for number in range(100)]
            for time_ns, so_far in ((0, 0), (999, 0), (1000, 1), (1990, 50), (5000, 100)):
                clock.time_ns = time_ns
                for _ in range(100):
                    await asyncio.sleep(0)
                assert woken == [1000 + 20 * place for place in range(so_far)]
            await asyncio.gather(*waits)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


@LOOPS
def test_others_go_on_while_one_waits(loop: Loop) -> None:
    """A wait does not hold up the loop: another coroutine counts meanwhile."""

    async def main() -> int:
        turns = 0
        async with Pacer(CLOCK) as pacer:
            wait = asyncio.ensure_future(pacer.until(CLOCK.now_ns() + 5 * MS))
            while not wait.done():
                turns += 1
                await asyncio.sleep(0)
        return turns

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(main()) > 10


@LOOPS
def test_a_moment_that_has_passed_still_gives_the_loop_a_turn(loop: Loop) -> None:
    """A caller who is behind cannot keep the loop from those who could go on."""

    async def main() -> bool:
        went_on = False

        async def other() -> None:
            nonlocal went_on
            went_on = True

        async with Pacer(CLOCK) as pacer:
            task = asyncio.ensure_future(other())
            await pacer.until(CLOCK.now_ns() - MS)
            seen = went_on
            await task
        return seen

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(main())


@LOOPS
def test_a_cancelled_wait_holds_up_nobody(loop: Loop) -> None:
    """The others are woken though the one whose moment the timer was set to has gone."""

    async def main() -> bool:
        async with Pacer(CLOCK) as pacer:
            now_ns = CLOCK.now_ns()
            first = asyncio.ensure_future(pacer.until(now_ns + 2 * MS))
            second = asyncio.ensure_future(pacer.until(now_ns + 4 * MS))
            await asyncio.sleep(0)
            first.cancel()
            third = asyncio.ensure_future(pacer.until(now_ns + 3 * MS))
            await asyncio.gather(second, third)
            return first.cancelled()

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(main())


def timers() -> int:
    """Return how many timers of the kernel this process has open."""
    found = 0
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists them is gone by now
            found += "timerfd" in str(file.readlink())
    return found


@LOOPS
def test_leaving_cancels_who_still_waits_and_closes_the_timer(loop: Loop) -> None:
    """Nothing is left behind: no waiting coroutine, no open file."""

    async def main() -> bool:
        async with Pacer(CLOCK) as pacer:
            wait = asyncio.ensure_future(pacer.until(CLOCK.now_ns() + 3_600_000 * MS))
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await wait
        return wait.cancelled()

    before = timers()
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(main())
    assert timers() == before


def test_the_timer_counts_as_the_clock_does() -> None:
    """The monotonic clock of the timer is the one that the harness reads, so that moments need no translation."""
    assert time.get_clock_info("perf_counter").implementation == "clock_gettime(CLOCK_MONOTONIC)"


def test_a_timer_that_is_set_anew_can_be_cleared() -> None:
    """Between going off and being read a timer may get another moment; reading it then is no error."""
    timer = TimerFd()
    timer.set(0)
    timer.set(CLOCK.now_ns() + 3_600_000 * MS)
    timer.clear()
    timer.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        timer.set(1)


@LOOPS
def test_lateness_counts_every_wait(loop: Loop) -> None:
    """Each wait is measured and none was early, also in a busy loop."""

    async def main() -> None:
        stop = False

        async def busy() -> None:
            while not stop:  # noqa: ASYNC110 - keeping the loop busy is the point
                await asyncio.sleep(0)

        async with Pacer(CLOCK) as pacer:
            others = [asyncio.ensure_future(busy()) for _ in range(8)]
            late = await lateness_ns(pacer, CLOCK, waits=20, gap_ns=200_000)
            stop = True
            await asyncio.gather(*others)
        assert late.waits == 20
        assert 0 <= late.median_ns <= late.p99_ns <= late.max_ns

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


def test_lateness_is_what_the_clock_says() -> None:
    """On a fake clock that comes a known time too late, that time is found."""

    class Slow:
        def __init__(self, clock: FakeClock) -> None:
            self.clock, self.number = clock, 0

        async def until(self, due_ns: int) -> None:
            self.number += 1
            self.clock.time_ns = due_ns + self.number * 1000

    clock = FakeClock()
    late = asyncio.run(lateness_ns(Slow(clock), clock, waits=101, gap_ns=MS))
    assert (late.median_ns, late.p99_ns, late.max_ns) == (51_000, 100_000, 101_000)


def test_a_fake_pacer_moves_time_from_moment_to_moment() -> None:
    """Coroutines meet in the order of their moments, each at exactly its own, without any time passing."""
    clock = FakeClock()
    pacer = FakePacer(clock)
    seen: list[tuple[int, str]] = []

    async def go(name: str, first_ns: int, then_ns: int) -> None:
        await pacer.until(first_ns)
        seen.append((clock.time_ns, name))
        for _ in range(5):
            await asyncio.sleep(0)
        await pacer.until(clock.time_ns + then_ns)
        seen.append((clock.time_ns, name))

    async def main() -> None:
        await asyncio.gather(go("a", 30, 30), go("b", 10, 25), go("c", 10, 2))

    asyncio.run(main())
    assert seen == [(10, "b"), (10, "c"), (12, "c"), (30, "a"), (35, "b"), (60, "a")]


def test_a_fake_pacer_does_not_move_time_back() -> None:
    """A moment that has passed is met at once, at the time it is."""
    clock = FakeClock(100)
    asyncio.run(FakePacer(clock).until(40))
    assert clock.time_ns == 100


def test_a_fake_pacer_forgets_who_was_cancelled() -> None:
    """Time does not move to a moment that nobody waits for any more."""
    clock = FakeClock()
    pacer = FakePacer(clock)

    async def main() -> None:
        gone = asyncio.ensure_future(pacer.until(10))
        await asyncio.sleep(0)
        gone.cancel()
        await pacer.until(20)
        assert gone.cancelled()

    asyncio.run(main())
    assert clock.time_ns == 20


class Moving(FakeClock):
    """A clock on which every reading is so much later than the one before."""

    step_ns = 0

    def now_ns(self) -> int:
        """Return the time, and move on."""
        self.time_ns += self.step_ns
        return self.time_ns


async def turns(keep_awake: KeepAwake, number: int) -> int:
    """Return what was idle within so many turns of the loop."""
    async with keep_awake:
        for _ in range(number):
            await asyncio.sleep(0)
    return keep_awake.idle_ns


@pytest.mark.parametrize(("step_ns", "share"), [(IDLE_TURN_NS, 1), (IDLE_TURN_NS + 1, 0)])
def test_short_turns_are_idle_and_longer_ones_are_work(step_ns: int, share: int) -> None:
    """Each turn of at most IDLE_TURN_NS counts as idle, with all its time."""
    clock = Moving()
    clock.step_ns = step_ns
    idle_ns = asyncio.run(turns(KeepAwake(clock), 20))
    assert idle_ns == pytest.approx(20 * step_ns * share, abs=2 * step_ns * share)


def test_the_loop_turns_only_while_it_is_wanted() -> None:
    """Not wanted, nothing turns, and after it the loop sleeps again."""
    clock = Moving()
    clock.step_ns = 1

    async def check_it() -> None:
        assert await turns(KeepAwake(clock, wanted=False), 20) == 0
        before = asyncio.all_tasks()
        keep_awake = KeepAwake(clock)
        async with keep_awake:
            assert len(asyncio.all_tasks()) == len(before) + 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        seen_ns = keep_awake.idle_ns
        await asyncio.sleep(0)
        assert keep_awake.idle_ns == seen_ns > 0

    asyncio.run(check_it())
