"""Warnings of a load test."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.load.block import LoadBlock
from harness.load.sampler import USERS
from harness.load.warnings import load_warnings
from harness.results.load import LatencySummary, LoadedArm, LoadModel, LoadRatio, LoadResult, Phase, Tick
from harness.results.run import RunWarning
from tests.harness.load.blocks import MS, one_group_block

EMPTY = LoadResult([LoadModel.CLOSED], "", 1.0, 0.0)


def figures(arm: str, p50_ms: float, p99_ms: float) -> LoadedArm:
    """Return an arm's figures with two percentiles."""
    times = LatencySummary(5000, percentiles_ns={"50": p50_ms * MS, "99": p99_ms * MS})
    return LoadedArm(arm, "read", None, 1.0, 5000, 0, 0, 0, times, times, times)


def ratio(percentile: str, value: float, low: float, high: float) -> LoadRatio:
    """Return a ratio with its interval."""
    return LoadRatio("optimised", "read", percentile, value, low, high, 12)


def warned(load: LoadResult, name: str, blocks: Sequence[LoadBlock] = ()) -> list[RunWarning]:
    """Return the warnings of one name."""
    return [w for w in load_warnings(load, {1: list(blocks)} if blocks else {}) if w.name == name]


def test_a_slower_tail_is_named_beside_a_faster_median() -> None:
    """The worst percentile is named with both sides' times, and how the median compares."""
    arms = [figures("baseline", 14.0, 35.0), figures("optimised", 10.0, 2400.0)]
    load = replace(EMPTY, arms=arms, ratios=[ratio("50", 1.4, 1.35, 1.45), ratio("99", 0.0146, 0.012, 0.018)])
    (warning,) = warned(load, "slower under load")
    assert warning.message == "optimised, read: p99: 35 ms → 2.4 s (p50 1.4×)"


@pytest.mark.parametrize(
    "ratios",
    [
        [ratio("50", 0.7, 0.6, 1.09)],
        [ratio("50", 2.0, 1.9, 2.1), ratio("99", 1.5, 1.2, 1.8)],
        [ratio("50", 1.0, 0.9, 1.1), ratio("90", 1.0, 0.9, 1.1), ratio("95", 1.0, 0.9, 1.1), ratio("99", 0.8, 0.645, 0.99)],
        [LoadRatio("optimised", "read", "50", 0.5, None, None, 2)],
    ],
)
def test_a_percentile_that_is_not_significantly_slower_is_not_named(ratios: list[LoadRatio]) -> None:
    """Neither are faster ones, those without an interval, and one of several that is slower by chance."""
    arms = [figures("baseline", 14.0, 35.0), figures("optimised", 10.0, 24.0)]
    assert warned(replace(EMPTY, arms=arms, ratios=ratios), "slower under load") == []


def test_operations_that_fill_the_generators_core_are_a_warning() -> None:
    """It names arms, users and the generator's part; an invalid run has its own reason."""
    busy = one_group_block([30.0] * 5000, cpu_percent=103.0, own_percent=9.0, users=8, targets=False)
    (warning,) = warned(EMPTY, "CPU-bound operations", [busy])
    assert "with 8 users response time contains their queueing for that core" in warning.message
    assert "optimised used 103 % of a core, 9 % of it for the generator's own work" in warning.message
    assert warned(replace(EMPTY, invalid="late"), "CPU-bound operations", [busy]) == []


def test_a_late_event_loop_is_a_warning_in_the_closed_model() -> None:
    """Its delays are in the response times of a target in another process, and its core was not full."""
    late = one_group_block([30.0] * 500, cpu_percent=40.0, users=8, late_ms=20.0)
    (warning,) = warned(EMPTY, "late event loop", [late])
    assert "with optimised" in warning.message
    assert warned(EMPTY, "late event loop", [one_group_block([30.0] * 500, users=8)]) == []


def test_locust_users_that_fill_their_core_are_a_warning() -> None:
    """By the mean of measured time, per arm: the warm-up and other processes do not count."""

    def tick(arm: str, phase: Phase, percent: float, name: str = USERS) -> Tick:
        return Tick(1, 0.0, arm, phase, 1, 0, 0, None, None, {name: percent}, {}, {})

    full = [tick("baseline", Phase.MEASURED, percent) for percent in (88.0, 100.0)]
    half = [
        tick("optimised", Phase.WARM_UP, 100.0),
        tick("optimised", Phase.MEASURED, 50.0),
        tick("other", Phase.MEASURED, 99.0, "server"),
    ]
    (warning,) = warned(replace(EMPTY, ticks=full + half), "CPU-bound users")
    assert warning.message.startswith("with baseline the process of the Locust users used 94 % of a core")
