"""Deadlines inside a load worker."""

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.load.block import InFlight
from harness.load.deadlines import OperationHangsError, OperationThreads, Watchdog, blocked_line, limited, named
from harness.load.protocol import StepStarted
from harness.runnable import runnable
from harness.runtime.clock import FakeClock, MonotonicClock
from harness.scenario import Case, Scenario

CASE = Case("page", "user 7", 7)


class Waiting(Scenario[list[str]]):
    """An operation that answers, waits or raises, as its instance says."""

    async def run(self, instance: list[str], case: Case) -> int:
        """Return the case's argument at once, or never."""
        if "waits" in instance:
            await asyncio.Event().wait()
        if "raises" in instance:
            raise TimeoutError("QueuePool limit reached")
        return int(case.args)


def test_a_call_that_waits_ends_with_the_operations_name() -> None:
    """The error has the timeout, the group and the option; the step was reported before it started."""
    steps: list[StepStarted] = []
    instances = {"baseline": ["answers"], "optimised": ["waits"]}
    timed = limited(runnable(Waiting()), instances, 0.01, steps.append)

    async def go() -> None:
        assert await timed.run(instances["baseline"], CASE) == 7
        with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s in group 'page'; see --timeout"):
            await timed.run(instances["optimised"], CASE)

    asyncio.run(go())
    assert [(s.step, s.arm) for s in steps] == [(named(arm, CASE), arm) for arm in ("baseline", "optimised")]
    assert steps[0].step == "baseline, case 'user 7' of group 'page'"


def test_a_timeout_of_the_scenario_itself_is_its_own() -> None:
    """A pool's TimeoutError is not renamed."""
    instances = {"baseline": ["raises"]}
    timed = limited(runnable(Waiting()), instances, 60.0, lambda _: None)
    with pytest.raises(TimeoutError, match="QueuePool limit reached"):
        asyncio.run(timed.run(instances["baseline"], CASE))


def test_arms_that_share_an_instance_are_both_named() -> None:
    """The instance does not show which of them is called."""
    steps: list[StepStarted] = []
    shared = ["answers"]
    timed = limited(runnable(Waiting()), {"baseline": shared, "optimised": shared}, 60.0, steps.append)
    asyncio.run(timed.run(shared, CASE))
    assert steps[0].arm == "baseline or optimised"


def test_the_watchdog_names_the_operation_that_blocks_the_loop() -> None:
    """It finds the running task's case and the innermost line of the scenario's file."""
    dog = Watchdog(60.0, MonotonicClock(), lambda _: None)
    dog.files = [Path(__file__)]
    dog.step = StepStarted("optimised under load", "optimised", 100.0)
    found: list[str] = []

    async def go() -> None:
        operation = InFlight(CASE, 0, task=asyncio.current_task())
        dog.in_flight = lambda: [InFlight(Case("page", "user 1", 1), 0), operation]
        with dog:
            other = threading.Thread(target=lambda: found.append(dog.description()))
            other.start()
            other.join()

    asyncio.run(go())
    assert found[0].startswith("optimised, case 'user 7' of group 'page' blocks the event loop (test_deadlines.py, line ")
    assert found[0].endswith("): no answer within 60 s; see --timeout")


def test_the_watchdog_reports_a_loop_without_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a fake clock: it reports once the timeout has passed since it last asked for a turn."""
    clock, reported, messages = FakeClock(), threading.Event(), list[str]()

    def fail(error: Exception) -> None:
        messages.append(str(error))
        reported.set()

    monkeypatch.setattr("harness.load.deadlines.CHECK_S", 0.01)

    async def go() -> None:
        with Watchdog(60.0, clock, fail) as dog:
            dog.step = StepStarted("optimised: open()", "optimised", 60.0)
            for _ in range(3):
                await asyncio.sleep(0.02)  # the loop takes turns
            assert messages == []
            while not reported.wait(0.01):  # it takes none
                clock.advance(30_000_000_000)

    asyncio.run(go())
    assert messages[0].startswith("optimised: open() blocks the event loop")


def test_no_line_of_other_files_is_named() -> None:
    """Without a frame of the scenario there is no line."""
    assert blocked_line(sys._getframe(), [Path("member.py")]) == ""
    assert blocked_line(None, [Path(__file__)]) == ""


def test_threads_count_the_calls_that_run() -> None:
    """Waiting calls are not counted, results and errors are passed on, and leaving does not wait."""
    pool, entered, release = OperationThreads(1), threading.Event(), threading.Event()

    def wait() -> str:
        entered.set()
        release.wait(60)
        return "done"

    first, second = pool.submit(wait), pool.submit(wait)
    assert entered.wait(60)
    assert pool.running == 1
    pool.leave()
    release.set()
    assert first.result(60) == "done"
    assert second.cancelled()
    failing: Any = OperationThreads(1)
    with pytest.raises(ZeroDivisionError):
        failing.submit(lambda: 1 / 0).result(60)
    assert failing.running == 0


def test_a_thread_that_goes_on_after_its_timeout_ends_the_process() -> None:
    """It would disturb the arms that follow, and the first of them would be blamed: the arm that hangs is named, for every arm."""
    instances = {"optimised": ["waits"]}
    timed = limited(runnable(Waiting()), instances, 0.01, lambda _: None, is_busy=lambda: True)
    with pytest.raises(OperationHangsError, match="optimised, case 'user 7' of group 'page': no answer within") as hangs:
        asyncio.run(timed.run(instances["optimised"], CASE))
    assert hangs.value.__cause__ is None  # with one, verification would count it as an arm that cannot run as written
