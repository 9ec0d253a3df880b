"""Tests of operations: cases are made once, and those that cannot be passed to another process are named."""

import threading
from pathlib import Path
from typing import Any

import pytest

from harness.bench.operations import UnpicklableCaseError, cached_cases
from harness.scenario import Case


class FragileError(Exception):
    """An exception that cannot be read back: its constructor needs what pickle does not keep."""

    def __init__(self, one: int, two: int) -> None:
        """Keep one of two arguments."""
        super().__init__(one)


class Holder:
    """An object with a part."""

    def __init__(self, part: Any) -> None:
        """Keep it."""
        self.part = part


def nested() -> None:
    """Do nothing; a function of a module can be pickled."""


def line_of(text: str) -> int:
    """Return the number of the first line of this file that has the text."""
    return next(number for number, line in enumerate(Path(__file__).read_text().splitlines(), 1) if text in line)


def local() -> Any:
    """Return a function that only this call knows."""

    def inner() -> None:
        pass

    return inner


LAMBDA = lambda n: n  # noqa: E731 - the subject of these tests
AT = f"a lambda at line {line_of('LAMBDA = lambda')}"


@pytest.mark.parametrize(
    ("args", "part", "built"),
    [
        (LAMBDA, AT, "the function"),
        ((1, [LAMBDA]), AT, "the function"),
        ({"key": LAMBDA}, AT, "the function"),
        (Holder(LAMBDA), AT, "the function"),
        (local(), f"the local function inner at line {line_of('def inner')}", "the function"),
        ((part for part in "ab"), "an object of generator", "the object"),
        ([threading.Lock()], "an object of lock", "the object"),
        (FragileError(1, 2), "an object of FragileError", "the object"),
    ],
)
def test_a_case_that_cannot_be_pickled_is_named(tmp_path: Path, args: Any, part: str, built: str) -> None:
    """With the innermost part that is the reason, its line, and what to do."""
    cases = [Case("g", "good", nested), Case("g", "bad", args)]
    with pytest.raises(UnpicklableCaseError) as refused:
        cached_cases(tmp_path / "cases.pickle", lambda: cases)
    assert str(refused.value) == (f"case 'bad': its args cannot be pickled ({part}); pass plain data and build {built} in run()")
    assert list(tmp_path.iterdir()) == []


def test_cases_are_made_once(tmp_path: Path) -> None:
    """Every process of a run gets the same cases."""
    file, made = tmp_path / "cases.pickle", list[int]()

    def make() -> list[Case]:
        made.append(1)
        return [Case("g", "a", (1, "x"))]

    assert cached_cases(file, make) == cached_cases(file, make) == [Case("g", "a", (1, "x"))]
    assert made == [1]
