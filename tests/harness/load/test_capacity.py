"""The capacity search, on simulated systems with noise, false steps and limits."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

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


def plan(kind: CapacityKind, slo: str = "p95 < 150ms", **others: Any) -> SearchPlan:
    """Return a plan without a time limit."""
    return SearchPlan(
        kind, parse(slo), **{"first_level": FIRST_LEVEL[kind], "max_level": MAX_LEVEL[kind], "budget_s": math.inf, **others}
    )


def observed(
    planned: NextStep, rate_per_s: float, p95_ns: float, *, invalid: str | None = None, offered: bool = True
) -> LoadObservation:
    """Return the observation of a step whose operations all completed, at a rate and with a 95th percentile."""
    operations = round((planned.level if offered else rate_per_s) * planned.seconds)
    percentile = {"95": p95_ns if operations >= 200 else None}
    response = LatencySummary(operations, p95_ns / 3, 1, round(p95_ns * 2), percentile)
    return LoadObservation(planned.level, planned.level if offered else None, rate_per_s, operations, operations, response, invalid)


def queue(served_per_s: float, noise: float = 0.0, seed: int = 0) -> System:
    """Return a system with one server and random arrivals (M/M/1), whose 95th percentile is measured with noise."""
    coin = random.Random(seed)

    def step(planned: NextStep) -> LoadObservation:
        left = served_per_s - planned.level
        p95_ns = math.log(20) / left * 1e9 if left > 0 else 1e12
        return observed(planned, min(planned.level, served_per_s), p95_ns * (1 + noise * coin.uniform(-1, 1)))

    return step


def closed_system(sustains: int, noise: float = 0.0, seed: int = 0) -> System:
    """Return a closed system whose 95th percentile grows with the users, and exceeds the limit just above `sustains` of them."""
    coin = random.Random(seed)

    def step(planned: NextStep) -> LoadObservation:
        p95_ns = LIMIT_NS * planned.level / (sustains + 0.5)
        return observed(planned, 1000.0, p95_ns * (1 + noise * coin.uniform(-1, 1)), offered=False)

    return step


def search(wanted: SearchPlan, system: System, most_steps: int = 200) -> tuple[Capacity, list[TriedStep], SearchEnd]:
    """Run the search to its end."""
    history: list[TriedStep] = []
    for _ in range(most_steps):
        planned = next_step(wanted, history)
        if isinstance(planned, SearchEnd):
            return capacity(wanted, "optimised", history, planned.reason), history, planned
        history.append(tried_step(wanted, planned, system(planned), planned.seconds))
    raise AssertionError(f"no end after {most_steps} steps: {[(t.planned.level, t.step.sustained) for t in history]}")


def levels(history: Sequence[TriedStep]) -> list[float]:
    """Return the levels in the order in which they were tried."""
    return [t.planned.level for t in history]


@given(st.floats(60, 20_000), st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_rate_is_found_through_noise(served_per_s: float, seed: int) -> None:
    """The capacity of a noisy queue is within 15 % of the rate at which its true percentile reaches the limit."""
    truth = served_per_s - math.log(20) / (LIMIT_NS / 1e9)
    found, _, _ = search(plan(CapacityKind.RATE), queue(served_per_s, 0.1, seed))
    assert found.sustained is not None
    assert found.failed_at is not None
    assert found.sustained == pytest.approx(truth, rel=0.15)
    assert found.failed_at / found.sustained <= PRECISION * 1.01


@given(st.integers(1, 1500), st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_number_of_users_is_found_through_noise(sustains: int, seed: int) -> None:
    """The capacity is a whole number, within 15 % or one user of the true one."""
    found, history, _ = search(plan(CapacityKind.USERS), closed_system(sustains, 0.05, seed))
    assert all(level == int(level) for level in levels(history))
    assert found.sustained == pytest.approx(sustains, rel=0.15, abs=1)


@given(st.integers(1, 15))
def test_a_small_number_of_users_is_exact(sustains: int) -> None:
    """The bracket narrows to adjacent numbers if one user is a large share."""
    found, _, _ = search(plan(CapacityKind.USERS), closed_system(sustains))
    assert found.sustained == sustains if sustains < 10 else found.sustained == pytest.approx(sustains, abs=1)


def test_levels_double_until_one_fails_and_are_then_bisected() -> None:
    """Without noise, both ends of the last bracket are tried a second time."""
    found, history, ended = search(plan(CapacityKind.RATE), queue(360))
    assert levels(history) == [50, 100, 200, 400, 283, 336, 367, 367, 336]
    assert (found.sustained, found.failed_at) == (336, 367)
    assert levels(history).count(336) == levels(history).count(367) == 2
    assert found.reason.startswith(f"at {found.failed_at:g}: p95")
    assert not ended.out_of_budget


@given(st.integers(0, 11), st.booleans())
def test_one_false_step_does_not_change_the_result(false_step: int, was_users: bool) -> None:
    """A single step with the opposite outcome, early or late, is outvoted."""
    wanted, system = (plan(CapacityKind.USERS), closed_system(300)) if was_users else (plan(CapacityKind.RATE), queue(420))
    right, _, _ = search(wanted, system)
    taken = iter(range(1000))

    def false_once(planned: NextStep) -> LoadObservation:
        truth = system(planned)
        if next(taken) != false_step:
            return truth
        p95_ns = truth.response.percentiles_ns["95"]
        assert p95_ns is not None
        return observed(planned, truth.achieved_per_s, LIMIT_NS * 2 if p95_ns < LIMIT_NS else 1e6, offered=False)

    found, _, _ = search(wanted, false_once)
    assert found.sustained == pytest.approx(right.sustained, rel=PRECISION - 1)


def test_contradicting_tries_are_followed_by_a_third() -> None:
    """The majority counts: two failures of three tries are a failure."""
    answers = iter([True, False, False])

    def step(planned: NextStep) -> LoadObservation:
        good = planned.level <= 50 if planned.level != 100 else next(answers)
        return observed(planned, planned.level, 1e6 if good else 1e9)

    found, history, _ = search(plan(CapacityKind.RATE, max_level=100), step)
    assert levels(history)[:4] == [50, 100, 100, 100]
    assert found.sustained == 50


def test_the_highest_level_ends_the_search() -> None:
    """A system that sustains it twice has at least that capacity, and no failed level."""
    found, history, _ = search(plan(CapacityKind.USERS, max_level=100), closed_system(5000))
    assert levels(history) == [8, 16, 32, 64, 100, 100]
    assert (found.sustained, found.failed_at) == (100, None)
    assert found.reason == "at least 100, the highest level tried"


def test_the_search_goes_down_if_the_first_level_fails() -> None:
    """It goes down to one user; if one user fails twice, no level is sustained."""
    found, history, _ = search(plan(CapacityKind.USERS), closed_system(0))
    assert levels(history) == [8, 4, 2, 1, 1]
    assert (found.sustained, found.failed_at) == (None, 1)
    assert found.reason.startswith("no level was sustained: at 1, the lowest that can be judged, p95")


def test_a_rate_too_low_to_be_judged_is_not_tried() -> None:
    """The lowest rate gives the operations that a percentile needs within the longest step."""
    found, history, _ = search(plan(CapacityKind.RATE, longest_step_s=24), queue(1))
    assert min(levels(history)) == 10
    assert found.sustained is None
    assert search(plan(CapacityKind.RATE, "p99.9 < 1s"), queue(1))[1][0].planned.level == 400


def test_the_generators_limit_ends_the_search() -> None:
    """A level is tried again before the generator counts as the limit; no higher level is tried then."""

    def step(planned: NextStep) -> LoadObservation:
        return observed(planned, planned.level, 1e6, invalid="the generator's core was busy" if planned.level > 300 else None)

    found, history, _ = search(plan(CapacityKind.RATE), step)
    assert levels(history) == [50, 100, 200, 400, 400]
    assert (found.sustained, found.failed_at) == (200, None)
    assert found.reason == "at least 200: at 400 the generator was the limit (the generator's core was busy)"
    assert history[-1].step.invalid == "the generator's core was busy"


def test_a_late_generator_in_one_try_does_not_end_the_search() -> None:
    """The second try of the level is valid, and the search continues."""
    late = iter([True])

    def step(planned: NextStep) -> LoadObservation:
        return observed(
            planned,
            planned.level,
            1e6 if planned.level < 500 else 1e9,
            invalid="late" if planned.level == 100 and next(late, False) else None,
        )

    found, history, _ = search(plan(CapacityKind.RATE), step)
    assert levels(history)[:4] == [50, 100, 100, 200]
    assert found.sustained == pytest.approx(500, rel=PRECISION - 1)


def test_a_first_level_above_the_generators_limit_is_halved() -> None:
    """The search continues at levels that the generator can offer."""

    def step(planned: NextStep) -> LoadObservation:
        return observed(
            planned, planned.level, 1e6 if planned.level < 120 else 1e9, invalid="busy" if planned.level > 1000 else None
        )

    found, _, _ = search(plan(CapacityKind.RATE, first_level=2000), step)
    assert found.sustained == pytest.approx(120, rel=PRECISION - 1)


@given(st.floats(1, 40))
def test_steps_are_extended_until_the_percentile_is_supported(per_user_per_s: float) -> None:
    """A step with too few operations is repeated with a longer duration, and later steps are planned accordingly."""

    def step(planned: NextStep) -> LoadObservation:
        return observed(planned, per_user_per_s * min(planned.level, 40), LIMIT_NS * planned.level / 40.5, offered=False)

    found, history, _ = search(plan(CapacityKind.USERS), step)
    assert max(t.planned.seconds for t in history) <= 30
    assert min(t.planned.seconds for t in history) >= 3
    assert all(t.step.sustained is not None for t in history if t.planned.seconds * t.step.achieved_per_s > 240)
    assert found.sustained == pytest.approx(40, rel=0.15)


def test_a_level_with_too_few_operations_in_the_longest_step_is_undecided() -> None:
    """The search continues above it, and reports the level with too few operations."""

    def step(planned: NextStep) -> LoadObservation:
        return observed(planned, 0.5, LIMIT_NS / 2, offered=False)

    found, _, _ = search(plan(CapacityKind.USERS, max_level=32), step)
    assert (found.sustained, found.failed_at) == (None, None)
    assert found.reason == "too few operations at 32, the highest level tried"


def test_the_budget_ends_the_search_with_the_bracket_so_far() -> None:
    """No step starts that would exceed the budget, and the bracket so far is the result."""
    found, history, ended = search(plan(CapacityKind.RATE, budget_s=17), queue(360))
    assert ended.out_of_budget
    assert sum(t.spent_s for t in history) <= 17
    assert (found.sustained, found.failed_at) == (200, 400) if len(history) == 4 else (found.sustained or 0) >= 200
    assert "--budget" in found.reason


def test_a_capacity_has_every_step_with_its_figures() -> None:
    """Steps are in the order in which they ran, with percentiles, the mean and the maximum."""
    found, history, _ = search(plan(CapacityKind.RATE), queue(360))
    assert [s.level for s in found.steps] == levels(history)
    assert found.objective == "p95 < 150 ms, errors <= 1 %, achieved >= 98 %"
    assert {"95", "mean", "max"} <= set(found.steps[0].percentiles_ns)


def refusing(above: float) -> System:
    """Return a system of which every operation above a level is refused."""

    def step(planned: NextStep) -> LoadObservation:
        good = observed(planned, planned.level, 1e6)
        if planned.level <= above:
            return good
        none = LatencySummary(0)
        return replace(good, completed=0, response=none, achieved_per_s=0.0, errors={"ConnectionRefusedError": good.sent})

    return step


def test_failed_operations_are_the_reason_why_no_level_is_sustained() -> None:
    """The share and the error are named, and never that more time is needed."""
    found, _, ended = search(plan(CapacityKind.RATE), refusing(0.0))
    assert found.failing == found.reason
    assert found.reason.startswith("100 % of operations failed: ConnectionRefusedError (")
    assert (found.sustained, ended.out_of_budget) == (None, False)
    short, _, ended = search(plan(CapacityKind.RATE, budget_s=8.0), refusing(0.0))
    assert str(short.failing).startswith("100 % of operations failed: ConnectionRefusedError")
    assert not ended.out_of_budget


def test_failed_operations_above_a_sustained_level_are_the_capacitys_limit() -> None:
    """The objective's own clause governs there: the arm does not fail."""
    found, _, _ = search(plan(CapacityKind.RATE), refusing(300.0))
    assert found.failing is None
    assert found.sustained == pytest.approx(300, rel=PRECISION - 1)
    assert [s.failing is not None for s in found.steps] == [s.level > 300 for s in found.steps]


def dying(after: int, served_per_s: float = 400.0) -> System:
    """Return a system that refuses every operation after a number of steps, as a server that was killed."""
    alive, steps = queue(served_per_s), [0]

    def step(planned: NextStep) -> LoadObservation:
        steps[0] += 1
        return alive(planned) if steps[0] <= after else refusing(0.0)(planned)

    return step


@given(st.integers(1, 12), st.sampled_from([20.0, 40.0, 120.0, math.inf]))
def test_an_arm_that_stops_answering_is_named(after: int, budget_s: float) -> None:
    """Neither more time nor a lower load is advised: the search ends with the error, soon, and keeps its steps."""
    found, history, ended = search(plan(CapacityKind.RATE, budget_s=budget_s), dying(after))
    silent = [t for t in history if not t.step.operations]
    if not silent:  # the search, or its time, ended before
        return
    assert len(silent) <= 2
    assert "ConnectionRefusedError" in ended.reason
    assert "budget" not in ended.reason
    assert not ended.out_of_budget
    if len(silent) == 2:
        assert found.failing == ended.reason
        assert ended.reason.startswith("it stopped answering: at 50, which it had sustained before, 100 % of operations failed")


def test_an_arm_far_beyond_its_capacity_still_answers_at_a_lower_level() -> None:
    """Its search goes on: one step more shows that it has not stopped."""
    found, history, _ = search(plan(CapacityKind.RATE), refusing(300.0))
    assert found.failing is None
    first = next(number for number, t in enumerate(history) if not t.step.operations)
    assert [t.planned.level for t in history[first : first + 2]] == [400, 50]
