"""Fixtures shared by the tests of this project's commands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test in the folder whose pyproject.toml names the commands."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Return a check that a command line is refused: exit code 2, and one line on standard error that contains the message."""

    def check(words: list[str], message: str) -> None:
        try:
            code = main(words)
        except SystemExit as ended:  # argparse ends the process by itself
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        assert code == 2
        assert message in printed.err
        assert printed.err.count("\n") == 1
        assert printed.out == ""

    return check
