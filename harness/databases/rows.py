"""Rows into tables by bulk load: columnar blocks into a fresh SQLite file, indexes built after the rows.

Serves any SQLAlchemy tables. Values are stored as SQLAlchemy's SQLite dialect would store them, and the finished file's
schema is the one `MetaData.create_all` makes.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
from sqlalchemy import Column, ForeignKeyConstraint, Integer, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from harness.errors import UsageError


class RowBlock(Protocol):
    """Some rows of one table, column by column.

    A column is a NumPy array of numbers, flags or datetime64, or a sequence of values that the sqlite3 driver takes as
    they are; all of one length. NULL is None, NaN among floats and NaT among times.
    """

    @property
    def table(self) -> str:
        """Name of the table."""
        ...

    @property
    def columns(self) -> Mapping[str, Sequence[Any] | np.ndarray[Any, Any]]:
        """Columns by name."""
        ...

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...


_TIME_SEPARATOR_AT = len("2025-10-01")


def load_sqlite(path: Path, metadata: MetaData, blocks: Iterable[RowBlock], *, analyse: bool = True) -> dict[str, int]:
    """Make a SQLite file of these tables and rows, indexed and in WAL mode; return its rows by table.

    With `analyse` it has statistics for the planner, which SQLite gathers only when told to.

    The file appears under its name when it is complete. Foreign keys are not checked.

    Raises:
        UsageError: the file is there already or cannot be written, the disk is full, or the rows do not fit the tables.
    """
    if path.exists():
        raise UsageError(f"{path} is there already; remove it or name another file")
    rows: Counter[str] = Counter(dict.fromkeys(metadata.tables, 0))
    # A folder beside the file, because renaming does not cross disks; whatever is left in it goes with it.
    with _refusing(path), TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        deferred = _insert(partial, metadata, blocks, rows)
        with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
            # A second connection reads the schema afresh, with the primary keys that were put in afterwards.
            connection.execute("PRAGMA synchronous = OFF")
            _check_primary_keys(connection, deferred)
            if analyse:
                connection.execute("ANALYZE")
            connection.execute("PRAGMA journal_mode = WAL")
        partial.rename(path)
    return dict(rows)


def _insert(path: Path, metadata: MetaData, blocks: Iterable[RowBlock], rows: Counter[str]) -> list[Table]:
    """Fill the file, then index it; return the tables whose primary key was built like the other indexes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # The file is thrown away if this fails, so nothing needs a journal. The page cache stays at SQLite's 2 MB: its
        # sorter takes as much again, and sorting in small runs is faster than in runs as large as a big cache.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        tables = metadata.sorted_tables
        deferred = [t for t in tables if _deferrable(t)] if _schema_writable(connection) else []
        for table in tables:
            connection.execute(_ddl(CreateTable(_without_key(table) if table in deferred else table)))
        for block in blocks:
            _insert_block(connection, metadata, block)
            rows[block.table] += block.rows
        for table in tables:
            if table in deferred:
                _add_primary_key(connection, table)
        for table in tables:
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(_ddl(CreateIndex(index)))
        connection.execute("COMMIT")
    return deferred


def _insert_block(connection: sqlite3.Connection, metadata: MetaData, block: RowBlock) -> None:
    if block.table not in metadata.tables:
        raise UsageError(f"no table named {block.table!r} among {', '.join(metadata.tables)}; name one of them in the block")
    names = ", ".join(_quoted(name) for name in block.columns)
    places = ", ".join("?" * len(block.columns))
    connection.executemany(
        f"INSERT INTO {_quoted(block.table)} ({names}) VALUES ({places})",  # noqa: S608 - quoted identifiers
        zip(*(_stored(column) for column in block.columns.values()), strict=True),
    )


def _stored(column: Sequence[Any] | np.ndarray[Any, Any]) -> Sequence[Any]:
    """Return a column's values as SQLAlchemy's SQLite dialect hands them to the driver."""
    if not isinstance(column, np.ndarray):
        return column
    if column.dtype.kind == "M":
        # `2025-10-01 12:00:00.000000`, the dialect's own format, which also sorts as text.
        text = np.datetime_as_string(column, unit="us")
        text.view(np.uint32).reshape(len(text), -1)[:, _TIME_SEPARATOR_AT] = ord(" ")
        stored = text.astype(object)
        stored[np.isnat(column)] = None
    elif column.dtype.kind == "f":
        stored = column.astype(object)
        stored[np.isnan(column)] = None
    elif column.dtype.kind == "b":
        stored = column.view(np.uint8)  # the driver is slow with every type that is not its own
    else:
        stored = column
    return stored.tolist()  # type: ignore[no-any-return]  # an array's list is untyped


# A primary key of text is an index, and random ids fill it at a random place for every row, which is most of the time of a large
# load. Built afterwards, by sorting, it takes a fraction of it. SQLite has no statement that adds a primary key, so the index is
# built as a unique one, which is the same structure, and the schema is then made to say what it would have said.


def _deferrable(table: Table) -> bool:
    """Say whether the primary key can be added later: it is an index, and nothing else in the table would be lost."""
    keys = list(table.primary_key.columns)
    is_rowid = len(keys) == 1 and isinstance(keys[0].type, Integer)
    plain = all(isinstance(c, PrimaryKeyConstraint | ForeignKeyConstraint) for c in table.constraints)
    has_rowid = table.dialect_options["sqlite"]["with_rowid"]
    return bool(keys) and not is_rowid and plain and has_rowid and all(c.server_default is None for c in table.columns)


def _schema_writable(connection: sqlite3.Connection) -> bool:
    """Say whether this build lets its schema be edited; those in defensive mode do not."""
    connection.execute("PRAGMA writable_schema = ON")
    try:
        connection.execute("UPDATE sqlite_master SET sql = sql WHERE 0")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.execute("PRAGMA writable_schema = OFF")
    return True


def _without_key(table: Table) -> Table:
    return Table(table.name, MetaData(), *(Column(c.name, c.type, nullable=c.nullable) for c in table.columns))


def _key_index(table: Table) -> str:
    return f"sqlite_autoindex_{table.name}_1"


def _add_primary_key(connection: sqlite3.Connection, table: Table) -> None:
    unique = f"primary_key_of_{table.name}"
    columns = ", ".join(_quoted(column.name) for column in table.primary_key.columns)
    connection.execute(f"CREATE UNIQUE INDEX {_quoted(unique)} ON {_quoted(table.name)} ({columns})")
    connection.execute("PRAGMA writable_schema = ON")
    edit = "UPDATE sqlite_master SET name = ?, sql = ? WHERE name = ?"
    connection.execute(edit, (table.name, _ddl(CreateTable(table)), table.name))
    connection.execute(edit, (_key_index(table), None, unique))
    connection.execute("PRAGMA writable_schema = OFF")


def _check_primary_keys(connection: sqlite3.Connection, tables: Iterable[Table]) -> None:
    for table in tables:
        made = connection.execute(f"PRAGMA index_list({_quoted(table.name)})").fetchall()
        if not any(name == _key_index(table) and unique and origin == "pk" for _, name, unique, origin, _ in made):
            raise sqlite3.DatabaseError(f"the primary key of {table.name} is not in the schema")


def _ddl(statement: CreateTable | CreateIndex) -> str:
    return str(statement.compile(dialect=sqlite.dialect())).strip()


def _quoted(name: str) -> str:
    return sqlite.dialect().identifier_preparer.quote_identifier(name)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn the driver's and the system's errors into one line that names the file and the next step."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise UsageError(f"{path} was not made: {error}; mend the rows, which do not fit the tables") from error
    except sqlite3.Error as error:
        raise UsageError(f"{path} was not made: {error}; free space on the disk or name a file elsewhere") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{path} cannot be written: {reason}; name a file in a folder that can") from error
