"""Copies of a database: temporary ones, and reusable ones that are borrowed."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, text

from harness.databases.copies import borrowed_copy, temporary_copy
from harness.databases.interface import Databases, databases
from harness.scenario import Setting

METADATA = MetaData()
Table("things", METADATA, Column("id", Integer, primary_key=True))


@pytest.fixture
def found(tmp_path: Path) -> Databases:
    """Return a setting's databases with one named `source`, without rows."""
    made = databases(Setting(tmp_path, tmp_path))
    made.fill("source", METADATA, [])
    return made


def write(connection: Connection) -> None:
    """Insert a row."""
    connection.execute(text("INSERT INTO things VALUES (1)"))


def is_empty(found: Databases, name: str) -> bool:
    """Return whether a database has no rows."""
    rows: list[int] = []
    found.migrate(name, lambda connection: rows.append(connection.execute(text("SELECT count(*) FROM things")).scalar_one()))
    return rows == [0]


def test_a_temporary_copy_is_removed_and_the_source_unchanged(found: Databases) -> None:
    """Writes to a temporary copy do not affect the source."""
    with temporary_copy(found, "source", "mine") as name:
        found.migrate(name, write)
    assert not found.exists("mine")
    assert is_empty(found, "source")


def test_a_borrowed_copy_is_reused(found: Databases, tmp_path: Path) -> None:
    """The next borrower gets the same copy as the last one left it, and no other copy is made."""
    with borrowed_copy(found, "source", tmp_path) as first:
        found.migrate(first, write)
    with borrowed_copy(found, "source", tmp_path) as second:
        assert second == first
        assert not is_empty(found, second)


def test_concurrent_borrowers_have_separate_copies(found: Databases, tmp_path: Path) -> None:
    """A copy has one borrower at a time."""
    with ExitStack() as stack:
        names = [stack.enter_context(borrowed_copy(found, "source", tmp_path)) for _ in range(3)]
        assert len(set(names)) == 3
    with ExitStack() as stack:
        assert [stack.enter_context(borrowed_copy(found, "source", tmp_path)) for _ in range(3)] == names


def test_the_copy_of_a_crashed_borrower_is_rebuilt(found: Databases, tmp_path: Path) -> None:
    """A copy whose borrower raised an exception is made again before it is borrowed next."""
    stack = ExitStack()
    name = stack.enter_context(borrowed_copy(found, "source", tmp_path))
    found.migrate(name, write)
    assert not stack.__exit__(ValueError, ValueError("an error while a copy is borrowed"), None)
    with borrowed_copy(found, "source", tmp_path) as again:
        assert again == name
        assert is_empty(found, again)
