"""The plugin's options, checked before anything is collected."""

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.pytest_plugin.options import FAIL, OPTIONS, is_requested

(SHARE,) = (convert for name, _, convert, *_ in OPTIONS if name == FAIL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--harness-size", "huge"], "unknown size 'huge'; choose from tiny, small, medium, large"),
        (["-p", "xdist.plugin", "-n", "2", "--benchmark-autosave"], "run this with -n 0"),
        (["-p", "xdist.plugin", "-n", "2", "--benchmark-only"], "run this with -n 0"),
        (["--harness-compare-fail=25%"], "add --benchmark-compare"),
        (["--harness-compare-fail=25%", "--benchmark-compare", "--benchmark-disable"], "no --benchmark-disable"),
        (["--harness-compare-fail=fast", "--benchmark-compare"], "'fast' is not a percentage from 0; try 25%"),
        (["--harness-compare-fail=25%", "--benchmark-compare"], "save one first, with --benchmark-autosave"),
        (["--benchmark-compare", "trials"], "write the path before it: pytest trials --benchmark-compare"),
        (["--benchmark-compare", "tests/test_own.py::test_own"], "took 'tests/test_own.py::test_own' as the saved run"),
        (["--harness-scenarios", "trails"], "--harness-scenarios trails: "),
    ],
    ids=[
        "size",
        "xdist",
        "xdist and only",
        "no compare",
        "disabled",
        "no percentage",
        "nothing saved",
        "a folder",
        "a test",
        "no folder",
    ],
)
def test_options_that_can_only_mislead_are_usage_errors(project: Any, arguments: list[str], message: str) -> None:
    """The exit code is 4, and one line states what to do."""
    done = project.pytest(*arguments)
    assert done.returncode == 4, done.stdout + done.stderr
    assert message in done.stderr


@pytest.mark.slow
def test_a_gate_without_scenarios_is_a_usage_error(project: Any) -> None:
    """A gate that always passes is refused."""
    project.write("pyproject.toml", "")
    done = project.pytest("--harness-compare-fail=25%", "--benchmark-compare")
    assert done.returncode == 4
    assert "set `scenarios` in [tool.harness]" in done.stderr


@pytest.mark.slow
def test_parallel_workers_may_run_the_arms_without_times(project: Any) -> None:
    """Only measuring is refused under pytest-xdist."""
    done = project.pytest("-p", "xdist.plugin", "-n", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("text", ["", "25", "-1%", "nan%", "inf%", "x%"])
def test_only_a_percentage_from_0_up_is_one(text: str) -> None:
    """Anything else is refused, so that a typing error does not disable the gate."""
    with pytest.raises(argparse.ArgumentTypeError, match="percentage"):
        SHARE(text)


def test_a_percentage_is_a_share() -> None:
    """A percentage may have a fraction, unlike that of pytest-benchmark's own option."""
    assert SHARE("2.5%") == 0.025


@pytest.mark.parametrize(
    ("text", "requested"),
    [
        ("[tool.harness]\n", True),
        ("[tool]\nharness = {size = 'tiny'}\n", True),
        ("tool = {harness = {}}\n", True),
        ("tool.harness.size = 'tiny'\n", True),
        ('["tool" . "harness"]\n', True),
        ("[tool.harness\n", True),
        ("[project]\ndependencies = ['harness']\n", False),
        ("[tool.other]\nx = 'tool.harness'\n", False),
        ("tool = 1\nharness = 1\n", False),
        ("harness\n", False),
        ("", False),
    ],
)
def test_a_project_requests_the_plugin_by_its_settings(tmp_path: Path, text: str, requested: bool) -> None:
    """However the table is written, and not where only its name is in the file; a file that cannot be read is refused later."""
    (tmp_path / "pyproject.toml").write_text(text)
    config: Any = SimpleNamespace(rootpath=tmp_path, getoption={name: default for name, default, *_ in OPTIONS}.get)
    assert is_requested(config) is requested


@pytest.mark.slow
def test_settings_of_the_project_are_the_defaults(project: Any) -> None:
    """The time and the folder are those of [tool.harness]; the command line wins, and a wrong key is a usage error."""
    project.write("pyproject.toml", '[tool.harness]\nscenarios = "trials"\nbudget = "7s"\nsize = "medium"\n')
    announced = "timed for 7 s in all"
    done = project.pytest("--benchmark-only", "--harness-processes", "1", "-k", "nothing")
    assert announced not in done.stdout
    done = project.pytest("--benchmark-only", "--harness-processes", "1", "--harness-size", "tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    assert announced in done.stdout
    project.write("pyproject.toml", '[tool.harness]\nscenario = "trials"\n')
    done = project.pytest()
    assert done.returncode == 4
    assert "pyproject.toml: [tool.harness] has an unknown key 'scenario'; did you mean 'scenarios'?" in done.stderr
    project.write("pyproject.toml", "")
    assert "4 passed" in project.pytest("--harness-scenarios", "trials").stdout
