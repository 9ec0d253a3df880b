"""Bulk load of rows into a new SQLite file: columnar blocks first, indexes afterwards.

Works for any SQLAlchemy tables of the default schema. Values are stored as SQLAlchemy's SQLite dialect would store them, and the
schema of the finished file is the one that `MetaData.create_all` creates.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Column, ForeignKeyConstraint, Integer, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from harness.databases.default_schema import require_default_schema
from harness.databases.interface import RowBlock
from harness.databases.table_order import in_order
from harness.errors import UsageError
from harness.runtime.leftovers import owned_folder


def load_sqlite(path: Path, metadata: MetaData, blocks: Iterable[RowBlock], *, analyse: bool = True) -> dict[str, int]:
    """Create a SQLite file with these tables and rows, indexed and in WAL mode; return the number of rows by table.

    With `analyse` it has statistics for the query planner, which SQLite gathers only by ANALYZE. The file gets its name when it is
    complete. Foreign keys are not checked.

    Raises:
        UsageError: the file exists or cannot be written, the disk is full, the rows do not match the tables, or a table is of
            another schema.
    """
    require_default_schema(metadata)
    if path.exists():
        raise UsageError(f"{path} exists already; delete it or name another file")
    rows: Counter[str] = Counter(dict.fromkeys(metadata.tables, 0))
    try:
        # A folder next to the file, because a rename does not cross file systems; leftovers are removed with the folder.
        with owned_folder("load", path.parent) as folder:
            partial = folder / path.name
            deferred = _insert(partial, metadata, blocks, rows)
            # A new connection reads the schema with the primary keys that were added afterwards.
            with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = OFF")
                for table in deferred:
                    made = connection.execute(f"PRAGMA index_list({_quoted(table.name)})").fetchall()
                    if not any(name == _key_index(table) and unique and origin == "pk" for _, name, unique, origin, _ in made):
                        raise sqlite3.DatabaseError(f"the primary key of {table.name} is not in the schema")
                if analyse:
                    connection.execute("ANALYZE")
                connection.execute("PRAGMA journal_mode = WAL")
            partial.rename(path)
    except sqlite3.IntegrityError as error:
        raise UsageError(f"cannot fill {path}: {error}; correct the rows, which do not match the tables") from error
    except sqlite3.Error as error:
        raise UsageError(f"cannot fill {path}: {error}; free disk space or choose another file") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; choose a file in a writable folder") from error
    return dict(rows)


def _insert(path: Path, metadata: MetaData, blocks: Iterable[RowBlock], rows: Counter[str]) -> list[Table]:
    """Insert the rows, then create the indexes; return the tables whose primary key was created after the rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # The file is discarded if this fails, so no journal is needed. The page cache stays at SQLite's 2 MB: its sorter
        # takes the same again, and sorting in small runs is faster than in runs as large as a big cache.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        tables = in_order(metadata)
        deferred = [t for t in tables if _deferrable(t)] if _schema_writable(connection) else []
        for table in tables:
            keyless = (Column(c.name, c.type, nullable=c.nullable) for c in table.columns)
            connection.execute(_ddl(CreateTable(Table(table.name, MetaData(), *keyless) if table in deferred else table)))
        for block in blocks:
            if block.table not in metadata.tables:
                raise UsageError(f"unknown table {block.table!r}; choose from {', '.join(metadata.tables)}")
            names, places = ", ".join(map(_quoted, block.columns)), ", ".join("?" * len(block.columns))
            insert = f"INSERT INTO {_quoted(block.table)} ({names}) VALUES ({places})"  # noqa: S608 - quoted identifiers
            connection.executemany(insert, zip(*map(_stored, block.columns.values()), strict=True))
            rows[block.table] += block.rows
        for table in deferred:
            _add_primary_key(connection, table)
        for table in tables:
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(_ddl(CreateIndex(index)))
        connection.execute("COMMIT")
    return deferred


def _stored(column: Sequence[Any] | np.ndarray[Any, Any]) -> Sequence[Any]:
    """Return a column's values as SQLAlchemy's SQLite dialect passes them to the driver."""
    if not isinstance(column, np.ndarray):
        return column
    stored = column
    if column.dtype.kind == "M":
        # `2025-10-01 12:00:00.000000`, the dialect's own format, which also sorts as text.
        text = np.datetime_as_string(column, unit="us")
        text.view(np.uint32).reshape(len(text), -1)[:, len("2025-10-01")] = ord(" ")
        stored = text.astype(object)
        stored[np.isnat(column)] = None
    elif column.dtype.kind == "f":
        stored = column.astype(object)
        stored[np.isnan(column)] = None
    elif column.dtype.kind == "b":
        stored = column.view(np.uint8)  # the driver is slow with other types
    return stored.tolist()  # type: ignore[no-any-return]  # an array's list is untyped


# A primary key of text is an index, and random ids fill it at a random place per row, which is most of the time of a large load.
# Created afterwards, by sorting, it takes a fraction of that. SQLite has no statement that adds a primary key, so a unique index,
# which has the same structure, is created, and the stored schema is edited to what it would have been.


def _deferrable(table: Table) -> bool:
    """Return whether the primary key can be added later: it is an index, and the table has nothing else that would be lost."""
    keys = list(table.primary_key.columns)
    is_rowid = len(keys) == 1 and isinstance(keys[0].type, Integer)
    plain = all(isinstance(c, PrimaryKeyConstraint | ForeignKeyConstraint) for c in table.constraints)
    has_rowid = table.dialect_options["sqlite"]["with_rowid"]
    return bool(keys) and not is_rowid and plain and has_rowid and all(c.server_default is None for c in table.columns)


def _schema_writable(connection: sqlite3.Connection) -> bool:
    """Return whether this build of SQLite allows editing the schema; one in defensive mode does not."""
    connection.execute("PRAGMA writable_schema = ON")
    try:
        connection.execute("UPDATE sqlite_master SET sql = sql WHERE 0")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.execute("PRAGMA writable_schema = OFF")
    return True


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


def _ddl(statement: CreateTable | CreateIndex) -> str:
    return str(statement.compile(dialect=sqlite.dialect())).strip()


def _quoted(name: str) -> str:
    return sqlite.dialect().identifier_preparer.quote_identifier(name)
