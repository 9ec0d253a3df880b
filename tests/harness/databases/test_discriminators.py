"""Inheritance hierarchies: every drawn row is one of a mapped class, and the ORM loads it as one."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from harness.databases.discriminators import discriminators
from harness.databases.drawn_rows import DrawnRows
from harness.databases.filled import filled_database
from harness.errors import UsageError
from harness.scenario import Setting

pytest.importorskip("mimesis")


class ZooTables(DeclarativeBase):
    """A hierarchy in one table, one with joined tables, and one without a class for its base."""


class Animal(ZooTables):
    """An animal, or one of a kind."""

    __tablename__ = "animals"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="cat")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012 - as SQLAlchemy has it


class Cat(Animal):
    """In the same table."""

    lives: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012


class Keeper(ZooTables):
    """A person."""

    __tablename__ = "keepers"
    id: Mapped[int] = mapped_column(primary_key=True)
    role: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "role", "polymorphic_identity": "keeper"}  # noqa: RUF012


class Doctor(Keeper):
    """A person with a row in a second table."""

    __tablename__ = "doctors"
    id: Mapped[int] = mapped_column(ForeignKey("keepers.id"), primary_key=True)
    __mapper_args__ = {"polymorphic_identity": "doctor"}  # noqa: RUF012


def drawn(tmp_path: Path, counts: Any, values: Any = None) -> dict[str, list[dict[str, Any]]]:
    """Return all rows."""
    return {name: list(rows) for name, rows in DrawnRows(ZooTables.metadata, Setting(tmp_path, tmp_path), counts, values or {})}


def test_each_hierarchy_has_its_identities_and_joined_tables() -> None:
    """In the order of their columns; other tables have none."""
    animals, keepers = discriminators(ZooTables.metadata)
    assert (animals.column, animals.identities, animals.joined) == (Animal.__table__.c.kind, ["animal", "cat"], [])
    assert (keepers.identities, keepers.joined) == (["keeper"], [Doctor.__table__])


def test_rows_of_one_table_are_of_all_its_classes(tmp_path: Path) -> None:
    """Whatever the column's default; the ORM loads each of them as an object of its class."""
    with (
        filled_database(Setting(tmp_path, tmp_path), ZooTables.metadata, {Animal: 60, Keeper: 5}) as filled,
        Session(filled.engine) as session,
    ):
        assert {type(found) for found in session.scalars(select(Animal))} == {Animal, Cat}
        assert {type(found) for found in session.scalars(select(Keeper))} == {Keeper}


def test_rows_of_joined_tables_are_refused_with_what_to_do(tmp_path: Path) -> None:
    """A row of the base would be of a class whose other row it does not have; the user's own values are taken."""
    message = r"keepers\.role says of which class a row is, .*joined tables \(doctors\); set their row_counts to 0, or yield"
    for counts in ({}, {Doctor: 2}):
        with pytest.raises(UsageError, match=message):
            drawn(tmp_path, counts)
    assert {row["role"] for row in drawn(tmp_path, {Keeper: 5, Doctor: 0})["keepers"]} == {"keeper"}
    given = drawn(tmp_path, {Keeper: 5, Doctor: 2}, {Keeper.role: lambda _, number: "doctor" if number <= 2 else "keeper"})
    assert [row["role"] for row in given["keepers"]] == ["doctor", "doctor", "keeper", "keeper", "keeper"]
    assert [row["id"] for row in given["doctors"]] == [1, 2]
