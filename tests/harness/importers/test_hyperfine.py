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


def test_failed_runs_are_counted_and_their_times_left_out(shape: Shape, written: Written) -> None:
    """A command of which every run failed has no times; an exit code that is missing is not a failure, and a warning."""
    assert all(counted.errors for counted in importers.reading(shape("hyperfine-failed.json")).operations)
    result = {"command": "a", "times": [9.0, 0.1, 0.2, 0.3], "exit_codes": [1, 0, 0, None]}
    found = importers.reading(written(json.dumps({"results": [result, result | {"command": "b", "exit_codes": [1, 2, 2, 1]}]})))
    assert [(t.name, t.samples, t.max_ns) for t in found.timings] == [("a", 3, 0.3e9)]
    assert [(x.group, x.operations, x.errors) for x in found.operations] == [("a", 4, 1), ("b", 4, 4)]
    assert found.operations[1].messages == {"exit code 1": 2, "exit code 2": 2}
    assert "exit codes are missing in a" in next(w.message for w in found.warnings if w.name == "unknown exit codes")


def test_times_that_include_failed_runs_are_a_warning(written: Written) -> None:
    """Aggregates do not separate them."""
    result = {"command": "a", "mean": 1, "median": 1, "min": 1, "max": 1, "exit_codes": [0, 1]}
    found = importers.reading(written(json.dumps({"results": [result]})))
    assert found.timings[0].samples == 2
    assert "included in a" in next(w.message for w in found.warnings if w.name == "failed commands")


def test_an_old_file_without_a_median_has_that_of_its_times(written: Written) -> None:
    """Without times there is none, which is the reason."""
    old = {"command": "a", "mean": 2.0, "min": 1.0, "max": 3.0, "parameter": "1"}
    found = importers.reading(written(json.dumps({"results": [old | {"times": [1.0, 1.5, 3.0]}]})))
    assert (found.timings[0].median_ns, found.operations) == (1.5e9, ())
    with pytest.raises(UsageError, match="'a' has no median"):
        importers.reading(written(json.dumps({"results": [old]})))


def test_parameters_distinguish_commands_of_one_name(written: Written) -> None:
    """Parameters, numbers or text, are added to the name; otherwise it is the order, and there is a warning."""
    result = {"command": "sort", "mean": 1.0, "median": 1.0, "min": 0.9, "max": 1.1, "times": [0.9, 1.0, 1.1]}
    apart = {"results": [result | {"parameters": {"rows": "10"}}, result | {"parameters": {"rows": 20}}]}
    assert [t.name for t in importers.reading(written(json.dumps(apart))).timings] == ["sort (rows=10)", "sort (rows=20)"]
    found = importers.reading(written(json.dumps({"results": [result, result]})))
    assert [t.name for t in found.timings] == ["sort", "sort (2)"]
    assert "equal names" in {warning.name for warning in found.warnings}
