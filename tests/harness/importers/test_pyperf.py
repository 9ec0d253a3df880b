"""pyperf's JSON: values by process, with the process as the independent unit."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def suite(*, version: object = "1.0", unit: str = "second") -> str:
    """Return a suite of one benchmark in three processes, the first of which calibrates."""
    runs = [{"warmups": [[1, 0.5]]}, {"values": [1.0, 2.0, 9.0]}, {"values": [3.0, 4.0, 5.0]}]
    return json.dumps(
        {"version": version, "metadata": {"unit": unit}, "benchmarks": [{"metadata": {"name": "sorted"}, "runs": runs}]}
    )


def test_every_process_counts_once(shape: Shape) -> None:
    """Seven processes of two values are seven units and fourteen values."""
    timing = importers.reading(shape("pyperf.json")).timings[0]
    assert timing.name == "sorted"
    assert timing.samples == 14
    assert timing.units is not None
    assert timing.units.total == 7


def test_a_process_counts_with_its_median(written: Written) -> None:
    """Calibration is left out, and the name may be at any level."""
    timing = importers.reading(written(suite())).timings[0]
    assert timing.units is not None
    assert list(timing.units.values_ns) == [2e9, 4e9]
    assert (timing.name, timing.median_ns, timing.samples) == ("sorted", 3.5e9, 6)


@pytest.mark.parametrize(
    ("unit", "shown", "less_is_better"), [("byte", "bytes", True), ("integer", "", None), ("furlong", "furlong", None)]
)
def test_other_units_than_seconds_are_metrics(unit: str, shown: str, less_is_better: bool | None, written: Written) -> None:
    """Bytes of memory are not times, and less of them is better."""
    found = importers.reading(written(suite(unit=unit)))
    assert found.timings == ()
    metric = found.metrics[0]
    assert (metric.group, metric.unit, metric.median, metric.samples) == ("sorted", shown, 3.5, 6)
    assert metric.less_is_better is less_is_better


def test_a_benchmark_without_values_is_listed_as_failed(written: Written) -> None:
    """The others are read."""
    mixed = json.loads(suite())
    mixed["benchmarks"] += [{"metadata": {"name": "broken"}, "runs": [{"warmups": [[1, 0.5]]}]}]
    found = importers.reading(written(json.dumps(mixed)))
    assert [t.name for t in found.timings] == ["sorted"]
    assert [(x.group, x.operations, x.errors) for x in found.operations] == [("broken", 1, 1)]
    assert "broken" in next(w.message for w in found.warnings if w.name == "failed benchmarks")


def test_an_old_format_is_refused_with_a_remedy(written: Written) -> None:
    """The error names `pyperf convert`."""
    with pytest.raises(UsageError, match="pyperf convert"):
        importers.reading(written(suite(version=3)))
    assert importers.reading(written(suite(version=6))).timings
