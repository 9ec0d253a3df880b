"""The question about percentiles: the simulated operations have in common what is stated, and too many misses are detected."""

import math

import numpy as np
import pytest

from tools.validation.percentiles import (
    PAIRS,
    PERCENTILE,
    PLAIN,
    PROCESSES,
    RATIOS,
    SITUATIONS,
    SLOT_SPREAD,
    CorrelatedTimes,
    section,
    simulated,
    slots,
)


def test_situations_have_in_common_what_they_state() -> None:
    """Slots share their spread, processes theirs, and drift makes the last pair half as slow again."""
    shared = np.concatenate([SITUATIONS["slots"].times(np.random.default_rng(seed)) for seed in range(40)])
    assert shared.mean(axis=2).var() == pytest.approx(SLOT_SPREAD**2 + 0.05**2 / 8, rel=0.1)
    apart = np.concatenate([SITUATIONS["processes"].times(np.random.default_rng(seed)) for seed in range(200)])
    assert apart.mean(axis=(1, 2)).std() == pytest.approx(math.hypot(0.02, 0.05 / math.sqrt(PAIRS)), rel=0.1)
    times = SITUATIONS["drift"].times(np.random.default_rng(1))
    assert times[-1, -10:].mean() - times[0, :10].mean() == pytest.approx(math.log(1.5), abs=0.06)


def test_the_truth_is_the_distributions() -> None:
    """The percentiles of normal noise are those of the normal distribution."""
    truth = CorrelatedTimes(process=0.12).truth()
    assert [truth[label] for label in ("50", "95", "99")] == pytest.approx([0, 0.13 * 1.6449, 0.13 * 2.3263], abs=0.001)


def test_slots_hold_the_times_in_their_order() -> None:
    """Each pair of each process is a slot with a number of its own."""
    logs = np.log(np.arange(1, PROCESSES * PAIRS * 2 + 1, dtype=np.float64)).reshape(PROCESSES, PAIRS, 2)
    made = slots("arm", logs)
    assert len({(slot.process, slot.pair) for slot in made}) == PROCESSES * PAIRS
    assert [ns for slot in made for ns in slot.latencies_ns] == [n * 10**9 for n in range(1, PROCESSES * PAIRS * 2 + 1)]


def test_every_interval_exists_and_simulations_repeat() -> None:
    """These processes and pairs support a p99, and a seed decides."""
    held = simulated(SITUATIONS["independent"], 3)
    assert all(None not in each for each in held.values())
    assert held == simulated(SITUATIONS["independent"], 3)


def test_too_many_misses_are_detected_where_something_is_required() -> None:
    """Intervals of percentiles and ratios must cover the truth; the plain ones are shown to be too narrow."""
    kinds = [(kind, "95") for kind in (PERCENTILE, RATIOS, PLAIN)]
    good, bad = [True] * 96 + [False] * 4, [True] * 80 + [False] * 20
    found = section({"alike": dict(zip(kinds, (good, bad, bad), strict=True)), "few": {kind: [*good, None] for kind in kinds}})
    assert [requirement.met for requirement in found.requirements] == [True, False]
    assert [row[1:] for row in found.tables[0].rows] == [
        ["96.0%", "96.0% (1 without)"],
        ["80.0%", "96.0% (1 without)"],
        ["80.0%", "96.0% (1 without)"],
    ]
