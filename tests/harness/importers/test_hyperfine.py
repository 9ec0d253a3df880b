"""hyperfine's JSON: one time per run of a command."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def test_runs_become_nanoseconds_by_command(shape: Shape) -> None:
    """The file has eight runs of two commands, none faster than its sleep."""
    found = importers.reading(shape("hyperfine.json"))
    assert [(t.name, t.samples) for t in found.timings] == [("sleep 0.005", 8), ("sleep 0.01", 8)]
    assert [t.min_ns >= slept for t, slept in zip(found.timings, (5e6, 10e6), strict=True)] == [True, True]


def test_a_file_without_times_has_aggregates_only(shape: Shape) -> None:
    """Early versions wrote no times."""
    timing = importers.reading(shape("hyperfine-1.0.json")).timings[0]
    assert (timing.units, timing.samples, timing.median_ns) == (None, None, 302_000_000)


def test_a_command_that_failed_is_a_warning(shape: Shape) -> None:
    """The warning names the command."""
    assert "failed commands" in {warning.name for warning in importers.reading(shape("hyperfine-failed.json")).warnings}


def test_parameters_distinguish_commands_of_one_name(written: Written) -> None:
    """Parameters are added to the name; two commands with the same name otherwise are refused."""
    result = {"command": "sort", "mean": 1.0, "median": 1.0, "min": 0.9, "max": 1.1, "times": [0.9, 1.0, 1.1]}
    apart = {"results": [result | {"parameters": {"rows": "10"}}, result | {"parameters": {"rows": "20"}}]}
    assert [t.name for t in importers.reading(written(json.dumps(apart))).timings] == ["sort (rows=10)", "sort (rows=20)"]
    with pytest.raises(UsageError, match="two of its benchmarks are named 'sort'"):
        importers.reading(written(json.dumps({"results": [result, result]})))
