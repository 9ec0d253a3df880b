"""The search for a capacity: on simulated systems it ends at what they hold, whatever noise, false tries and limits do to it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.capacity import (
    FIRST_LEVEL,
    MAX_LEVEL,
    PRECISION,
    NextStep,
    SearchEnd,
    SearchPlan,
    TriedStep,
    capacity,
    next_step,
    tried_step,
)
from harness.results.load import Capacity, CapacityKind, LatencySummary
from harness.verdicts.slo import LoadObservation, parse

LIMIT_NS = 150e6
System = Callable[[NextStep], LoadObservation]


def plan(kind: CapacityKind, slo: str = "p95 < 150ms", **others: float) -> SearchPlan:
    """Return a plan that is not short of time."""
    return SearchPlan(
        kind, parse(slo), **{"first_level": FIRST_LEVEL[kind], "max_level": MAX_LEVEL[kind], "budget_s": math.inf, **others}
    )


def saw(asked: NextStep, rate_per_s: float, p95_ns: float, *, invalid: str | None = None, offered: bool = True) -> LoadObservation:
    """Return what a step saw whose operations were all answered, sooner or later, at a rate, with a 95th percentile."""
    operations = round((asked.level if offered else rate_per_s) * asked.seconds)
    percentile = {"95": p95_ns if operations >= 200 else None}
    response = LatencySummary(operations, p95_ns / 3, 1, round(p95_ns * 2), percentile)
    return LoadObservation(asked.level, asked.level if offered else None, rate_per_s, operations, operations, response, invalid)


def queue(served_per_s: float, noise: float = 0.0, seed: int = 0) -> System:
    """Return a system with one server and random arrivals (M/M/1), whose 95th percentile is measured with noise."""
    coin = random.Random(seed)

    def step(asked: NextStep) -> LoadObservation:
        left = served_per_s - asked.level
        p95_ns = math.log(20) / left * 1e9 if left > 0 else 1e12
        return saw(asked, min(asked.level, served_per_s), p95_ns * (1 + noise * coin.uniform(-1, 1)))

    return step


def crowd(holds: int, noise: float = 0.0, seed: int = 0) -> System:
    """Return a closed system whose 95th percentile grows with the users, and reaches the limit just beyond so many."""
    coin = random.Random(seed)

    def step(asked: NextStep) -> LoadObservation:
        p95_ns = LIMIT_NS * asked.level / (holds + 0.5)
        return saw(asked, 1000.0, p95_ns * (1 + noise * coin.uniform(-1, 1)), offered=False)

    return step


def search(wanted: SearchPlan, system: System, most_steps: int = 200) -> tuple[Capacity, list[TriedStep], SearchEnd]:
    """Carry the search out."""
    history: list[TriedStep] = []
    for _ in range(most_steps):
        asked = next_step(wanted, history)
        if isinstance(asked, SearchEnd):
            return capacity(wanted, "optimised", history, asked.reason), history, asked
        history.append(tried_step(wanted, asked, system(asked), asked.seconds))
    raise AssertionError(f"no end after {most_steps} steps: {[(t.planned.level, t.step.sustained) for t in history]}")


def levels(history: Sequence[TriedStep]) -> list[float]:
    """Return the levels in the order they were tried."""
    return [t.planned.level for t in history]


@given(st.floats(60, 20_000), st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_rate_is_found_through_noise(served_per_s: float, seed: int) -> None:
    """What a noisy queue is said to hold is within 15 % of the rate at which its true percentile meets the limit."""
    truth = served_per_s - math.log(20) / (LIMIT_NS / 1e9)
    found, _, _ = search(plan(CapacityKind.RATE), queue(served_per_s, 0.1, seed))
    assert found.sustained is not None
    assert found.failed_at is not None
    assert found.sustained == pytest.approx(truth, rel=0.15)
    assert found.failed_at / found.sustained <= PRECISION * 1.01


@given(st.integers(1, 1500), st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_number_of_users_is_found_through_noise(holds: int, seed: int) -> None:
    """Whole users, within 15 % of what the system holds, or one user of it."""
    found, history, _ = search(plan(CapacityKind.USERS), crowd(holds, 0.05, seed))
    assert all(level == int(level) for level in levels(history))
    assert found.sustained == pytest.approx(holds, rel=0.15, abs=1)


@given(st.integers(1, 15))
def test_few_users_are_found_to_the_one(holds: int) -> None:
    """Where one user is a large share of them, the bracket closes to neighbours."""
    found, _, _ = search(plan(CapacityKind.USERS), crowd(holds))
    assert found.sustained == holds if holds < 10 else found.sustained == pytest.approx(holds, abs=1)


def test_levels_double_until_one_fails_and_then_close_in() -> None:
    """The order of the levels of a system without noise: both ends of the last bracket are tried a second time."""
    found, history, ended = search(plan(CapacityKind.RATE), queue(360))
    assert levels(history) == [50, 100, 200, 400, 283, 336, 367, 367, 336]
    assert (found.sustained, found.failed_at) == (336, 367)
    assert levels(history).count(336) == levels(history).count(367) == 2
    assert found.reason.startswith(f"at {found.failed_at:g}: p95")
    assert not ended.out_of_budget


@given(st.integers(0, 11), st.booleans())
def test_one_false_try_anywhere_changes_no_result(false_step: int, was_users: bool) -> None:
    """A step that says the opposite of the truth, once, early or late, is outvoted."""
    wanted, system = (plan(CapacityKind.USERS), crowd(300)) if was_users else (plan(CapacityKind.RATE), queue(420))
    right, _, _ = search(wanted, system)
    taken = iter(range(1000))

    def lies(asked: NextStep) -> LoadObservation:
        truth = system(asked)
        if next(taken) != false_step:
            return truth
        p95_ns = truth.response.percentiles_ns["95"]
        assert p95_ns is not None
        return saw(asked, truth.achieved_per_s, LIMIT_NS * 2 if p95_ns < LIMIT_NS else 1e6, offered=False)

    found, _, _ = search(wanted, lies)
    assert found.sustained == pytest.approx(right.sustained, rel=PRECISION - 1)


def test_a_level_that_held_once_and_failed_once_is_tried_a_third_time() -> None:
    """And the majority counts: two that failed of three are a failure."""
    answers = iter([True, False, False])

    def step(asked: NextStep) -> LoadObservation:
        good = asked.level <= 50 if asked.level != 100 else next(answers)
        return saw(asked, asked.level, 1e6 if good else 1e9)

    found, history, _ = search(plan(CapacityKind.RATE, most=100), step)
    assert levels(history)[:4] == [50, 100, 100, 100]
    assert found.sustained == 50


def test_the_highest_level_there_is_to_try_ends_the_search() -> None:
    """What holds it, twice, holds at least that, and nothing failed."""
    found, history, _ = search(plan(CapacityKind.USERS, most=100), crowd(5000))
    assert levels(history) == [8, 16, 32, 64, 100, 100]
    assert (found.sustained, found.failed_at) == (100, None)
    assert found.reason == "at least 100, the highest level there is to try"


def test_where_the_first_level_fails_the_search_goes_down() -> None:
    """To one user; and where one user fails twice, nothing holds."""
    found, history, _ = search(plan(CapacityKind.USERS), crowd(0))
    assert levels(history) == [8, 4, 2, 1, 1]
    assert (found.sustained, found.failed_at) == (None, 1)
    assert found.reason.startswith("no level held: at 1, the lowest that can be judged, p95")


def test_a_rate_too_low_to_be_judged_is_not_tried() -> None:
    """The lowest rate is the one that brings the operations a percentile needs within the longest step."""
    found, history, _ = search(plan(CapacityKind.RATE, longest_step_s=24), queue(1))
    assert min(levels(history)) == 10
    assert found.sustained is None
    assert search(plan(CapacityKind.RATE, "p99.9 < 1s"), queue(1))[1][0].planned.level == 400


def test_where_the_generator_is_the_limit_the_arm_holds_at_least_what_it_did() -> None:
    """A level is tried again before the generator counts as the limit; then nothing beyond it is tried."""

    def step(asked: NextStep) -> LoadObservation:
        return saw(asked, asked.level, 1e6, invalid="the generator's core was busy" if asked.level > 300 else None)

    found, history, _ = search(plan(CapacityKind.RATE), step)
    assert levels(history) == [50, 100, 200, 400, 400]
    assert (found.sustained, found.failed_at) == (200, None)
    assert found.reason == "at least 200: at 400 the generator was the limit (the generator's core was busy)"
    assert history[-1].step.invalid == "the generator's core was busy"


def test_a_generator_that_was_late_for_a_moment_does_not_end_the_search() -> None:
    """The second try at the level is a good one, and the search goes on."""
    late = iter([True])

    def step(asked: NextStep) -> LoadObservation:
        return saw(
            asked,
            asked.level,
            1e6 if asked.level < 500 else 1e9,
            invalid="late" if asked.level == 100 and next(late, False) else None,
        )

    found, history, _ = search(plan(CapacityKind.RATE), step)
    assert levels(history)[:4] == [50, 100, 100, 200]
    assert found.sustained == pytest.approx(500, rel=PRECISION - 1)


def test_a_first_level_beyond_the_generator_is_halved() -> None:
    """A start that is too high for the generator is no end: what it can offer is searched."""

    def step(asked: NextStep) -> LoadObservation:
        return saw(asked, asked.level, 1e6 if asked.level < 120 else 1e9, invalid="busy" if asked.level > 1000 else None)

    found, _, _ = search(plan(CapacityKind.RATE, start=2000), step)
    assert found.sustained == pytest.approx(120, rel=PRECISION - 1)


@given(st.floats(1, 40))
def test_steps_are_lengthened_until_the_percentile_has_its_operations(per_user_per_s: float) -> None:
    """A step that saw too little is repeated for longer, within the limit, and later steps are planned for it."""

    def step(asked: NextStep) -> LoadObservation:
        return saw(asked, per_user_per_s * min(asked.level, 40), LIMIT_NS * asked.level / 40.5, offered=False)

    found, history, _ = search(plan(CapacityKind.USERS), step)
    assert max(t.planned.seconds for t in history) <= 30
    assert min(t.planned.seconds for t in history) >= 3
    assert all(t.step.sustained is not None for t in history if t.planned.seconds * t.step.achieved_per_s > 240)
    assert found.sustained == pytest.approx(40, rel=0.15)


def test_a_level_without_evidence_in_the_longest_step_is_left_undecided() -> None:
    """The search goes on above it, and says where it had too little to go by."""

    def step(asked: NextStep) -> LoadObservation:
        return saw(asked, 0.5, LIMIT_NS / 2, offered=False)

    found, _, _ = search(plan(CapacityKind.USERS, most=32), step)
    assert (found.sustained, found.failed_at) == (None, None)
    assert found.reason == "too little evidence at 32, the highest level there is to try"


def test_a_budget_ends_the_search_with_what_is_known() -> None:
    """No step is begun that would not fit, and the bracket so far is the result."""
    found, history, ended = search(plan(CapacityKind.RATE, budget_s=17), queue(360))
    assert ended.out_of_budget
    assert sum(t.spent_s for t in history) <= 17
    assert (found.sustained, found.failed_at) == (200, 400) if len(history) == 4 else (found.sustained or 0) >= 200
    assert "--budget" in found.reason


def test_a_capacity_carries_every_step_with_the_figures_the_report_needs() -> None:
    """Percentiles, the mean and the longest time, in the order the steps were taken."""
    found, history, _ = search(plan(CapacityKind.RATE), queue(360))
    assert [s.level for s in found.steps] == levels(history)
    assert found.objective == "p95 < 150 ms, errors <= 1 %, achieved >= 98 %"
    assert {"95", "mean", "max"} <= set(found.steps[0].percentiles_ns)
