"""The walk over a project: bounded, without links, and without what others have installed or built."""

import os
from pathlib import Path

import pytest

from harness.init import tree
from harness.init.tree import source_tree


def write(root: Path, *names: str) -> None:
    """Write empty Python files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")


def test_own_files_are_found_and_others_left_out(tmp_path: Path) -> None:
    """Virtual environments, hidden folders, packages of others, builds and links are not the project's code."""
    write(
        tmp_path, "app.py", "pkg/models.py", ".venv/x.py", "node_modules/y.py", "lib/site-packages/z.py", "build/b.py", "own/n.py"
    )
    (tmp_path / "own" / "pyvenv.cfg").write_text("")
    (tmp_path / "note.txt").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "linked.py").symlink_to(tmp_path / "app.py")
    found = source_tree(tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in found.files] == ["app.py", "pkg/models.py"]
    assert found.is_complete


def test_a_huge_tree_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upper folders come first, and the tree says that it is not whole; a long file is left out."""
    monkeypatch.setattr(tree, "MAX_FILES", 3)
    write(tmp_path, "deep/deeper/d.py", "deep/c.py", "a.py", "b.py")
    found = source_tree(tmp_path)
    assert [file.name for file in found.files] == ["a.py", "b.py", "c.py"]
    assert not found.is_complete
    monkeypatch.setattr(tree, "MAX_ENTRIES", 1)
    assert not source_tree(tmp_path).is_complete
    monkeypatch.setattr(tree, "MAX_ENTRIES", 100)
    monkeypatch.setattr(tree, "MAX_FILES", 100)
    monkeypatch.setattr(tree, "MAX_BYTES", 3)
    (tmp_path / "a.py").write_text("1234")
    assert [file.name for file in source_tree(tmp_path).files] == ["b.py", "c.py", "d.py"]


def test_a_folder_that_cannot_be_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the project is found."""
    write(tmp_path, "a.py", "locked/b.py")
    listdir = os.listdir

    def refuse(path: Path) -> list[str]:
        if path.name == "locked":
            raise PermissionError
        return list(listdir(path))

    monkeypatch.setattr(os, "listdir", refuse)
    assert [file.name for file in source_tree(tmp_path).files] == ["a.py"]
