"""Copies of a database: thrown away, or lent to one after another."""

from __future__ import annotations

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
    """Return a setting's databases, one of them called `source`, empty of rows."""
    made = databases(Setting(tmp_path, tmp_path))
    made.fill("source", METADATA, [])
    return made


def write(connection: Connection) -> None:
    """Leave something behind."""
    connection.execute(text("INSERT INTO things VALUES (1)"))


def is_empty(found: Databases, name: str) -> bool:
    """Say whether nobody has left anything behind."""
    rows: list[int] = []
    found.migrate(name, lambda connection: rows.append(connection.execute(text("SELECT count(*) FROM things")).scalar_one()))
    return rows == [0]


def test_a_fresh_copy_is_gone_afterwards_and_the_source_untouched(found: Databases) -> None:
    """Whatever is written to a fresh copy goes with it."""
    with temporary_copy(found, "source", "mine") as name:
        found.migrate(name, write)
    assert not found.exists("mine")
    assert is_empty(found, "source")


def test_a_lent_copy_is_lent_again(found: Databases, tmp_path: Path) -> None:
    """The next borrower gets the same copy as the last one left it, without another being made."""
    with borrowed_copy(found, "source", tmp_path) as first:
        found.migrate(first, write)
    with borrowed_copy(found, "source", tmp_path) as second:
        assert second == first
        assert not is_empty(found, second)


def test_two_borrowers_at_a_time_have_a_copy_each(found: Databases, tmp_path: Path) -> None:
    """Nobody shares a copy with somebody who has it still."""
    with ExitStack() as stack:
        names = [stack.enter_context(borrowed_copy(found, "source", tmp_path)) for _ in range(3)]
        assert len(set(names)) == 3
    with ExitStack() as stack:
        assert [stack.enter_context(borrowed_copy(found, "source", tmp_path)) for _ in range(3)] == names


def test_who_leaves_in_haste_leaves_no_copy_behind_for_others(found: Databases, tmp_path: Path) -> None:
    """A copy whose borrower raised is made anew before it is lent again."""
    stack = ExitStack()
    name = stack.enter_context(borrowed_copy(found, "source", tmp_path))
    found.migrate(name, write)
    assert not stack.__exit__(ValueError, ValueError("what goes wrong while a copy is lent"), None)
    with borrowed_copy(found, "source", tmp_path) as again:
        assert again == name
        assert is_empty(found, again)
