"""Work counts and memory: compared exactly, within a tolerance, or not judged."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.work_counts import Rules, memory, work
from harness.results.gate import GateRow, GateVerdict
from harness.results.run import Memory, WorkCount
from tests.harness.gates import GROUP, result

FREE = Rules({})


def figure(value: float, metric: str = "statements", *, repeats: bool = True, group: str = GROUP, scale: float = 1.0) -> WorkCount:
    """Return a count of the baseline's arm."""
    return WorkCount("baseline", group, metric, value, scale, repeats_exactly=repeats)


def judged(old: WorkCount, new: WorkCount, rules: Rules = FREE, *others: WorkCount) -> GateRow:
    """Return the row of one count; both results have `others` in addition."""
    rows, _ = work(result(work_counts=[old, *others]), result(work_counts=[new, *others]), rules)
    return rows[0]


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_count_that_repeats_exactly_is_compared_exactly(old: int, new: int) -> None:
    """More is a regression, less an improvement, and only the same count is equal."""
    row = judged(figure(old), figure(new))
    assert row.verdict == ("equal" if old == new else "regressed" if new > old else "improved")
    assert row.change == (new / old if old else 1.0 if old == new else None)


@pytest.mark.parametrize(
    ("old", "new", "metric", "verdict"),
    [
        ((100, True), (101, True), "python_calls", "equal"),
        ((100_000, True), (101_000, True), "bytes_in_allocations", "equal"),
        ((18_078, True), (18_734, True), "bytes_in_allocations", "equal"),
        ((100, True), (103, True), "python_calls", "regressed"),
        ((100_000, True), (103_000, True), "bytes_in_allocations", "regressed"),
        ((100, True), (90, True), "instructions", "improved"),
        *(
            ((old, repeats_before), (new, repeats_now), metric, GateVerdict.NOT_JUDGED)
            for repeats_before, repeats_now in ((False, False), (False, True), (True, False))
            for old, new, metric in (
                (100, 110, "statements"),
                (100, 100, "blocks"),
                (100, 110, "python_calls"),
                (100_000, 102_030, "bytes_in_allocations"),
                (100, 90, "instructions"),
            )
        ),
    ],
)
def test_a_count_that_does_not_repeat_never_decides(
    old: tuple[float, bool], new: tuple[float, bool], metric: str, verdict: str
) -> None:
    """Not in either version, unless a tolerance is named; of those that do, the interpreter's own may change by 2 %."""
    before, after = (figure(value, metric, repeats=repeats) for value, repeats in (old, new))
    row = judged(before, after)
    assert row.verdict == verdict
    assert (verdict == GateVerdict.NOT_JUDGED) == ("it does not repeat in " in row.reason)
    assert judged(before, after, Rules({metric: 0.5})).verdict == "equal"


def test_a_count_is_not_exact_where_others_of_its_metric_do_not_repeat() -> None:
    """A server's counter may repeat by luck; it is exact where nearly all counts of its metric repeat."""
    others = [figure(50, repeats=False, group=f"g{i}") for i in range(2)]
    assert judged(figure(8), figure(9), FREE, *others).verdict == GateVerdict.NOT_JUDGED
    steady = [figure(50, group=f"g{i}") for i in range(9)]
    assert judged(figure(8), figure(9), FREE, *steady, others[0]).verdict == "regressed"


def test_an_arm_that_caches_does_not_excuse_another() -> None:
    """Whether a metric repeats is a question per arm: the baseline arm's counts stay exact beside one that keeps its answers."""
    caches = [replace(figure(n, repeats=False, group=f"g{n}"), arm="optimised") for n in range(4)]
    assert judged(figure(2), figure(3), FREE, *caches).verdict == "regressed"


def test_a_named_tolerance_holds_for_exact_counts_as_well() -> None:
    """A named tolerance applies to counts that repeat exactly, too."""
    rules = Rules({"statements": 0.1})
    assert judged(figure(100), figure(110), rules).verdict == "equal"
    assert judged(figure(100), figure(111), rules).verdict == "regressed"
    assert judged(figure(100), figure(89), rules).verdict == "improved"


def test_more_hits_are_better() -> None:
    """More hits, and more of what the scenario declares, are better; more of any other work is worse."""
    assert judged(figure(5, "redis_hits"), figure(4, "redis_hits")).verdict == "regressed"
    assert judged(figure(5, "hits"), figure(6, "hits")).verdict == "improved"
    assert judged(figure(5, "reused"), figure(6, "reused"), Rules({}, ["reused"])).verdict == "improved"
    assert judged(figure(5, "whites"), figure(6, "whites")).verdict == "regressed"


def test_an_arm_s_own_figures_are_judged_with_a_named_tolerance() -> None:
    """They are taken once, so that it is unknown whether they repeat."""
    old, new = figure(5, "index_mb", group=""), figure(9, "index_mb", group="")
    assert judged(old, new).verdict == GateVerdict.NOT_JUDGED
    assert judged(old, new, Rules({"index_mb": 0.02})).verdict == "regressed"
    before, after = result(work_counts=[old]), result(work_counts=[])
    assert work(before, after, FREE) == ([], [])
    assert work(before, after, Rules({"index_mb": 0.0})) == ([], [old])


def test_a_figure_at_another_share_of_the_data_is_another_figure() -> None:
    """Figures at different scales are compared separately."""
    before, after = result(work_counts=[figure(10, scale=0.5), figure(20)]), result(work_counts=[figure(20), figure(12, scale=0.5)])
    assert [(row.scale, row.verdict) for row in work(before, after, FREE)[0]] == [(0.5, "regressed"), (1.0, "equal")]
    assert work(before, result(work_counts=[figure(20)]), FREE)[1] == [figure(10, scale=0.5)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_count_that_is_not_finite_is_not_comparable(value: float) -> None:
    """NaN and infinity are not comparable in either result."""
    for sides in ((figure(value), figure(1)), (figure(1), figure(value))):
        assert judged(*sides).verdict == "not comparable"
        assert judged(*sides).change in {None, 0.0}


def test_each_reason_excludes_the_counts_it_affects() -> None:
    """Another engine excludes all counts and another Python its calls; instructions of another CPU are not judged."""
    rules = Rules({"instructions": 0.5}, (), "", "python 3.11 and 3.12", "cpu")
    reasons = {m: judged(figure(1, m), figure(1, m), rules).reason for m in ("statements", "calls", "instructions")}
    assert reasons == {"statements": "exactly", "calls": "python 3.11 and 3.12", "instructions": "python 3.11 and 3.12"}
    row = judged(figure(1, "instructions"), figure(9, "instructions"), replace(rules, no_interpreter=""))
    assert (row.verdict, row.reason) == ("not judged", "cpu")
    assert judged(figure(1), figure(1), Rules({}, (), "sqlite")).verdict == "not comparable"


def peak(added_bytes: int, error: str | None = None, limit_bytes: int | None = None) -> Memory:
    """Return the memory of the baseline's arm."""
    return Memory("baseline", GROUP, 50_000_000, 50_000_000 + added_bytes, 0.1, [], error=error, limit_bytes=limit_bytes)


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (peak(40_000_000), peak(45_000_000), "equal"),
        (peak(40_000_000), peak(60_000_000), "regressed"),
        (peak(40_000_000), peak(20_000_000), "improved"),
        (peak(100_000), peak(2_000_000), "equal"),
        (peak(0), peak(9_000_000), "regressed"),
        (peak(40_000_000), peak(1_000, "MemoryError"), "regressed"),
        (peak(40_000_000, "MemoryError"), peak(90_000_000), "improved"),
        (peak(40_000_000, "MemoryError"), peak(90_000_000, "MemoryError"), "equal"),
    ],
)
def test_memory_is_compared_within_a_tolerance(old: Memory, new: Memory, verdict: str) -> None:
    """The tolerance is a share and a few megabytes, which an allocator may keep; a new error is a regression."""
    (row,) = memory(result(memory=[old]), result(memory=[new]), FREE)
    assert row.verdict == verdict


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"not_measured": "it returns None"}, "not measured: it returns None"),
        ({"servers": {"redis": 5}}, "the memory of other servers is part of it"),
    ],
)
def test_memory_that_is_not_of_the_same_processes_is_not_judged(changed: dict[str, Any], reason: str) -> None:
    """Neither what one of them did not measure, nor what contains another server."""
    old, new = peak(40_000_000), replace(peak(90_000_000), **changed)
    for pair in ((old, new), (new, old)):
        (row,) = memory(result(memory=[pair[0]]), result(memory=[pair[1]]), FREE)
        assert (row.verdict, row.reason) == ("not judged", reason)


def test_memory_of_another_python_or_limit_is_not_judged() -> None:
    """Memory of another Python is not judged, and memory under another limit is not compared."""
    (row,) = memory(result(memory=[peak(1)]), result(memory=[peak(10**9)]), replace(FREE, no_interpreter="python"))
    assert (row.verdict, row.reason) == (GateVerdict.NOT_JUDGED, "python")
    assert list(memory(result(memory=[peak(1)]), result(memory=[peak(1, limit_bytes=64_000_000)]), FREE)) == []
