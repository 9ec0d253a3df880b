"""A filled database for tests: created with its rows, and removed at the end."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from harness.databases.filled import filled_database
from harness.scenario import Setting

pytest.importorskip("mimesis")


class FilledTables(DeclarativeBase):
    """One table."""


class Thing(FilledTables):
    """A thing."""

    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def test_a_database_is_filled_and_removed(tmp_path: Path) -> None:
    """Two of them do not meet; URLs lead to the rows, the engine is disposed of, and no file is left."""
    setting = Setting(tmp_path, tmp_path, size="small")
    with (
        filled_database(setting, FilledTables.metadata, {Thing: 7}) as one,
        filled_database(setting, FilledTables.metadata) as other,
    ):
        assert one.keys(Thing) == list(range(1, 8))
        assert other.async_url.startswith("sqlite+aiosqlite:///")
        for database, number in ((one, 7), (other, 1_000)):
            engine = create_engine(database.url)
            with engine.connect() as connection, database.engine.connect() as again:
                for each in (connection, again):
                    assert each.execute(select(func.count()).select_from(Thing)).scalar_one() == number
            engine.dispose()
    assert list(tmp_path.iterdir()) == []
