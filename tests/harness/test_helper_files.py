"""Files beside scenarios that have none, recognised by their text."""

from pathlib import Path

import pytest

from harness.helper_files import is_helper

TOYS = Path(__file__).parents[1] / "toys"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("_shared.py", "class A(Scenario): ...", True),
        ("conftest.py", "class A(Scenario): ...", True),
        ("locustfile.py", "", True),
        ("helpers.py", "", True),
        ("helpers.py", "def load(): ...", True),
        ("helpers.py", "import enum\nclass A(enum.Enum): ...", True),
        (
            "helpers.py",
            "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass A(Generic[T]): ...\nclass B(A[int]): ...",
            True,
        ),
        ("helpers.py", "class WrongError(ValueError): ...", True),
        ("mine.py", "from harness import Scenario\nclass A(Scenario): ...", False),
        ("mine.py", "import harness\nclass A(harness.SqlScenario): ...", False),
        ("mine.py", "from common import Base\nclass A(Base): ...", False),
        ("mine.py", "from common import Base\nclass B(Base): ...\nclass A(B): ...", False),
        ("mine.py", "from common import *", False),
        ("mine.py", "from .common import Base\nclass A(make(Base)): ...", False),
        ("mine.py", "class A(", False),
        ("mine.py", "\0", False),
    ],
)
def test_a_helper_cannot_have_a_scenario(tmp_path: Path, name: str, text: str, expected: bool) -> None:
    """A file is a helper by its name, or if no class of it may be a scenario."""
    file = tmp_path / name
    file.write_text(text)
    assert is_helper(file) is expected


def test_a_file_that_cannot_be_read_is_not_a_helper(tmp_path: Path) -> None:
    """Importing it then says why."""
    assert not is_helper(tmp_path / "missing.py")


@pytest.mark.parametrize("file", sorted(TOYS.glob("[a-z]*.py")), ids=lambda file: file.stem)
def test_no_scenario_is_a_helper(file: Path) -> None:
    """Every scenario of the tests is found."""
    has_scenario = "Scenario" in file.read_text(encoding="utf-8")
    assert is_helper(file) is not has_scenario or file.stem in {"conftest", "locustfile"}
