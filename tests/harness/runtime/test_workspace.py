"""A run's temporary folder, and the order of commits."""

import signal
import subprocess
from pathlib import Path

import pytest

from harness.runtime.signals import as_interrupts
from harness.runtime.workspace import commit_order, workspace


def test_a_workspace_is_removed_at_the_end() -> None:
    """The folder is removed with its content."""
    with workspace() as folder:
        (folder / "data").write_text("x")
    assert not folder.exists()


def test_a_workspace_is_removed_after_a_signal() -> None:
    """SIGTERM within it leaves nothing."""

    def work() -> None:
        with as_interrupts(), workspace() as folder:
            made.append(folder)
            signal.raise_signal(signal.SIGTERM)

    made: list[Path] = []
    with pytest.raises(KeyboardInterrupt):
        work()
    assert not made[0].exists()


def test_commits_are_ordered_by_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By short and full names; unknown ones are missing, and outside a repository all of them."""

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_order(["abcdef0"]) == {}
    git("init", "-q")
    assert commit_order(["abcdef0"]) == {}
    commits = []
    for number in range(3):
        git("commit", "-q", "--allow-empty", "-m", str(number))
        commits.append(git("rev-parse", "HEAD"))
    found = commit_order([commits[2], commits[0][:8], "abcdef0123", commits[1]])
    assert sorted(found, key=found.__getitem__) == [commits[0][:8], commits[1], commits[2]]
    assert commit_order([]) == {}


def test_a_machine_without_git_has_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside a repository."""
    monkeypatch.setenv("PATH", "")
    assert commit_order(["abcdef0"]) == {}
