"""k6's summary in its three formats, which agree on the same run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import importers

SHAPES = ("k6-handle-summary.json", "k6-summary-export.json", "k6-machine-readable.json")
Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def summary(shape: Shape) -> dict[str, Any]:
    """Return the summary of `handleSummary`, as an object to change."""
    found: dict[str, Any] = json.loads(shape("k6-handle-summary.json").read_bytes())
    return found


@pytest.mark.parametrize(
    ("name", "median_ms", "samples"), [(SHAPES[0], 94.5, 592), (SHAPES[1], 95.125, 600), (SHAPES[2], 95.125, 600)]
)
def test_the_whole_request_and_iteration_are_times_in_milliseconds(name: str, median_ms: float, samples: int, shape: Shape) -> None:
    """They have their number of values; failed requests are left out where the file separates them, and phases always."""
    found = importers.reading(shape(name))
    timings = {t.name: t for t in found.timings}
    assert set(timings) == {"http_req_duration", "iteration_duration"}
    timing = timings["http_req_duration"]
    assert (timing.median_ns, timing.min_ns, timing.samples) == (median_ms * 1e6, 3_250_000, samples)
    assert timing.units is None
    counted = {x.group: x for x in found.operations}
    assert counted["http_req_duration"].operations == 600
    assert counted["http_req_duration"].errors == 600 - samples
    assert counted["http_req_duration"].per_s == pytest.approx(9.998, abs=1e-4)
    assert counted["iteration_duration"].errors == 0


def test_trends_that_are_not_times_are_metrics(shape: Shape) -> None:
    """Where the file does not state what a trend contains, only k6's own names are known to be times, and a warning says so."""
    stated, unknown = (importers.reading(shape(name)) for name in SHAPES[:2])
    assert [(m.group, m.unit, m.median, m.samples, m.less_is_better) for m in stated.metrics] == [
        ("rows_per_page", "", 20, 600, None)
    ]
    assert [(m.group, m.unit, m.median) for m in unknown.metrics] == [("my_trend", "", 1)]
    assert "my_trend" in next(w.message for w in unknown.warnings if w.name == "unknown units")


def test_a_custom_trend_that_is_a_time_is_one(shape: Shape, written: Written) -> None:
    """It is read like k6's own."""
    changed = summary(shape)
    changed["metrics"]["checkout"] = changed["metrics"]["rows_per_page"] | {"contains": "time"}
    timing = next(t for t in importers.reading(written(json.dumps(changed))).timings if t.name == "checkout")
    assert (timing.median_ns, timing.percentiles_ns["99"]) == (20e6, 20e6)


def test_failures_are_read_the_right_way_round(shape: Shape) -> None:
    """k6 counts a failed request as a "pass" of http_req_failed."""
    warnings = [{d.name: d.message for d in importers.reading(shape(name)).warnings} for name in SHAPES]
    assert warnings[0]["failed requests"].startswith("1.33% of the requests failed (8 of 600): their times are left out")
    assert all("failed requests" not in found for found in warnings[1:])


@pytest.mark.parametrize("name", SHAPES)
def test_requests_and_iterations_that_all_failed_have_no_times(name: str, shape: Shape, written: Written) -> None:
    """They have counts, and so are regressed however quick they were."""
    body = shape(name).read_text()
    for before, after in (
        ('"values": {"rate": 0.013333333333333334, "passes": 8, "fails": 592}', '"values": {"rate": 1, "passes": 600, "fails": 0}'),
        ('"passes": 0, "fails": 600, "thresholds": {"rate<0.01": false}, "value": 0', '"passes": 600, "fails": 0, "value": 1'),
        ('{"matches": 0, "rate": 0, "total": 600}', '{"matches": 600, "rate": 1, "total": 600}'),
    ):
        body = body.replace(before, after)
    found = importers.reading(written(body))
    assert [t.name for t in found.timings] == []
    assert {(x.group, x.operations, x.errors) for x in found.operations if x.group != "checks"} == {
        ("http_req_duration", 600, 600),
        ("iteration_duration", 600, 600),
    }


def test_times_that_include_failed_requests_are_a_warning(shape: Shape, written: Written) -> None:
    """A summary without the submetric of successful requests does not separate them."""
    changed = summary(shape)
    del changed["metrics"]["http_req_duration{expected_response:true}"]
    found = importers.reading(written(json.dumps(changed)))
    assert next(t.median_ns for t in found.timings if t.name == "http_req_duration") == 95_125_000
    assert "their times are included" in next(w.message for w in found.warnings if w.name == "failed requests")


def test_without_counts_of_failures_the_rate_is_a_metric(shape: Shape, written: Written) -> None:
    """Old versions of k6 do not count them, and 0 is not known."""
    changed = summary(shape)
    del changed["metrics"]["http_req_failed"]
    found = importers.reading(written(json.dumps(changed)))
    assert "http_req_duration" not in {x.group for x in found.operations}
    metric = next(m for m in found.metrics if m.group == "http_reqs")
    assert (metric.mean, metric.unit, metric.less_is_better) == (9.998, "per second", None)


def test_thresholds_and_checks_that_failed_are_named(shape: Shape, written: Written) -> None:
    """In handleSummary, a threshold is ok or not; in --summary-export, true is a threshold that was crossed."""
    changed = summary(shape)
    assert importers.reading(shape(SHAPES[1])).failed_checks == ()
    changed["metrics"]["http_req_duration"]["thresholds"] = {"p(95)<250": {"ok": False}, "p(90)<500": {"ok": True}}
    changed["root_group"]["groups"] = [{"name": "g", "checks": {"inner": {"name": "inner", "passes": 2, "fails": 1}}}]
    found = importers.reading(written(json.dumps(changed)))
    expected = ("threshold of http_req_duration: p(95)<250",)
    assert found.failed_checks == expected
    message = next(w.message for w in found.warnings if w.name == "failed thresholds and checks")
    assert message == "failed: threshold of http_req_duration: p(95)<250; check status is 200 (8 failed); check inner (1 failed)"
    counted = next(x for x in found.operations if x.group == "checks")
    assert (counted.operations, counted.errors, counted.messages) == (603, 9, {"status is 200": 8, "inner": 1})
    exported = json.loads(shape(SHAPES[1]).read_bytes())
    exported["metrics"]["http_req_failed"]["thresholds"] = {"rate<0.01": True}
    exported["metrics"]["checks"] = {"passes": 3, "fails": 1, "value": 0.75}
    found = importers.reading(written(json.dumps(exported)))
    assert found.failed_checks == ("threshold of http_req_failed: rate<0.01",)


def test_dropped_iterations_are_counted(shape: Shape, written: Written) -> None:
    """The load was not what it should have been, which is a warning as well."""
    changed = summary(shape)
    changed["metrics"]["dropped_iterations"] = {"type": "counter", "contains": "default", "values": {"count": 7, "rate": 0.1}}
    found = importers.reading(written(json.dumps(changed)))
    assert found.dropped == 7
    assert "7 iterations were due" in next(w.message for w in found.warnings if w.name == "dropped iterations")


@pytest.mark.parametrize(
    ("gauges", "settings"),
    [
        ({"vus_max": (10, 10)}, {"users": "10"}),
        ({"vus": (1, 10), "vus_max": (20, 20)}, {"users": "20"}),
        ({"vus": (1, 10), "vus_max": (20, 50)}, {}),
    ],
)
def test_users_identify_the_load_unless_k6_added_some(
    gauges: dict[str, tuple[int, int]], settings: dict[str, str], shape: Shape, written: Written
) -> None:
    """With an arrival rate, the number of users is a result and not a setting."""
    changed = summary(shape)
    del changed["metrics"]["vus"]
    for name, (least, most) in gauges.items():
        changed["metrics"][name] = {"type": "gauge", "contains": "default", "values": {"value": most, "min": least, "max": most}}
    assert importers.reading(written(json.dumps(changed))).load_settings == settings


def test_custom_rates_are_metrics_and_counters_are_named(shape: Shape, written: Written) -> None:
    """Nothing that a script records disappears unmentioned."""
    changed = summary(shape)
    changed["metrics"]["cached"] = {"type": "rate", "contains": "default", "values": {"rate": 0.25, "passes": 1, "fails": 3}}
    changed["metrics"]["orders"] = {"type": "counter", "contains": "default", "values": {"count": 3, "rate": 0.1}}
    found = importers.reading(written(json.dumps(changed)))
    assert ("cached", "share", 0.25, 4) in {(m.group, m.unit, m.mean, m.samples) for m in found.metrics}
    assert next(w.message for w in found.warnings if w.name == "left out") == "counters and gauges of the script: orders"


def test_a_time_without_a_median_is_a_metric_and_named(shape: Shape, written: Written) -> None:
    """The statistics of a summary are a setting of k6."""
    changed = summary(shape)
    del changed["metrics"]["iteration_duration"]["values"]["med"]
    found = importers.reading(written(json.dumps(changed)))
    assert "iteration_duration" not in {t.name for t in found.timings}
    assert ("iteration_duration", "ms", 102.5) in {(m.group, m.unit, m.mean) for m in found.metrics}
    assert "iteration_duration" in next(d.message for d in found.warnings if d.name == "left out")


@pytest.mark.parametrize(
    ("key", "value"), [("med", -1), ("max", 1e300), ("count", -5), ("count", 1e300), ("p(90)", -1), ("avg", "NaN")]
)
def test_an_invalid_time_or_count_leaves_its_metric_out(key: str, value: float, shape: Shape, written: Written) -> None:
    """The warning names the metric, and the others are read."""
    changed = summary(shape)
    changed["metrics"]["iteration_duration"]["values"][key] = value
    found = importers.reading(written(json.dumps(changed)))
    assert [t.name for t in found.timings] == ["http_req_duration"]
    assert "'iteration_duration' has the" in next(w.message for w in found.warnings if w.name == "unreadable benchmarks")
