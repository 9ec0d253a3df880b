"""The files of a version that git does not keep: extensions, and modules that a build writes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.gate.against import built
from harness.gate.against.checkout import checkout

if TYPE_CHECKING:
    from tests.harness.gate.against.conftest import Toy

NAME = f"src/toy/_fast{EXTENSION_SUFFIXES[0]}"
SETUP = """\
from setuptools import Extension, setup

setup(name="toy", package_dir={"": "src"}, packages=["toy"], ext_modules=[Extension("toy._fast", ["src/toy/_fast.c"])])
"""
SOURCE = """\
#include <Python.h>

static PyModuleDef module = {{PyModuleDef_HEAD_INIT, "_fast", 0, -1, 0}};

PyMODINIT_FUNC PyInit__fast(void) {{
    PyObject *made = PyModule_Create(&module);
    PyModule_AddIntConstant(made, "NUMBER", {});
    return made;
}}
"""


def compiled(toy: Toy) -> None:
    """Let the toy have an extension, built in its tree."""
    toy.write("setup.py", SETUP)
    toy.write("src/toy/__init__.py", "")
    toy.write("src/toy/_fast.c", SOURCE.format(1))
    toy.write(".gitignore", "*.so\n_version.py\n__pycache__\n")
    toy.commit()
    toy.write(NAME, "machine code")


def test_files_that_git_ignores_beside_the_code_are_found(toy: Toy, tmp_path: Path) -> None:
    """Extensions and written modules are; new modules that are not ignored, and what is elsewhere, are not."""
    compiled(toy)
    toy.write("src/toy/_version.py", "version = '1'\n")
    toy.write("src/toy/new.py", "")
    toy.write("build/lib/toy/_version.py", "")
    with checkout("main", tmp_path, toy.folder) as trees:
        assert built.extensions(trees.new) == [NAME]
        assert built.written_modules(trees) == ["src/toy/_version.py"]
        built.place_files({"src/toy/_version.py": trees.new / "src/toy/_version.py"}, trees.old)
        assert (trees.old / "src/toy/_version.py").read_text() == "version = '1'\n"
        assert built.written_modules(trees) == []


def test_the_sources_of_extensions_decide_whether_they_are_the_same(toy: Toy, tmp_path: Path) -> None:
    """Python code does not count, but where it is compiled itself; the sources and settings of the build do."""
    compiled(toy)
    toy.write("src/toy/_fast.py", "x = 1\n")
    toy.write("pyproject.toml", '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "toy"\n')
    toy.commit()
    with checkout("main", tmp_path, toy.folder) as trees:
        first = built.build_digest(trees.old, [])
        beside = built.build_digest(trees.old, [NAME])
        toy.write("src/toy/__init__.py", "x = 2\n")
        toy.write("src/toy/_fast.py", "x = 2\n")
        toy.write("pyproject.toml", '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "toy"\nversion = "2"\n')
        assert built.build_digest(trees.new, []) == first
        assert built.build_digest(trees.new, [NAME]) != beside
        toy.write("src/toy/_fast.c", SOURCE.format(2))
        assert built.build_digest(trees.new, []) != first
        toy.write("src/toy/_fast.c", SOURCE.format(1))
        toy.write("pyproject.toml", '[build-system]\nrequires = ["setuptools<99"]\n')
        assert built.build_digest(trees.new, []) != first


def test_extensions_of_an_installed_package_have_their_place(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is installed, but not as editable, has its extensions outside of the tree."""
    compiled(toy)
    (toy.folder / NAME).unlink()
    toy.write("pyproject.toml", '[project]\nname = "toy-of-this-test"\n')
    about = tmp_path / "packages" / "toy_of_this_test-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-of-this-test\nVersion: 1\n")
    file = NAME.removeprefix("src/")
    (about / "RECORD").write_text(f"{file},,\ntoy/__init__.py,,\nelsewhere/_x{EXTENSION_SUFFIXES[0]},,\n")
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    with checkout("main", tmp_path, toy.folder) as trees:
        assert built.installed_extensions(trees, [Path()]) == {NAME: tmp_path / "packages" / file}


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which(os.environ.get("CC", "cc")) or importlib.util.find_spec("pip") is None, reason="there is no compiler or no pip"
)
def test_an_extension_is_built_from_the_old_sources(toy: Toy, tmp_path: Path) -> None:
    """The module of the old tree has the old number, whatever the new tree's sources say."""
    compiled(toy)
    toy.write("src/toy/_fast.c", SOURCE.format(2))
    with checkout("main", tmp_path, toy.folder) as trees:
        found = built.built([sys.executable, "-m", "pip"], os.environ, trees.old, trees.old)
        assert list(found) == [NAME]
        (trees.old / NAME).write_bytes(found[NAME])
        environment = {**os.environ, "PYTHONPATH": str(trees.old / "src")}
        asked = [sys.executable, "-c", "from toy._fast import NUMBER; print(NUMBER)"]
        assert subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout == "1\n"
