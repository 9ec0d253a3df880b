"""Precise waits, and a loop that stays awake."""

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
    """Waits of any length end at or after their due time, in contrast to the loops' own timers."""

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
def test_concurrent_waits_all_end_in_time(loop: Loop) -> None:
    """Each of a hundred concurrent waits ends at or after its due time."""

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
def test_waits_end_in_the_order_of_their_due_times(loop: Loop) -> None:
    """The earliest due time is first, whatever the order of the calls, and no wait ends before the clock reaches it."""
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
def test_a_wait_does_not_block_the_loop(loop: Loop) -> None:
    """Another coroutine continues during a wait."""

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
def test_an_overdue_wait_gives_the_loop_a_turn(loop: Loop) -> None:
    """A caller that is behind cannot starve other coroutines."""

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
def test_a_cancelled_wait_does_not_delay_others(loop: Loop) -> None:
    """The other waits end even if the timer was set for the cancelled one."""

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
    """Return the number of kernel timers that this process has open."""
    found = 0
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists them is gone by now
            found += "timerfd" in str(file.readlink())
    return found


@LOOPS
def test_exit_cancels_pending_waits_and_closes_the_timer(loop: Loop) -> None:
    """No waiting coroutine and no open file remains."""

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


def test_the_timer_and_the_clock_are_the_same() -> None:
    """Both use the monotonic clock, so that times need no conversion."""
    assert time.get_clock_info("perf_counter").implementation == "clock_gettime(CLOCK_MONOTONIC)"


def test_a_timer_that_was_set_again_can_be_cleared() -> None:
    """A timer may be set again between firing and being read; reading it then is not an error."""
    timer = TimerFd()
    timer.set(0)
    timer.set(CLOCK.now_ns() + 3_600_000 * MS)
    timer.clear()
    timer.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        timer.set(1)


@LOOPS
def test_lateness_counts_every_wait(loop: Loop) -> None:
    """Each wait is measured and none is early, also in a busy loop."""

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


def test_lateness_is_measured_by_the_clock() -> None:
    """A pacer that is late by a known time on a fake clock has that lateness."""

    class Slow:
        def __init__(self, clock: FakeClock) -> None:
            self.clock, self.number = clock, 0

        async def until(self, due_ns: int) -> None:
            self.number += 1
            self.clock.time_ns = due_ns + self.number * 1000

    clock = FakeClock()
    late = asyncio.run(lateness_ns(Slow(clock), clock, waits=101, gap_ns=MS))
    assert (late.median_ns, late.p99_ns, late.max_ns) == (51_000, 100_000, 101_000)


def test_a_fake_pacer_advances_to_each_due_time() -> None:
    """Coroutines continue in the order of their due times, each at exactly its own, without real time passing."""
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
    """An overdue wait returns at once, at the current time."""
    clock = FakeClock(100)
    asyncio.run(FakePacer(clock).until(40))
    assert clock.time_ns == 100


def test_a_fake_pacer_ignores_cancelled_waits() -> None:
    """Time does not advance to the due time of a cancelled wait."""
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
    """A clock that advances by a fixed step at every reading."""

    step_ns = 0

    def now_ns(self) -> int:
        """Return the time after advancing it."""
        self.time_ns += self.step_ns
        return self.time_ns


async def turns(keep_awake: KeepAwake, number: int) -> int:
    """Return the idle time within a number of turns of the loop."""
    async with keep_awake:
        for _ in range(number):
            await asyncio.sleep(0)
    return keep_awake.idle_ns


@pytest.mark.parametrize(("step_ns", "share"), [(IDLE_TURN_NS, 1), (IDLE_TURN_NS + 1, 0)])
def test_only_short_turns_are_idle(step_ns: int, share: int) -> None:
    """Each turn of at most IDLE_TURN_NS counts as idle, with its whole duration."""
    clock = Moving()
    clock.step_ns = step_ns
    idle_ns = asyncio.run(turns(KeepAwake(clock), 20))
    assert idle_ns == pytest.approx(20 * step_ns * share, abs=2 * step_ns * share)


def test_the_loop_turns_only_while_kept_awake() -> None:
    """Nothing turns if it is not wanted, and afterwards the loop sleeps again."""
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
