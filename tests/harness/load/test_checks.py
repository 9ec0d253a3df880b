"""Checks of the load generator and of each arm."""

import msgspec
import pytest

from harness.load.block import LoadBlock
from harness.load.checks import cpu_bound, failing, generator_facts, generator_limit, overloaded
from harness.load.totals import total
from tests.harness.load.blocks import one_group_block, wire


def test_an_arm_that_keeps_up_is_not_overloaded() -> None:
    """Operations in flight at the end are not a backlog, also if each takes longer than the warm-up."""
    assert overloaded(total([one_group_block([10.0] * 1000)])) is None
    assert overloaded(total([one_group_block([2000.0] * 1000, completed=600)])) is None


def test_an_arm_that_falls_behind_is_overloaded() -> None:
    """A queue that grows to more than a second is an overload, though all operations complete while draining."""
    growing = [10.0 + i * 1.67 for i in range(1000)]
    reason = overloaded(total([one_group_block(growing, completed=750)]))
    assert reason == "it completed 150 of 200 operations per second; lower the load"


def test_a_backlog_of_the_warm_up_is_an_overload() -> None:
    """An arm that falls behind from the start has long times from the first one on; they do not explain what is missing."""
    behind = one_group_block([400.0 + i / 10 for i in range(1000)], completed=920)
    assert overloaded(total([behind])) is None
    warmed_up = msgspec.structs.replace(behind, warm_up_ns=1_000_000_000)
    assert str(overloaded(total([warmed_up]))).startswith("it completed 184 of 200 operations per second")
    assert overloaded(total([msgspec.structs.replace(behind, warm_up_ns=10_000_000)])) is None


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            one_group_block([10.0] * 999, dropped=1),
            "1 of 1000 operations were dropped at the limit of in-flight operations; lower the load, or raise the limit",
        ),
        (
            one_group_block([10.0] * 999, unfinished=1),
            "1 of 1000 operations were unfinished at the drain timeout; lower the load, or allow a longer drain",
        ),
    ],
)
def test_operations_that_do_not_complete_are_an_overload(found: LoadBlock, text: str) -> None:
    """The reason has their number and the next step; failed operations are not an overload, however many they are."""
    assert overloaded(total([found])) == text
    assert overloaded(total([one_group_block([10.0] * 500, errors={"locked": 500})])) is None


def test_the_closed_model_has_no_rate_to_sustain() -> None:
    """Only unfinished operations are an overload there."""
    assert overloaded(total([one_group_block([10.0] * 100, completed=50, users=4)])) is None
    assert "were unfinished" in str(overloaded(total([one_group_block([10.0] * 99, unfinished=1, users=4)])))


def test_an_arm_fails_beyond_the_tolerance() -> None:
    """Its share, the most frequent error and its count are named; a share within the tolerance is not a failure."""
    found = total([one_group_block([1.0] * 50, errors={"OSError: reset": 740, "TimeoutError": 10})])
    assert failing(found, 0.001) == "750 of 800 operations failed (93.8 %): OSError: reset (740)"
    assert failing(found, 0.94) is None
    assert failing(total([one_group_block([1.0] * 999, errors={"locked": 1})]), 0.001) is None
    assert failing(total([one_group_block([1.0] * 998, errors={"locked": 2})]), 0.001) is not None
    assert failing(total([one_group_block([1.0] * 10)]), 0.0) is None


def test_failures_of_the_warm_up_count() -> None:
    """They are named apart, and decide alone and together with those of measured time."""
    alone = total([one_group_block([1.0] * 100, warm_up=100, warm_up_errors={"refused": 60})])
    assert failing(alone, 0.01) == "60 of 100 operations of the warm-up failed (60 %): refused (60)"
    both = total([one_group_block([1.0] * 99, errors={"locked": 1}, warm_up=100, warm_up_errors={"locked": 4})])
    assert failing(both, 0.02) == (
        "1 of 100 operations failed (1 %): locked (1); 4 of 100 operations of the warm-up failed (4 %): locked (4)"
    )


def test_a_part_of_the_operations_fails_only_with_significance() -> None:
    """One failure of 300 is within chance of a tolerance of 0.1 %; five of five are not."""
    assert failing(total([one_group_block([1.0] * 299, errors={"locked": 1})]), 0.001, is_part=True) is None
    assert failing(total([one_group_block([], errors={"locked": 5})]), 0.001, is_part=True) is not None


def test_an_arm_without_a_completed_operation_fails() -> None:
    """Unfinished and dropped operations are the reason, though nothing raised; a group alone may have none."""
    found = total([one_group_block([], unfinished=30, dropped=10)])
    unfinished, dropped = "30 were unfinished at the drain timeout", "10 were dropped at the limit of in-flight operations"
    assert failing(found, 0.5) == f"none of 40 operations completed: {unfinished}, {dropped}"
    assert failing(found, 0.5, is_part=True) is None


def test_a_generator_whose_own_work_fills_its_core_is_the_limit() -> None:
    """This holds in both models and for an instance in its process, where operations overlap."""
    for users, targets in ((0, False), (0, True), (8, False), (8, True)):
        many = one_group_block([30.0] * 5000, cpu_percent=99.0, own_percent=60.0, users=users, targets=targets)
        reason = generator_limit([many])
        assert reason is not None
        assert "with optimised it used 99 % of its core, 60 % for its own work" in reason


def test_operations_that_fill_the_core_of_the_generators_process_are_not_its_limit() -> None:
    """Users of the closed model always fill a core: arms are compared, and the usage is stated."""
    for targets in (False, True):
        busy = one_group_block([30.0] * 5000, cpu_percent=103.0, own_percent=9.0, users=8, targets=targets, late_ms=20.0)
        assert generator_limit([busy]) is None
        assert cpu_bound([busy]) == {"optimised": "optimised used 103 % of a core, 9 % of it for the generator's own work"}
    assert cpu_bound([one_group_block([30.0], cpu_percent=80.0)]) == {}


def test_operations_that_never_wait_are_timed_exactly() -> None:
    """Without a second operation in flight, no response time contains the generator's work, though it fills the core."""
    quick = one_group_block([0.001] * 5000, cpu_percent=99.0, own_percent=93.0, users=8, targets=False)
    assert generator_limit([quick]) is None


def test_a_capacity_of_another_process_needs_a_generator_with_a_core_to_spare() -> None:
    """A level at which the clients themselves were the limit is not the target's capacity, in the closed model neither."""
    busy = one_group_block([30.0] * 5000, cpu_percent=97.0, users=8)
    assert generator_limit([busy]) is None
    assert "97 % of its core" in str(generator_limit([busy], is_capacity=True))


def test_a_generator_without_a_core_to_spare_invalidates() -> None:
    """The message names the arm and the remedy; one busy block among idle ones does not invalidate a run."""
    reason = generator_limit([one_group_block([10.0] * 100, cpu_percent=97.0)])
    assert reason is not None
    assert "used 97 % of its core with optimised" in reason
    assert generator_limit([one_group_block([10.0] * 100, cpu_percent=c) for c in (97.0, 40.0, 40.0)]) is None


def test_a_late_generator_invalidates_the_run_if_it_matters() -> None:
    """3 ms matter for response times of 10 ms and not of 1 s, and 0.5 ms do not matter for 1 ms."""
    reason = generator_limit([one_group_block([10.0] * 100, late_ms=3.0)])
    assert reason is not None
    assert "with optimised it started half of the operations at least 3.0 ms late" in reason
    assert generator_limit([one_group_block([1000.0] * 100, late_ms=3.0)]) is None
    assert generator_limit([one_group_block([1.0] * 100, late_ms=0.5)]) is None


def test_lateness_is_compared_with_response_times_at_the_same_percentile() -> None:
    """A p99 lateness of 5 ms does not matter for a p99 of 100 ms, and is half of a p99 of 10 ms."""
    late = {"lateness": wire([0.1] * 95 + [5.0] * 5)}
    assert generator_limit([msgspec.structs.replace(one_group_block([2.0] * 95 + [100.0] * 5), **late)]) is None
    reason = generator_limit([msgspec.structs.replace(one_group_block([2.0] * 95 + [10.0] * 5), **late)])
    assert reason is not None
    assert "1 % of the operations at least 5.0 ms late" in reason


def test_a_data_layer_in_the_generators_process_is_not_judged() -> None:
    """The data layer itself may use the core, so there is no finding."""
    assert generator_limit([one_group_block([10.0] * 100, cpu_percent=99.0, late_ms=50.0, targets=False)]) is None


def test_the_record_has_the_generators_usage_and_lateness() -> None:
    """The facts have its busiest block and its lateness over all blocks; none without blocks."""
    found = generator_facts([one_group_block([10.0], cpu_percent=12.0), one_group_block([10.0], cpu_percent=31.0)])
    assert found == {"generator's busiest block": "31 % of a core", "generator's lateness (p99)": "0.050 ms"}
    assert generator_facts([]) == {}


def test_chance_differences_in_flight_are_not_a_backlog() -> None:
    """With long operations, a few more may be in flight at the end than at the start."""
    times_ms = [5.0] * 100 + [500.0] * 100
    assert overloaded(total([one_group_block(times_ms, completed=188)])) is None
    assert overloaded(total([one_group_block(times_ms, completed=150)])) is not None
