"""The requirements of two trees, and those that have to be installed for the old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.gate.against import dependencies
from harness.gate.against.dependencies import differences, requirements

PROJECT = '[project]\nname = "toy"\nversion = "{}"\ndependencies = ["{}"]\n[tool.x]\ny = 1\n'


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Return an old and a new tree with the same pyproject.toml."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(PROJECT.format(1, "numpy"))
    return tmp_path / "old", tmp_path / "new"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let three distributions be installed here."""
    monkeypatch.setattr(dependencies, "_installed", lambda: frozenset({"numpy", "attrs", "typing-extensions"}))


def test_another_version_of_the_project_is_no_other_dependency(trees: tuple[Path, Path]) -> None:
    """Neither are other tools' settings."""
    (trees[1] / "pyproject.toml").write_text(PROJECT.format(2, "numpy").replace("y = 1", "y = 2"))
    assert differences(*trees) == []
    assert not requirements(*trees)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements.txt", "requirements/test.txt", "uv.lock", "setup.py"])
def test_another_file_is_another_dependency(trees: tuple[Path, Path], name: str) -> None:
    """A file that changed, or that one tree lacks, is named; the old tree needs nothing for it."""
    (trees[1] / name).parent.mkdir(exist_ok=True)
    (trees[1] / name).write_text("")
    assert differences(*trees) == [name]
    assert not requirements(*trees)


def test_what_the_old_project_requires_is_installed(trees: tuple[Path, Path]) -> None:
    """The section that changed is named, and the old tree's requirements are installed as it states them."""
    (trees[1] / "pyproject.toml").write_text(PROJECT.format(1, "scipy"))
    assert differences(*trees) == ["pyproject.toml [project.dependencies]"]
    assert requirements(*trees).others == ["numpy"]


def test_a_project_without_a_pyproject_requires_nothing(trees: tuple[Path, Path]) -> None:
    """A change that adds pyproject.toml needs no environment of its own."""
    (trees[0] / "pyproject.toml").unlink()
    assert differences(*trees) == ["pyproject.toml [project.dependencies]"]
    assert not requirements(*trees)


def test_projects_in_folders_count(trees: tuple[Path, Path]) -> None:
    """Their files are named with the folder; the root's differences stay."""
    for tree, requirement in zip(trees, ("attrs>=24", "attrs>=25"), strict=True):
        (tree / "libs" / "one").mkdir(parents=True)
        (tree / "libs" / "one" / "pyproject.toml").write_text(PROJECT.format(1, requirement))
    folders = [Path(), Path("libs/one")]
    assert differences(*trees, folders) == ["libs/one/pyproject.toml [project.dependencies]"]
    assert requirements(*trees, folders).others == ["attrs>=24"]


GROUPS = """\
[project]
name = "toy"
dependencies = []
[project.optional-dependencies]
fast = ["{0}"]
all = ["toy[fast]", "typing_extensions"]
[dependency-groups]
docs = ["no-such-sphinx{1}"]
test = [{{include-group = "base"}}]
base = ["{0}"]
"""


def test_groups_that_are_installed_here_are_installed(trees: tuple[Path, Path]) -> None:
    """Extras and groups that include others are resolved; those that are not installed here do not count."""
    for tree, stated in zip(trees, (("attrs==24", "==1"), ("attrs==25", "==2")), strict=True):
        (tree / "pyproject.toml").write_text(GROUPS.format(*stated))
    assert requirements(*trees).others == ["attrs==24", "typing_extensions"]


def test_versions_of_a_lock_are_pinned(trees: tuple[Path, Path]) -> None:
    """Installed packages of which the lock has another version are; packages with several versions in it are left out."""
    for tree, version in zip(trees, ("1", "2"), strict=True):
        packages = {"NumPy": [version], "attrs": ["3"], "typing-extensions": [version, "9"], "elsewhere": [version]}
        lines = [f'[[package]]\nname = "{name}"\nversion = "{each}"\n' for name, found in packages.items() for each in found]
        (tree / "uv.lock").write_text("".join(lines))
    assert requirements(*trees).pins == ["numpy==1"]


def test_files_of_requirements_are_installed_if_they_are_here(trees: tuple[Path, Path]) -> None:
    """The main file always counts, others if what they name is installed."""
    for tree, version in zip(trees, ("1", "2"), strict=True):
        for name, package in (
            ("requirements.txt", "gone"),
            ("requirements-test.txt", "attrs"),
            ("docs-requirements.txt", "sphinx"),
        ):
            (tree / name).write_text(f"{package}=={version}\n")
    assert [file.name for file in requirements(*trees).files] == ["requirements-test.txt", "requirements.txt"]


def test_requirements_that_only_a_build_knows_need_one(trees: tuple[Path, Path]) -> None:
    """Another setup.py, or sections of Poetry, which pip cannot read."""
    (trees[0] / "setup.py").write_text("old")
    (trees[1] / "setup.py").write_text("new")
    assert requirements(*trees).projects == [trees[0]]


def test_requirements_of_setup_cfg_are_installed(trees: tuple[Path, Path]) -> None:
    """Other settings in it do not count."""
    (trees[0] / "setup.cfg").write_text("[options]\ninstall_requires =\n    attrs\n    numpy<2\n[flake8]\nx = 1\n")
    (trees[1] / "setup.cfg").write_text("[options]\ninstall_requires =\n    attrs\n    numpy<3\n")
    assert differences(*trees) == ["setup.cfg [options.install_requires]"]
    assert requirements(*trees).others == ["attrs", "numpy<2"]
    (trees[1] / "setup.cfg").write_text("[options]\ninstall_requires =\n    attrs\n    numpy<2\n")
    assert differences(*trees) == []


def test_a_broken_file_is_named(trees: tuple[Path, Path]) -> None:
    """A pyproject.toml or a setup.cfg that cannot be read is a usage error."""
    (trees[0] / "setup.cfg").write_text("x")
    with pytest.raises(UsageError, match=r"setup\.cfg cannot be read"):
        differences(*trees)
    (trees[0] / "pyproject.toml").write_text("[")
    with pytest.raises(UsageError, match=r"pyproject\.toml cannot be read"):
        differences(*trees)
