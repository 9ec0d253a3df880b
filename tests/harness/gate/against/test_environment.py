"""The environment of the old version: the present one, one that builds on it, and the cache."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import NotComparableError
from harness.gate.against import built, environment
from harness.gate.against.checkout import checkout, import_path
from harness.gate.against.environment import old_environment
from harness.runtime.snapshot_cache import FOLDER_VARIABLE, OFF

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.harness.gate.against.conftest import Toy


@pytest.fixture(autouse=True)
def cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Use a cache of this test alone."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))


def wheel(folder: Path, version: str) -> Path:
    """Return a wheel of a distribution with one module."""
    file, about = folder / f"toy_dep-{version}-py3-none-any.whl", f"toy_dep-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("toy_dep.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: toy-dep\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "toy_dep.py,,\n")
    return file


def prints(python: str, code: str) -> str:
    """Return what code prints in an environment."""
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout.strip()


def test_the_same_dependencies_need_no_environment(toy: Toy, tmp_path: Path) -> None:
    """Neither does a change that only adds to them, or that adds pyproject.toml; the command of `--old-install` does not run."""
    toy.write("app.py", "")
    with checkout("main", tmp_path, toy.folder) as trees, old_environment(trees, tmp_path, "exit 1") as old:
        assert (old.python, old.warnings, old.is_assumed) == (sys.executable, [], False)
    toy.write("pyproject.toml", '[project]\nname = "toy"\ndependencies = ["numpy"]\n')
    with checkout("main", tmp_path, toy.folder) as trees, old_environment(trees, tmp_path) as old:
        assert (old.python, old.warnings, old.is_assumed) == (sys.executable, [], False)


@pytest.mark.slow
def test_what_differs_is_installed_beside_what_is_here(toy: Toy, tmp_path: Path) -> None:
    """The old version's requirement is there, and so are the runner's own tools; the next time it comes from the cache."""
    toy.write("requirements.txt", f"{wheel(tmp_path, '1')}\n")
    toy.commit()
    toy.write("requirements.txt", "")
    lines: list[str] = []
    for number in (1, 2):
        into = tmp_path / str(number)
        into.mkdir()
        with checkout("main", into, toy.folder) as trees, old_environment(trees, into, "", lines.append) as old:
            assert old.python != sys.executable
            assert not old.warnings
            found = prints(
                old.python, "import toy_dep, harness, pytest, pytest_benchmark; print(toy_dep.VERSION, harness.__file__)"
            )
            assert found == f"1 {Path(environment.__file__).parents[2] / '__init__.py'}"
    assert lines == [
        "installing the old version's dependencies: requirements.txt",
        "the old version's environment is in the cache",
    ]


@pytest.mark.slow
def test_the_command_makes_the_environment(toy: Toy, tmp_path: Path) -> None:
    """It runs in the old tree with the new environment's Python first; modules that it writes into the tree are kept with it."""
    toy.write("requirements.txt", "old\n")
    toy.write(".gitignore", "_made.py\n")
    toy.commit()
    toy.write("requirements.txt", "new\n")
    written = "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'toy_dep.py').write_text('VERSION = 3')"
    command = f'cat requirements.txt > benchmarks/_made.py && test -d "$VIRTUAL_ENV" && python -c "{written}"'
    for number in (1, 2):
        into = tmp_path / str(number)
        into.mkdir()
        with checkout("main", into, toy.folder) as trees, old_environment(trees, into, command) as old:
            assert prints(old.python, "import toy_dep, pytest; print(toy_dep.VERSION)") == "3"
            assert (trees.old / "benchmarks" / "_made.py").read_text() == "old\n"
            assert not old.warnings
    assert not (toy.folder / "benchmarks" / "_made.py").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["", "echo 'error: no such group' >&2; exit 1"])
def test_an_environment_that_cannot_be_made_is_a_warning(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Both versions run with the packages of this one, everything is timed, and nothing is kept; one line has the reason."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    toy.write("requirements.txt", "./no-such-package\n")
    toy.commit()
    toy.write("requirements.txt", "")
    with checkout("main", tmp_path, toy.folder) as trees, old_environment(trees, tmp_path, command) as old:
        (warning,) = old.warnings
        assert (old.python, old.is_assumed) == (sys.executable, True)
    assert warning.message.startswith("its dependencies differ (requirements.txt) and cannot be installed: ")
    assert ("error: no such group" if command else "no-such-package") in warning.message
    assert "\n" not in warning.message
    assert "--old-install CMD" in warning.remedy
    assert not list((tmp_path / "cache").glob("*/payload"))


NAME = f"toy/_fast{EXTENSION_SUFFIXES[0]}"


@pytest.fixture
def compiled(toy: Toy) -> Toy:
    """Return a toy with an extension that was built in its tree."""
    toy.write("toy/__init__.py", "")
    toy.write("toy/_fast.c", "old")
    toy.write("pyproject.toml", '[project]\nname = "toy"\n')
    toy.write(".gitignore", "*.so\n")
    toy.commit()
    toy.write(NAME, "machine code of the new version")
    return toy


def test_an_extension_of_the_same_sources_is_the_same(compiled: Toy, tmp_path: Path) -> None:
    """The old tree gets the new one's, without a build."""
    compiled.write("app.py", "")
    with checkout("main", tmp_path, compiled.folder) as trees, old_environment(trees, tmp_path):
        assert (trees.old / NAME).read_text() == "machine code of the new version"


def test_an_extension_of_other_sources_is_built_once(compiled: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old tree gets its own; it is kept by its sources, and one that cannot be built is not comparable."""
    builds: list[Path] = []

    def build(_: Sequence[str], __: Mapping[str, str], project: Path, ___: Path) -> dict[str, bytes]:
        builds.append(project)
        return {NAME: b"machine code of the old version"}

    monkeypatch.setattr(built, "built", build)
    compiled.write("toy/_fast.c", "new")
    for number in (1, 2):
        into = tmp_path / str(number)
        into.mkdir()
        with checkout("main", into, compiled.folder) as trees, old_environment(trees, into):
            assert (trees.old / NAME).read_text() == "machine code of the old version"
    assert len(builds) == 1

    def fail(*_: object) -> dict[str, bytes]:
        raise subprocess.CalledProcessError(1, "pip", "", "  error: command 'gcc' failed\n")

    monkeypatch.setattr(built, "built", fail)
    monkeypatch.setenv(FOLDER_VARIABLE, OFF)
    expected = "the compiled extensions of main cannot be built: error: command 'gcc' failed; give the command: --old-install CMD"
    with (
        checkout("main", tmp_path, compiled.folder) as trees,
        pytest.raises(NotComparableError, match=expected),
        old_environment(trees, tmp_path),
    ):
        pass


def test_extensions_that_are_installed_elsewhere_are_beside_the_code(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new version is then a copy of the user's tree, with uncommitted changes, since neither tree has them."""
    toy.write("toy/__init__.py", "")
    toy.commit()
    toy.write("app.py", "changed = True\n")
    file = tmp_path / "installed.so"
    file.write_text("machine code")
    monkeypatch.setattr(built, "installed_extensions", lambda *_: {NAME: file})
    with checkout("main", tmp_path, toy.folder) as trees, old_environment(trees, tmp_path) as old:
        for tree in (old.trees.old, old.trees.new):
            assert (tree / NAME).read_text() == "machine code"
        assert (old.trees.new / "app.py").read_text() == "changed = True\n"
        assert old.trees.root == toy.folder
        assert import_path(old.trees.new, old.trees).startswith(str(old.trees.new))
    assert not (toy.folder / NAME).exists()


def test_modules_that_a_build_wrote_are_in_both_versions(toy: Toy, tmp_path: Path) -> None:
    """Such as the file with the version, which git ignores."""
    toy.write("toy/__init__.py", "from toy._version import version\n")
    toy.write(".gitignore", "_version.py\n")
    toy.commit()
    toy.write("toy/_version.py", "version = 2\n")
    toy.write("app.py", "")
    with checkout("main", tmp_path, toy.folder) as trees, old_environment(trees, tmp_path):
        assert (trees.old / "toy" / "_version.py").read_text() == "version = 2\n"
