"""Fixtures of the tests of commands."""

from collections.abc import Callable, Sequence

import pytest

from harness.cli import main


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[Sequence[str], str], None]:
    """Return a check that a command line is refused: exit code 2, and one line on standard error with the message."""

    def check(arguments: Sequence[str], complaint: str) -> None:
        try:
            code = main([*arguments])
        except SystemExit as ended:  # argparse ends the process by itself
            code = int(ended.code or 0)
        said = capsys.readouterr()
        assert code == 2
        assert complaint in said.err
        assert said.err.count("\n") == 1
        assert said.out == ""

    return check
