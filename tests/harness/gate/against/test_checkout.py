"""Worktrees of toy repositories, created and removed, and the Python that their version needs."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.gate.against.checkout import Checkout, checkout, differences, import_path, interpreter

if TYPE_CHECKING:
    from tests.harness.gate.against.conftest import Toy


def test_both_versions_exist_as_they_are(toy: Toy, tmp_path: Path) -> None:
    """The old tree has the commit, the new one the uncommitted changes, and is dirty."""
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
def test_a_ref_that_is_not_a_commit_is_refused_in_one_line(toy: Toy, tmp_path: Path, ref: str) -> None:
    """The message names it, and no worktree remains."""
    with pytest.raises(UsageError, match="is not a commit, branch or tag here") as refused, checkout(ref, tmp_path, toy.folder):
        pass
    assert repr(ref) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert toy.worktrees == 1


def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    """A folder outside a git checkout is a usage error."""
    with pytest.raises(UsageError, match="is not in a git checkout"), checkout("HEAD", tmp_path, tmp_path):
        pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_worktree_is_removed_whatever_happens(toy: Toy, tmp_path: Path, error: type[BaseException]) -> None:
    """An exception is propagated, and the repository is as before."""
    with pytest.raises(error), checkout("main", tmp_path, toy.folder):
        raise error
    assert toy.worktrees == 1


def test_sigterm_removes_the_worktree(toy: Toy, tmp_path: Path) -> None:
    """SIGTERM, by which a CI job is cancelled, ends like Ctrl-C, and its handler is restored."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), checkout("main", tmp_path, toy.folder):
        signal.raise_signal(signal.SIGTERM)
    assert toy.worktrees == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_git_hook_s_environment_is_ignored(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a git hook, git's variables name the hook's index, which is not changed."""
    index = toy.folder / ".git" / "index"
    before = index.read_bytes()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    with checkout("main", tmp_path, toy.folder) as trees:
        assert (trees.old / "app.py").is_file()
    assert index.read_bytes() == before


PROJECT = '[project]\nname = "toy"\nversion = "{}"\ndependencies = ["{}"]\n[tool.x]\ny = 1\n'


@pytest.fixture
def trees(tmp_path: Path) -> Checkout:
    """Return two trees with the same pyproject.toml."""
    for name in ("old", "new"):
        (tmp_path / name / "inside").mkdir(parents=True)
        (tmp_path / name / "pyproject.toml").write_text(PROJECT.format(1, "numpy"))
    return Checkout("main", "abc", tmp_path / "old", tmp_path / "new", Path("inside"), "def", dirty=False)


def test_the_same_dependencies_need_no_environment(trees: Checkout, tmp_path: Path) -> None:
    """Another version of the project and other tools' settings do not count as dependencies."""
    (trees.new / "pyproject.toml").write_text(PROJECT.format(2, "numpy").replace("y = 1", "y = 2"))
    assert interpreter(trees, tmp_path) == sys.executable


@pytest.mark.parametrize("name", ["requirements.lock", "requirements.txt", "uv.lock"])
def test_another_lock_is_another_dependency(trees: Checkout, name: str) -> None:
    """A lock that changed, or that one tree lacks, is named."""
    (trees.new / name).write_text("numpy==2\n")
    assert differences(trees.old, trees.new) == [name]


def test_another_section_is_another_dependency(trees: Checkout) -> None:
    """The section that changed is named."""
    (trees.new / "pyproject.toml").write_text(PROJECT.format(1, "scipy"))
    assert differences(trees.old, trees.new) == ["pyproject.toml [project.dependencies]"]


def test_a_broken_pyproject_is_named(trees: Checkout) -> None:
    """A pyproject.toml that cannot be read is a usage error."""
    (trees.old / "pyproject.toml").write_text("[")
    with pytest.raises(UsageError, match=r"pyproject\.toml cannot be read"):
        differences(trees.old, trees.new)


@pytest.mark.slow
def test_an_environment_that_cannot_be_created_is_one_line(trees: Checkout, tmp_path: Path) -> None:
    """The message has pip's last error, and the version and files that need the environment."""
    (trees.old / "requirements.txt").write_text("./no-such-package\n")
    with pytest.raises(UsageError, match=r"main has different dependencies \(requirements.txt\)") as refused:
        interpreter(trees, tmp_path)
    assert "no-such-package" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_version_imports_from_its_tree(trees: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Entries of PYTHONPATH inside the user's tree are moved into the other tree; the others are kept."""
    (trees.new / "inside" / "more").mkdir()
    (trees.old / "inside" / "more").mkdir()
    (trees.old / "src").mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(trees.new / "inside" / "more"), str(tmp_path)]))
    found = import_path(trees.old, trees).split(os.pathsep)
    assert found == [
        str(trees.old / "inside"),
        str(trees.old),
        str(trees.old / "src"),
        str(trees.old / "inside" / "more"),
        str(tmp_path),
    ]
