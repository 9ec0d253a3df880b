"""Worktrees of toy repositories, created and removed, and what their versions import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.gate.against import protocol
from harness.gate.against.checkout import Checkout, checkout, import_path, version_command
from harness.runtime.signals import as_interrupts

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
    """A folder outside a git checkout is a usage error, with git's own reason."""
    with pytest.raises(UsageError, match=r"is not in one \(git: not a git repository"), checkout("HEAD", tmp_path, tmp_path):
        pass


def clone(toy: Toy, into: Path, *options: str) -> Path:
    """Clone the toy's repository as a continuous integration service does."""
    toy.git("clone", "--quiet", *options, toy.folder.as_uri(), str(into))
    return into


def refusal(ref: str, folder: Path, into: Path) -> str:
    """Return the message of a refused ref."""
    with pytest.raises(UsageError) as refused, checkout(ref, into, folder):
        pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_shallow_clone_is_named_with_the_fetch_command(toy: Toy, tmp_path: Path) -> None:
    """A branch is fetched by its name, an earlier commit by the whole history; HEAD is not advised on a clean tree."""
    toy.git("switch", "--quiet", "--create", "feature")
    toy.git("commit", "--quiet", "--allow-empty", "--message", "more")
    shallow = clone(toy, tmp_path / "shallow", "--depth=1", "--branch=feature")
    message = refusal("origin/main", shallow, tmp_path)
    fetch = "git fetch --depth=1 origin main:refs/remotes/origin/main"
    assert message == (
        f"--against 'origin/main' is not a commit, branch or tag here: the clone is shallow; fetch it: {fetch}; "
        "in GitHub Actions, give actions/checkout fetch-depth: 0"
    )
    assert "shallow; fetch the history: git fetch --unshallow;" in refusal("HEAD~1", shallow, tmp_path)
    assert "fetch it: git fetch --depth=1 origin main:refs/remotes/origin/main" in refusal("main", shallow, tmp_path)
    commit = toy.git("rev-parse", "main").strip()
    assert f"fetch it: git fetch --depth=1 origin {commit};" in refusal(commit, shallow, tmp_path)
    subprocess.run(fetch.split(), cwd=shallow, check=True, capture_output=True)
    with checkout("origin/main", tmp_path, shallow) as trees:
        assert (trees.old / "app.py").is_file()


def test_a_branch_that_was_not_fetched_is_named_with_the_fetch_command(toy: Toy, tmp_path: Path) -> None:
    """A clone of a single branch lacks the others."""
    toy.git("branch", "feature")
    single = clone(toy, tmp_path / "single", "--single-branch", "--branch=feature")
    expected = "is not a commit, branch or tag here; fetch it: git fetch origin main:refs/remotes/origin/main"
    assert refusal("origin/main", single, tmp_path).endswith(expected)


def test_head_is_advised_for_uncommitted_changes_only(toy: Toy, tmp_path: Path) -> None:
    """On a clean tree it would compare the tree with itself."""
    toy.git("tag", "v1")
    assert refusal("nowhere", toy.folder, tmp_path).endswith("here; choose from main, v1")
    toy.write("app.py", "changed = True\n")
    assert refusal("nowhere", toy.folder, tmp_path).endswith("here; choose from main, v1, HEAD, for the uncommitted changes")


def test_git_s_own_message_is_passed_on(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository of another owner is refused with git's remedy."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    message = refusal("main", toy.folder, tmp_path)
    assert message.startswith("git refuses this repository: detected dubious ownership in repository at ")
    assert message.endswith(f"git config --global --add safe.directory {toy.folder}")


def test_repositories_without_a_tree_or_a_commit_are_named(toy: Toy, tmp_path: Path) -> None:
    """A bare repository, and one without a commit, have git's reason."""
    bare = clone(toy, tmp_path / "bare", "--bare")
    assert "(git: this operation must be run in a work tree)" in refusal("main", bare, tmp_path)
    (tmp_path / "empty").mkdir()
    subprocess.run(["git", "init", "--quiet", tmp_path / "empty"], check=True)
    assert refusal("main", tmp_path / "empty", tmp_path).startswith("--against needs a commit, and ")


def test_git_that_is_not_installed_is_named(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what needs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (
        refusal("main", toy.folder, tmp_path) == "--against needs git, which cannot be run: No such file or directory; install it"
    )


def test_a_name_of_two_things_is_ambiguous(toy: Toy, tmp_path: Path) -> None:
    """A branch and a tag of one name are not chosen between."""
    toy.git("tag", "twice")
    toy.git("branch", "twice")
    assert "'twice' is ambiguous; write refs/heads/…, refs/tags/…" in refusal("twice", toy.folder, tmp_path)


def test_trees_of_the_same_content_are_the_same(toy: Toy, tmp_path: Path) -> None:
    """Another commit with the same files is the same version, and an uncommitted change makes another one."""
    toy.git("commit", "--quiet", "--allow-empty", "--message", "nothing new")
    with checkout("HEAD~1", tmp_path, toy.folder) as trees:
        assert trees.same
    toy.write("new.py", "")
    with checkout("HEAD", tmp_path, toy.folder) as trees:
        assert not trees.same


def test_parts_that_git_does_not_check_out_are_warnings(toy: Toy, tmp_path: Path) -> None:
    """Submodules are empty in a worktree, and files of Git LFS may be pointers."""
    part = tmp_path / "part"
    part.mkdir()
    inner = type(toy)(part)
    inner.git("init", "--quiet")
    inner.write("code.py", "x = 1\n")
    inner.commit()
    toy.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part), "vendor/part")
    toy.write(".gitattributes", "*.bin filter=lfs\n")
    toy.write("data.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    toy.git("-c", "filter.lfs.clean=cat", "add", "--all")
    toy.git("-c", "filter.lfs.clean=cat", "commit", "--quiet", "--message", "parts")
    with checkout("HEAD", tmp_path, toy.folder) as trees:
        messages = [warning.message for warning in trees.warnings]
    assert messages == [
        "submodules are not checked out in it: vendor/part",
        "files of Git LFS are only pointers in it: data.bin",
    ]


def test_a_path_in_any_encoding_can_be_checked_out(toy: Toy, tmp_path: Path) -> None:
    """Bytes that are not valid text in a path reach the worktree unchanged."""
    odd = toy.folder.with_name(os.fsdecode(b"gr\xf6\xdfe"))
    toy.folder.rename(odd)
    with checkout("main", tmp_path, odd) as trees:
        assert trees.new == odd


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_worktree_is_removed_whatever_happens(toy: Toy, tmp_path: Path, error: type[BaseException]) -> None:
    """An exception is propagated, and the repository is as before."""
    with pytest.raises(error), checkout("main", tmp_path, toy.folder):
        raise error
    assert toy.worktrees == 1


def test_sigterm_removes_the_worktree(toy: Toy, tmp_path: Path) -> None:
    """SIGTERM, by which a CI job is cancelled, ends like Ctrl-C."""
    with pytest.raises(KeyboardInterrupt), as_interrupts(), checkout("main", tmp_path, toy.folder):
        signal.raise_signal(signal.SIGTERM)
    assert toy.worktrees == 1


def test_a_git_hook_s_environment_is_ignored(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a git hook, git's variables name the hook's index, which is not changed."""
    index = toy.folder / ".git" / "index"
    before = index.read_bytes()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    with checkout("main", tmp_path, toy.folder) as trees:
        assert (trees.old / "app.py").is_file()
    assert index.read_bytes() == before


@pytest.fixture
def trees(tmp_path: Path) -> Checkout:
    """Return two trees."""
    for name in ("old", "new"):
        (tmp_path / name / "inside").mkdir(parents=True)
    return Checkout("main", "abc", tmp_path / "old", tmp_path / "new", Path("inside"), "def", dirty=False)


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


def test_a_package_of_a_monorepo_is_imported_from_its_tree(
    trees: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Folders of the user's tree on the import path, as of an editable installation, are moved; packages' own folders are not."""
    for tree in (trees.old, trees.new):
        (tree / "libs" / "one" / "src").mkdir(parents=True)
        (tree / ".venv" / "lib" / "site-packages").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(trees.new / ".venv" / "lib" / "site-packages"))
    monkeypatch.syspath_prepend(str(trees.new / "libs" / "one" / "src"))
    found = import_path(trees.old, trees).split(os.pathsep)
    assert str(trees.old / "libs" / "one" / "src") in found
    assert not [path for path in found if "site-packages" in path or path.startswith(str(trees.new))]


def test_a_package_that_setuptools_maps_is_imported_from_its_tree(trees: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finder of an editable installation has no entry on the import path."""
    finder = types.ModuleType("__editable___toy_finder")
    package = trees.new / "python" / "toy"
    finder.__dict__["MAPPING"] = {"toy": str(package)}
    for tree in (trees.old, trees.new):
        (tree / "python" / "toy").mkdir(parents=True)
    monkeypatch.setitem(sys.modules, finder.__name__, finder)
    assert str(trees.old / "python") in import_path(trees.old, trees).split(os.pathsep)


def test_a_project_below_the_root_is_imported_from_its_tree(toy: Toy, tmp_path: Path) -> None:
    """One that is installed here, however, has its folders on the path of both versions; others do not count."""
    for name, folder in (("pytest", "libs/one"), ("not-installed-anywhere", "libs/two")):
        toy.write(f"{folder}/pyproject.toml", f'[project]\nname = "{name}"\nversion = "1"\n')
        toy.write(f"{folder}/src/{name}_part.py", "")
    toy.commit()
    with checkout("main", tmp_path, toy.folder) as trees:
        found = import_path(trees.old, trees).split(os.pathsep)
        assert str(trees.old / "libs" / "one" / "src") in found
        assert not [path for path in found if "two" in path]


def test_neither_version_may_import_from_the_other(trees: Checkout, tmp_path: Path) -> None:
    """Where the new tree is a copy, the user's own tree is foreign to the old version as well."""
    plain = version_command(trees, "old", "python", [])
    copied = replace(trees, new=tmp_path / "copy", copy_of=trees.new)
    (tmp_path / "copy" / "inside").mkdir(parents=True)
    assert plain.environment[protocol.FOREIGN] == str(trees.new)
    assert version_command(copied, "old", "python", []).environment[protocol.FOREIGN].split(os.pathsep) == [
        str(trees.new),
        str(tmp_path / "copy"),
    ]
    new = version_command(copied, "new", "python", [])
    assert new.environment[protocol.FOREIGN] == str(trees.old)
    assert new.folder == tmp_path / "copy" / "inside"
