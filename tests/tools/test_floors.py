"""The tables of the dependency test, against pyproject.toml and the tests that exist; its command builds the environments."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from harness.errors import UsageError
from tools import floors

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_every_extra_has_tests() -> None:
    """The core, and each extra but one, whose tests need the trial; each test file exists."""
    assert set(floors.TESTS) == {"core", *EXTRAS} - {"all", "prometheus"}
    files = {line.split()[0] for lines in floors.TESTS.values() for line in lines}
    assert not [file for file in files if not (ROOT / "tests" / "harness" / file).is_file()]


def test_other_projects_may_have_other_versions() -> None:
    """Each requirement that is tried beside the extras is about one of our dependencies."""
    direct = {Requirement(text).name for texts in (PROJECT["dependencies"], *EXTRAS.values()) for text in texts}
    assert {Requirement(text).name for text in floors.BESIDE} <= direct


def test_without_uv_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the command that installs it."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="uv is not installed; install it with: pip install uv"):
        floors.uv("--version")
