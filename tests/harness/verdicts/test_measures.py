"""Measures: each reads one kind of evidence from a result, or names what is missing."""

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import pytest

from harness.errors import NotMeasurableError
from harness.results.run import (
    ArmResult,
    Finding,
    Growth,
    Latency,
    Memory,
    PromiseVerdict,
    Ratio,
    ScenarioResult,
    ScenarioStatus,
    Statement,
    WorkCount,
)
from harness.verdicts import measures as m
from harness.verdicts.promise import TIME, Estimate, Measure, Promise, at_most, judge

EMPTY = ScenarioResult("toy", "Toy.", "Toy.", "toy.py", "sqlite", 0.0, ScenarioStatus.OK)


def memory(arm: str, added: int, **more: object) -> Memory:
    """Return a memory record that adds `added` bytes to a base of a thousand."""
    return replace(Memory(arm, "g", 1000, 1000 + added, 1.0, []), **more)  # type: ignore[arg-type]


RESULT = replace(
    EMPTY,
    verified_cases=8,
    arms=[
        ArmResult("baseline", ""),
        ArmResult("proposed", "", errors={"broken": "AttributeError: x", "gone": "AttributeError: x"}),
        ArmResult("optimised", ""),
    ],
    ratios=[
        Ratio("optimised", "g", 4.0, 3.0, 5.0, [3.5, 4.0, 4.5], 30),
        Ratio("optimised", "h", 9.0, 8.0, 10.0, [8.5, 9.0, 9.5], 30),
    ],
    latencies=[
        Latency("optimised", "g", 99, 1e6, 1, 9, {"50": 2e6, "95": 5e6}, [2e6, 3e6, 4e6]),
        Latency("optimised", "deep", 99, 1e6, 1, 9, {"50": 6e6, "95": 9e6}, [6e6, 9e6, 12e6]),
    ],
    work_counts=[
        WorkCount("baseline", "g", "statements", 51),
        WorkCount("optimised", "g", "statements", 2),
        WorkCount("optimised", "g", "statements", 9, 0.25),
    ],
    memory=[
        memory("baseline", 100),
        memory("baseline", 120),
        memory("optimised", 30),
        memory("optimised", 20),
        memory("baseline", 0, limit_bytes=64_000_000, error="out of memory"),
        memory("optimised", 5, limit_bytes=64_000_000),
    ],
    growth=[
        Growth("optimised", "g", "peak_memory", [0.5, 1], [25, 25], 0.0),
        Growth("optimised", "g", "vm_steps", [0.5, 1], [1, 2], 1.0),
    ],
    findings=[Finding("proposed", "it leaks", holds=True, evidence="3 rows")],
    statements=[
        Statement("optimised", "g", "SELECT 1", 1, ["SEARCH a USING INDEX b"], uses_index=True, scans_table=False),
        Statement("optimised", "h", "SELECT 2", 1, ["SCAN a"], uses_index=False, scans_table=True),
        Statement("optimised", "h", "INSERT", 1, [], uses_index=False, scans_table=False),
    ],
)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (m.speedup("g"), Estimate(4.0, 3.0, 5.0)),
        (m.slowdown("g"), Estimate(0.25, 0.2, 1 / 3, unit=TIME)),
        (m.fewer("statements", "g"), Estimate(1 - 2 / 51, exact=True, note="51 → 2 statements")),
        (m.fewer_times("statements", "g"), Estimate(25.5, exact=True, note="51 → 2 statements")),
        (m.count("statements", "g"), Estimate(2, exact=True, note="baseline 51")),
        (m.growth("vm_steps", "g"), Estimate(1.0, exact=True)),
        (m.plan_share(using_index=True), Estimate(0.5, exact=True, note="1 of 2 statement shapes")),
        (m.plan_share(using_index=False), Estimate(1, exact=True, note="of 2 statement shapes, in h")),
        (m.verified("g", "h"), Estimate(1.0, exact=True, note="8 answers equal", checks=2)),
        (m.verified("g", "not timed"), Estimate(1.0, exact=True, note="8 answers equal", checks=2)),
    ],
)
def test_a_measure_reads_its_evidence(measure: Measure, expected: Estimate) -> None:
    """A measure returns the estimate and a note on its source."""
    assert measure(RESULT, "optimised") == expected


def test_a_wrong_argument_is_an_error_where_the_promise_is_declared() -> None:
    """It is not found only at the end of a run."""
    with pytest.raises(TypeError, match="missing a required argument: 'group'"):
        m.fewer("statements")  # type: ignore[call-arg]
    with pytest.raises(KeyError, match="hours"):
        m.latency("g", "hours")


def test_four_times_faster_is_three_quarters_less() -> None:
    """The bounds of the ratio become those of the share saved."""
    found = m.less_time("g")(RESULT, "optimised")
    assert (found.value, found.low, found.high) == pytest.approx((0.75, 1 - 1 / 3, 0.8))


def test_several_groups_give_their_geometric_mean() -> None:
    """4× and 9× are 6×, process by process, and the note names both."""
    found = m.speedup("g", "h")(RESULT, "optimised")
    assert found.value == pytest.approx(6.0)
    assert found.low is not None
    assert found.low < 6 < (found.high or 0)
    assert found.note == "g 4.00×, h 9.00×"


def test_memory_is_compared_over_the_range_of_repetitions() -> None:
    """The bounds are the baseline's minimum against the arm's maximum, and vice versa; each row has the range of its own."""
    found = m.memory_cut("g")(RESULT, "optimised")
    assert (found.value, found.low, found.high) == pytest.approx((1 - 25 / 110, 1 - 30 / 100, 1 - 20 / 120))
    rows = [
        memory("baseline", 110, repetitions=3, lowest_added_bytes=100, highest_added_bytes=120),
        memory("optimised", 25, repetitions=3, lowest_added_bytes=20, highest_added_bytes=30),
    ]
    assert m.memory_cut("g")(replace(RESULT, memory=rows), "optimised") == found


def test_memory_that_was_not_measured_has_its_reason() -> None:
    """The reason of the row becomes that of the verdict."""
    rows = [memory("baseline", 100), memory("optimised", 0, not_measured="it answers nothing")]
    with pytest.raises(NotMeasurableError, match="optimised in 'g': it answers nothing"):
        m.memory_cut("g")(replace(RESULT, memory=rows), "optimised")


def test_growth_of_memory_has_the_range_of_its_repetitions() -> None:
    """Peaks of 20 and 30 bytes at full size bound the exponent on both sides; a single one has no bounds."""
    found = m.growth("peak_memory", "g")(RESULT, "optimised")
    assert (found.exact, found.value) == (False, 0.0)
    assert [found.low, found.high] == pytest.approx([math.log2(20 / 25), math.log2(30 / 25)])
    once = m.growth("peak_memory", "g")(replace(RESULT, memory=[memory("optimised", 25)]), "optimised")
    assert (once.low, once.note) == (None, "measured once")


def test_one_repetition_each_gives_no_interval() -> None:
    """A single measurement of memory cannot confirm anything."""
    once = replace(RESULT, memory=[memory("baseline", 100), memory("optimised", 30)])
    assert m.memory_cut("g")(once, "optimised").low is None


def test_latency_is_the_median_with_its_interval() -> None:
    """It is in the requested unit, with the 95th percentile and the number of samples as a note."""
    latencies = [replace(x, intervals_ns={"50": (1.5e6, 2.5e6)}) for x in RESULT.latencies]
    found = m.latency("g")(replace(RESULT, latencies=latencies), "optimised")
    assert (found.value, found.low, found.high, found.note) == (2.0, 1.5, 2.5, "p95 5.00 ms, 99 samples")
    assert m.latency("g", "s")(replace(RESULT, latencies=latencies), "optimised").high == 0.0025


def test_latency_of_too_few_samples_is_over_the_processes() -> None:
    """A median without an interval is the mean of the processes' medians, with Student's interval over them."""
    found = m.latency("g")(RESULT, "optimised")
    assert found.value == 3.0
    assert found.low is not None
    assert found.high is not None
    assert found.low < 3.0 < found.high


def test_latency_at_a_percentile_has_its_interval_or_the_samples_it_needs() -> None:
    """A promise about the 95th percentile is confirmed by its upper bound; an unsupported one is not measured."""
    latencies = [replace(x, intervals_ns={"95": (4e6, 7e6)}) for x in RESULT.latencies]
    result = replace(RESULT, latencies=latencies)
    found = m.latency("g", percentile="95")(result, "optimised")
    assert (found.value, found.low, found.high, found.note) == (5.0, 4.0, 7.0, "p95, 99 samples")
    for limit, verdict in ((8, PromiseVerdict.CONFIRMED), (6, PromiseVerdict.INCONCLUSIVE), (3, PromiseVerdict.FELL_SHORT)):
        promise = Promise("S2", "p95", at_most(limit, "ms"), m.latency("g", percentile="95"))
        (judged,) = [v for v in judge(promise, result) if v.arm == "optimised"]
        assert (limit, judged.verdict) == (limit, verdict)
    with pytest.raises(NotMeasurableError, match="p99 of 'g' needs 368 independent samples, and there are 99 in all"):
        m.latency("g", percentile="99")(result, "optimised")
    with pytest.raises(TypeError, match="unknown percentile '98'; choose from 50, 90, 95, 99, "):
        m.latency("g", percentile="98")


def test_one_group_against_another_is_compared_process_by_process() -> None:
    """Three times as long in every process is three times as long, with an interval of zero width."""
    found = m.times_as_long("deep", "g")(RESULT, "optimised")
    assert [found.value, found.low, found.high] == pytest.approx([3.0, 3.0, 3.0])


def test_survival_of_a_memory_limit_is_compared_with_the_baseline() -> None:
    """The note has the outcome of both."""
    found = m.survives("g")(RESULT, "optimised")
    assert (found.value, found.note) == (1.0, "under 64 MB: completes; baseline: out of memory")
    assert m.survives("g")(RESULT, "baseline").value == 0.0


def test_an_observed_finding_counts_against_the_arm() -> None:
    """A finding that was not tested for does not."""
    assert m.shown("it leaks")(RESULT, "proposed").value == 0.0
    assert m.shown("it leaks")(RESULT, "optimised").value == 1.0


def test_a_finding_that_no_arm_was_tested_for_is_not_measurable() -> None:
    """A name that is wrong, and a finding that was not tried, are not evidence that the arm works."""
    with pytest.raises(NotMeasurableError, match="no arm was tested for: it leeks"):
        m.shown("it leaks", "it leeks")(RESULT, "proposed")


def test_combined_measures_give_the_worst() -> None:
    """The note has both reasons."""
    found = m.combine([m.verified("broken"), m.shown("it leaks")])(RESULT, "proposed")
    assert (found.value, found.note) == (0.0, "8 answers equal; no answer for broken; 3 rows")


def test_combined_measures_keep_their_unit() -> None:
    """A cost stays a cost, whatever combines them; the smallest of a cost and a gain has no meaning."""
    costs, mixed = [m.slowdown("g"), m.slowdown("h")], [m.slowdown("g"), m.speedup("h")]
    assert (m.combine(costs)(RESULT, "optimised").unit, m.combine(costs, sum)(RESULT, "optimised").unit) == (TIME, TIME)
    assert m.combine(mixed, sum)(RESULT, "optimised") == Estimate(9.25)
    with pytest.raises(NotMeasurableError, match="measures in different units"):
        m.combine(mixed)(RESULT, "optimised")


def test_combined_measures_have_the_checks_behind_their_value() -> None:
    """Those of the chosen one; of a mean all of them, unless it is not the share of all that passed, or one has none."""
    half, all_of = m.verified("broken", "g"), m.verified("g")
    assert m.combine([half, all_of])(RESULT, "proposed").checks == 2
    assert m.combine([half, half, half], fmean)(RESULT, "proposed").checks == 6
    assert m.combine([half, all_of], fmean)(RESULT, "proposed").checks is None
    assert m.combine([all_of, m.speedup("g")], fmean)(RESULT, "optimised").checks is None


def test_what_was_not_compared_is_not_verified() -> None:
    """Without a verification pass nothing can be measured; of two groups, one of which cannot run, half work."""
    assert m.verified("broken", "g")(RESULT, "proposed").value == pytest.approx(0.5)
    with pytest.raises(NotMeasurableError, match="no answers were compared"):
        m.verified("g")(replace(RESULT, verified_cases=0), "optimised")


def test_groups_with_the_same_error_are_all_missing() -> None:
    """Each group that the arm cannot run counts, whatever else has failed with the same error."""
    found = m.verified("gone", "broken")(RESULT, "proposed")
    assert (found.value, found.note) == (0.0, "8 answers equal; no answer for gone, broken")
    assert m.verified("one")(RESULT, "proposed").value == 1.0  # "gone" ends with it


@pytest.mark.parametrize("group", ["broken", "gone"])
@pytest.mark.parametrize("make", [m.speedup, lambda group: m.count("statements", group)])
def test_an_arm_that_cannot_run_has_its_error_as_the_reason(make: Callable[[str], Measure], group: str) -> None:
    """The reason is the error, not a missing figure."""
    with pytest.raises(NotMeasurableError, match=f"cannot run as written: {group}: AttributeError"):
        make(group)(RESULT, "proposed")


@pytest.mark.parametrize(
    "make",
    [
        lambda: m.speedup("g"),
        lambda: m.slowdown("g"),
        lambda: m.latency("g"),
        lambda: m.times_as_long("g", "h"),
        lambda: m.fewer_times("rows", "g"),
        lambda: m.fewer("statements", "g"),
        lambda: m.count("rows", "g"),
        lambda: m.memory_cut("g"),
        lambda: m.survives("g"),
        lambda: m.growth("vm_steps", "g"),
        lambda: m.plan_share(using_index=True),
    ],
)
def test_missing_evidence_is_named(make: Callable[[], Measure]) -> None:
    """An empty result is not measurable, with a reason, and never a number."""
    with pytest.raises(NotMeasurableError) as missing:
        make()(EMPTY, "optimised")
    assert str(missing.value)
