"""Invalid comparisons with saved runs, each an error, through real pytest processes."""

import json
import re
from typing import Any

import pytest

from harness.pytest_plugin.saved import another_machine

pytestmark = pytest.mark.slow
BENCHMARK = "import time\n\ndef test_pause(benchmark):\n    benchmark.pedantic(time.sleep, (0.001,), rounds=3)\n"
OTHER = "\ndef test_another(benchmark):\n    benchmark.pedantic(int, rounds=3)\n"
PARAMETRISED = """
import pytest

@pytest.mark.parametrize('x', {})
def test_it(benchmark, x):
    benchmark.pedantic(repr, (x,), rounds=3)
"""
OWN = ("tests", "--benchmark-compare")
"""Ordinary benchmarks only: the guards apply to every benchmark of a session."""


@pytest.fixture
def guarded(project: Any) -> Any:
    """Return a project with two saved benchmarks that are not scenarios."""
    project.write("tests/test_own.py", BENCHMARK + OTHER)
    project.save("tests")
    return project


def test_a_renamed_benchmark_is_an_error(guarded: Any) -> None:
    """The message names the old benchmark and its likely new name."""
    guarded.replace("tests/test_own.py", "test_pause", "test_paused")
    done = guarded.pytest(*OWN)
    assert done.returncode == 4
    assert "not collected now: tests/test_own.py::test_pause;" in done.stderr
    assert "'tests/test_own.py::test_pause' may have been renamed to 'tests/test_own.py::test_paused'" in done.stderr


def test_a_renamed_file_is_an_error(guarded: Any) -> None:
    """Benchmarks saved from a file that is missing now are reported."""
    (guarded.path / "tests" / "test_own.py").rename(guarded.path / "tests" / "test_mine.py")
    done = guarded.pytest(*OWN)
    assert done.returncode == 4
    assert "'tests/test_own.py::test_pause' may have been renamed to 'tests/test_mine.py::test_pause'" in done.stderr


@pytest.mark.parametrize("choice", [["-k", "another"], ["tests/test_own.py::test_another"]], ids=["by name", "by node"])
def test_a_part_of_a_file_may_be_compared(guarded: Any, choice: list[str]) -> None:
    """Benchmarks that were deselected do not count as missing."""
    done = guarded.pytest(*choice, "--benchmark-compare")  # before a path, the option would take the path as its value
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_other_parameters_under_the_same_name_are_an_error(project: Any) -> None:
    """Pytest numbers parameters without ids, so that other parameters may get the same number."""
    project.write("tests/test_own.py", PARAMETRISED.format([[1, 2], [3]]))
    project.save("tests")
    project.replace("tests/test_own.py", "[[1, 2], [3]]", "[[0], [3]]")
    done = project.pytest(*OWN)
    assert done.returncode == 4
    assert "with other parameters: tests/test_own.py::test_it[x0];" in done.stderr


def test_a_regressed_run_does_not_become_the_next_baseline(guarded: Any) -> None:
    """The same slow code fails a second time too, since it was not saved the first time."""
    (saved,) = guarded.saved
    guarded.replace("tests/test_own.py", "0.001", "0.05")
    for _ in range(2):
        done = guarded.pytest(*OWN, "--benchmark-autosave", "--benchmark-compare-fail=min:500%")
        assert done.returncode == 1
        assert "not saved, since later runs would be compared with it" in done.stdout
        assert guarded.saved == [saved]


def test_a_large_change_is_a_warning_and_no_failure(guarded: Any) -> None:
    """Separate runs of the same code may differ so much: the command that times both is named."""
    guarded.replace("tests/test_own.py", "0.001", "0.05")
    done = guarded.pytest(*OWN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"large changes of stored times: .*tests/test_own\.py::test_pause \S+ (% slower|times as long)", done.stdout)
    assert "to confirm a difference, time both: harness gate --against REF" in done.stdout


def test_a_run_with_a_failed_test_is_not_saved_and_its_file_is_not_a_baseline(guarded: Any) -> None:
    """The file that `--benchmark-json` writes nevertheless is marked, and refused."""
    (saved,) = guarded.saved
    guarded.replace("tests/test_own.py", "rounds=3)\n\ndef", "rounds=3)\n    assert 0\n\ndef")
    done = guarded.pytest("tests", "--benchmark-save=mine", "--benchmark-json=failed.json")
    assert done.returncode == 1
    assert guarded.saved == [saved]
    assert json.loads((guarded.path / "failed.json").read_text())["harness"] == {"failed": "1 test failed"}
    done = guarded.pytest("tests", "--benchmark-compare=failed.json")
    assert done.returncode == 4
    assert "failed.json is a run that failed (1 test failed), not a baseline" in done.stderr


def test_times_of_another_machine_are_reported_and_never_judged(guarded: Any, doctor: Any) -> None:
    """A plain comparison has a warning, and a threshold is refused."""
    (saved,) = guarded.saved
    doctor(saved, lambda data: data["machine_info"].update(cpu={"brand_raw": "Abacus"}, python_version="2.7.18"))
    done = guarded.pytest(*OWN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"cannot be compared: another machine or interpreter: cpu Abacus and .*, python 2\.7\.18 and \S+", done.stdout)
    done = guarded.pytest(*OWN, "--benchmark-compare-fail=min:5%")
    assert done.returncode == 4
    assert "--benchmark-compare-fail would compare times that are not comparable" in done.stderr


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("[object()]", "parameter 'x' is of type object, which would be saved as a description"),
        ("[float('nan')]", "parameter 'x' is NaN or infinite"),
        ("[[1.0, float('inf')]]", "parameter 'x' is NaN or infinite, or contains such a number"),
    ],
    ids=["an object", "NaN", "infinity inside"],
)
def test_a_parameter_that_json_cannot_hold_fails_if_saved(project: Any, parameters: str, message: str) -> None:
    """The test fails if it would be saved, and passes otherwise."""
    project.write("tests/test_own.py", PARAMETRISED.format(parameters))
    done = project.pytest("tests", "--benchmark-json=it.json")
    assert done.returncode == 1
    assert message in done.stdout
    assert json.loads((project.path / "it.json").read_text())["benchmarks"] == []
    assert project.pytest("tests").returncode == 0


def test_an_object_in_the_test_s_name_may_be_saved(project: Any) -> None:
    """A function is identified by its name in the test's id."""
    project.write("tests/test_own.py", PARAMETRISED.format("[int, len]"))
    assert len(json.loads(project.save("tests").read_text())["benchmarks"]) == 2


def test_extra_info_that_is_not_finite_fails_if_saved(project: Any) -> None:
    """NaN is not valid JSON, so that other tools could not read the file."""
    project.write(
        "tests/test_own.py", "def test_it(benchmark):\n    benchmark.extra_info['x'] = float('nan')\n    benchmark(int)\n"
    )
    done = project.pytest("tests", "--benchmark-autosave", "--benchmark-max-time=0.001")
    assert done.returncode == 1
    assert "extra_info['x'] is NaN or infinite" in done.stdout
    assert project.saved == []


def test_a_project_without_scenarios_is_not_guarded(project: Any) -> None:
    """A project that only has this package installed keeps pytest-benchmark's behaviour."""
    project.write("pytest.ini", "[pytest]\n")
    project.write("pyproject.toml", "")
    project.write("tests/test_own.py", BENCHMARK + "    assert 0\n")
    done = project.pytest("tests", "--benchmark-autosave")
    assert done.returncode == 1
    assert len(project.saved) == 1


def test_a_patch_version_and_a_clock_rate_do_not_make_another_machine() -> None:
    """Only facts that change times count."""
    cpu = {"brand_raw": "Abacus", "hz_actual": [1, 0]}
    old = {"system": "Linux", "python_version": "3.11.7", "cpu": cpu}
    assert another_machine(old, old | {"python_version": "3.11.9", "cpu": cpu | {"hz_actual": [2, 0]}}) == ""
    assert another_machine(old, old | {"python_version": "3.12.0"}) == "another machine or interpreter: python 3.11.7 and 3.12.0"


def test_times_under_another_distortion_are_not_compared(project: Any) -> None:
    """Tracemalloc is recorded and warned of once; a plain comparison with it has a warning, and a threshold is refused."""
    project.write("tests/test_own.py", BENCHMARK + OTHER)
    traced = project.pytest("tests", "--benchmark-autosave", PYTHONTRACEMALLOC="1")
    assert traced.stdout.count("times of this run are distorted by tracemalloc; run the benchmarks without it") == 1
    (saved,) = project.saved
    infos = [benchmark["extra_info"] for benchmark in json.loads(saved.read_text())["benchmarks"]]
    assert infos == [{"distortions": ["tracemalloc"]}] * 2
    done = project.pytest(*OWN)
    assert done.returncode == 0, done.stdout + done.stderr
    reason = "tests/test_own.py::test_pause was timed under tracemalloc, and now under nothing that distorts"
    assert f"cannot be compared: {reason}" in done.stdout
    assert "machine_info is different" not in done.stderr
    done = project.pytest(*OWN, "--benchmark-compare-fail=min:500%")
    assert done.returncode == 4
    assert f"{reason}; --benchmark-compare-fail would compare times that are not comparable" in done.stderr
    done = project.pytest(*OWN, PYTHONTRACEMALLOC="1")
    assert "cannot be compared" not in done.stdout


def test_scenarios_are_timed_without_the_distortions_of_pytest(project: Any) -> None:
    """Their workers start without them, which is stated once, and the times of the items are comparable."""
    arguments = ("trials", "--benchmark-json=it.json", "--harness-budget=0.5", "--harness-processes=1")
    done = project.pytest(*arguments, PYTHONDEVMODE="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("workers start without PYTHONDEVMODE, which would distort times and counts") == 1
    assert "times of this run are distorted" not in done.stdout
    benchmarks = json.loads((project.path / "it.json").read_text())["benchmarks"]
    assert [list(benchmark["extra_info"]) for benchmark in benchmarks] == [["harness"]] * 3
