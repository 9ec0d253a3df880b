"""k6's summary in its three formats, which agree on the same run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

SHAPES = ("k6-handle-summary.json", "k6-summary-export.json", "k6-machine-readable.json")
Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


@pytest.mark.parametrize("name", SHAPES)
def test_the_whole_request_and_iteration_are_times_in_milliseconds(name: str, shape: Shape) -> None:
    """They have their number of values, and the phases of a request are left out."""
    timings = {t.name: t for t in importers.reading(shape(name)).timings}
    assert {"http_req_duration", "iteration_duration"} <= set(timings)
    assert not [n for n in timings if "waiting" in n or "blocked" in n]
    timing = timings["http_req_duration"]
    assert (timing.median_ns, timing.min_ns, timing.max_ns, timing.samples) == (95_125_000, 3_250_000, 410_750_000, 600)
    assert timing.percentiles_ns["95"] == 210_250_000
    assert timing.percentiles_ns["99"] is None
    assert timing.units is None


def test_a_trend_that_is_not_a_time_is_left_out(shape: Shape) -> None:
    """Where the file does not state what a trend contains, only k6's own names are known to be times."""
    for name in SHAPES:
        assert not {"rows_per_page", "my_trend"} & {t.name for t in importers.reading(shape(name)).timings}


def test_failures_are_read_the_right_way_round(shape: Shape) -> None:
    """k6 counts a failed request as a "pass" of http_req_failed."""
    warnings = [{d.name: d.message for d in importers.reading(shape(name)).warnings} for name in SHAPES]
    assert warnings[0]["failed requests"] == "1.33% of the requests failed"
    assert all("failed requests" not in found for found in warnings[1:])


def test_a_trend_without_a_median_is_left_out_and_named(shape: Shape, written: Written) -> None:
    """The statistics of a summary are a setting of k6."""
    summary = json.loads(shape("k6-handle-summary.json").read_bytes())
    del summary["metrics"]["iteration_duration"]["values"]["med"]
    found = importers.reading(written(json.dumps(summary)))
    assert "iteration_duration" not in {t.name for t in found.timings}
    assert "iteration_duration" in next(d.message for d in found.warnings if d.name == "left out")


@pytest.mark.parametrize(("key", "value"), [("med", -1), ("max", 1e300), ("count", -5), ("count", 1e300), ("p(90)", -1)])
def test_an_invalid_time_or_count_is_refused(key: str, value: float, shape: Shape, written: Written) -> None:
    """The error names the metric."""
    summary = json.loads(shape("k6-handle-summary.json").read_bytes())
    summary["metrics"]["http_req_duration"]["values"][key] = value
    with pytest.raises(UsageError, match="'http_req_duration'"):
        importers.reading(written(json.dumps(summary)))
