"""One block of load by the open and the closed model."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from harness.load.block import BlockTime, LatencyHistograms, Recorder
from harness.load.error_messages import message_of
from harness.load.pacing import FakePacer
from harness.load.totals import total
from harness.results.load import LoadModel
from harness.runnable import RunnableScenario
from harness.runtime.clock import FakeClock
from harness.stats.histogram import Histogram

if TYPE_CHECKING:
    from tests.harness.load.conftest import Stage


MS = 1_000_000


def times_ms(times: LatencyHistograms, kind: str = "response") -> list[float]:
    """Return the minimum and the maximum of a group's times."""
    histogram = Histogram.from_wire(getattr(times, kind))
    return [(ns or 0) / MS for ns in (histogram.min_ns, histogram.max_ns)]


def test_operations_start_when_they_are_due(stage: Stage) -> None:
    """Ten operations in 0.1 s at 100 per second are evenly spaced, though each takes longer than the gap."""
    stage.scenario.takes_ns = lambda arm, case: 25 * MS
    stage.blocks(arms=["optimised"])
    starts = [at for _, _, at in stage.scenario.ran]
    assert [b - a for a, b in pairwise(starts)] == [10 * MS] * 9
    assert stage.scenario.max_in_flight == 3


def test_response_time_counts_from_the_due_time(stage: Stage) -> None:
    """A loop that is blocked for 35 ms delays operations due meanwhile; it counts as response time, not service time."""

    def blocked(arm: str, case: object) -> int:
        if len(stage.scenario.ran) == 2:
            stage.clock.advance(35 * MS)
        return 0

    stage.scenario.takes_ns = blocked
    (block,) = stage.blocks(arms=["optimised"])
    late = max(times_ms(g)[1] for g in block.groups.values())
    assert late == pytest.approx(35)
    assert max(times_ms(g, "queue")[1] for g in block.groups.values()) == pytest.approx(25)
    assert sum(g.operations for g in block.groups.values()) == 10


def test_arrivals_above_the_in_flight_limit_are_dropped(stage: Stage) -> None:
    """With a limit of two and operations of 35 ms, two operations start in every fourth period of 10 ms."""
    stage.scenario.takes_ns = lambda arm, case: 35 * MS
    (block,) = stage.blocks(arms=["optimised"], in_flight_limit=2)
    assert stage.scenario.max_in_flight == 2
    assert sum(g.dropped for g in block.groups.values()) == 4
    assert sum(g.planned for g in block.groups.values()) == 10
    assert sum(g.operations for g in block.groups.values()) == 6


def test_a_burst_does_not_exceed_the_in_flight_limit(stage: Stage) -> None:
    """Arrivals due at the same time are counted one by one, before any of them has run."""
    trace = stage.folder / "burst.txt"
    trace.write_text("0.01\n" * 5)
    stage.scenario.takes_ns = lambda arm, case: MS
    (block,) = stage.blocks(arms=["optimised"], in_flight_limit=2, arrivals=f"replay:{trace}")
    assert sum(g.dropped for g in block.groups.values()) == 3
    assert stage.scenario.max_in_flight == 2


def test_unfinished_operations_are_in_response_times_only(stage: Stage) -> None:
    """If none of ten ends, the first has waited 100 ms of the block and 50 ms of draining, and the last 60 ms."""
    stage.scenario.takes_ns = lambda arm, case: 60_000 * MS
    (block,) = stage.blocks(arms=["baseline"], drain_s=0.05)
    groups = block.groups.values()
    assert sum(g.unfinished for g in groups) == 10
    assert sum(g.operations for g in groups) == 0
    assert sum(Histogram.from_wire(g.service).operations for g in groups) == 0
    assert max(times_ms(g)[1] for g in groups) == pytest.approx(150)
    assert min(times_ms(g)[0] for g in groups) == pytest.approx(60)
    assert stage.scenario.in_flight == 0


def test_warm_up_is_sent_and_not_recorded(stage: Stage) -> None:
    """A warm-up of half the block's time adds five operations, none of which is recorded."""
    (block,) = stage.blocks(arms=["optimised"], warm_up_s=0.05)
    assert len(stage.scenario.ran) == 15
    assert sum(g.planned for g in block.groups.values()) == 10
    assert sum(g.operations for g in block.groups.values()) == 10
    assert block.measured_ns == 100 * MS


def test_errors_are_counted_by_their_first_line_and_have_no_time(stage: Stage) -> None:
    """Errors of one group do not affect the other group's times."""
    fails = RuntimeError("database is locked\nand more")
    stage.scenario.breaks = lambda arm, case: fails if case.group == "write" else None
    (block,) = stage.blocks(arms=["baseline"])
    assert block.groups["write"].errors == {"RuntimeError: database is locked": 5}
    assert block.groups["write"].operations == 0
    assert Histogram.from_wire(block.groups["write"].response).operations == 0
    assert block.groups["read"].operations == 5


def test_completed_operations_are_reset_and_failed_ones_are_not(stage: Stage) -> None:
    """`reset` runs once per completed operation."""
    stage.scenario.breaks = lambda arm, case: RuntimeError("x") if case.group == "write" else None
    stage.blocks(arms=["baseline"])
    assert len(stage.scenario.was_reset) == 5
    assert all("read" in name for name in stage.scenario.was_reset)


def test_operations_that_complete_while_draining_are_not_throughput(stage: Stage) -> None:
    """With operations of 45 ms, the last four of ten complete while draining."""
    stage.scenario.takes_ns = lambda arm, case: 45 * MS
    (block,) = stage.blocks(arms=["optimised"])
    assert sum(g.operations for g in block.groups.values()) == 10
    assert sum(g.completed for g in block.groups.values()) == 6


def test_stopping_cuts_a_block_short_and_drains_it(stage: Stage) -> None:
    """Operations due until then are kept, and measured time ends there."""

    def stop(arm: str, case: object) -> int:
        stage.stopped = len(stage.scenario.ran) >= 4
        return 5 * MS

    stage.scenario.takes_ns = stop
    blocks = stage.blocks(arms=["baseline", "optimised"])
    (block,) = blocks
    assert sum(g.operations for g in block.groups.values()) == 4
    assert block.measured_ns < 100 * MS


def test_each_user_has_one_operation_in_flight(stage: Stage) -> None:
    """Three users whose operations take 10 ms complete ten each in 100 ms."""
    stage.scenario.takes_ns = lambda arm, case: 10 * MS
    (block,) = stage.blocks(users=3, model=LoadModel.CLOSED, arms=["optimised"])
    assert stage.scenario.max_in_flight == 3
    assert block.users == 3
    assert sum(g.operations for g in block.groups.values()) == 30
    assert {g.dropped for g in block.groups.values()} == {0}


def test_a_long_last_operation_does_not_bias_the_rate(stage: Stage) -> None:
    """Four operations of 30 ms span 120 ms in a block of 100 ms: 33.3 per second, not 40."""
    stage.scenario.takes_ns = lambda arm, case: 30 * MS
    (block,) = stage.blocks(users=1, model=LoadModel.CLOSED, arms=["optimised"])
    assert block.measured_ns == 120 * MS
    assert total([block]).achieved_per_s == pytest.approx(100 / 3)


def test_warm_up_of_users_is_not_recorded(stage: Stage) -> None:
    """Operations that start in the warm-up are sent and not recorded."""
    stage.scenario.takes_ns = lambda arm, case: 10 * MS
    (block,) = stage.blocks(users=1, model=LoadModel.CLOSED, arms=["optimised"], warm_up_s=0.05)
    assert len(stage.scenario.ran) == 15
    assert sum(g.operations for g in block.groups.values()) == 10


def test_a_users_endless_operation_is_unfinished(stage: Stage) -> None:
    """It delays neither other users nor the block's end."""
    stage.scenario.takes_ns = lambda arm, case: 60_000 * MS if len(stage.scenario.ran) == 3 else 10 * MS
    (block,) = stage.blocks(users=2, model=LoadModel.CLOSED, arms=["baseline"], drain_s=0.05)
    assert sum(g.unfinished for g in block.groups.values()) == 1
    assert sum(g.operations for g in block.groups.values()) == 11


def test_an_operation_has_a_timeout(stage: Stage) -> None:
    """It is cancelled and counts as an error; operations that are quicker, and the block's end, are not affected."""
    stage.scenario.takes_ns = lambda arm, case: 60_000 * MS if len(stage.scenario.ran) == 3 else 10 * MS
    (block,) = stage.blocks(arms=["optimised"], timeout_s=0.05, drain_s=5.0)
    errors = Counter[str]()
    for group in block.groups.values():
        errors.update(group.errors)
    assert errors == {"TimeoutError: no answer within 0.05 s": 1}
    assert sum(g.operations for g in block.groups.values()) == 9
    assert sum(g.unfinished for g in block.groups.values()) == 0
    assert stage.scenario.in_flight == 0


def test_a_user_continues_after_a_timeout(stage: Stage) -> None:
    """In the closed model the user starts its next operation."""
    stage.scenario.takes_ns = lambda arm, case: 60_000 * MS if len(stage.scenario.ran) == 2 else 10 * MS
    (block,) = stage.blocks(users=1, model=LoadModel.CLOSED, arms=["optimised"], timeout_s=0.03)
    assert sum(sum(g.errors.values()) for g in block.groups.values()) == 1
    assert sum(g.operations for g in block.groups.values()) >= 5


@pytest.mark.parametrize("users", [0, 2])
@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), asyncio.CancelledError(), BaseException("odd")])
def test_whatever_an_operation_raises_is_counted(stage: Stage, users: int, error: BaseException) -> None:
    """Exits and interrupts of the scenario's own code are errors of one operation and do not end the block."""
    stage.scenario.takes_ns = lambda arm, case: 10 * MS
    stage.scenario.breaks = lambda arm, case: error if case.group == "write" else None
    (block,) = stage.blocks(users=users, model=LoadModel.CLOSED if users else LoadModel.OPEN, arms=["baseline"])
    assert list(block.groups["write"].errors) == [message_of(error)]
    assert block.groups["write"].operations == 0
    assert block.groups["read"].operations > 0


def test_failures_of_the_warm_up_are_counted_apart(stage: Stage) -> None:
    """They are in no figure of measured time, with the number of operations that the warm-up sent."""
    stage.scenario.breaks = lambda arm, case: ConnectionRefusedError("cold") if len(stage.scenario.ran) <= 4 else None
    (block,) = stage.blocks(arms=["optimised"], warm_up_s=0.05)
    assert sum(sum(g.warm_up_errors.values()) for g in block.groups.values()) == 4
    assert sum(g.warm_up for g in block.groups.values()) == 5
    assert [g.errors for g in block.groups.values()] == [{}, {}]


def test_operations_that_fail_while_draining_are_errors(stage: Stage) -> None:
    """What is due in measured time counts, whenever it fails."""
    stage.scenario.takes_ns = lambda arm, case: 95 * MS
    stage.scenario.breaks = lambda arm, case: OSError("reset") if case.group == "write" else None
    (block,) = stage.blocks(arms=["optimised"])
    assert block.groups["write"].errors == {"OSError: reset": 5}
    assert block.groups["read"].operations == 5


def test_the_generators_own_part_of_its_cpu_usage() -> None:
    """Five operations at 2 ms each in 100 ms are a tenth of a core, and no more than all that was used."""
    for used_ms, own_percent in ((60, 10.0), (4, 4.0)):
        clock = FakeClock()
        recorder = Recorder(RunnableScenario(), None, clock, iter([0, used_ms * MS]).__next__, 2 * MS)
        recorder.begin(0, BlockTime(clock, FakePacer(clock), lambda: False, 0, 100 * MS, 0))
        recorder.finished_ns.extend([MS] * 4)
        recorder.failed = 1
        clock.advance(100 * MS)
        recorder.end()
        assert (recorder.cpu_percent, recorder.own_percent) == (used_ms, own_percent)
