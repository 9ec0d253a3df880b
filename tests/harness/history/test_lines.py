"""Which results of a scenario are comparable over runs."""

from dataclasses import replace
from typing import Any

import pytest

from harness.history.lines import PlacedResult, lines, other_times, other_work
from harness.results.run import Run, RunKind
from tests.harness import gates


def scenario_run(place: int = 0, run: Run | None = None, **changes: object) -> PlacedResult:
    """Return a scenario's result in a run."""
    made = run or gates.run()
    return PlacedResult(place, made, replace(made.scenarios[0], **changes), place)  # type: ignore[arg-type]


def with_environment(**facts: str) -> Run:
    """Return a run with other facts about its environment."""
    made = gates.run()
    return replace(made, environment=made.environment | facts)


OTHER: dict[str, dict[str, Any]] = {
    "cpu": {"run": with_environment(cpu="Xeon")},
    "python": {"run": with_environment(python="CPython 3.12.1")},
    "size": {"run": gates.run(settings=replace(gates.SETTINGS, size="tiny"))},
    "preview": {"run": gates.run(settings=replace(gates.SETTINGS, quick=True))},
    "kind": {"run": gates.run(kind=RunKind.LOAD)},
    "load": {"load_settings": {"rate": "50"}},
    "data": {"dataset": {"digest": "other"}},
    "engine": {"engine_settings": {"sqlite": "3.45.1", "PRAGMA cache_size": "-2000"}},
    "engine's setting": {"engine_settings": {"sqlite": "3.40.1", "PRAGMA cache_size": "-9"}},
}


@pytest.mark.parametrize("name", OTHER)
def test_another_machine_or_setting_is_a_line_of_its_own(name: str) -> None:
    """The reason is stated; the first line goes on when its setting is back."""
    results = [scenario_run(0), scenario_run(1, **OTHER[name]), scenario_run(2)]
    found = lines(results, other_times)
    assert [[each.place for each in line.results] for line in found] == [[0, 2], [1]]
    assert found[0].difference == ""
    assert found[1].difference


@pytest.mark.parametrize("name", OTHER)
def test_work_counts_depend_on_versions_and_data_only(name: str) -> None:
    """Another machine or load does the same work."""
    found = lines([scenario_run(0), scenario_run(1, **OTHER[name])], other_work)
    assert len(found) == (1 if name in {"cpu", "load"} else 2)


def test_patch_levels_and_the_machines_state_make_no_lines() -> None:
    """Nor does the time of day, or a baseline's own facts."""
    other = with_environment(python="CPython 3.11.9", **{"load average at start": "3", "baseline accepted": "2026-01-01"})
    assert len(lines([scenario_run(0), scenario_run(1, other)], other_times)) == 1


def of_file(**facts: str) -> PlacedResult:
    """Return a benchmark of another tool's file."""
    return scenario_run(0, gates.run(kind=RunKind.FILE, environment={"file": facts.get("cpu", ""), "SHA-256": "1", **facts}))


def test_files_of_other_tools_are_distinguished_by_their_machines() -> None:
    """Not by their names and bytes, the kernel's build, or Python's patch level."""
    first = of_file(cpu="EPYC", python_version="3.11.2", release="6.1")
    assert other_times(first, of_file(cpu="EPYC", python_version="3.11.9", release="6.2")) == ""
    assert "cpu EPYC and Xeon" in other_times(first, of_file(cpu="Xeon", python_version="3.11.2"))
    assert "python_version 3.11 and 3.12" in other_times(first, of_file(cpu="EPYC", python_version="3.12.0"))
