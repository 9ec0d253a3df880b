"""Locust's CSV: rounded milliseconds, one row per request type."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def test_a_row_is_a_benchmark(shape: Shape) -> None:
    """It is named by method and path; the row of all requests is one as well."""
    found = importers.reading(shape("locust_stats.csv"))
    assert [t.name for t in found.timings] == ["GET /prompts", "POST /prompts/[id]", "Aggregated"]
    assert found.tool == "Locust"
    assert all(t.units is None for t in found.timings)


def test_medians_have_the_possible_rounding(shape: Shape) -> None:
    """Below 100 ms it is half a millisecond."""
    timing = importers.reading(shape("locust-1_stats.csv")).timings[0]
    assert (timing.median_ns, timing.rounding_ns, timing.samples) == (4_000_000, 500_000, 2_500)
    assert timing.percentiles_ns == {"50": 4e6, "90": 9e6, "95": 9e6, "99": 10e6, "99.9": None}


def test_the_first_version_is_read(shape: Shape) -> None:
    """Its columns had other names and no percentiles."""
    found = importers.reading(shape("locust-0_stats.csv"))
    assert [(t.name, t.errors) for t in found.timings] == [("GET /prompts", 3), ("Aggregated", 3)]


def test_failed_requests_are_a_warning(shape: Shape) -> None:
    """Failures are counted per request type, not again in the row of all."""
    warnings = {warning.name: warning.message for warning in importers.reading(shape("locust_stats.csv")).warnings}
    assert "POST /prompts/[id]" in warnings["failed requests"]
    assert "Aggregated" not in warnings["failed requests"]


@pytest.mark.parametrize(
    ("head", "of"),
    [
        ("Timestamp,User Count,Type,Name,Requests/s", "history"),
        ("Method,Name,Error,Occurrences,First Seen,Last Seen", "failures"),
        ("Count,Message,Traceback,Nodes", "exceptions"),
    ],
)
def test_other_csv_files_of_locust_are_refused_with_the_name_of_the_right_one(head: str, of: str, written: Written) -> None:
    """They do not have the times of a whole run."""
    with pytest.raises(UsageError, match=rf"{of}.*ends in _stats\.csv"):
        importers.reading(written(head + "\n"))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("GET,/,10,0,4", "a row cannot be read"),
        ("GET,/,ten,0,4,4,4,4", "a row cannot be read"),
        ("GET,/,10,0,nan,4,4,4", "which is not a time"),
        ("GET,/,10,0,4,4,-4,4", "which is not a time"),
        ("GET,/,10,0,inf,4,4,4", "which is not a time"),
        ("GET,/,-10,0,4,4,4,4", "has -10 values"),
        ("GET,/,10,-1,4,4,4,4", "has -1 failures"),
        (f"GET,/,{'9' * 30},0,4,4,4,4", "values"),
        ("GET,/,0,0,0,0,0,0", "it contains no times"),
        ("", "it contains no times"),
    ],
)
def test_a_bad_row_is_refused(row: str, complaint: str, written: Written) -> None:
    """A truncated row, an invalid number or time, and no requests at all are refused."""
    head = "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,Max Response Time"
    with pytest.raises(UsageError, match=complaint):
        importers.reading(written(f"{head}\n{row}\n"))


def test_text_that_is_not_utf_8_is_refused(shape: Shape, written: Written) -> None:
    """The error names the first invalid byte."""
    body = shape("locust-1_stats.csv").read_bytes().replace(b"/prompts", "/プロンプト".encode("shift_jis"))
    with pytest.raises(UsageError, match=r"is not UTF-8 text .* save it as UTF-8"):
        importers.reading(written(body))
