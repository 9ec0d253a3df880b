"""Comparisons of two files: which benchmarks match, their verdicts, and the warnings."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import NotComparableError, UsageError
from harness.gate.result_files import CANDIDATE, FileComparison, FileRules, side_by_side
from harness.gate.selection import Selection
from harness.importers.reading import Reading, Timing, raw_timing
from harness.report import junit
from harness.results.gate import GateVerdict, RowKind
from harness.results.run import FileMetric, OperationCounts, PromiseVerdict, RunWarning
from harness.results.store import read_run, write_run
from harness.verdicts import failures
from harness.verdicts.failures import Failures

EQUAL, IMPROVED, INCONCLUSIVE, NOT_COMPARABLE, REGRESSED = (
    PromiseVerdict.EQUAL,
    PromiseVerdict.IMPROVED,
    PromiseVerdict.INCONCLUSIVE,
    PromiseVerdict.NOT_COMPARABLE,
    PromiseVerdict.REGRESSED,
)


def reading(name: str, times: dict[str, float], **changes: object) -> Reading:
    """Return a file with thirty values around each time, by benchmark; keywords replace its members."""
    timings = tuple(raw_timing(key, [value * (1 + i / 1e4) for i in range(30)]) for key, value in times.items())
    return replace(Reading(name, "pytest-benchmark", "a file", timings, digest=name), **changes)  # type: ignore[arg-type]


def load(
    name: str, median_ms: float = 10.0, failed: int = 0, of: int = 1_000, per_s: float = 100.0, at: Mapping[str, str] | None = None
) -> Reading:
    """Return the file of a load test with aggregates of one request; without times if all of them failed."""
    ns = median_ms * 1e6
    timing = Timing("GET /a", of, ns, ns, ns / 2, ns * 3, {"50": ns, "90": ns * 1.5, "95": ns * 2})
    counts = OperationCounts("", "GET /a", of, failed, per_s)
    timings = () if failed == of else (timing,)
    return Reading(name, "k6", "a file", timings, digest=name, operations=(counts,), load_settings=dict(at or {}))


def verdicts_of(compared: FileComparison) -> dict[str, str]:
    """Return the verdict of each benchmark."""
    return {verdict.promise: verdict.verdict for verdict in compared.run.scenarios[0].verdicts}


def warnings_of(compared: FileComparison) -> dict[str, str]:
    """Return the warnings, name to message."""
    return {warning.name: warning.message for warning in compared.run.scenarios[0].warnings}


def test_benchmarks_are_joined_by_name_and_judged_each_by_itself() -> None:
    """Benchmarks are in the order of the first file, whatever the order of the second."""
    before = reading("old.json", {"a": 100, "b": 100, "c": 100})
    compared = side_by_side(before, reading("new.json", {"c": 110, "b": 200, "a": 50}))
    assert verdicts_of(compared) == {"a": IMPROVED, "b": REGRESSED, "c": INCONCLUSIVE}
    assert (compared.run.kind, compared.run.name) == ("comparison", "old.json → new.json")
    result = compared.run.scenarios[0]
    assert [(x.arm, x.group) for x in result.latencies[:2]] == [("baseline", "a"), (CANDIDATE, "a")]
    assert [r.ratio for r in result.ratios] == [pytest.approx(2), pytest.approx(0.5), pytest.approx(100 / 110)]
    assert all(r.low is not None and r.high is not None and r.low <= r.ratio <= r.high for r in result.ratios)


def test_a_comparison_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Infinite and unknown bounds are read back as unknown."""
    open_ended = Timing("x", 500, 4e5, 4e5, 0.0, 1e6, rounding_ns=5e5)
    rounded = replace(open_ended, units=raw_timing("x", [5e5] * 30).units)
    run = side_by_side(Reading("a", "Locust", "f", (rounded,)), Reading("b", "Locust", "f", (rounded,))).run
    assert run.scenarios[0].verdicts[0].high is None
    assert read_run(write_run(run, tmp_path)) == run


@pytest.mark.parametrize(
    ("times", "code"),
    [({"a": 50.0, "b": 50.0}, 0), ({"a": 50.0, "b": 101.0}, 3), ({"a": 50.0, "b": 300.0}, 1), ({"a": 101.0, "b": 300.0}, 1)],
)
def test_the_exit_code_is_that_of_the_most_severe_verdict(times: dict[str, float], code: int) -> None:
    """A regression comes before inconclusive, and inconclusive before an improvement."""
    assert side_by_side(reading("old", {"a": 100, "b": 100}), reading("new", times)).gate.exit_code == code


def test_a_row_has_the_figures_in_the_gate_s_direction() -> None:
    """Its change is candidate ÷ baseline, with the interval, and its label names neither an arm nor work."""
    gate = side_by_side(reading("old.json", {"a": 100}), reading("new.json", {"a": 200})).gate
    (row,) = gate.rows
    assert (gate.base, gate.candidate, row.unit, row.paired, row.place, row.label) == (
        "old.json",
        "new.json",
        "ns",
        False,
        "a · pytest-benchmark",
        "median",
    )
    assert row.verdict == GateVerdict.REGRESSED
    assert row.change == pytest.approx(2)
    assert row.low is not None
    assert row.high is not None
    assert row.low <= 2 <= row.high


def test_common_benchmarks_are_judged_and_the_others_are_listed() -> None:
    """An added one never fails a gate; a removed one does, unless that is allowed, with its likely new name."""
    before, after = reading("old.json", {"test_sum": 100, "test_max": 100}), reading("new.json", {"test_sums": 1, "test_max": 50})
    compared = side_by_side(before, after)
    assert (verdicts_of(compared), compared.gate.exit_code) == ({"test_max": IMPROVED}, 0)
    removed = "removed: 'test_sum', only in old.json; 'test_sum' may have been renamed to 'test_sums'"
    assert warnings_of(compared)["removed benchmarks"] == removed
    assert warnings_of(compared)["added benchmarks"] == "added: 'test_sums', only in new.json"
    assert {(x.arm, x.group) for x in compared.run.scenarios[0].latencies} >= {("baseline", "test_sum"), (CANDIDATE, "test_sums")}
    strict = side_by_side(before, after, FileRules(allow_missing=False)).gate
    assert (strict.exit_code, strict.incomparable[0].message) == (4, removed)
    worse = side_by_side(before, reading("new", {"test_max": 900}), FileRules(allow_missing=False)).gate
    assert worse.exit_code == 1
    assert side_by_side(after, replace(after, timings=after.timings[1:]), FileRules(allow_missing=False)).gate.exit_code == 4


def test_nothing_in_common_is_not_comparable() -> None:
    """The message lists a few names and counts the others."""
    with pytest.raises(NotComparableError, match=r"no benchmark is in both files; removed: .* and 95 more"):
        side_by_side(reading("old", {f"test_{n}": 1 for n in range(100)}), reading("new", {"other": 1}))


def test_a_selection_chooses_what_is_compared() -> None:
    """Benchmarks of only one file can be left out; a pattern that matches nothing is refused."""
    before, after = reading("old", {"keep": 1, "gone": 1}), reading("new", {"keep": 1, "added": 1})
    compared = side_by_side(before, after, FileRules(selection=Selection(["k*"])))
    assert list(verdicts_of(compared)) == ["keep"]
    assert "removed benchmarks" not in warnings_of(compared)
    assert side_by_side(before, after, FileRules(selection=Selection(excluded=["gone"]), allow_missing=False)).gate.exit_code == 0
    with pytest.raises(UsageError, match="no benchmark matches 'z\\*'"):
        side_by_side(before, after, FileRules(selection=Selection(["z*"])))


def test_other_tools_and_other_data_are_not_compared() -> None:
    """The error states what differs."""
    one = reading("old", {"a": 1}, environment={"dataset of toy": "b7e1" * 16})
    with pytest.raises(NotComparableError, match="old is from pytest-benchmark, new from Locust"):
        side_by_side(one, reading("new", {"a": 1}, tool="Locust"))
    with pytest.raises(NotComparableError, match="the dataset of toy differs"):
        side_by_side(one, reading("new", {"a": 1}, environment={"dataset of toy": "c0de" * 16}))


@pytest.mark.parametrize(("failed", "share"), [(1_000, "100 %"), (400, "40 %"), (20, "2 %")])
def test_more_failures_are_a_regression_however_fast_the_rest_is(failed: int, share: str) -> None:
    """The times are not judged, the sentence and JUnit name the share, and the other direction is an improvement."""
    ok, bad = load("ok.csv", 100), load("bad.csv", 3, failed)
    compared = side_by_side(ok, bad)
    assert (compared.gate.exit_code, verdicts_of(compared)) == (1, {"GET /a": REGRESSED})
    assert "GET /a regressed by failures: " in compared.gate.sentence
    assert f"(0 % → {share})" in compared.gate.sentence
    assert {row.kind for row in compared.gate.rows} == {RowKind.ERRORS}
    assert compared.gate.rows[0].candidate == failed / 1_000
    assert b"<failure" in junit.render(compared.gate)
    fixed = side_by_side(bad, ok)
    assert fixed.gate.exit_code == (0 if failed == 1_000 else 3)  # slower than the failed ones, or slower: the times do not tell
    assert fixed.gate.counts[GateVerdict.IMPROVED] == 1


def test_failures_of_both_sides() -> None:
    """All of both: not comparable. A few more of too few: inconclusive, and never improved. A tolerated share: as without."""
    both = side_by_side(load("a", failed=1_000), load("b", failed=1_000)).gate
    assert (both.exit_code, both.incomparable[0].message) == (4, "all operations of both failed, so there are no times")
    assert b"<error" in junit.render(both)
    few = side_by_side(load("a", 100, of=8), load("b", 10, failed=1, of=8))
    assert (few.gate.exit_code, verdicts_of(few)) == (3, {"GET /a": INCONCLUSIVE})
    assert not [row for row in few.gate.rows if row.verdict == GateVerdict.IMPROVED]
    tolerated = side_by_side(load("a", 100), load("b", 10, failed=20), FileRules(errors=0.05))
    assert (tolerated.gate.exit_code, verdicts_of(tolerated)) == (0, {"GET /a": IMPROVED})


def test_times_that_may_depend_on_failed_operations_are_not_judged() -> None:
    """An iteration of a load test has no failures of its own, and is quick if its requests fail."""
    slow, quick = (Timing("iteration", 1_000, ns, ns, ns, ns) for ns in (1e8, 1e6))
    ok, bad = load("ok", 100), load("bad", 1, failed=1_000)
    for timed, sides in (((slow, quick), (ok, bad)), ((quick, slow), (bad, ok))):
        before, after = (replace(file, timings=(*file.timings, timing)) for file, timing in zip(sides, timed, strict=True))
        compared = side_by_side(before, after)
        assert verdicts_of(compared)["iteration"] == INCONCLUSIVE
        assert not [row for row in compared.gate.rows if row.scenario == "iteration"]


def test_one_side_without_counts_never_hides_failures() -> None:
    """All of the candidate failed, and the baseline only has times: that is a regression, and says what is unknown."""
    compared = side_by_side(replace(load("a"), operations=()), load("b", failed=1_000))
    assert compared.gate.exit_code == 1
    assert "not stated before" in compared.gate.sentence


def test_a_benchmark_of_which_nothing_was_tried_is_inconclusive() -> None:
    """Without an operation there is no failure, and no time."""
    nothing = replace(load("b"), timings=(), operations=(OperationCounts("", "GET /a", 0, 0),))
    gate = side_by_side(load("a"), nothing).gate
    assert (gate.exit_code, gate.rows[-1].reason) == (3, "no operation was timed after")


@pytest.mark.parametrize(("side", "code"), [("after", 3), ("before", 3)])
def test_dropped_operations_make_a_load_invalid(side: str, code: int) -> None:
    """Whatever the times are; a regression still comes first."""
    files = {"before": load("a", 100), "after": load("b", 10)}
    files[side] = replace(files[side], dropped=50)
    gate = side_by_side(files["before"], files["after"]).gate
    assert (gate.exit_code, gate.sentence) == (code, f"invalid load {side}: 50 operations were due and did not start")
    assert side_by_side(load("a"), replace(load("b", failed=500), dropped=50)).gate.exit_code == 1


def test_a_check_of_the_tool_that_newly_fails_is_a_regression() -> None:
    """One that failed before as well is not."""
    check = "p(95)<500 of http_req_duration"
    failing = replace(load("b"), failed_checks=(check,))
    gate = side_by_side(load("a"), failing).gate
    assert (gate.exit_code, gate.sentence) == (1, f"{check} regressed in a check of the tool: it failed after, and not before")
    assert side_by_side(failing, replace(failing, digest="c")).gate.exit_code == 0


@pytest.mark.parametrize("setting", ["users", "rate", "stages", "duration"])
def test_another_load_is_not_comparable(setting: str) -> None:
    """The message states the setting and the throughputs, and no verdict is given; one that only one file states is none."""
    one, ten = load("a", 10, at={setting: "10"}), load("b", 30, per_s=1_000, at={setting: "100"})
    compared = side_by_side(one, ten)
    assert (compared.gate.exit_code, verdicts_of(compared)) == (4, {"GET /a": NOT_COMPARABLE})
    assert compared.gate.sentence == f"another load: {setting}: 10 → 100; throughput: GET /a 100 → 1,000 per s"
    assert [counts.per_s for counts in compared.run.scenarios[0].operations] == [100, 1_000]
    assert side_by_side(one, load("b", 30)).gate.exit_code == 1


def test_a_much_higher_throughput_raises_a_warning_where_the_load_is_unknown() -> None:
    """It may be another load; where the load is known to be the same, it is a result."""
    assert "GET /a 100 → 1,000 per s" in warnings_of(side_by_side(load("a"), load("b", per_s=1_000)))["perhaps another load"]
    assert "perhaps another load" not in warnings_of(side_by_side(load("a"), load("b", per_s=150)))
    assert "perhaps another load" not in warnings_of(
        side_by_side(load("a", at={"model": "closed"}), load("b", per_s=1_000, at={"model": "closed"}))
    )


def test_throughput_is_judged_where_the_users_are_the_same() -> None:
    """In a closed model it is a result; at a given rate it is not, and few operations do not show it."""
    closed, rate = {"users": "8", "model": "closed"}, {"rate": "100"}
    assert side_by_side(load("a", at=closed), load("b", per_s=40, at=closed)).gate.exit_code == 1
    assert side_by_side(load("a", at=rate), load("b", 11, per_s=40, at=rate)).gate.exit_code == 3
    assert side_by_side(load("a", of=9, at=closed), load("b", 11, of=9, per_s=60, at=closed)).gate.exit_code == 3


def test_metrics_are_judged_where_the_better_direction_is_known() -> None:
    """Beyond the drift they decide, also alone; others are only shown; 0 has no ratio."""

    def sized(name: str, value: float, better: bool | None = True) -> Reading:
        return Reading(name, "pyperf", "f", (), metrics=(FileMetric("", "m", "bytes", 9, value, value, value, value, {}, better),))

    assert side_by_side(sized("a", 100), sized("b", 200)).gate.sentence == "m regressed in bytes: 100 → 200"
    assert side_by_side(sized("a", 200), sized("b", 100)).gate.exit_code == 0
    assert side_by_side(sized("a", 100), sized("b", 110)).gate.exit_code == 3
    assert side_by_side(sized("a", 100), sized("b", 100)).gate.sentence == "1 metric equal"
    assert "no ratio" in side_by_side(sized("a", 0), sized("b", 110)).gate.rows[0].reason
    assert side_by_side(sized("a", 100, better=False), sized("b", 200, better=False)).gate.exit_code == 0
    with pytest.raises(NotComparableError):
        side_by_side(sized("a", 100, None), sized("b", 200, None))


def test_the_worst_figure_is_named() -> None:
    """A tail that became slower is a regression although the median became faster; JUnit has its figures."""
    before = Timing("q", 40_000, 20e6, 24e6, 1e7, 9e7, {"50": 20e6, "90": 30e6, "95": 35e6, "99": 50e6})
    after = Timing("q", 40_000, 14e6, 16e6, 7e6, 3e10, {"50": 14e6, "90": 18e6, "95": 2.4e9, "99": 60e6})
    compared = side_by_side(Reading("a", "k6", "f", (before,)), Reading("b", "k6", "f", (after,)))
    assert compared.gate.exit_code == 1
    assert compared.gate.sentence == "q regressed at p95: 35 ms → 2.4 s (median 1.43× faster)"
    assert compared.run.scenarios[0].verdicts[0].part == "p95"
    assert "p95 35.0 ms → 2.40 s" in junit.render(compared.gate).decode()


def test_a_percentile_of_too_few_values_does_not_decide() -> None:
    """Three values beyond p99 are three slow operations; of an unknown number the file's statement counts."""
    for samples, code in ((300, 3), (None, 1)):
        sides = [Timing("q", samples, 1e7, 1e7, 1e6, 1e9, {"50": 1e7, "99": p99}) for p99 in (3e7, 9e8)]
        before, after = (Reading(name, "k6", "f", (side,)) for name, side in zip("ab", sides, strict=True))
        assert side_by_side(before, after).gate.exit_code == code


def test_the_drift_is_reported_and_may_be_given() -> None:
    """The warning states the drift and its source; a smaller drift detects smaller changes."""
    before, after = reading("old", {"a": 100}), reading("new", {"a": 90})
    default, given_drift = side_by_side(before, after), side_by_side(before, after, FileRules(drift=0.05))
    assert (verdicts_of(default), verdicts_of(given_drift)) == ({"a": INCONCLUSIVE}, {"a": IMPROVED})
    assert "separate runs of the same code differ by up to 25 % (the default" in warnings_of(default)["unpaired"]
    assert "differ by up to 5 % (as given)" in warnings_of(given_drift)["unpaired"]


def test_the_numbers_of_values_may_differ() -> None:
    """The values of two files are not paired."""
    before = Reading("old", "t", "f", (raw_timing("a", [100.0 + i for i in range(7)]),))
    after = Reading("new", "t", "f", (raw_timing("a", [50.0 + i / 100 for i in range(900)]),))
    assert verdicts_of(side_by_side(before, after)) == {"a": IMPROVED}


def test_a_warning_is_listed_once_or_with_its_file() -> None:
    """Warnings of both files are listed once, those of one file with its name, in addition to another machine."""
    loses, failed = RunWarning("loses", "p99", "x"), RunWarning("failed requests", "3", "x")
    before = reading("old", {"a": 1}, warnings=(loses,), environment={"cpu": "EPYC", "load average at start": "1"})
    after = reading("new", {"a": 1}, warnings=(loses, failed), environment={"cpu": "Xeon", "load average at start": "9"})
    found = warnings_of(side_by_side(before, after))
    assert list(found) == ["unpaired", "another machine or version", "loses", "failed requests, after"]
    assert found["another machine or version"] == "before and after differ in cpu EPYC and Xeon"


def test_identical_files_are_identical() -> None:
    """The same bytes pass, and are called so, unless everything in them failed."""
    file = reading("old", {"a": 1, "b": 2})
    compared = side_by_side(file, replace(file, file="copy"))
    assert (compared.gate.exit_code, compared.gate.sentence) == (0, "identical files")
    assert verdicts_of(compared) == {"a": EQUAL, "b": EQUAL}
    assert "identical files" in warnings_of(compared)
    assert side_by_side(load("a", failed=1_000), load("a", failed=1_000)).gate.exit_code == 4
    one_changed = side_by_side(file, reading("new", {"a": 1, "b": 2.1}))
    assert (one_changed.gate.exit_code, verdicts_of(one_changed)) == (3, {"a": EQUAL, "b": INCONCLUSIVE})


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
    after = reading("new", {n: 100 * f for n, f in zip(names, factors, strict=True)})
    assert ("all times shifted" in warnings_of(side_by_side(reading("old", dict.fromkeys(names, 100.0)), after))) == shifted


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.floats(1, 1e9), min_size=1, max_size=4), st.floats(0.1, 10))
def test_the_same_change_everywhere_gives_the_same_verdict_everywhere(times: dict[str, float], factor: float) -> None:
    """The verdict depends on the ratio only, not on the times."""
    before = reading("old", times)
    after = reading("new", {name: value * factor for name, value in times.items()})
    assert len(set(verdicts_of(side_by_side(before, after)).values())) == 1


SIDE = st.tuples(st.floats(0.1, 1e4), st.integers(0, 1_000))


@given(SIDE, SIDE)
@settings(max_examples=60, deadline=None)
def test_exchanged_files_exchange_their_verdicts(one: tuple[float, int], other: tuple[float, int]) -> None:
    """A regression one way is never one the other way, an improvement is a regression back, and more failures are none."""
    before, after = load("a", *one), load("b", *other)
    forth, back = side_by_side(before, after), side_by_side(after, before)
    (verdict,), (reverse,) = verdicts_of(forth).values(), verdicts_of(back).values()
    assert verdict != REGRESSED or reverse != REGRESSED
    assert verdict != IMPROVED or reverse == REGRESSED
    failed = failures.judge(Failures(one[1], 1_000), Failures(other[1], 1_000))[0]
    assert verdict != IMPROVED or failed in {GateVerdict.EQUAL, GateVerdict.IMPROVED}
    assert (verdict == NOT_COMPARABLE) == (one[1] == other[1] == 1_000)


def test_the_same_code_is_never_a_regression() -> None:
    """Two hundred pairs of simulated runs of the same skewed times, each with its own drift: no verdict but inconclusive."""
    generator = np.random.default_rng(14)
    for number in (5, 12, 60, 1_500):
        for _ in range(50):
            sides = [generator.lognormal(0, 0.6, number) * np.exp(generator.normal(0, 0.05)) * 1e6 for _ in range(2)]
            before, after = (Reading(name, "t", "f", (raw_timing("a", list(x)),)) for name, x in zip("ab", sides, strict=True))
            assert verdicts_of(side_by_side(before, after)) == {"a": INCONCLUSIVE}


def test_failures_of_one_benchmark_do_not_hide_the_times_of_another() -> None:
    """A tool that counts failures only where there are some states none for the others, whose times are judged."""
    failed, ok = (OperationCounts("", "a", 8, errors) for errors in (8, 0))
    before, after = reading("old", {"b": 100.0}, operations=(failed,)), reading("new", {"a": 50.0, "b": 1_000.0}, operations=(ok,))
    compared = side_by_side(before, after)
    assert (compared.gate.exit_code, verdicts_of(compared)["b"]) == (1, REGRESSED)


def test_a_total_is_not_judged_if_its_parts_are_others() -> None:
    """A slow request that was added is in Locust's total, and no other request became slower."""
    before = reading("old", {"Aggregated": 100.0, "GET /a": 100.0})
    after = reading("new", {"Aggregated": 900.0, "GET /a": 100.0, "GET /slow": 2_000.0})
    compared = side_by_side(before, after)
    assert verdicts_of(compared)["Aggregated"] == INCONCLUSIVE
    assert compared.gate.exit_code != 1
    assert verdicts_of(side_by_side(before, replace(after, timings=after.timings[:2])))["Aggregated"] == REGRESSED


def test_a_file_with_nothing_but_new_failures_is_a_regression() -> None:
    """It has no benchmark in common with the other, and what failed decides."""
    after = Reading("new", "pytest-benchmark", "a file", (), digest="new", failed_checks=("member · sqlite",))
    compared = side_by_side(reading("old", {"a": 100.0}), after)
    assert compared.gate.exit_code == 1
    with pytest.raises(NotComparableError, match="no benchmark is in both files"):
        side_by_side(reading("old", {"a": 100.0}), replace(after, failed_checks=()))


def test_an_invalid_load_is_inconclusive() -> None:
    """Whatever its times say: the generator was the limit."""
    compared = side_by_side(load("a"), replace(load("b", 1), invalid="the load generator was the limit"))
    assert compared.gate.exit_code == 3
    assert "the load generator was the limit" in compared.gate.sentence


def test_fewer_failures_do_not_make_slower_times_a_pass() -> None:
    """Times may contain those of failed operations, so that they decide nothing, and the gate is not green."""
    compared = side_by_side(load("a", 10, failed=100), load("b", 600))
    assert (compared.gate.exit_code, verdicts_of(compared)["GET /a"]) == (3, INCONCLUSIVE)
