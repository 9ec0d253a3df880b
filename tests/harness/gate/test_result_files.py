"""Two files side by side: what goes together, what comes of it, and what may be doubted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import NotComparableError, UsageError
from harness.gate.result_files import CANDIDATE, exit_code, side_by_side
from harness.importers.reading import Reading, Timing, raw_timing
from harness.results.gate import GateVerdict
from harness.results.run import PromiseVerdict, Run, RunWarning
from harness.results.store import read_run, write_run


def reading(name: str, times: dict[str, float], **changes: object) -> Reading:
    """Return a file with thirty values around each time, by benchmark; keywords replace its members."""
    timings = tuple(raw_timing(key, [value * (1 + i / 1e4) for i in range(30)]) for key, value in times.items())
    return replace(Reading(name, "pytest-benchmark", "a file", timings, digest=name), **changes)  # type: ignore[arg-type]


def words(run: Run) -> dict[str, str]:
    """Return the verdict of each benchmark."""
    return {verdict.promise: verdict.verdict for verdict in run.scenarios[0].verdicts}


def test_benchmarks_are_joined_by_name_and_judged_each_by_itself() -> None:
    """In the order of the first file, whatever that of the second."""
    before = reading("old.json", {"a": 100, "b": 100, "c": 100})
    run = side_by_side(before, reading("new.json", {"c": 110, "b": 200, "a": 50}))
    assert words(run) == {"a": GateVerdict.IMPROVED, "b": GateVerdict.REGRESSED, "c": PromiseVerdict.INCONCLUSIVE}
    assert (run.kind, run.name) == ("comparison", "old.json → new.json")
    result = run.scenarios[0]
    assert [(x.arm, x.group) for x in result.latencies[:2]] == [("baseline", "a"), (CANDIDATE, "a")]
    assert [r.ratio for r in result.ratios] == [pytest.approx(2), pytest.approx(0.5), pytest.approx(100 / 110)]
    assert all(r.low is not None and r.high is not None and r.low <= r.ratio <= r.high for r in result.ratios)


def test_a_comparison_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """What is infinite or unknown included."""
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
def test_a_regression_weighs_more_than_what_is_inconclusive_and_that_more_than_a_gain(times: dict[str, float], code: int) -> None:
    """In the exit code."""
    assert exit_code(side_by_side(reading("old", {"a": 100, "b": 100}), reading("new", times))) == code


def test_a_missing_and_a_renamed_benchmark_end_it_with_their_names() -> None:
    """In whichever file they are, with a guess at what was renamed."""
    with pytest.raises(NotComparableError) as refused:
        side_by_side(reading("old.json", {"test_sum": 1, "test_max": 1}), reading("new.json", {"test_sums": 1, "test_max": 1}))
    said = str(refused.value)
    assert refused.value.code == 4
    assert "only in old.json: 'test_sum'" in said
    assert "only in new.json: 'test_sums'" in said
    assert "'test_sum' may be 'test_sums'" in said
    assert "\n" not in said


def test_many_missing_names_are_counted_not_listed() -> None:
    """The line stays a line."""
    with pytest.raises(NotComparableError, match="and 95 more"):
        side_by_side(reading("old", {f"test_{n}": 1 for n in range(101)}), reading("new", {"test_0": 1}))


def test_a_glob_chooses_what_is_compared() -> None:
    """So that what only one file has can be left out; one that matches nothing is refused."""
    before, after = reading("old", {"keep": 1, "gone": 1}), reading("new", {"keep": 1, "added": 1})
    assert list(words(side_by_side(before, after, only="k*"))) == ["keep"]
    with pytest.raises(UsageError, match="no benchmark is named like 'z\\*'"):
        side_by_side(before, after, only="z*")


def test_other_tools_and_other_data_are_not_compared() -> None:
    """Each says what differs."""
    one = reading("old", {"a": 1}, environment={"dataset of toy": "b7e1" * 16})
    with pytest.raises(NotComparableError, match="is of pytest-benchmark and new of Locust"):
        side_by_side(one, reading("new", {"a": 1}, tool="Locust"))
    with pytest.raises(NotComparableError, match="the dataset of toy differs"):
        side_by_side(one, reading("new", {"a": 1}, environment={"dataset of toy": "c0de" * 16}))


def test_the_drift_is_named_and_may_be_given() -> None:
    """With where it comes from; a smaller one shows smaller changes."""
    before, after = reading("old", {"a": 100}), reading("new", {"a": 90})
    usual, told = side_by_side(before, after), side_by_side(before, after, drift=0.05)
    assert (words(usual), words(told)) == ({"a": PromiseVerdict.INCONCLUSIVE}, {"a": GateVerdict.IMPROVED})
    warnings = [next(d.message for d in run.scenarios[0].warnings if d.name == "unpaired") for run in (usual, told)]
    assert "two runs at two moments: a difference below the drift of 25 % (the default" in warnings[0]
    assert "the drift of 5 % (as given)" in warnings[1]


def test_unequal_numbers_of_values_are_no_obstacle() -> None:
    """Nothing pairs the values of two files."""
    before = Reading("old", "t", "f", (raw_timing("a", [100.0 + i for i in range(7)]),))
    after = Reading("new", "t", "f", (raw_timing("a", [50.0 + i / 100 for i in range(900)]),))
    assert words(side_by_side(before, after)) == {"a": GateVerdict.IMPROVED}


def test_what_may_be_doubted_is_said_once_or_with_its_side() -> None:
    """What every file of a kind loses, what one file raises, another machine, and the same file twice."""
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
def test_everything_faster_or_slower_alike_looks_like_the_machine(factors: list[float], *, shifted: bool) -> None:
    """One change of the code seldom touches every benchmark by the same factor."""
    names = [f"b{n}" for n in range(len(factors))]
    run = side_by_side(
        reading("old", dict.fromkeys(names, 100.0)), reading("new", {n: 100 * f for n, f in zip(names, factors, strict=True)})
    )
    assert ("everything shifted" in {warning.name for warning in run.scenarios[0].warnings}) == shifted


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.floats(1, 1e9), min_size=1, max_size=4), st.floats(0.1, 10))
def test_the_same_change_everywhere_gives_the_same_verdict_everywhere(times: dict[str, float], factor: float) -> None:
    """A ratio does not depend on how long things take."""
    before = reading("old", times)
    after = reading("new", {name: value * factor for name, value in times.items()})
    assert len(set(words(side_by_side(before, after)).values())) == 1
