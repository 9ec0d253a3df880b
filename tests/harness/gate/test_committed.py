"""A baseline of a commit: what the base branch has decides, whatever the pull request changes."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import NotComparableError, UsageError
from harness.gate import committed
from harness.results.run import Run
from harness.results.store import write_json, write_run
from tests.harness.gates import result, run

Refused = Callable[[Sequence[str], str], None]
BASELINE = "baselines/main.json"
LOOSE = '[tool.harness.gate.tolerances]\n"indexes.statements" = 9.0\n'


def git(*arguments: str) -> None:
    """Run git in the current folder."""
    identity = {f"GIT_{role}_{part}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", *arguments], env=environment, check=True, capture_output=True)


def commit(baseline: Run | None) -> None:
    """Commit everything, with this baseline."""
    if baseline:
        write_json(baseline, Path(BASELINE))
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", "x")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project whose main branch has a baseline, with a branch checked out."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--initial-branch", "main")
    Path("pyproject.toml").write_text("[project]\nname = 'x'\n")
    Path(".gitignore").write_text("/runs/\n")
    commit(run())
    git("checkout", "--quiet", "-b", "change")
    return tmp_path


def test_a_pull_request_that_edits_the_baseline_is_judged_by_the_base_branch(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does one more statement, and accepts that itself: its own baseline passes, the one of the main branch does not."""
    worse = run(result(statements=4))
    write_run(worse, project / "runs" / "candidate")
    assert main(["baseline", "accept", "runs/candidate", "--regressed-on-purpose", "because"]) == 0
    commit(None)
    assert main(["gate", BASELINE, "runs/candidate"]) == 0
    capsys.readouterr()
    assert main(["gate", f"main:{BASELINE}", "runs/candidate", "--markdown", "-"]) == 1
    said = capsys.readouterr().out
    assert "Gate failed: 2 of " in said
    assert f"Baseline main:{BASELINE}, candidate runs/candidate." in said


@pytest.mark.parametrize("inside", [".", "folder"])
def test_a_pull_request_cannot_tolerate_its_own_regression(
    project: Path, inside: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the scenario's tolerances nor the project's are taken from it, in whichever folder the gate runs."""
    lenient = partial(result, tolerances={"statements": 9.0}, higher_is_better=["statements"])
    write_run(run(lenient(statements=4)), project / "runs" / "candidate")
    Path("pyproject.toml").write_text(LOOSE)
    commit(None)
    assert main(["gate", BASELINE, "runs/candidate"]) == 0, "so they would be"
    (project / "folder").mkdir()
    monkeypatch.chdir(project / inside)
    capsys.readouterr()
    assert main(["gate", f"main:{BASELINE}", str(project / "runs" / "candidate")]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "other tolerances of" in said
    monkeypatch.chdir(project)
    git("checkout", "--quiet", "main")
    commit(run(lenient()))
    assert main(["gate", f"main:{BASELINE}", "runs/candidate"]) == 0, "merged, they decide"


def test_a_file_below_the_current_folder_is_that_of_its_project(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a repository of several projects each has its own baseline, which `./` before the file means, as it does for git."""
    folder = project / "packages" / "my project"
    (folder / "baselines").mkdir(parents=True)
    write_json(run(result(statements=4)), folder / BASELINE)
    commit(None)
    worse = run(result(statements=4))
    write_run(worse, project / "runs" / "candidate")
    monkeypatch.chdir(folder)
    candidate = str(project / "runs" / "candidate")
    assert main(["gate", f"HEAD:./{BASELINE}", candidate]) == 0
    assert main(["gate", f"HEAD:{BASELINE}", candidate]) == 1
    capsys.readouterr()


def test_tolerances_of_the_base_branch_decide(project: Path) -> None:
    """A regression that its project tolerates passes, although the change removed the setting."""
    git("checkout", "--quiet", "main")
    Path("pyproject.toml").write_text(LOOSE)
    commit(None)
    git("checkout", "--quiet", "change")
    write_run(run(result(statements=4)), project / "runs" / "candidate")
    assert main(["gate", BASELINE, "runs/candidate"]) == 1
    assert main(["gate", f"main:{BASELINE}", "runs/candidate"]) == 0


def test_an_unfinished_baseline_of_a_commit_is_not_compared(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As one of a file is not: missing figures would pass."""
    write_run(run(), project / "runs" / "candidate")
    git("checkout", "--quiet", "main")
    for unfit in (run(interrupted=True), run(finished_at=None)):
        commit(unfit)
        assert main(["gate", f"main:{BASELINE}", "runs/candidate"]) == 4
        assert "≠ not comparable: the run " in capsys.readouterr().out


def test_a_branch_without_a_baseline_is_not_comparable(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in the change that brings the first one; test reporters show it as well."""
    write_run(run(), project / "runs" / "candidate")
    assert main(["gate", "main:baselines/other.json", "runs/candidate", "--junit", "gate.xml"]) == 4
    assert "main has no file baselines/other.json; accept a baseline on that branch" in " ".join(capsys.readouterr().out.split())
    assert 'errors="2"' in Path("gate.xml").read_text()
    with pytest.raises(NotComparableError, match="main has no file baselines"):
        committed.baseline("main:baselines", project)


def test_files_of_other_tools_are_read_from_a_commit(project: Path) -> None:
    """A result file of pytest-benchmark that the base branch has is compared under its name."""
    stats = {"rounds": 3, "iterations": 1, "min": 1.0, "max": 1.0, "mean": 1.0, "median": 1.0, "data": [1.0, 1.0, 1.0]}
    benchmark = {"name": "a", "fullname": "a", "stats": stats}
    saved = {"machine_info": {}, "datetime": "2026-01-01T00:00:00+00:00", "version": "5", "benchmarks": [benchmark]}
    (project / "old.json").write_text(json.dumps(saved))
    commit(None)
    assert main(["gate", "HEAD:old.json", "old.json", "--markdown", "gate.md"]) == 0
    assert "Baseline HEAD:old.json, candidate old.json." in Path("gate.md").read_text()


def test_a_file_of_that_name_comes_first(project: Path) -> None:
    """A colon may be a part of a path."""
    name = f"main:{BASELINE}"
    assert committed.is_committed(name)
    write_json(run(), project / name)
    assert not committed.is_committed(name)
    assert not committed.is_committed("nothing.json")
    assert not committed.is_committed("main:")
    assert not committed.is_committed(":x")


def test_unknown_commits_and_folders_without_a_repository_are_usage_errors(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    """The line has the command that fetches the branch."""
    refused(
        ["gate", f"origin/main:{BASELINE}", "x"],
        "'origin/main' is not a commit, branch or tag here; fetch it: git fetch origin main:refs/remotes/origin/main",
    )
    refused(["gate", "feature:x.json", "x"], "fetch it: git fetch origin feature:refs/remotes/origin/feature")
    fetch = "git fetch origin feature/x:refs/remotes/origin/feature/x"
    refused(["gate", "origin/feature/x:x.json", "x"], f"fetch it: {fetch}")
    refused(["gate", "feature/x:x.json", "x"], f"fetch it: {fetch}")
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(UsageError, match="needs git, which cannot be run: No such file"):
        committed.baseline("main:x", project)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    refused(["gate", "main:x.json", "x"], "is not in a git repository; name a run or a baseline file")
