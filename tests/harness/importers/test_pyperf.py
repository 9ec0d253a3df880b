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


def test_a_benchmark_not_in_seconds_is_refused(written: Written) -> None:
    """Bytes of memory are not times."""
    with pytest.raises(UsageError, match="it contains no times"):
        importers.reading(written(suite(unit="byte")))


def test_an_old_format_is_refused_with_a_remedy(written: Written) -> None:
    """The error names `pyperf convert`."""
    with pytest.raises(UsageError, match="pyperf convert"):
        importers.reading(written(suite(version=3)))
    assert importers.reading(written(suite(version=6))).timings
