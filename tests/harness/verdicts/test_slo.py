"""Objectives: read from a person's words, refused with the token that is wrong, and judged on what a step saw."""

from __future__ import annotations

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
    """Return a distribution of so many times."""
    histogram = Histogram()
    histogram.record_many(np.array([round(ms * 1e6) for ms in response_ms], dtype=np.int64))
    return histogram.times()


def seen(response: LatencySummary, *, asked: int | None = None, achieved: float = 1.0, **others: str) -> LoadObservation:
    """Return a step of the open model in which everything answered is in `response`."""
    due = response.operations if asked is None else asked
    return LoadObservation(100.0, float(due), achieved * due, due, response.operations, response, others.get("invalid"))


@pytest.mark.parametrize(
    ("text", "means"),
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
def test_an_objective_is_read_as_a_person_means_it(text: str, means: str) -> None:
    """Case, blanks and units do not matter, and errors are limited where nothing is said of them."""
    assert parse(text).description(offered=False) == means


def test_what_must_be_achieved_of_the_offered_rate_is_part_of_an_open_models_objective() -> None:
    """It is 98 % unless it says otherwise, and is told where something is offered."""
    assert parse("p95 < 1s").description(offered=True).endswith("achieved >= 98 %")
    assert parse("p95 < 1s, achieved >= 90%").description(offered=True).endswith("achieved >= 90 %")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty clause"),
        ("p95 < 150ms,", "empty clause"),
        ("fast", "'fast'"),
        ("p95 150ms", "'p95 150ms'"),
        ("p95 < 150", "without a unit in 'p95 < 150'"),
        ("p95 < 150 parsecs", "unit 'parsecs'"),
        ("p42 < 150ms", "unknown metric 'p42'"),
        ("latency < 150ms", "unknown metric 'latency'"),
        ("p95 > 150ms", "sign '>'"),
        ("p95 < -1ms", "'p95 < -1ms'"),
        ("p95 < 0ms", "cannot be met"),
        ("p95 < 1e3ms", "unit 'e3ms'"),
        ("p95 < nan ms", "'p95 < nan ms'"),
        ("errors < 0%", "cannot be met"),
        ("errors < 5", "write 5% for a percentage"),
        ("errors < 101%", "more than 100 %"),
        ("errors < 5ms", "unit 'ms'"),
        ("errors > 1%", "sign '>'"),
        ("achieved < 98%, p95 < 1s", "write achieved >="),
        ("achieved >= 98%", "limits neither response times nor errors"),
        ("p95 < 1s, p95 < 2s", "limits p95 twice"),
    ],
)
def test_an_invalid_objective_is_refused_with_an_example(text: str, complaint: str) -> None:
    """The line says what is wrong with which words, and what to write."""
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert complaint in str(refused.value)
    assert "try " in str(refused.value) or "write " in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=40) | st.lists(st.sampled_from(["p95", "errors", "<", ">=", "150", "ms", "%", ",", " ", "."])).map("".join))
def test_nothing_a_person_types_raises_anything_else(text: str) -> None:
    """Any text is an objective or a refusal."""
    with suppress(UsageError):
        assert parse(text).description(offered=True)


@given(st.sampled_from(STATISTICS), st.floats(1, 1000), st.sampled_from(["<", "<="]))
def test_what_an_objective_describes_reads_back_as_itself(name: str, limit_ms: float, sign: str) -> None:
    """The line in the report can be typed again."""
    once = parse(f"{name} {sign} {limit_ms:.3f}ms").description(offered=True)
    assert parse(once).description(offered=True) == once


def test_a_step_within_its_limits_holds_and_says_by_what() -> None:
    """All clauses keep, and the figures are the reason."""
    verdict = parse("p95 < 150ms").judge(seen(times(*[100.0] * 300)))
    assert verdict.is_met is True
    assert verdict.reason == "p95 100 ms, errors 0 %"


def test_a_limit_itself_is_within_only_where_the_sign_says_so() -> None:
    """`<=` admits what `<` does not."""
    exactly = seen(replace(times(*[100.0] * 300), percentiles_ns={"95": 100e6}))
    assert parse("p95 <= 100ms").judge(exactly).is_met is True
    assert parse("p95 < 100ms").judge(exactly).is_met is False


def test_too_few_operations_for_a_percentile_are_no_evidence() -> None:
    """199 good operations cannot show a 95th percentile, 200 can."""
    for operations, holds in ((199, None), (200, True)):
        verdict = parse("p95 < 150ms").judge(seen(times(*[1.0] * operations)))
        assert verdict.is_met is holds
    assert parse("p95 < 150ms").needs_operations == 200
    assert parse("p50 < 1ms, p99.9 < 1s").needs_operations == 10_000
    assert parse("errors < 1%").needs_operations == 10


def test_a_lower_percentile_beyond_the_limit_fails_with_fewer_operations() -> None:
    """Where even the median is too slow, the 99th percentile is, however few there are to show it."""
    verdict = parse("p99 < 150ms").judge(seen(times(*[400.0] * 30)))
    assert verdict.is_met is False
    assert verdict.reason == "p50 400 ms"


def test_failed_operations_break_an_objective_that_says_nothing_of_them() -> None:
    """More than one in a hundred without a good answer is no capacity, however fast the others were."""
    answered = times(*[1.0] * 980)
    assert parse("p95 < 150ms").judge(seen(answered, asked=985)).is_met is True
    verdict = parse("p95 < 150ms").judge(seen(answered, asked=1000))
    assert verdict.is_met is False
    assert verdict.reason == "errors 2 %"


def test_an_arm_that_answers_less_than_is_offered_fails_in_the_open_model_only() -> None:
    """A closed model offers nothing, so nothing can be missing."""
    slower = seen(times(*[1.0] * 1000), achieved=0.9)
    verdict = parse("p95 < 150ms").judge(slower)
    assert verdict.is_met is False
    assert verdict.reason == "answers 90 % of what is offered"
    assert parse("p95 < 150ms").judge(replace(slower, offered_per_s=None)).is_met is True


def test_what_is_under_way_at_the_ends_of_a_step_is_no_shortfall() -> None:
    """Of slow operations many are begun before and answered after measured time: the difference between its ends is chance."""
    slow = times(*[900.0] * 300)
    step = LoadObservation(100.0, 100.0, 95.0, 300, 300, slow)
    assert parse("p95 < 1s").judge(step).is_met is True
    assert parse("p95 < 1s").judge(replace(step, achieved_per_s=80.0)).is_met is False


def test_a_step_that_the_generator_limited_says_nothing_of_the_arm() -> None:
    """However bad its figures are."""
    verdict = parse("p95 < 1ms").judge(seen(times(*[50.0] * 300), invalid="the generator was busy"))
    assert verdict.is_met is None
    assert verdict.reason == "the generator was busy"


def test_no_good_answer_at_all_fails() -> None:
    """Operations that were due and had none are errors, all of them."""
    verdict = parse("p95 < 1s").judge(seen(LatencySummary(0), asked=50))
    assert verdict.is_met is False
    assert "errors 100 %" in verdict.reason
