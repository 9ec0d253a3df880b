"""The tables of the dependency test, against pyproject.toml and the tests that exist; its command builds the environments."""

import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.errors import UsageError
from harness.pytest_plugin import OLDEST
from tools import floors

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_every_extra_has_tests() -> None:
    """The core and each extra; each test file exists."""
    assert set(floors.TESTS) == {"core", *EXTRAS} - {"all"}
    files = {line.split()[0] for lines in floors.TESTS.values() for line in lines}
    assert not [file for file in files if not (ROOT / "tests" / "harness" / file).is_file()]


def test_the_core_is_small() -> None:
    """Its dependencies, and theirs, are at most 29 packages and 180 MB as they are installed here; the wheel has the rest."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(text).name for text in PROJECT["dependencies"]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            needed = map(Requirement, found[name].requires or ())
            waiting += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    assert set(map(canonicalize_name, found)) >= {"numpy", "msgspec", "psutil", "rich", "memory-profiler", "pygments"}
    assert len(found) < 30
    files = [Path(str(file.locate())) for each in found.values() for file in each.files or ()]
    assert sum(file.stat().st_size for file in files if file.is_file()) < 180 * floors.MB


def test_other_projects_may_have_other_versions() -> None:
    """Each requirement that is tried is about a dependency of ours, and beside the core about one of an extra."""
    core, *_ = dependencies = [{Requirement(text).name for text in texts} for texts in (PROJECT["dependencies"], *EXTRAS.values())]
    tried = {name: {Requirement(text).name for text in texts} for name, texts in floors.BESIDE.items()}
    assert set(tried) == set(floors.ENVIRONMENTS)
    assert set.union(*tried.values()) <= set.union(*dependencies)
    assert not tried["core"] & core


def test_every_command_is_of_an_environment() -> None:
    """A command whose extra is misspelled would never run."""
    assert set(floors.COMMANDS_OF) <= {"core", *floors.ENVIRONMENTS["all"]}


def test_without_uv_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the command that installs it."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="uv is not installed; install it with: pip install uv"):
        floors.uv("--version")


def test_the_plugin_needs_what_its_extra_requires() -> None:
    """The versions that it refuses in a project without the extra are those that the extra would not install."""
    required = {Requirement(text).name: str(Requirement(text).specifier) for text in EXTRAS["pytest"]}
    assert {name: f">={'.'.join(map(str, oldest))}" for name, oldest in OLDEST.items()}.items() <= required.items()
