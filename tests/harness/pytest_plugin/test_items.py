"""Scenarios as pytest items, through real pytest processes in another project."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.pytest_plugin.recorded import LIMIT

QUICK = ("--harness-budget", "0.5", "--harness-processes", "2")


@pytest.mark.slow
def test_plain_pytest_runs_each_arm_once(project: Any) -> None:
    """There is one item per arm, and nothing is timed."""
    done = project.pytest("-v")
    assert done.returncode == 0, done.stdout
    for arm in ("baseline", "proposed", "optimised"):
        assert f"trials/adding.py::sum[{arm}] PASSED" in done.stdout
    assert "4 passed" in done.stdout
    assert "Name (time in" not in done.stdout


@pytest.mark.slow
def test_helpers_beside_scenarios_are_not_items(project: Any) -> None:
    """conftest.py and helpers are not collected as scenarios; a file without one that is named is refused with the next step."""
    project.write("trials/conftest.py", "import pytest\n")
    project.write("trials/helpers.py", "VALUE = 1\n")
    project.write("trials/tables.py", "import harness\n\n\nclass Own(harness.Arm): ...\n")
    done = project.pytest("-q", "--collect-only")
    assert done.returncode == 0, done.stdout
    assert "4 tests collected" in done.stdout
    named = project.pytest("-q", "--collect-only", "trials/tables.py")
    assert named.returncode == 2, named.stdout
    assert "exactly one subclass of Scenario, found none; rename a helper, for example to _tables.py" in named.stdout


@pytest.mark.slow
def test_scenarios_that_could_not_be_timed_do_not_pass(project: Any) -> None:
    """A session in which they were all that could run ends as one without tests, with the next step; a test that ran may pass."""
    options = ("--benchmark-autosave", "--harness-engine", "postgres", *QUICK)
    done = project.pytest("--benchmark-only", *options)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
    line = (
        "harness: nothing was measured: adding was not run: it supports sqlite only; choose another scenario, --harness-engine or"
    )
    assert line in done.stdout
    assert not project.saved
    assert project.pytest(*options).returncode == 0
    assert project.pytest("trials", "--harness-engine", "postgres").returncode == 0


@pytest.mark.slow
def test_bare_benchmark_compare_works_with_and_without_a_saved_run(project: Any) -> None:
    """Ratio, interval and work counts are saved by the first run, and compared by the second."""
    first = project.pytest("--benchmark-compare", "--benchmark-autosave", *QUICK)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "benchmark 'adding: sum': 3 tests" in first.stdout
    assert "no saved run to compare with" not in first.stdout
    assert "times faster than the baseline" in first.stdout
    (saved,) = project.saved
    stored = {b["name"]: b for b in json.loads(saved.read_text())["benchmarks"]}
    info = stored["sum[optimised]"]["extra_info"]["harness"]
    assert info["times_faster"] > 2
    assert info["interval_95"][0] < info["times_faster"] < info["interval_95"][1]
    assert info["percentiles_ns"]["50"] > 0
    assert info["pairs"] > 1
    assert ("steps", 1) in [(e["metric"], e["value"]) for e in info["work_counts"]]
    second = project.pytest("--benchmark-compare", *QUICK)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Comparing against benchmarks from" in second.stderr
    assert "machine_info is different" not in second.stderr
    assert "sum[optimised] (NOW)" in second.stdout
    assert f"paired ratios and work counts since {saved.parent.name}/{saved.name}" in second.stdout
    assert second.stdout.count("work counts equal (") == 3
    assert second.stdout.count("] before, ") == 2


@pytest.mark.slow
def test_a_wrong_answer_fails_every_arm_by_name(project: Any) -> None:
    """The message names the arm and the case, without a traceback of the plugin."""
    project.replace("trials/adding.py", "return sum(list(range(case.args)))", "return 13")
    done = project.pytest()
    assert done.returncode == 1
    assert "adding: proposed gives another answer than baseline to case 'sum 20000': 13" in done.stdout
    assert "pytest_plugin" not in done.stdout


def test_a_broken_scenario_is_an_error_that_names_its_file(project: Any) -> None:
    """The collection error names the file and the reason."""
    project.write("trials/broken_one.py", "import nothing_like_it; from harness import Scenario\n")
    done = project.pytest("--collect-only", "-q")
    assert done.returncode == 2
    assert "broken_one.py, line 1, cannot be imported: ModuleNotFoundError" in done.stdout


def test_without_the_setting_nothing_is_collected(project: Any) -> None:
    """Folders of another project are ignored, whatever their names."""
    project.write("pytest.ini", "[pytest]\n")
    project.write("pyproject.toml", "")
    done = project.pytest("--collect-only", "-q", "trials", "tests")
    assert "adding" not in done.stdout
    assert "test_own" in done.stdout


CASES = Path(__file__).parents[2] / "cases" / "scenarios"


@pytest.mark.slow
def test_a_quick_operation_is_recorded_by_a_limited_number_of_times(project: Any) -> None:
    """A saved item stays small; minimum and maximum are of all operations, and the budget is announced."""
    shutil.copy(CASES / "member.py", project.path / "trials" / "member.py")
    arguments = ("trials/member.py", "--benchmark-only", "--harness-budget=1", "--benchmark-json=it.json")
    done = project.pytest(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "harness: 1 scenario, timed for 1 s in all (--harness-budget), plus start-up" in done.stdout
    assert (project.path / "it.json").stat().st_size < 2_000_000
    found = {b["name"]: b for b in json.loads((project.path / "it.json").read_text())["benchmarks"]}
    quick = found["lookup[optimised]"]
    info, stats = quick["extra_info"]["harness"], quick["stats"]
    assert len(stats["data"]) == info["recorded"] <= LIMIT
    assert info["recorded"] <= info["samples"] == stats["rounds"]
    assert stats["min"] <= min(stats["data"]) <= max(stats["data"]) <= stats["max"]
    assert stats["max"] == info["max_ns"] / 1e9
    supported = {label: ns for label, ns in info["percentiles_ns"].items() if ns is not None}  # fewer on a busy machine
    assert "50" in supported
    for label in {"50", "95", "99"} & supported.keys():
        assert np.quantile(stats["data"], float(label) / 100) == pytest.approx(supported[label] / 1e9, rel=0.05)


@pytest.mark.slow
def test_warnings_and_hints_name_options_of_pytest(project: Any) -> None:
    """Those of `harness run` have other names; without a saved run, the option that saves one is named."""
    done = project.pytest("trials", "--benchmark-compare", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "run with --harness-processes 5" in " ".join(done.stdout.split())
    assert "--quick" not in done.stdout
    assert "there was no saved run to compare with; save one: --benchmark-autosave" in done.stdout
