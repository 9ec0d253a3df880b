"""A small project, and real pytest processes in it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TOY = Path(__file__).parents[2] / "toys" / "adding.py"
QUICK = ("--harness-budget", "0.5", "--harness-processes", "2")


@dataclass(frozen=True)
class Project:
    """A project with one scenario and one ordinary test."""

    path: Path
    plugins: tuple[str, ...] = ("no:cacheprovider", "pytest_benchmark.plugin", "harness.pytest_plugin")
    """The plugins that are loaded: others take longer to load than the tests to run."""

    def pytest(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run pytest in the project."""
        process = self.start(*arguments, **environment)
        try:
            output, errors = process.communicate(timeout=120)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start pytest in the project with its plugins only."""
        environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"} | environment
        command = [sys.executable, "-m", "pytest", *(part for name in self.plugins for part in ("-p", name)), *arguments]
        alone = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
        }  # not as a worker of this session
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.path, env=alone | environment, stdout=pipe, stderr=pipe, text=True)

    def save(self, *arguments: str) -> Path:
        """Measure and save a run, and return its file."""
        done = self.pytest("--benchmark-autosave", *QUICK, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.saved[-1]

    @property
    def saved(self) -> list[Path]:
        """The saved runs."""
        return sorted(self.path.glob(".benchmarks/*/*.json"))

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        (self.path / name).parent.mkdir(exist_ok=True)
        (self.path / name).write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file of the project."""
        text = (self.path / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))


def edited(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit a saved run, as if another machine or version had written it."""
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


@pytest.fixture
def doctor() -> Callable[[Path, Callable[[dict[str, Any]], object]], None]:
    """Return a function that edits a saved run."""
    return edited


def new_project(path: Path) -> Project:
    """Make a project with one scenario and one ordinary test in an empty folder."""
    for folder in ("trials", "tests"):
        (path / folder).mkdir()
    found = Project(path)
    found.write("trials/adding.py", TOY.read_text())
    found.write("trials/locustfile.py", "raise RuntimeError('not for pytest')")
    found.write("pytest.ini", "[pytest]\ntestpaths = trials tests\n")
    found.write("pyproject.toml", '[tool.harness]\nscenarios = "trials"\n')
    found.write("tests/test_own.py", "def test_own():\n    assert True\n")
    return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a new project."""
    return new_project(tmp_path)


@pytest.fixture(scope="session")
def saved_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a project whose scenario was measured and saved, to be copied."""
    found = new_project(tmp_path_factory.mktemp("saved"))
    found.save("trials")
    return found.path


@pytest.fixture
def measured(saved_once: Path, tmp_path: Path) -> Project:
    """Return a new project whose scenario was measured and saved."""
    return Project(shutil.copytree(saved_once, tmp_path / "project"))
