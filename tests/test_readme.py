"""The README keeps its word: its scenario runs, its commands exist, its picture is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.cli import _parser
from harness.results.store import read_run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_scenario_shown_runs_as_it_stands(tmp_path: Path) -> None:
    """Copied into a folder of a stranger's, it is tried and gets its verdict."""
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "membership.py").write_text(code)
    command = [sys.executable, "-m", "harness", "run", "mine", "--quick", "--processes", "2", "--budget", "1", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (result,) = read_run(tmp_path / "run").scenarios
    assert [v.promise for v in result.verdicts] == ["X1"]


def test_every_make_target_named_exists() -> None:
    """`make x` in the README is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert named
    assert named <= targets


def test_every_file_linked_exists() -> None:
    """Pictures and pages of this repository are where the README says."""
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_harness_command_shown_is_one() -> None:
    """In the table of what to type, options and all; what stands for a folder or a file of the reader's may be anything."""
    rows = [row for row in README.splitlines() if row.startswith("| ")]
    shown = {line for row in rows for line in re.findall(r"`(harness [^`]+)`", row)}
    assert len(shown) > 15
    for line in shown:
        _parser().parse_args(shlex.split(line)[1:])


def test_the_workflow_is_one_and_its_gates_are_commands() -> None:
    """It is YAML with two jobs, each of which ends in a gate."""
    (text,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    jobs = yaml.safe_load(text)["jobs"]
    assert len(jobs) == 2
    for job in jobs.values():
        lines = [step["run"] for step in job["steps"] if step.get("run", "").startswith("harness ")]
        assert "gate" in lines[-1].split()
        for line in lines:
            _parser().parse_args(shlex.split(line)[1:])
