"""The README keeps its word: its scenario runs, its commands exist, its picture is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.run_file import read_run

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
