"""Which Python an old version needs, from what it says it depends on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.gate.against.environment import differences, import_path, interpreter
from harness.gate.against.worktree import Checkout

PROJECT = '[project]\nname = "toy"\nversion = "{}"\ndependencies = ["{}"]\n[tool.x]\ny = 1\n'


@pytest.fixture
def trees(tmp_path: Path) -> Checkout:
    """Return two trees with the same pyproject.toml."""
    for name in ("old", "new"):
        (tmp_path / name / "inside").mkdir(parents=True)
        (tmp_path / name / "pyproject.toml").write_text(PROJECT.format(1, "numpy"))
    return Checkout("main", "abc", tmp_path / "old", tmp_path / "new", Path("inside"), "def", dirty=False)


def test_the_same_dependencies_need_no_environment(trees: Checkout, tmp_path: Path) -> None:
    """Another version and other tools' settings are no other dependency."""
    (trees.new / "pyproject.toml").write_text(PROJECT.format(2, "numpy").replace("y = 1", "y = 2"))
    assert interpreter(trees, tmp_path) == (sys.executable, [])


@pytest.mark.parametrize("name", ["requirements.lock", "requirements.txt", "uv.lock"])
def test_another_lock_is_another_dependency(trees: Checkout, name: str) -> None:
    """A lock that changed, or that one of them lacks, is named."""
    (trees.new / name).write_text("numpy==2\n")
    assert differences(trees.old, trees.new) == [name]


def test_another_section_is_another_dependency(trees: Checkout) -> None:
    """The section that changed is named."""
    (trees.new / "pyproject.toml").write_text(PROJECT.format(1, "scipy"))
    assert differences(trees.old, trees.new) == ["pyproject.toml [project.dependencies]"]


def test_a_broken_pyproject_is_named(trees: Checkout) -> None:
    """It cannot be told what the project depends on."""
    (trees.old / "pyproject.toml").write_text("[")
    with pytest.raises(UsageError, match=r"pyproject\.toml cannot be read"):
        differences(trees.old, trees.new)


@pytest.mark.slow
def test_an_environment_that_cannot_be_made_is_one_line(trees: Checkout, tmp_path: Path) -> None:
    """What a person reads is the last error of pip, with which version needed it."""
    (trees.old / "requirements.txt").write_text("./no-such-package\n")
    with pytest.raises(UsageError, match=r"main depends on other packages \(requirements.txt\)") as refused:
        interpreter(trees, tmp_path)
    assert "no-such-package" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_side_imports_from_its_own_tree(trees: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What of the import path is in the person's tree is moved into the other one; the rest stays."""
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
