"""Fixtures shared by the tests of this project's commands."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test in the folder whose pyproject.toml names the commands."""
    monkeypatch.chdir(ROOT)
