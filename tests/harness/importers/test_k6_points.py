"""k6's points: one JSON document per line, or CSV, with the same times."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

SHAPES = ("k6-points.ndjson", "k6-points.csv")
Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


@pytest.mark.parametrize("name", SHAPES)
def test_successful_requests_are_single_values(name: str, shape: Shape) -> None:
    """Failed ones are counted with their reason, and their times are left out."""
    found = importers.reading(shape(name))
    timings = {t.name: t for t in found.timings}
    assert set(timings) == {"http_req_duration", "iteration_duration"}
    timing = timings["http_req_duration"]
    assert (timing.samples, timing.min_ns, timing.median_ns, timing.max_ns) == (18, 10e6, 20.5e6, 29e6)
    assert timing.units is not None
    assert timing.calls is not None
    counted = {x.group: (x.operations, x.errors, x.messages) for x in found.operations}
    assert counted["http_req_duration"] == (20, 2, {"status 500": 2})
    assert counted["iteration_duration"] == (20, 0, {})
    assert counted["checks"] == (20, 2, {"status is 200": 2})
    assert [x.per_s for x in found.operations if x.group != "checks"] == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("name", SHAPES)
def test_users_checks_and_dropped_iterations_are_read(name: str, shape: Shape) -> None:
    """They are in the points themselves."""
    found = importers.reading(shape(name))
    assert (found.load_settings, found.dropped) == ({"users": "2"}, 3)
    assert found.failed_checks == ()


def test_other_metrics_are_plain_numbers_and_nothing_disappears_unmentioned(shape: Shape) -> None:
    """The CSV does not state which metrics are times."""
    lines, rows = (importers.reading(shape(name)) for name in SHAPES)
    assert [(m.group, m.median) for m in lines.metrics] == [("rows", 20.5)]
    assert "orders" in next(w.message for w in lines.warnings if w.name == "left out")
    assert [m.group for m in rows.metrics] == ["rows", "orders"]
    assert "rows, orders" in next(w.message for w in rows.warnings if w.name == "unknown units")


def points(**changes: object) -> Iterator[str]:
    """Yield the lines of twelve failed requests; keywords replace members of their tags."""
    for second in range(12):
        tags = {"expected_response": "false", "status": "503", "error": "connection refused"} | changes
        for metric, value in (("http_req_duration", 0.1), ("http_req_failed", 1), ("iterations", 1), ("iteration_duration", 0.2)):
            data = {"time": f"2026-01-05T10:22:{second:02d}+01:00", "value": value, "tags": tags}
            yield json.dumps({"metric": metric, "type": "Point", "data": data}) + "\n"


def declared() -> str:
    """Return the line that declares the time of iterations."""
    data = {"name": "iteration_duration", "type": "trend", "contains": "time"}
    return json.dumps({"type": "Metric", "data": data, "metric": "iteration_duration"}) + "\n"


def test_requests_that_all_failed_have_no_times_and_neither_have_their_iterations(written: Written) -> None:
    """The reasons are counted."""
    found = importers.reading(written(declared() + "".join(points())))
    assert found.timings == ()
    counted = {x.group: (x.operations, x.errors, x.messages) for x in found.operations}
    assert counted["http_req_duration"] == (12, 12, {"connection refused": 12})
    assert counted["iteration_duration"] == (12, 12, {"every request failed": 12})


def test_a_last_line_that_is_cut_short_is_left_out_with_a_warning(shape: Shape, written: Written) -> None:
    """k6 may be killed; any other line that cannot be read is an error, with its number."""
    lines = shape(SHAPES[0]).read_text().splitlines(keepends=True)
    found = importers.reading(written("".join(lines)[:-30]))
    assert "cut short" in {warning.name for warning in found.warnings}
    with pytest.raises(UsageError, match="line 3 cannot be read"):
        importers.reading(written("".join([*lines[:2], lines[2][:-30] + "\n", *lines[3:]])))


@pytest.mark.parametrize(
    ("times", "per_s"),
    [
        (("1767608521", "1767608540"), 1.0),
        (("1767608521", "1767608525"), None),
        (("1767608521000", "1767608540000"), 20 / 19.001),
        (("soon", "later"), None),
    ],
)
def test_the_rate_needs_times_that_resolve_it(times: tuple[str, str], per_s: float | None, written: Written) -> None:
    """k6's CSV has whole seconds, or milliseconds on request."""
    rows = [f"http_req_duration,{times[i == 19]},5.0\nhttp_reqs,{times[i == 19]},1" for i in range(20)]
    found = importers.reading(written("metric_name,timestamp,metric_value\n" + "\n".join(rows) + "\n"))
    assert found.operations[0].per_s == (pytest.approx(per_s) if per_s else None)


@pytest.mark.parametrize("value", ['"NaN"', "null"])
def test_an_invalid_value_is_refused(value: str, written: Written) -> None:
    """The error names the metric."""
    line = f'{{"metric": "http_req_duration", "type": "Point", "data": {{"time": "", "value": {value}, "tags": {{}}}}}}\n'
    with pytest.raises(UsageError, match="'http_req_duration' has"):
        importers.reading(written(line * 2))


def test_a_negative_time_leaves_its_metric_out(written: Written) -> None:
    """The warning names it."""
    line = '{"metric": "http_req_duration", "type": "Point", "data": {"time": "", "value": -1, "tags": {}}}\n'
    found = importers.reading(written(line * 2))
    assert found.timings == ()
    assert "'http_req_duration' has the value -1.0" in next(w.message for w in found.warnings if w.name == "unreadable benchmarks")
