"""Runs of this harness as times to compare."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError
from harness.importers import own_run
from harness.importers.reading import Reading, raw_timing
from harness.results.run import (
    AA_CONTROL,
    BASELINE,
    FileMetric,
    Latency,
    OperationCounts,
    Run,
    RunKind,
    RunSettings,
    ScenarioResult,
    ScenarioStatus,
)
from harness.results.store import write_run


def latency(arm: str, medians: list[float], group: str = "lookup") -> Latency:
    """Return an arm's latency from the medians of its processes."""
    return Latency(arm, group, 500, 2e6, 1_000_000, 9_000_000, {"50": 2e6}, medians)


def a_run(*latencies: Latency, kind: RunKind = RunKind.PAIRS) -> Run:
    """Return a run of one scenario with these latencies."""
    result = ScenarioResult(
        "toy", "Toy", "Toy.", "toy.py", "sqlite", 5.0, ScenarioStatus.OK, latencies=list(latencies), dataset={"digest": "b7e1"}
    )
    settings = RunSettings(["sqlite"], "tiny", 0, [5.0], quick=True, processes=3, budget_s=1.0)
    return Run(
        schema_version=2,
        kind=kind,
        name="demo",
        started_at="2026-01-01T00:00:00+00:00",
        finished_at=None,
        command="harness run",
        commit="abc",
        dirty=False,
        interrupted=False,
        settings=settings,
        environment={"python": "x"},
        scenarios=[result],
    )


def test_every_arm_and_group_is_a_benchmark_with_processes_as_units(tmp_path: Path) -> None:
    """The A/A control is left out, and the data's digest is kept."""
    write_run(a_run(latency("baseline", [1e6, 2e6, 3e6]), latency("optimised", [1e6]), latency(AA_CONTROL, [1e6])), tmp_path)
    found = importers.reading(tmp_path)
    assert [t.name for t in found.timings] == [f"toy · sqlite, RTT 5 ms · {arm} · lookup" for arm in ("baseline", "optimised")]
    first, second = found.timings
    assert first.units is not None
    assert (first.median_ns, first.units.total, first.samples) == (2e6, 3, 500)
    assert second.units is None
    assert found.environment["dataset of toy"] == "b7e1"
    assert found.commit == "abc"


def test_a_run_without_times_has_nothing_to_compare(tmp_path: Path) -> None:
    """Such a run is refused, and so is a comparison."""
    write_run(a_run(), tmp_path / "none")
    write_run(a_run(latency("baseline", [1e6]), kind=RunKind.COMPARISON), tmp_path / "compared")
    for folder, complaint in (("none", "has no times to compare"), ("compared", "is a comparison; name the two files")):
        with pytest.raises(UsageError, match=complaint):
            importers.reading(tmp_path / folder)


def test_two_results_of_one_name_are_refused(tmp_path: Path) -> None:
    """They cannot be distinguished."""
    run = a_run(latency("baseline", [1e6]))
    write_run(replace(run, scenarios=run.scenarios * 2), tmp_path)
    with pytest.raises(UsageError, match="has two scenarios with"):
        importers.reading(tmp_path)


def test_load_runs_have_another_tool_name(tmp_path: Path) -> None:
    """They cannot be compared with pairs."""
    write_run(a_run(latency("baseline", [1e6])), tmp_path / "pairs")
    write_run(a_run(latency("baseline", [1e6]), kind=RunKind.LOAD), tmp_path / "load")
    assert importers.reading(tmp_path / "pairs").tool != importers.reading(tmp_path / "load").tool


def test_a_file_as_a_run_has_its_operations_metrics_and_load() -> None:
    """They belong to its only arm."""
    timing = raw_timing("a", [1.0, 2.0])
    counted, metric = OperationCounts("", "a", 9, 1, 2.5), FileMetric("", "size", "bytes", 1, 7.0, None, None, None)
    found = Reading("x.json", "tool", "form", (timing,), operations=(counted,), metrics=(metric,), load_settings={"users": "3"})
    (result,) = own_run.of_file(found).scenarios
    assert result.operations == [replace(counted, arm=BASELINE)]
    assert result.metrics == [replace(metric, arm=BASELINE)]
    assert result.load_settings == {"users": "3"}
