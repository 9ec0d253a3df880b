"""Runs of this harness as times to compare."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError
from harness.importers import own_run
from harness.importers.reading import Reading, raw_timing
from harness.results.load import ALL
from harness.results.run import (
    AA_CONTROL,
    BASELINE,
    ArmResult,
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
from tests.harness.gates import loaded, under_load


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
        finished_at="2026-01-01T00:01:00+00:00",
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


def test_failures_are_checks(tmp_path: Path) -> None:
    """A scenario that failed and an arm that cannot run are failed checks with stable names; the warnings have the errors."""
    run = a_run(latency("baseline", [1e6]))
    broken = ArmResult("optimised", "", errors={"lookup": "OSError: no server"})
    failed = replace(run.scenarios[0], name="other", latencies=[], status=ScenarioStatus.FAILED, error="arms disagree")
    write_run(replace(run, scenarios=[replace(run.scenarios[0], arms=[broken]), failed]), tmp_path)
    found = importers.reading(tmp_path)
    assert found.failed_checks == ("toy · sqlite, RTT 5 ms · optimised · lookup", "other · sqlite, RTT 5 ms")
    assert [warning.message.rpartition(": ")[2] for warning in found.warnings] == ["no server", "arms disagree"]
    write_run(replace(run, scenarios=[failed]), tmp_path / "failed")
    assert importers.reading(tmp_path / "failed").timings == ()


def test_settings_that_scenarios_share_identify_a_run(tmp_path: Path) -> None:
    """These are the engine's, without versions and results of the data, and the interpreter's, with their defaults."""
    run = a_run(latency("baseline", [1e6]))
    settings = {"sqlite": "3.40.1", "PRAGMA cache_size": "-2000", "PRAGMA page_count": "7", "PRAGMA synchronous": "1"}
    one = replace(run.scenarios[0], engine_settings=settings)
    other = replace(one, name="other", engine_settings=settings | {"PRAGMA synchronous": "2"})
    write_run(replace(run, scenarios=[one, other], environment={"optimised bytecode": "no"}), tmp_path)
    found = importers.reading(tmp_path).load_settings
    assert found["sqlite PRAGMA cache_size"] == "-2000"
    assert found["memory allocator"] == "default"
    assert not {"sqlite sqlite", "sqlite PRAGMA page_count", "sqlite PRAGMA synchronous"} & found.keys()


def test_a_load_run_has_its_load_failures_and_throughput(tmp_path: Path) -> None:
    """An operation that did not complete has failed, and one that did not start was dropped; sums over groups are left out."""
    arms = [
        loaded("baseline", errors=20, dropped=3, per_s=99.0),
        loaded("optimised", operations=0, unfinished=8),
        loaded(group=ALL),
    ]
    write_run(under_load(*arms), tmp_path)
    found = importers.reading(tmp_path)
    assert [(o.operations, o.errors, o.per_s) for o in found.operations] == [(820, 20, 99.0), (8, 8, 200.0)]
    assert found.operations[1].messages == {"unfinished at the drain timeout": 8}
    assert found.dropped == 3
    assert {key: value for key, value in found.load_settings.items() if not key.startswith("sqlite ")} == {
        "model": "open",
        "rate": "50 per second, evenly spaced",
        "duration": "30 s",
        "block": "5 s",
        "warm-up": "2 s",
        "drain timeout": "10 s",
        "in-flight limit": "1000",
        "size": "small",
        "seed": "0",
        "--quick": "False",
    }


@pytest.mark.parametrize(("interrupted", "how"), [(True, "was interrupted"), (False, "did not finish")])
def test_a_part_of_a_run_has_a_warning(tmp_path: Path, *, interrupted: bool, how: str) -> None:
    """Its results may be missing in a comparison."""
    write_run(replace(a_run(latency("baseline", [1e6])), finished_at=None, interrupted=interrupted), tmp_path)
    (warning,) = importers.reading(tmp_path).warnings
    assert how in warning.message


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
