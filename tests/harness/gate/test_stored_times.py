"""Stored times: what counts as a change, and what is left to others."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.stored_times import LEAST_CHANGE, SUITE, limit_log, times
from harness.results.gate import GateVerdict
from harness.results.run import ScenarioResult
from tests.harness.gates import latency, result


def timed(*medians_ns: float, arm: str = "baseline") -> ScenarioResult:
    """A result with one arm's times."""
    return result(latencies=[latency(arm, medians_ns=medians_ns)])


def word(before: ScenarioResult, after: ScenarioResult) -> str:
    """What is said about the one time."""
    (row,) = times([(before, after)], "").rows
    return row.verdict


def test_a_change_counts_beyond_the_drift_and_with_intervals_apart() -> None:
    """Both ways; and only where both hold."""
    old = timed(10.0, 10.1, 9.9)
    assert word(old, timed(20.0, 20.1, 19.9)) == "regressed"
    assert word(old, timed(5.0, 5.1, 4.9)) == "improved"
    assert word(old, timed(12.0, 12.1, 11.9)) == GateVerdict.NOT_JUDGED
    assert word(old, timed(20.0, 2.0, 200.0)) == GateVerdict.NOT_JUDGED


@pytest.mark.parametrize(
    ("medians_ns", "says"),
    [
        ((50.0,), "a single process says nothing about drift"),
        ((), "a side has no time above zero"),
        ((0.0, 0.0, -1.0), "a side has no time above zero"),
        ((math.nan, math.inf), "a side has no time above zero"),
        ((math.nan, 50.0), "a single process says nothing about drift"),
    ],
)
def test_what_is_no_evidence_is_not_judged(medians_ns: tuple[float, ...], says: str) -> None:
    """One sample, none, zero, or no number at all: on either side."""
    good, bad = timed(10.0, 10.1, 9.9), timed(*medians_ns)
    for sides in ((good, bad), (bad, good)):
        (row,) = times([sides], "").rows
        assert (row.verdict, row.reason) == (GateVerdict.NOT_JUDGED, says)


def test_unequal_numbers_of_processes_are_no_verdict_of_their_own() -> None:
    """Two against seven of the same times say nothing; far apart they do."""
    many, few = timed(*(10 + i / 10 for i in range(7))), timed(10.2, 10.4)
    assert word(many, few) == word(few, many) == GateVerdict.NOT_JUDGED
    assert word(many, timed(30.0, 30.3)) == "regressed"


def test_what_the_candidate_did_not_time_and_the_control_are_not_judged() -> None:
    """Groups that no promise rests on are timed only where there is time."""
    (row,) = times([(timed(1.0, 2.0), result(latencies=[]))], "").rows
    assert row.reason == "the candidate did not time it (ok)"
    control = timed(1.0, 1.0, arm="baseline again")
    assert times([(control, control)], "").rows == []


@given(number=st.integers(0, 10_000), spread=st.floats(0, 2))
def test_the_limit_grows_with_the_number_of_times_and_their_scatter(number: int, spread: float) -> None:
    """And is never below what is stated."""
    assert limit_log(number, spread) >= math.log(1 + LEAST_CHANGE)
    assert limit_log(number + 1, spread) >= limit_log(number, spread)
    assert limit_log(number, spread + 0.1) >= limit_log(number, spread)


def suite(seed: int, *, scatter: float, shift: float, times_of: int = 24) -> list[ScenarioResult]:
    """Results whose times scatter by process and by run, the latter as a log sd, and shift together."""
    draw = np.random.default_rng(seed)
    centres = np.exp(draw.normal(shift, scatter, times_of)) * 1e6
    return [timed(*(centre * np.exp(draw.normal(0, 0.02, 3)))) for centre in centres]


@pytest.mark.parametrize(("scatter", "shift"), [(0.0, 0.0), (0.075, 0.0), (0.25, 0.0), (0.075, 0.3), (0.2, -0.5)])
def test_the_same_code_is_no_alarm_whatever_the_machine_does(scatter: float, shift: float) -> None:
    """50 comparisons of 24 times that drift as stated, or more, alone or together: at most a few show anything."""
    alarms = 0
    for seed in range(50):
        before, after = suite(2 * seed, scatter=scatter, shift=0.0), suite(2 * seed + 1, scatter=scatter, shift=shift)
        alarms += any(row.verdict != GateVerdict.NOT_JUDGED for row in times(list(zip(before, after, strict=True)), "").rows)
    assert alarms <= 2


def test_one_time_that_stands_out_of_a_shift_is_found() -> None:
    """Everything is 1.35 times slower, one thing six times."""
    before, after = suite(1, scatter=0.05, shift=0.0), suite(2, scatter=0.05, shift=0.3)
    after[7] = replace(after[7], latencies=[latency(medians_ns=(9e6, 9.1e6, 9.2e6))])
    found = times(list(zip(before, after, strict=True)), "")
    assert [row.verdict for row in found.rows].index(GateVerdict.REGRESSED) == 7
    assert [row.verdict for row in found.rows].count(GateVerdict.REGRESSED) == 1
    assert "became 1.3" in found.warnings[0].message
    assert not found.all_slower


def test_few_times_are_no_suite() -> None:
    """Their common shift cannot be seen: a machine's is allowed for, and what is beyond counts for each."""
    few = [(timed(10.0, 10.1), timed(15.0, 15.1))] * (SUITE - 1)
    assert {row.verdict for row in times(few, "").rows} == {GateVerdict.NOT_JUDGED}
    few = [(timed(10.0, 10.1), timed(30.0, 30.1))] * (SUITE - 1)
    assert {row.verdict for row in times(few, "").rows} == {"regressed"}
    assert times(few, "").warnings == []
    assert times([*few, few[0]], "").all_slower


def test_no_time_of_another_machine_is_judged() -> None:
    """For the reason given."""
    (row,) = times([(timed(1.0, 1.1), timed(9.0, 9.1))], "another machine: cpu").rows
    assert (row.verdict, row.reason) == (GateVerdict.NOT_JUDGED, "another machine: cpu")
    assert row.change == pytest.approx(9.05 / 1.05)
