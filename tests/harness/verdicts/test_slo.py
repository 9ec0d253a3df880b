"""Objectives: parsed from text, rejected with the wrong token, and judged on an observation."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.results.load import LatencySummary
from harness.stats.histogram import Histogram
from harness.verdicts.slo import STATISTICS, LoadObservation, parse


def times(*response_ms: float) -> LatencySummary:
    """Return a distribution of times."""
    histogram = Histogram()
    histogram.record_many(np.array([round(ms * 1e6) for ms in response_ms], dtype=np.int64))
    return histogram.summary()


def observed(response: LatencySummary, *, sent: int | None = None, achieved: float = 1.0, **others: str) -> LoadObservation:
    """Return an observation of the open model with the completed operations in `response`."""
    due = response.operations if sent is None else sent
    return LoadObservation(100.0, float(due), achieved * due, due, response.operations, response, others.get("invalid"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p95 < 150ms, errors < 0.1%", "p95 < 150 ms, errors < 0.1 %"),
        ("P95<=150 MS", "p95 <= 150 ms, errors <= 1 %"),
        ("p99.9 < 0.25s", "p99.9 < 250 ms, errors <= 1 %"),
        ("mean < 800us, max ≤ 2s", "mean < 800 µs, max <= 2 s, errors <= 1 %"),
        ("p50 < 900 \u00b5s", "p50 < 900 µs, errors <= 1 %"),
        ("p50 < 900 \u03bcs", "p50 < 900 µs, errors <= 1 %"),
        ("p90 < 500ns", "p90 < 500 ns, errors <= 1 %"),
        ("errors < 0.001", "errors < 0.1 %"),
        ("errors <= 0%", "errors <= 0 %"),
    ],
)
def test_an_objective_is_parsed(text: str, expected: str) -> None:
    """Case and blanks are ignored, units are converted, and errors are limited by default."""
    assert parse(text).description(offered=False) == expected


def test_the_open_models_objective_includes_the_achieved_share() -> None:
    """It is 98 % by default, and described if a rate is offered."""
    assert parse("p95 < 1s").description(offered=True).endswith("achieved >= 98 %")
    assert parse("p95 < 1s, achieved >= 90%").description(offered=True).endswith("achieved >= 90 %")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty clause"),
        ("p95 < 150ms,", "empty clause"),
        ("fast", "'fast'"),
        ("p95 150ms", "'p95 150ms'"),
        ("p95 < 150", "--slo has a limit without a unit in 'p95 < 150'"),
        ("p95 < 150 parsecs", "--slo has an unknown unit 'parsecs' in"),
        ("p42 < 150ms", "unknown figure 'p42'"),
        ("latency < 150ms", "unknown figure 'latency'"),
        ("p95 > 150ms", "sign '>'"),
        ("p95 < -1ms", "'p95 < -1ms'"),
        ("p95 < 0ms", "can never be met"),
        ("p95 < 1e3ms", "unit 'e3ms'"),
        ("p95 < nan ms", "'p95 < nan ms'"),
        ("errors < 0%", "can never be met"),
        ("errors < 5", "write 5% for a percentage"),
        ("errors < 101%", "more than 100 %"),
        ("errors < 5ms", "--slo has an unknown unit 'ms' in"),
        ("errors > 1%", "sign '>'"),
        ("achieved < 98%, p95 < 1s", "achieved takes >="),
        ("achieved >= 98%", "bounds neither a time nor errors"),
        ("p95 < 1s, p95 < 2s", "two bounds of p95"),
    ],
)
def test_an_invalid_objective_is_rejected_with_the_token_and_an_example(text: str, complaint: str) -> None:
    """The error names the wrong token and what to write instead."""
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert complaint in str(refused.value)
    assert "try " in str(refused.value) or "write " in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=40) | st.lists(st.sampled_from(["p95", "errors", "<", ">=", "150", "ms", "%", ",", " ", "."])).map("".join))
def test_any_text_is_an_objective_or_a_usage_error(text: str) -> None:
    """No text raises another error."""
    with suppress(UsageError):
        assert parse(text).description(offered=True)


@given(st.sampled_from(STATISTICS), st.floats(1, 1000), st.sampled_from(["<", "<="]))
def test_the_description_of_an_objective_can_be_parsed(name: str, limit_ms: float, sign: str) -> None:
    """Parsing the description gives the same objective."""
    once = parse(f"{name} {sign} {limit_ms:.3f}ms").description(offered=True)
    assert parse(once).description(offered=True) == once


def test_a_step_within_its_bounds_meets_the_objective() -> None:
    """The reason has the figures."""
    verdict = parse("p95 < 150ms").judge(observed(times(*[100.0] * 300)))
    assert verdict.is_met is True
    assert verdict.reason == "p95 100 ms, errors 0 %"


def test_the_limit_itself_is_within_an_inclusive_bound_only() -> None:
    """`<=` admits what `<` does not."""
    exactly = observed(replace(times(*[100.0] * 300), percentiles_ns={"95": 100e6}))
    assert parse("p95 <= 100ms").judge(exactly).is_met is True
    assert parse("p95 < 100ms").judge(exactly).is_met is False


def test_too_few_operations_for_a_percentile_are_inconclusive() -> None:
    """199 operations do not support a 95th percentile, 200 do."""
    for operations, met in ((199, None), (200, True)):
        verdict = parse("p95 < 150ms").judge(observed(times(*[1.0] * operations)))
        assert verdict.is_met is met
    assert parse("p95 < 150ms").needs_operations == 200
    assert parse("p50 < 1ms, p99.9 < 1s").needs_operations == 10_000
    assert parse("errors < 1%").needs_operations == 10
    assert replace(parse("p95 < 150ms"), beyond=4).needs_operations == 80


def test_a_lower_percentile_above_the_limit_fails_with_fewer_operations() -> None:
    """If the median is too slow, so is the 99th percentile, however few operations there are."""
    verdict = parse("p99 < 150ms").judge(observed(times(*[400.0] * 30)))
    assert verdict.is_met is False
    assert verdict.reason == "p50 400 ms"


def test_failed_operations_break_an_objective_without_an_errors_clause() -> None:
    """More than 1 % of failed operations break it, however fast the others are."""
    completed = times(*[1.0] * 980)
    assert parse("p95 < 150ms").judge(observed(completed, sent=985)).is_met is True
    verdict = parse("p95 < 150ms").judge(observed(completed, sent=1000))
    assert verdict.is_met is False
    assert verdict.reason == "errors 2 %"


def test_an_arm_below_the_offered_rate_fails_in_the_open_model_only() -> None:
    """A closed model has no offered rate."""
    slower = observed(times(*[1.0] * 1000), achieved=0.9)
    verdict = parse("p95 < 150ms").judge(slower)
    assert verdict.is_met is False
    assert verdict.reason == "completed 90 % of the offered rate"
    assert parse("p95 < 150ms").judge(replace(slower, offered_per_s=None)).is_met is True


def test_operations_in_flight_at_the_ends_of_a_step_are_not_missing() -> None:
    """Many slow operations start before or complete after measured time: the difference between its ends is chance."""
    slow = times(*[900.0] * 300)
    step = LoadObservation(100.0, 100.0, 95.0, 300, 300, slow)
    assert parse("p95 < 1s").judge(step).is_met is True
    assert parse("p95 < 1s").judge(replace(step, achieved_per_s=80.0)).is_met is False


def test_a_step_limited_by_the_generator_is_not_judged() -> None:
    """This holds whatever its figures are."""
    verdict = parse("p95 < 1ms").judge(observed(times(*[50.0] * 300), invalid="the generator was busy"))
    assert verdict.is_met is None
    assert verdict.reason == "the generator was busy"


def test_a_step_without_completed_operations_fails() -> None:
    """All operations that were sent count as errors."""
    verdict = parse("p95 < 1s").judge(observed(LatencySummary(0), sent=50))
    assert verdict.is_met is False
    assert "errors 100 %" in verdict.reason


def test_failed_operations_are_the_reason_also_with_a_busy_generator() -> None:
    """Operations that raise at once keep users busy: the error is named and not the generator."""
    found = replace(observed(times(*[2.0] * 60), sent=300), errors={"OSError: refused": 230, "KeyError": 10}, invalid="full core")
    judged = parse("p50 < 1s").judge(found)
    assert judged.is_met is False
    assert judged.failing == "80 % of operations failed: OSError: refused (230 of 300)"
    assert parse("p50 < 1s, errors < 90%").judge(found).failing is None
    assert parse("p50 < 1s, errors < 90%").judge(found).is_met is None


def test_a_step_of_which_no_operation_completed_names_that() -> None:
    """Nothing raised: all were unfinished or dropped."""
    judged = parse("p50 < 1s").judge(observed(times(), sent=40))
    assert (judged.is_met, judged.failing) == (False, "none of 40 operations completed before the drain timeout")
    assert parse("p50 < 1s").judge(observed(times(*[2.0] * 60), sent=90)).failing is None
