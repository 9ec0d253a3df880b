"""The pytest adapter, through real pytest processes in a project of a stranger's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from harness.as_pytest import Replay, Trials
from harness.discovery import Loaded, load
from harness.record import ScenarioResult

TOYS = Path(__file__).parents[1] / "toys"
TOY = TOYS / "adding.py"
QUICK = ("--harness-budget", "0.5", "--harness-processes", "2")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with one scenario and one ordinary test."""
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "adding.py").write_text(TOY.read_text())
    (tmp_path / "trials" / "locustfile.py").write_text("raise RuntimeError('not for pytest')")
    (tmp_path / "pytest.ini").write_text("[pytest]\nharness_scenarios = trials\ntestpaths = trials tests\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_own.py").write_text("def test_own():\n    assert True\n")
    return tmp_path


def run_pytest(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in the project."""
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", *arguments]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}  # it is nobody's worker
    return subprocess.run(command, cwd=project, env=alone, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_plain_pytest_tries_each_arm_once(project: Path) -> None:
    """One item an arm, and nothing is timed."""
    done = run_pytest(project, "-v")
    assert done.returncode == 0, done.stdout
    for arm in ("baseline", "proposed", "optimised"):
        assert f"trials/adding.py::sum[{arm}] PASSED" in done.stdout
    assert "4 passed" in done.stdout
    assert "Name (time in" not in done.stdout


@pytest.mark.slow
def test_bare_benchmark_compare_works_with_and_without_a_saved_run(project: Path) -> None:
    """First nothing to compare with, then a saved run; the stored JSON carries percentiles, ratio and interval."""
    first = run_pytest(project, "--benchmark-compare", "--benchmark-autosave", *QUICK)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "benchmark 'adding: sum': 3 tests" in first.stdout
    assert "times faster than the baseline" in first.stdout
    (saved,) = project.glob(".benchmarks/*/*.json")
    stored = {b["name"]: b for b in json.loads(saved.read_text())["benchmarks"]}
    info = stored["sum[optimised]"]["extra_info"]["harness"]
    assert info["times_faster"] > 2
    assert info["interval_95"][0] < info["times_faster"] < info["interval_95"][1]
    assert info["percentiles_ns"]["50"] > 0
    assert info["pairs"] > 1
    second = run_pytest(project, "--benchmark-compare", *QUICK)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Comparing against benchmarks from" in second.stderr
    assert "sum[optimised] (NOW)" in second.stdout


@pytest.mark.slow
def test_a_wrong_answer_fails_every_arm_by_name(project: Path) -> None:
    """The message names the arm and the case, without a traceback of ours."""
    file = project / "trials" / "adding.py"
    file.write_text(file.read_text().replace("return sum(list(range(case.args)))", "return 13"))
    done = run_pytest(project)
    assert done.returncode == 1
    assert "adding: proposed gives another answer than baseline to case 'sum 20000': 13" in done.stdout
    assert "as_pytest.py" not in done.stdout


def test_a_broken_scenario_is_an_error_that_names_its_file(project: Path) -> None:
    """Collection says which file and why."""
    (project / "trials" / "broken_one.py").write_text("import nothing_like_it\n")
    done = run_pytest(project, "--collect-only", "-q")
    assert done.returncode == 2
    assert "broken_one.py, line 1, cannot be imported: ModuleNotFoundError" in done.stdout


def test_without_the_ini_option_nothing_is_collected(project: Path) -> None:
    """A stranger's folder of that name is left alone."""
    (project / "pytest.ini").write_text("[pytest]\n")
    done = run_pytest(project, "--collect-only", "-q", "trials", "tests")
    assert "adding" not in done.stdout
    assert "test_own" in done.stdout


def test_an_unknown_size_is_refused(project: Path) -> None:
    """Before anything is collected."""
    done = run_pytest(project, "--harness-size", "huge")
    assert done.returncode == 4
    assert "no size named 'huge'; known: tiny, small, medium, large" in done.stderr


def test_the_replay_timer_gives_back_what_it_was_given() -> None:
    """Reading before and after each round yields the recorded durations in order."""
    replay = Replay()
    replay.load([0.5, 0.25, 2.0])
    spans = []
    for _ in range(3):
        start = replay()
        spans.append(replay() - start)
    assert spans == [0.5, 0.25, 2.0]


@pytest.mark.parametrize("worker", [True, False])
def test_a_worker_tries_only_the_scenarios_it_is_sent(worker: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of pytest-xdist's workers collects every file; without workers all scenarios are tried together."""
    loaded = [load(TOYS / f"{name}.py") for name in ("adding", "switching")]
    asked: list[list[str]] = []

    def measure(_: Trials, wanted: list[Loaded]) -> list[ScenarioResult]:
        asked.append([one.name for one in wanted])
        return [ScenarioResult(one.name, "", "", "", "sqlite", 0.0, "ok") for one in wanted]

    monkeypatch.setattr(Trials, "_measure", measure)
    config = SimpleNamespace(workerinput={}) if worker else SimpleNamespace()
    trials = Trials(cast("pytest.Config", config))
    trials.wanted = loaded
    assert [trials._result(one).name for one in loaded * 2] == ["adding", "switching"] * 2
    assert asked == ([["adding"], ["switching"]] if worker else [["adding", "switching"]])
