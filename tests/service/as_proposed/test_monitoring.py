"""The review's monitoring behaves as written: it counts and times methods, lists slow ones, and reports by table."""

import asyncio

import pytest

from service.as_proposed.monitoring import ReviewMonitoring


async def answer(number: int) -> int:
    """Return the number, or fail if it is negative."""
    if number < 0:
        raise LookupError(number)
    return number


def test_a_method_is_counted_and_its_result_returned() -> None:
    """Successes and errors are counted separately, both in one histogram."""
    review = ReviewMonitoring()
    read_number = review.monitor_query("select", "prompts")(answer)
    assert asyncio.run(read_number(3)) == 3
    with pytest.raises(LookupError):
        asyncio.run(read_number(-1))
    total = {status: _value(review, "db_query_total", status=status) for status in ("success", "error")}
    assert total == {"success": 1, "error": 1}
    assert _value(review, "db_query_duration_seconds_count") == 2


def test_only_calls_slower_than_the_threshold_are_listed() -> None:
    """A faster call is not in the list."""
    review = ReviewMonitoring()
    asyncio.run(review.monitor_query("select", "prompts", threshold_ms=1e9)(answer)(1))
    assert review.slow_query_report() == "No slow queries detected"
    asyncio.run(review.monitor_query("insert", "evaluations", threshold_ms=-1)(answer)(1))
    assert [(entry["table"], entry["function"]) for entry in review.slow_queries] == [("evaluations", "answer")]


def test_the_report_is_sorted_by_number_of_slow_queries() -> None:
    """The table with the most slow queries comes first, each with its mean and its slowest."""
    review = ReviewMonitoring()
    for table, duration_ms in (("rare", 900.0), ("often", 110.0), ("often", 130.0)):
        review.slow_queries.append({"operation": "select", "table": table, "duration_ms": duration_ms})
    assert review.slow_query_report() == (
        "=== Slow Query Report ===\n\n"
        "Table: often (2 slow queries)\n  Average duration: 120.00ms\n  Slowest: 130.00ms (select)\n\n"
        "Table: rare (1 slow queries)\n  Average duration: 900.00ms\n  Slowest: 900.00ms (select)\n\n"
    )


def _value(review: ReviewMonitoring, name: str, **labels: str) -> float | None:
    return review.registry.get_sample_value(name, {"operation": "select", "table": "prompts", **labels})
