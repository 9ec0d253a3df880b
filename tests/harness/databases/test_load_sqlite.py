"""Bulk load into SQLite: SQLAlchemy reads back the loaded values, from the schema that it would have created."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    select,
)

from harness.databases import load_sqlite as loader
from harness.databases.load_sqlite import load_sqlite
from harness.errors import UsageError
from tests.harness.databases.blocks import Rows

TABLES = MetaData()
ITEMS = Table(
    "items",
    TABLES,
    Column("id", String(36), primary_key=True),
    Column("order", Integer),
    Column("score", Float),
    Column("passed", Boolean),
    Column("made_at", DateTime),
    Index("idx_items_score", "score"),
)
NUMBERED = Table("numbered", TABLES, Column("id", Integer, primary_key=True), Column("name", String(9)))
NAMED = Table("named", TABLES, Column("id", String(9), primary_key=True), Column("name", String(9)), UniqueConstraint("name"))
PAIRS = Table("pairs", TABLES, Column("a", String(9), primary_key=True), Column("b", Integer, primary_key=True))


def items(first: int = 0) -> Rows:
    """Return three items with a NULL in every nullable column."""
    return Rows(
        "items",
        {
            "id": [f"id-{9 - first - n}" for n in range(3)],
            "order": np.arange(first, first + 3),
            "score": np.array([0.5, np.nan, 1.0]),
            "passed": np.array([True, False, True]),
            "made_at": np.array(["2025-01-02T03:04:05.000006", "NaT", "2025-10-01"], dtype="datetime64[us]"),
        },
    )


def others() -> list[Rows]:
    """Return one block for each of the other tables."""
    return [
        Rows("numbered", {"id": np.array([2, 1]), "name": ["b", None]}),
        Rows("named", {"id": ["x"], "name": ["日本語 🙂"]}),
        Rows("pairs", {"a": ["p", "p"], "b": np.array([2, 1])}),
    ]


def schema(file: Path) -> set[tuple[str, ...]]:
    """Return the file's schema without page numbers."""
    with closing(sqlite3.connect(file)) as connection:
        return set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name != 'sqlite_stat1'"))


def test_sqlalchemy_reads_back_the_loaded_values(tmp_path: Path) -> None:
    """Every value, NULLs included, is read back equal and in the order of loading."""
    counts = load_sqlite(tmp_path / "a.db", TABLES, [items(), items(3), *others()])
    assert counts == {"items": 6, "numbered": 2, "named": 1, "pairs": 2}
    with create_engine(f"sqlite:///{tmp_path / 'a.db'}").connect() as connection:
        read = connection.execute(select(ITEMS)).all()
        assert [tuple(row) for row in read[:3]] == [
            ("id-9", 0, 0.5, True, datetime(2025, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001 - the tables hold naive UTC
            ("id-8", 1, None, False, None),
            ("id-7", 2, 1.0, True, datetime(2025, 10, 1)),  # noqa: DTZ001 - the tables hold naive UTC
        ]
        assert [row.order for row in read] == list(range(6))
        assert [tuple(row) for row in connection.execute(select(NUMBERED))] == [(1, None), (2, "b")]
        assert connection.execute(select(NAMED.c.name)).scalar() == "日本語 🙂"
    connection.engine.dispose()


def test_values_are_stored_as_sqlalchemy_stores_them(tmp_path: Path) -> None:
    """Values and storage types are those of SQLAlchemy's own insert."""
    load_sqlite(tmp_path / "loaded.db", TABLES, [items()])
    engine = create_engine(f"sqlite:///{tmp_path / 'inserted.db'}")
    with create_engine(f"sqlite:///{tmp_path / 'loaded.db'}").connect() as loaded, engine.begin() as inserted:
        TABLES.create_all(inserted)
        inserted.execute(ITEMS.insert(), [row._asdict() for row in loaded.execute(select(ITEMS))])
    loaded.engine.dispose()
    engine.dispose()
    stored = []
    for name in ("loaded.db", "inserted.db"):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            stored.append(
                connection.execute(
                    'SELECT id, "order", score, passed, made_at, typeof("order"), typeof(score), typeof(passed), typeof(made_at) '
                    "FROM items ORDER BY rowid"
                ).fetchall()
            )
    assert stored[0] == stored[1]


@pytest.mark.parametrize("editable", [True, False])
def test_the_schema_is_sqlalchemys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, editable: bool) -> None:
    """Tables, keys and indexes are those of create_all, valid and used, whether or not the schema is editable."""
    if not editable:
        monkeypatch.setattr(loader, "_schema_writable", lambda connection: False)
    loaded = tmp_path / "loaded.db"
    load_sqlite(loaded, TABLES, [items(), items(3), *others()])
    engine = create_engine(f"sqlite:///{tmp_path / 'inserted.db'}")
    TABLES.create_all(engine)
    engine.dispose()
    assert schema(loaded) == schema(tmp_path / "inserted.db")
    with closing(sqlite3.connect(loaded)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM sqlite_stat1").fetchone()[0] > 0
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT * FROM items WHERE id = 'id-9'").fetchone()[3]
        assert "sqlite_autoindex_items_1" in plan
        with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: items\.id"):
            connection.execute("INSERT INTO items (id) VALUES ('id-9')")


def test_a_defensive_build_is_detected() -> None:
    """A connection that forbids editing the schema is detected before the load."""

    class Defensive:
        def execute(self, statement: str) -> None:
            if statement.startswith("UPDATE"):
                raise sqlite3.OperationalError("table sqlite_master may not be modified")

    assert not loader._schema_writable(Defensive())  # type: ignore[arg-type]  # a stand-in
    with closing(sqlite3.connect(":memory:")) as connection:
        assert loader._schema_writable(connection)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """An existing file is refused and not changed."""
    file = tmp_path / "a.db"
    file.write_text("mine")
    with pytest.raises(UsageError, match=r"a\.db exists already; delete it"):
        load_sqlite(file, TABLES, [])
    assert file.read_text() == "mine"


def no_space() -> Iterator[Rows]:
    """Yield blocks whose generation fails with a full disk."""
    yield items()
    raise OSError(errno.ENOSPC, "No space left on device")


def full_disk() -> Iterator[Rows]:
    """Yield blocks of which SQLite cannot store the second."""
    yield items()
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([items(), items()], r"cannot fill .*a\.db: UNIQUE constraint failed: items\.id; correct the rows"),
        ([Rows("numbered", {"id": np.array([1, 1])})], r"cannot fill .*a\.db: UNIQUE constraint failed: numbered\.id; correct"),
        ([Rows("strangers", {"id": [1]})], "unknown table 'strangers'; choose from items, numbered, named, pairs"),
        (no_space(), r"cannot write .*a\.db: No space left on device; choose a file"),
        (full_disk(), r"cannot fill .*a\.db: database or disk is full; free disk space"),
    ],
)
def test_a_failure_is_one_line_and_leaves_nothing(tmp_path: Path, blocks: Any, message: str) -> None:
    """Invalid rows, unknown tables and a full disk are named, and no partial file remains."""
    with pytest.raises(UsageError, match=message) as refusal:
        load_sqlite(tmp_path / "a.db", TABLES, blocks)
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_sqlites_full_database_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If SQLite itself runs out of pages while inserting, the message names the file."""
    connect = sqlite3.connect

    def small(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.execute("PRAGMA max_page_count = 12")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    big = Rows("items", {"id": [f"{n:036}" for n in range(5_000)]})
    with pytest.raises(UsageError, match=r"cannot fill .*a\.db: database or disk is full"):
        load_sqlite(tmp_path / "a.db", TABLES, [big])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A missing folder is reported with the file's path and the system's reason."""
    with pytest.raises(UsageError, match=r"cannot write .*deep/a\.db: No such file or directory"):
        load_sqlite(tmp_path / "deep" / "a.db", TABLES, [])
