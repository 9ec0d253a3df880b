"""Worktrees of toy repositories: there while needed, and gone afterwards."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.gate.against.worktree import checkout

if TYPE_CHECKING:
    from tests.harness.gate.against.conftest import Toy


def test_both_versions_are_there_as_they_are(toy: Toy, tmp_path: Path) -> None:
    """The old tree has what was committed, the new one what was changed since, and is called dirty."""
    toy.write("app.py", "changed = True\n")
    with checkout("main", tmp_path, toy.folder / "benchmarks") as trees:
        assert "changed" not in (trees.old / "app.py").read_text()
        assert "changed" in (trees.new / "app.py").read_text()
        assert trees.inside == Path("benchmarks")
        assert trees.dirty
        assert trees.names == (f"main ({trees.commit})", f"{trees.here} with uncommitted changes")
    assert toy.worktrees == 1
    assert not (tmp_path / "old").exists()


@pytest.mark.parametrize("ref", ["no-such-branch", "--upload-pack=x", "", "HEAD:app.py"])
def test_a_ref_that_is_no_commit_is_refused_in_one_line(toy: Toy, tmp_path: Path, ref: str) -> None:
    """The message names it, and nothing is left of the attempt."""
    with pytest.raises(UsageError, match="is no commit, branch or tag here") as refused, checkout(ref, tmp_path, toy.folder):
        pass
    assert repr(ref) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert toy.worktrees == 1


def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    """There is nothing to check out."""
    with pytest.raises(UsageError, match="is in no git checkout"), checkout("HEAD", tmp_path, tmp_path):
        pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_worktree_is_removed_whatever_happens(toy: Toy, tmp_path: Path, error: type[BaseException]) -> None:
    """An exception goes through, and the repository is as it was."""
    with pytest.raises(error), checkout("main", tmp_path, toy.folder):
        raise error
    assert toy.worktrees == 1


def test_being_asked_to_terminate_removes_it_too(toy: Toy, tmp_path: Path) -> None:
    """SIGTERM, by which a CI job is cancelled, ends like Ctrl-C; afterwards it means again what it meant."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), checkout("main", tmp_path, toy.folder):
        signal.raise_signal(signal.SIGTERM)
    assert toy.worktrees == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_hook_s_environment_does_not_mislead_it(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a git hook git's variables name the hook's index; it stays as it is."""
    index = toy.folder / ".git" / "index"
    before = index.read_bytes()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    with checkout("main", tmp_path, toy.folder) as trees:
        assert (trees.old / "app.py").is_file()
    assert index.read_bytes() == before
