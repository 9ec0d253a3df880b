"""Tests of a scenario's result: pure functions from raw samples to percentiles, ratios and growth."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.job import AnswersVerified, DataPrepared, Figures, PairTimes, SlotTimes
from harness.bench.result import NO_TIME, ScenarioRun, clean_controls, growths, in_order, latencies, ratios, together
from harness.discovery import load
from harness.results.run import AA_CONTROL, Memory, Ratio, ScenarioResult, ScenarioStatus, Slot, WorkCount
from harness.runtime.child import JobFailed
from harness.scenario import Setting

TOY = Path(__file__).parents[2] / "toys" / "adding.py"
SETTING = Setting(Path(), Path())


def slot(process: int, pair: int, arm: str, *times_ns: int) -> Slot:
    """Return a slot of one group."""
    return Slot(process, pair, 0, arm, "sum", "case", times_ns)


def test_repetitions_of_a_slot_count_once() -> None:
    """An arm that repeats its operation in a slot is compared by the slot's mean, and keeps all samples."""
    taken = [slot(1, 1, "baseline", 600), slot(1, 1, "optimised", 100, 200, 300)]
    (ratio,) = ratios(taken)
    assert ratio.ratio == pytest.approx(3.0)
    assert (ratio.pairs, ratio.low) == (1, None)
    assert {(x.arm, x.samples) for x in latencies(taken)} == {("baseline", 1), ("optimised", 3)}


def test_an_arm_without_a_baseline_in_its_pair_is_not_compared() -> None:
    """A ratio needs both arms in the same pair."""
    assert ratios([slot(1, 1, "baseline", 5), slot(1, 2, "optimised", 5)]) == []


def test_growth_uses_the_median_of_repeated_measurements_without_failures() -> None:
    """Limited and failed measurements are not part of the curve."""
    memory = [
        Memory("optimised", "sum", 0, 100, 1.0, [], scale=0.5),
        *(Memory("optimised", "sum", 0, peak, 1.0, [], scale=1.0) for peak in (150, 200, 900)),
        Memory("optimised", "sum", 0, 7, 1.0, [], scale=1.0, limit_bytes=5),
        Memory("optimised", "sum", 0, 7, 1.0, [], scale=1.0, error="out of memory"),
    ]
    exact = [WorkCount("optimised", "sum", "steps", 4, scale) for scale in (0.5, 1.0)]
    found = {(g.metric): g.exponent for g in growths(exact, memory)}
    assert found == {"steps": pytest.approx(0.0, abs=1e-9), "peak_memory": pytest.approx(1.0)}


ROWS = st.builds(
    lambda added, spread, number: Memory(
        "baseline",
        "sum",
        100,
        100 + added,
        1.0,
        [],
        repetitions=number,
        lowest_added_bytes=added - spread,
        highest_added_bytes=added,
    ),
    st.integers(50, 90),
    st.integers(0, 50),
    st.integers(2, 9),
)


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_processes_with_the_same_memory_make_one_row(rows: list[Memory]) -> None:
    """It is the row of one of them, between the lowest and the highest repetition of all."""
    (found,) = together(rows)
    low, high = found.range_bytes
    assert found.peak_bytes in {row.peak_bytes for row in rows}
    assert (low, high) == (min(row.range_bytes[0] for row in rows), max(row.range_bytes[1] for row in rows))
    assert low <= found.added_bytes <= high
    assert found.repetitions == sum(row.repetitions for row in rows)


def test_memory_that_failed_in_one_process_has_failed() -> None:
    """Its error is shown; other shares of the data, limits and groups have rows of their own."""
    row = Memory("baseline", "sum", 100, 200, 1.0, [])
    others = [replace(row, scale=0.5), replace(row, limit_bytes=7), replace(row, group="other"), replace(row, arm="proposed")]
    found = together([row, *others, replace(row, peak_bytes=0, error="it raised")])
    assert len(found) == 5
    assert [(m.error, m.scale) for m in found if m.error] == [("it raised", 1.0)]


def test_memory_of_what_cannot_run_has_the_reason() -> None:
    """Where memory is measured at all, each arm and group that cannot run, or was not reached, has a row that says why."""
    evidence = ScenarioRun(load(TOY), SETTING)
    evidence.add(AnswersVerified(1, [("proposed", "sum", "it raises")]))
    assert evidence.result().memory == []
    evidence.add(Figures(memory=[Memory("baseline", "sum", 0, 100, 1.0, [])]))
    evidence.measures_memory = True
    found = [(m.arm, m.not_measured) for m in evidence.result().memory]
    assert found == [("baseline", None), ("proposed", "it raises"), ("optimised", NO_TIME)]


def test_a_failed_scenario_has_no_timings_and_no_verdicts() -> None:
    """Times from before the failure are not in the result."""
    evidence = ScenarioRun(load(TOY), SETTING)
    evidence.add(PairTimes("sum", "case", [SlotTimes("baseline", [2]), SlotTimes("optimised", [1])]), process=1)
    evidence.add(JobFailed("optimised gives another answer", 1))
    result = evidence.result()
    assert (result.status, result.error, result.exit_code) == ("failed", "optimised gives another answer", 1)
    assert (result.ratios, result.latencies, result.verdicts) == ([], [], [])


def test_ratios_of_percentiles_are_in_the_whole_result_only() -> None:
    """They take long to compute, so intermediate results lack them."""
    evidence = ScenarioRun(load(TOY), SETTING)
    evidence.add(PairTimes("sum", "case", [SlotTimes("baseline", [2]), SlotTimes("optimised", [1])]), process=1)
    assert evidence.result(whole=False).percentile_ratios == []
    assert [(r.percentile, r.ratio) for r in evidence.result().percentile_ratios] == [("50", None), ("95", None), ("99", None)]


def test_an_interrupted_scenario_keeps_its_results() -> None:
    """It has verdicts, and a warning about the interruption."""
    evidence = ScenarioRun(load(TOY), SETTING)
    evidence.add(AnswersVerified(3, [("proposed", "sum", "TypeError: x")]))
    for process in (1, 2):
        evidence.add(PairTimes("sum", "case", [SlotTimes("baseline", [8]), SlotTimes("optimised", [2])]), process)
    evidence.interrupted = True
    result = evidence.result()
    assert (result.status, result.pairs, result.processes, result.verified_cases) == ("interrupted", 2, 2, 3)
    assert [a.errors for a in result.arms] == [{}, {"sum": "TypeError: x"}, {}]
    assert {v.arm: v.verdict for v in result.verdicts if v.promise == "X1"} == {
        "proposed": "not measured",
        "optimised": "confirmed",
    }
    assert "interrupted" in {d.name for d in result.warnings}


def test_many_controls_off_are_a_warning() -> None:
    """Of twenty 95 % intervals a few may exclude 1 by chance; five hardly ever do."""

    def result(off: int) -> ScenarioResult:
        rows = [Ratio(AA_CONTROL, f"g{i}", 1.0, 1.01 if i < off else 0.9, 1.1, [], 9) for i in range(20)]
        return ScenarioResult("t", "T.", "T.", "t.py", "sqlite", 0.0, ScenarioStatus.OK, ratios=rows)

    assert clean_controls([result(4)]) == []
    (warning,) = clean_controls([result(5)])
    assert warning.message.startswith("5 of 20 controls")


def test_rows_are_in_the_scenarios_order() -> None:
    """Groups, then arms, the A/A control last, whatever the random order was."""
    rows = [Ratio(arm, "sum", 1.0, None, None, [], 1) for arm in (AA_CONTROL, "optimised", "proposed")]
    assert [r.arm for r in in_order(rows, load(TOY).scenario)] == ["proposed", "optimised", AA_CONTROL]


def test_a_synchronous_scenario_is_recorded_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine settings state where it ran, if it was timed."""
    evidence = ScenarioRun(load(TOY), SETTING, prepared=DataPrepared({}, {"version": "1"}))
    monkeypatch.setattr(evidence.loaded.scenario, "is_synchronous", True)
    assert evidence.result().engine_settings == {"version": "1"}
    evidence.add(PairTimes("sum", "case", [SlotTimes("baseline", [2]), SlotTimes("optimised", [1])]), process=1)
    assert evidence.result().engine_settings == {"version": "1", "execution": "synchronous, in the worker's thread"}
    monkeypatch.setattr(evidence.loaded.scenario, "is_synchronous", False)
    assert evidence.result().engine_settings == {"version": "1"}
