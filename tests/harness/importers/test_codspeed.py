"""CodSpeed's walltime results."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def test_benchmarks_are_named_by_their_uri_in_nanoseconds(shape: Shape) -> None:
    """The deviation is the stated one, or that of the quartiles."""
    found = importers.reading(shape("codspeed.json"))
    assert [(t.name, t.samples, t.median_ns, t.max_ns) for t in found.timings] == [
        ("tests/test_page.py::test_page[20]", 900, 2000, 9000),
        ("tests/test_page.py::test_one", 9, 20, 30),
    ]
    assert [t.deviation_ns for t in found.timings] == [300.5, pytest.approx(10 / 1.349)]
    assert found.environment == {"CodSpeed": "pytest-codspeed 4.2.0"}
    assert "approximate intervals" in {warning.name for warning in found.warnings}


def test_another_instrument_has_no_times(shape: Shape, written: Written) -> None:
    """Simulated instructions are not times."""
    document = json.loads(shape("codspeed.json").read_text()) | {"instrument": {"type": "simulation"}}
    with pytest.raises(UsageError, match="'simulation', which does not measure time; use walltime"):
        importers.reading(written(json.dumps(document)))


def test_a_benchmark_without_statistics_is_left_out(shape: Shape, written: Written) -> None:
    """The others are read."""
    document = json.loads(shape("codspeed.json").read_text())
    document["benchmarks"][0]["stats"] = None
    found = importers.reading(written(json.dumps(document)))
    assert [t.name for t in found.timings] == ["tests/test_page.py::test_one"]
    assert "has no statistics" in next(w.message for w in found.warnings if w.name == "unreadable benchmarks")
