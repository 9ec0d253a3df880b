"""Locust's JSON: whole histograms of rounded times."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers as readers
from harness.errors import UsageError

Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def entry(**changes: object) -> dict[str, object]:
    """Return an entry of ten requests; keywords replace its members."""
    times = {"2": 6, "4": 4}
    return {"name": "/", "method": "GET", "num_requests": 10, "num_failures": 0, "response_times": times} | changes


def test_a_histogram_is_as_good_as_its_times(shape: Shape) -> None:
    """It has units, percentiles where they are supported, and the moment of the start."""
    found = readers.reading(shape("locust.json"))
    assert [t.name for t in found.timings] == ["GET /prompts", "POST /prompts/[id]"]
    quick = found.timings[0]
    assert quick.units is not None
    assert quick.units.total == quick.samples
    assert quick.rounding_ns == 500_000
    assert found.started_at.endswith("+00:00")


def test_json_and_csv_of_one_run_agree(shape: Shape) -> None:
    """To Locust's rounding, though the CSV lacks the last requests."""
    exact, rounded = ({t.name: t for t in readers.reading(shape(n)).timings} for n in ("locust.json", "locust_stats.csv"))
    for name, timing in exact.items():
        assert abs(timing.median_ns - rounded[name].median_ns) <= 2 * (timing.rounding_ns + rounded[name].rounding_ns)
        assert (timing.samples or 0) >= (rounded[name].samples or 0)


def test_finer_buckets_are_not_taken_for_rounded(written: Written) -> None:
    """Locust lets a person replace how it rounds."""
    fine = readers.reading(written(json.dumps([entry(response_times={"0.25": 6, "2": 4})]))).timings[0]
    assert (fine.rounding_ns, fine.median_ns) == (0, 250_000)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"response_times": {"2": -1}}, "a count that is none"),
        ({"response_times": {"2": 0}}, "a count that is none"),
        ({"response_times": {"fast": 1}}, "a response time that is no number"),
        ({"response_times": {"nan": 1}}, "which is no time"),
        ({"response_times": {"-2": 1}}, "which is no time"),
        ({"response_times": {}}, "it holds no times"),
        ({"num_failures": -1}, "a count that is none"),
        ({"min_response_time": -1.0, "max_response_time": 1.0, "total_response_time": 1.0}, "which is no time"),
    ],
)
def test_what_is_no_histogram_is_refused(changes: dict[str, object], complaint: str, written: Written) -> None:
    """By the name of the request."""
    with pytest.raises(UsageError, match=complaint):
        readers.reading(written(json.dumps([entry(**changes)])))


def test_what_several_processes_printed_at_once_is_refused(written: Written) -> None:
    """`locust --processes 2 --json` prints one list after another."""
    with pytest.raises(UsageError, match="is no JSON"):
        readers.reading(written("[][]" + json.dumps([entry()])))
