"""asv's results in both versions of the format."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def test_every_combination_of_parameters_is_a_benchmark(shape: Shape) -> None:
    """Times have their quartiles' deviation, or their samples; null is a failure, and NaN was skipped."""
    found = importers.reading(shape("asv-2.json"))
    assert [(t.name, t.samples, t.median_ns) for t in found.timings] == [
        ("pages.Suite.time_page(10, 'a')", 40, 2e6),
        ("pages.Suite.time_page(10, 'b')", 40, 4e6),
        ("pages.time_raw", 4, 250_000),
    ]
    assert found.timings[0].deviation_ns == pytest.approx(1e5 / 1.349)
    assert found.timings[2].units is not None
    assert [(x.group, x.errors) for x in found.operations] == [("pages.Suite.time_page(20, 'a')", 1), ("pages.time_broken", 1)]
    warnings = {warning.name: warning.message for warning in found.warnings}
    assert "time_page(20, 'b')" in warnings["skipped benchmarks"]
    assert {"failed benchmarks", "one figure per benchmark", "approximate intervals"} <= set(warnings)


def test_bytes_and_tracked_figures_are_metrics(shape: Shape) -> None:
    """The unit follows from the name, as asv has it."""
    found = importers.reading(shape("asv-2.json"))
    assert [(m.group, m.unit, m.median, m.less_is_better) for m in found.metrics] == [
        ("pages.peakmem_page", "bytes", 41943040, True),
        ("pages.track_rows", "", 17, None),
    ]


def test_the_commit_the_date_and_the_machine_are_read(shape: Shape) -> None:
    """The host name is a digest."""
    found = importers.reading(shape("asv-2.json"))
    assert found.commit == "c0f8a1ae72ad90ee2ba2cf6a2bd2b3c1ddc4a1e2"
    assert found.started_at == "2026-01-05T10:40:00+00:00"
    assert found.environment["cpu"] == "Example CPU"
    assert "box" not in found.environment.values()


def test_the_first_version_of_the_format_is_read(shape: Shape) -> None:
    """A result is a value, or an object with its parameters."""
    found = importers.reading(shape("asv-1.json"))
    names = ["time_units.time_parse", "time_other.time_param(1)", "time_other.time_param(2)"]
    assert [t.name for t in found.timings] == names
    assert found.timings[1].deviation_ns == pytest.approx(0.2e9 / 1.349)
    assert [m.group for m in found.metrics] == ["time_units.mem_unit"]
    assert [x.group for x in found.operations] == ["time_failure"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"results": {}}, "it contains no times"),
        ({"results": {"time_x": "fast"}}, "the result of 'time_x' is not a row"),
        ({"results": {"time_x": [[True], []]}}, "True, which is not a number"),
        ({"results": {"time_x": [[-1.0], []]}}, "'time_x' has the result -1.0, which is not a time"),
    ],
)
def test_invalid_results_are_refused(changes: dict[str, object], complaint: str, shape: Shape, written: Written) -> None:
    """The error names the benchmark."""
    document = json.loads(shape("asv-2.json").read_text()) | changes
    with pytest.raises(UsageError, match=complaint):
        importers.reading(written(json.dumps(document)))
