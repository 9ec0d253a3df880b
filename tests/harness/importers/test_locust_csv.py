"""Locust's CSV: rounded milliseconds, one row per request type."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def test_a_row_is_a_benchmark(shape: Shape) -> None:
    """It is named by method and path; the row of all requests is one as well, and comes first."""
    found = importers.reading(shape("locust_stats.csv"))
    assert [t.name for t in found.timings] == ["Aggregated", "GET /prompts", "POST /prompts/[id]"]
    assert found.tool == "Locust"
    assert all(t.units is None for t in found.timings)


def test_medians_have_the_possible_rounding(shape: Shape) -> None:
    """Below 100 ms it is half a millisecond."""
    timing = importers.reading(shape("locust-1_stats.csv")).timings[1]
    assert (timing.median_ns, timing.rounding_ns, timing.samples) == (4_000_000, 500_000, 2_500)
    assert timing.percentiles_ns == {"50": 4e6, "90": 9e6, "95": 9e6, "99": 10e6, "99.9": 10e6}


def test_the_first_version_is_read(shape: Shape) -> None:
    """Its columns had other names and no percentiles."""
    found = importers.reading(shape("locust-0_stats.csv"))
    assert [(x.group, x.errors) for x in found.operations] == [("Aggregated", 3), ("GET /prompts", 3)]


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
        ("GET,/,10,0,4", "a row cannot be read (line 2 has 5 fields instead of 8)"),
        ("GET,/,ten,0,4,4,4,4", "'GET /' has the request count 'ten', which is not a whole number"),
        ('GET,/,10,0,"4,5",4,4,4', "'GET /' has the median '4,5', which is not a number"),
        ("GET,/,10,0,nan,4,4,4", "'GET /' has the median nan, which is not a number"),
        ("GET,/,10,0,4,4,-4,4", "'GET /' has the minimum -4, which is not a time: did the clock go backwards?"),
        ("GET,/,10,0,inf,4,4,4", "'GET /' has the median inf, which is not a number"),
        ("GET,/,-10,0,4,4,4,4", "has -10 operations"),
        ("GET,/,10,-1,4,4,4,4", "has -1 failed operations"),
        (f"GET,/,{'9' * 30},0,4,4,4,4", "operations"),
        ("", "it contains no times"),
    ],
)
def test_a_bad_row_is_refused(row: str, complaint: str, written: Written) -> None:
    """A truncated row, an invalid number or time, and no requests at all are refused."""
    head = "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,Max Response Time"
    with pytest.raises(UsageError, match=re.escape(complaint)):
        importers.reading(written(f"{head}\n{row}\n"))


TIMES = "Median Response Time,Average Response Time,Min Response Time,Max Response Time"
HEAD = f"Type,Name,Request Count,Failure Count,{TIMES},Requests/s"


def test_requests_per_second_and_failures_are_read_and_a_kind_that_failed_has_no_times(written: Written) -> None:
    """The row of all requests is read in the same way; a row without requests has no times either, and is a warning."""
    rows = ["GET,/a,10,10,3,3,3,3,2.5", "GET,/b,10,1,3,3,3,3,2.5", "GET,/c,0,0,0,0,0,0,0.0", ",Aggregated,20,11,3,3,3,3,5.0"]
    found = importers.reading(written("\n".join([HEAD, *rows])))
    assert [t.name for t in found.timings] == ["Aggregated", "GET /b"]
    assert [(x.group, x.operations, x.errors, x.per_s) for x in found.operations] == [
        ("Aggregated", 20, 11, 5.0),
        ("GET /a", 10, 10, 2.5),
        ("GET /b", 10, 1, 2.5),
        ("GET /c", 0, 0, None),
    ]
    assert "'GET /c' has no operations" in next(w.message for w in found.warnings if w.name == "nothing measured")


@pytest.mark.parametrize("start", ["", "sep=;\n", '"sep=;"\n'])
def test_a_spreadsheet_changes_separators_and_commas(start: str, written: Written) -> None:
    """Semicolons and tabs separate, and decimal commas are read, in names of columns as well."""
    head = HEAD.replace(",", ";") + ";99,9%"
    found = importers.reading(written(f"{start}{head}\nGET;/a,b;10;0;20;22,5;1;30;66,5;29,5\n"))
    assert (found.timings[0].name, found.timings[0].mean_ns, found.operations[0].per_s) == ("GET /a,b", 22_500_000, 66.5)
    assert found.timings[0].percentiles_ns["99.9"] == 29_500_000
    tabs = importers.reading(written(f"{head}\nGET;/a,b;10;0;20;22,5;1;30;66,5;29,5\n".replace(";", "\t")))
    assert tabs.timings == found.timings


def test_percentiles_are_those_that_the_file_states(written: Written) -> None:
    """Ten requests do not support a p99, which the limitations say; N/A is unknown."""
    found = importers.reading(written(f"{HEAD},95%,99%\nGET,/a,10,0,4,4,4,9,1.0,N/A,9\n"))
    assert (found.timings[0].percentiles_ns["99"], found.timings[0].percentiles_ns["95"]) == (9e6, None)
    assert any("however few requests" in warning.message for warning in found.warnings)


def test_text_that_is_not_utf_8_is_refused(shape: Shape, written: Written) -> None:
    """The error names the first invalid byte and the remedy."""
    body = shape("locust-1_stats.csv").read_bytes().replace(b"/prompts", "/プロンプト".encode("shift_jis"))
    with pytest.raises(UsageError, match=r"is not UTF-8 text .* at byte \d+\); .* save it as UTF-8"):
        importers.reading(written(body))


def test_the_number_of_users_is_in_the_history_beside_the_file(shape: Shape, tmp_path: Path) -> None:
    """A file without its history, or with an unreadable one, does not state it."""
    names = ("locust_stats.csv", "locust_stats_history.csv")
    assert importers.reading(shape(names[0])).load_settings == {"users": "2"}
    path, history = tmp_path / names[0], tmp_path / names[1]
    path.write_bytes(shape(names[0]).read_bytes())
    for body in (None, b"Timestamp,User Count\n1,many\n", b"Timestamp\n1\n", b"\xff\xfe"):
        if body is not None:
            history.write_bytes(body)
        assert importers.reading(path).load_settings == {}
