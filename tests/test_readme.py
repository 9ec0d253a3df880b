"""README and docs: the scenario runs, the commands exist, the links lead somewhere, the workflow is valid."""

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
PAGES = [ROOT / "README.md", *(page for folder in ("docs", "examples") for page in sorted((ROOT / folder).rglob("*.md")))]


@pytest.mark.slow
def test_the_scenario_shown_runs_as_it_stands(tmp_path: Path) -> None:
    """Copied into an empty folder, it runs and gets its verdict; it has at most 20 lines and one import line."""
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(code.splitlines()) <= 20
    assert len(re.findall(r"^(?:from|import) ", code, flags=re.MULTILINE)) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "membership.py").write_text(code)
    command = [sys.executable, "-m", "harness", "run", "mine", "--quick", "--processes", "2", "--budget", "100", "--out", "run"]
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


def links(page: Path) -> list[str]:
    """Return a page's links to files of this repository."""
    return [link for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")) if "://" not in link]


def test_the_readme_is_one_screen_and_links() -> None:
    """It has at most 200 lines, and links to files: its picture, and pages of documentation."""
    assert len(README.splitlines()) <= 200
    assert {Path(link).suffix for link in links(ROOT / "README.md")} >= {".png", ".md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_linked_exists(page: Path) -> None:
    """Pictures and pages of this repository are at the linked path."""
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


def test_every_harness_command_shown_is_one() -> None:
    """Each command in the README's table parses, with its options; the names of files and folders may be anything."""
    rows = [row for row in README.splitlines() if row.startswith("| ")]
    shown = {line for row in rows for line in re.findall(r"`(harness [^`]+)`", row)}
    assert len(shown) > 15
    for line in shown:
        _parser().parse_args(shlex.split(line)[1:])


def test_the_workflow_is_valid_and_its_gates_are_commands() -> None:
    """Every YAML block is valid; one is a workflow of two jobs. The steps of each job, and those shown alone, end in a gate."""
    texts = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    blocks = [yaml.safe_load(text) for text in texts]
    (jobs,) = [block["jobs"] for block in blocks if isinstance(block, dict)]
    assert len(jobs) == 2
    for steps in (*(job["steps"] for job in jobs.values()), *(block for block in blocks if isinstance(block, list))):
        lines = [step["run"].partition(" || ")[0] for step in steps if step.get("run", "").startswith("harness ")]
        assert "gate" in lines[-1].split()
        for line in lines:
            _parser().parse_args(shlex.split(line)[1:])
