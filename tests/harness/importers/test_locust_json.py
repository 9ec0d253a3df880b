"""Locust's JSON: histograms of rounded times, and Locust's rounding."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import importers
from harness.errors import UsageError
from harness.importers.locust_json import failed, rounding_ms
from harness.results.run import OperationCounts

Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def entry(**changes: object) -> dict[str, object]:
    """Return an entry of ten requests; keywords replace its members."""
    times = {"2": 6, "4": 4}
    return {"name": "/", "method": "GET", "num_requests": 10, "num_failures": 0, "response_times": times} | changes


def test_a_histogram_is_read_as_its_times(shape: Shape) -> None:
    """It has units, supported percentiles, and the start time."""
    found = importers.reading(shape("locust.json"))
    assert [t.name for t in found.timings] == ["GET /prompts", "POST /prompts/[id]"]
    quick = found.timings[0]
    assert quick.units is not None
    assert quick.units.total == quick.samples
    assert quick.rounding_ns == 500_000
    assert found.started_at.endswith("+00:00")


def test_json_and_csv_of_one_run_agree(shape: Shape) -> None:
    """They agree within Locust's rounding, although the CSV lacks the last requests."""
    exact, rounded = ({t.name: t for t in importers.reading(shape(n)).timings} for n in ("locust.json", "locust_stats.csv"))
    for name, timing in exact.items():
        assert abs(timing.median_ns - rounded[name].median_ns) <= 2 * (timing.rounding_ns + rounded[name].rounding_ns)
        assert (timing.samples or 0) >= (rounded[name].samples or 0)


def test_finer_buckets_are_not_taken_for_rounded(written: Written) -> None:
    """Locust's rounding can be replaced by the user."""
    fine = importers.reading(written(json.dumps([entry(response_times={"0.25": 6, "2": 4})]))).timings[0]
    assert (fine.rounding_ns, fine.median_ns) == (0, 250_000)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"response_times": {"2": -1}}, "has an invalid count"),
        ({"response_times": {"2": 0}}, "has an invalid count"),
        ({"response_times": {"fast": 1}}, "a response time that is not a number"),
        ({"response_times": {"nan": 1}}, "which is not a number"),
        ({"response_times": {"-2": 1}}, "which is not a time"),
        ({"num_failures": -1}, "has -1 failed operations"),
        ({"min_response_time": -1.0, "max_response_time": 1.0, "total_response_time": 1.0}, "which is not a time"),
    ],
)
def test_an_invalid_histogram_is_refused(changes: dict[str, object], complaint: str, written: Written) -> None:
    """The error names the request."""
    with pytest.raises(UsageError, match=complaint):
        importers.reading(written(json.dumps([entry(**changes)])))


def test_concatenated_lists_are_refused(written: Written) -> None:
    """`locust --processes 2 --json` prints one list after another."""
    with pytest.raises(UsageError, match="several JSON documents, the next one from byte 2 on"):
        importers.reading(written("[][]" + json.dumps([entry()])))


def bucket(value_ms: float) -> float:
    """Round as Locust does, according to its documentation: to 1, 10, 100 or 1000 ms."""
    if value_ms < 100:
        return round(value_ms)
    if value_ms < 1_000:
        return round(value_ms, -1)
    return round(value_ms, -2) if value_ms < 10_000 else round(value_ms, -3)


@given(st.floats(0, 1e6))
def test_the_rounding_bounds_the_distance_of_a_time_from_its_bucket(value_ms: float) -> None:
    """This holds in all four ranges."""
    rounded_ms = bucket(value_ms)
    assert abs(value_ms - rounded_ms) <= rounding_ms(rounded_ms) + 1e-9


@pytest.mark.parametrize("value_ms", [0.25, 3.7, 123.0, 1_250.0])
def test_a_value_that_is_not_a_bucket_has_no_rounding(value_ms: float) -> None:
    """It comes from finer buckets than Locust's own."""
    assert rounding_ms(value_ms) == 0


def test_nothing_failed_raises_no_warning() -> None:
    """Failed requests are named with their number."""
    fine, bad = OperationCounts("", "GET /", 9, 0), OperationCounts("", "POST /", 9, 3)
    assert failed([fine]) == ()
    assert failed([fine, bad])[0].message.startswith("failed: 3 of 9 × POST /;")


def test_a_request_type_that_failed_has_no_times(written: Written) -> None:
    """It has counts and requests per second, as others have."""
    moments = {"start_time": 1_700_000_000.0, "last_request_timestamp": 1_700_000_005.0}
    found = importers.reading(written(json.dumps([entry(**moments), entry(name="/b", num_failures=10)])))
    assert [t.name for t in found.timings] == ["GET /"]
    assert [(x.group, x.operations, x.errors, x.per_s) for x in found.operations] == [
        ("GET /", 10, 0, 2.0),
        ("GET /b", 10, 10, None),
    ]
