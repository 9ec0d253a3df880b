"""The budget of a whole gate, with a fake clock."""

import math

import pytest

from harness.gate.against.budget import END_S, MOST_S, GateBudget
from harness.runtime.clock import FakeClock

S = 1_000_000_000


def test_everything_counts_from_the_start() -> None:
    """What is left for timing ends a little before the budget does."""
    clock = FakeClock()
    budget = GateBudget(100.0, clock=clock)
    clock.advance(60 * S)
    assert (budget.spent_s, budget.left_s, budget.is_spent) == (60.0, 40.0 - END_S, False)
    clock.advance(39 * S)
    assert budget.is_spent
    assert budget.left_s == 0.0


def test_earlier_parts_count() -> None:
    """A gate that is resumed has the rest of its budget."""
    budget = GateBudget(100.0, clock=FakeClock())
    budget.resume(90.0)
    assert budget.left_s == pytest.approx(8.0)


def test_the_default_depends_on_what_is_timed() -> None:
    """Without a limit until the number is known; more benchmarks and slower starts get more, up to a limit; a choice stays."""
    clock = FakeClock()
    budget = GateBudget(clock=clock)
    clock.advance(10 * S)
    assert (budget.is_limited, budget.left_s, budget.is_spent) == (False, math.inf, False)
    budget.settle(64)
    first = budget.seconds
    assert 300 < first < 480
    clock.advance(5 * S)
    budget.settle(64, start_up_s=4.0)
    assert budget.seconds > first
    budget.settle(10_000)
    assert budget.seconds == 10 + MOST_S
    chosen = GateBudget(20.0, clock=clock)
    chosen.settle(64)
    assert chosen.seconds == 20.0
