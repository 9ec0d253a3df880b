"""Comparisons of two files: which benchmarks match, their verdicts, and the warnings."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import NotComparableError, UsageError
from harness.gate.result_files import CANDIDATE, gated, side_by_side
from harness.importers.reading import Reading, Timing, raw_timing
from harness.results.gate import GateVerdict
from harness.results.run import (
    ArmResult,
    Latency,
    PromiseVerdict,
    Run,
    RunKind,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
)
from harness.results.store import read_run, write_run
from tests.harness.gates import run as stored_run


def reading(name: str, times: dict[str, float], **changes: object) -> Reading:
    """Return a file with thirty values around each time, by benchmark; keywords replace its members."""
    timings = tuple(raw_timing(key, [value * (1 + i / 1e4) for i in range(30)]) for key, value in times.items())
    return replace(Reading(name, "pytest-benchmark", "a file", timings, digest=name), **changes)  # type: ignore[arg-type]


def verdicts_of(run: Run) -> dict[str, str]:
    """Return the verdict of each benchmark."""
    return {verdict.promise: verdict.verdict for verdict in run.scenarios[0].verdicts}


def test_benchmarks_are_joined_by_name_and_judged_each_by_itself() -> None:
    """Benchmarks are in the order of the first file, whatever the order of the second."""
    before = reading("old.json", {"a": 100, "b": 100, "c": 100})
    run = side_by_side(before, reading("new.json", {"c": 110, "b": 200, "a": 50}))
    assert verdicts_of(run) == {"a": GateVerdict.IMPROVED, "b": GateVerdict.REGRESSED, "c": PromiseVerdict.INCONCLUSIVE}
    assert (run.kind, run.name) == ("comparison", "old.json → new.json")
    result = run.scenarios[0]
    assert [(x.arm, x.group) for x in result.latencies[:2]] == [("baseline", "a"), (CANDIDATE, "a")]
    assert [r.ratio for r in result.ratios] == [pytest.approx(2), pytest.approx(0.5), pytest.approx(100 / 110)]
    assert all(r.low is not None and r.high is not None and r.low <= r.ratio <= r.high for r in result.ratios)


def test_a_comparison_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Infinite and unknown bounds are read back as unknown."""
    open_ended = Timing("x", 500, 4e5, 4e5, 0.0, 1e6, rounding_ns=5e5)
    counted = raw_timing("x", [5e5] * 30)
    rounded = replace(open_ended, units=counted.units)
    run = side_by_side(Reading("a", "Locust", "f", (rounded,)), Reading("b", "Locust", "f", (rounded,)))
    assert run.scenarios[0].verdicts[0].high is None
    assert read_run(write_run(run, tmp_path)) == run


@pytest.mark.parametrize(
    ("times", "code"),
    [({"a": 50.0, "b": 50.0}, 0), ({"a": 50.0, "b": 101.0}, 3), ({"a": 50.0, "b": 300.0}, 1), ({"a": 101.0, "b": 300.0}, 1)],
)
def test_the_exit_code_is_that_of_the_most_severe_verdict(times: dict[str, float], code: int) -> None:
    """A regression comes before inconclusive, and inconclusive before an improvement; the gate's result agrees."""
    assert gated(side_by_side(reading("old", {"a": 100, "b": 100}), reading("new", times))).exit_code == code
    assert gated(side_by_side(reading("old", {"a": 100, "b": 100}), reading("new", times))).exit_code == code


def test_missing_and_renamed_benchmarks_are_named() -> None:
    """The error names them for either file, with the likely new name."""
    with pytest.raises(NotComparableError) as refused:
        side_by_side(reading("old.json", {"test_sum": 1, "test_max": 1}), reading("new.json", {"test_sums": 1, "test_max": 1}))
    message = str(refused.value)
    assert refused.value.code == 4
    assert "only in old.json: 'test_sum'" in message
    assert "only in new.json: 'test_sums'" in message
    assert "'test_sum' may have been renamed to 'test_sums'" in message
    assert "\n" not in message


def test_many_missing_names_are_counted_not_listed() -> None:
    """The message lists a few names and counts the others."""
    with pytest.raises(NotComparableError, match="and 95 more"):
        side_by_side(reading("old", {f"test_{n}": 1 for n in range(101)}), reading("new", {"test_0": 1}))


def test_a_glob_chooses_what_is_compared() -> None:
    """Benchmarks of only one file can be left out; a glob that matches nothing is refused."""
    before, after = reading("old", {"keep": 1, "gone": 1}), reading("new", {"keep": 1, "added": 1})
    assert list(verdicts_of(side_by_side(before, after, only="k*"))) == ["keep"]
    with pytest.raises(UsageError, match="no benchmark matches 'z\\*'"):
        side_by_side(before, after, only="z*")


def test_other_tools_and_other_data_are_not_compared() -> None:
    """The error states what differs."""
    one = reading("old", {"a": 1}, environment={"dataset of toy": "b7e1" * 16})
    with pytest.raises(NotComparableError, match="old is from pytest-benchmark, new from Locust"):
        side_by_side(one, reading("new", {"a": 1}, tool="Locust"))
    with pytest.raises(NotComparableError, match="the dataset of toy differs"):
        side_by_side(one, reading("new", {"a": 1}, environment={"dataset of toy": "c0de" * 16}))


def test_the_drift_is_reported_and_may_be_given() -> None:
    """The warning states the drift and its source; a smaller drift detects smaller changes."""
    before, after = reading("old", {"a": 100}), reading("new", {"a": 90})
    default, given_drift = side_by_side(before, after), side_by_side(before, after, drift=0.05)
    assert (verdicts_of(default), verdicts_of(given_drift)) == ({"a": PromiseVerdict.INCONCLUSIVE}, {"a": GateVerdict.IMPROVED})
    warnings = [next(d.message for d in run.scenarios[0].warnings if d.name == "unpaired") for run in (default, given_drift)]
    assert "separate runs of the same code differ by up to 25 % (the default" in warnings[0]
    assert "differ by up to 5 % (as given)" in warnings[1]


def test_the_numbers_of_values_may_differ() -> None:
    """The values of two files are not paired."""
    before = Reading("old", "t", "f", (raw_timing("a", [100.0 + i for i in range(7)]),))
    after = Reading("new", "t", "f", (raw_timing("a", [50.0 + i / 100 for i in range(900)]),))
    assert verdicts_of(side_by_side(before, after)) == {"a": GateVerdict.IMPROVED}


def test_a_warning_is_listed_once_or_with_its_file() -> None:
    """Warnings of both files are listed once, those of one file with its name, in addition to another machine and the same file."""
    loses, failed = RunWarning("loses", "p99", "x"), RunWarning("failed requests", "3", "x")
    before = reading("old", {"a": 1}, warnings=(loses,), environment={"cpu": "EPYC", "load average at start": "1"})
    after = reading("new", {"a": 1}, warnings=(loses, failed), environment={"cpu": "Xeon", "load average at start": "9"})
    found = {warning.name: warning.message for warning in side_by_side(before, after).scenarios[0].warnings}
    assert list(found) == ["unpaired", "another machine or version", "loses", "failed requests, after"]
    assert found["another machine or version"] == "before and after differ in cpu EPYC and Xeon"
    assert "the same file" in {warning.name for warning in side_by_side(before, before).scenarios[0].warnings}


@pytest.mark.parametrize(
    ("factors", "shifted"),
    [
        ([2, 3, 1.2, 2], True),
        ([0.5, 0.5, 0.5, 0.5], True),
        ([2, 1, 1, 0.5], False),
        ([1.05] * 9, False),
        ([2] * 8 + [0.9] * 2, True),
        ([2, 2], False),
    ],
)
def test_a_common_shift_raises_a_warning(factors: list[float], *, shifted: bool) -> None:
    """All benchmarks faster or slower alike look like a change of the machine."""
    names = [f"b{n}" for n in range(len(factors))]
    run = side_by_side(
        reading("old", dict.fromkeys(names, 100.0)), reading("new", {n: 100 * f for n, f in zip(names, factors, strict=True)})
    )
    assert ("all times shifted" in {warning.name for warning in run.scenarios[0].warnings}) == shifted


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.floats(1, 1e9), min_size=1, max_size=4), st.floats(0.1, 10))
def test_the_same_change_everywhere_gives_the_same_verdict_everywhere(times: dict[str, float], factor: float) -> None:
    """The verdict depends on the ratio only, not on the times."""
    before = reading("old", times)
    after = reading("new", {name: value * factor for name, value in times.items()})
    assert len(set(verdicts_of(side_by_side(before, after)).values())) == 1


def test_files_of_another_tool_are_gated_by_their_times_alone() -> None:
    """One regression fails, anything inconclusive does not pass, and only improvements beyond the drift do."""

    def compared(*outcomes: PromiseVerdict) -> Run:
        arms = [ArmResult("baseline", "before: old.json"), ArmResult("candidate", "after: new.json")]
        verdicts = [Verdict(f"t{i}", "", "candidate", w, "so", "×", value=0.5, low=0.4, high=0.6) for i, w in enumerate(outcomes)]
        times = [Latency(a.name, v.promise, 9, 1.0, 1, 1, {}, [10.0 * n]) for n, a in enumerate(arms, 1) for v in verdicts]
        made = ScenarioResult(
            "comparison", "", "", "f", "hyperfine", 0.0, ScenarioStatus.OK, arms=arms, verdicts=verdicts, latencies=times
        )
        return stored_run(made, kind=RunKind.COMPARISON)

    found = gated(compared(PromiseVerdict.REGRESSED, PromiseVerdict.IMPROVED))
    assert (found.exit_code, found.base, found.candidate) == (1, "old.json", "new.json")
    row = found.rows[0]
    assert (row.base, row.candidate, row.change, row.unit, row.paired) == (10.0, 20.0, 2.0, "ns", False)
    assert row.low == pytest.approx(1 / 0.6)
    assert gated(compared(PromiseVerdict.IMPROVED)).exit_code == 0
    assert gated(compared(PromiseVerdict.IMPROVED, PromiseVerdict.INCONCLUSIVE)).exit_code == 3
    assert gated(compared()).exit_code == 4
