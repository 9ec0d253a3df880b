"""The closed model: each user asks again once answered, and rates divide by the time that whole operations span."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.load.totals import total

if TYPE_CHECKING:
    from tests.harness.load.conftest import Stage

MS = 1_000_000


def test_so_many_are_under_way_as_there_are_users(stage: Stage) -> None:
    """Three users whose operations take 10 ms do ten each in 100 ms."""
    stage.scenario.takes_ns = lambda arm, case: 10 * MS
    (block,) = stage.blocks(users=3, model="closed", arms=["optimised"])
    assert stage.scenario.most_under_way == 3
    assert block.users == 3
    assert sum(g.operations for g in block.groups.values()) == 30
    assert {g.dropped for g in block.groups.values()} == {0}


def test_a_long_last_operation_does_not_tilt_the_rate(stage: Stage) -> None:
    """Four operations of 30 ms span 120 ms of a block of 100: 33.3 a second, not 40."""
    stage.scenario.takes_ns = lambda arm, case: 30 * MS
    (block,) = stage.blocks(users=1, model="closed", arms=["optimised"])
    assert block.measured_ns == 120 * MS
    assert total([block]).achieved_per_s == pytest.approx(100 / 3)


def test_warming_up_is_left_out(stage: Stage) -> None:
    """Operations that begin in it are sent and not recorded."""
    stage.scenario.takes_ns = lambda arm, case: 10 * MS
    (block,) = stage.blocks(users=1, model="closed", arms=["optimised"], warm_up_s=0.05)
    assert len(stage.scenario.ran) == 15
    assert sum(g.operations for g in block.groups.values()) == 10


def test_a_user_who_is_never_answered_is_censored(stage: Stage) -> None:
    """And keeps nobody else, nor the block from its end."""
    stage.scenario.takes_ns = lambda arm, case: 60_000 * MS if len(stage.scenario.ran) == 3 else 10 * MS
    (block,) = stage.blocks(users=2, model="closed", arms=["baseline"], drain_s=0.05)
    assert sum(g.unfinished for g in block.groups.values()) == 1
    assert sum(g.operations for g in block.groups.values()) == 11
