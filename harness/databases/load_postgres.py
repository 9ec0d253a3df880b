"""Bulk load of rows into PostgreSQL: columnar blocks in COPY's binary format, keys and indexes created after the rows.

Works for any SQLAlchemy tables of the default schema; the result is what `MetaData.create_all` creates.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import asyncpg
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import URL, MetaData, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from harness.databases.copy_values import BINARY
from harness.databases.default_schema import require_default_schema
from harness.databases.interface import RowBlock
from harness.errors import UsageError

Column = Sequence[Any] | NDArray[Any]

_HEADER, _TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"  # the format's name, no flags, no extension
_EPOCH_US = 946_684_800_000_000  # PostgreSQL counts from 2000, NumPy from 1970
_FIRST_US = -210_866_803_200_000_000  # 4714-11-24 BC, where PostgreSQL's timestamps begin, counted from 1970

_OIDS = {"bool": 16, "int8": 20, "int2": 21, "int4": 23, "text": 25, "float4": 700, "float8": 701, "varchar": 1043, "date": 1082}
_OIDS |= {"numeric": 1700, "uuid": 2950}
"""Types whose arrays are loaded → the number of the type, the same on every server."""

_CHUNK_BYTES = 1 << 18
_TYPES = """
SELECT attname, CASE typtype WHEN 'e' THEN 'text' ELSE typname END FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""

# Constraints and indexes that are created after the rows, in this order, and dropped in the opposite one: a foreign key needs the
# key that it references.
_DEFERRED = """
SELECT * FROM (
  SELECT CASE contype WHEN 'f' THEN 3 ELSE 1 END AS step, conrelid::regclass::text AS owner, conname AS name,
         format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS remove,
         format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS restore
  FROM pg_constraint WHERE contype IN ('p', 'u', 'x', 'f') AND connamespace = current_schema()::regnamespace
  UNION ALL
  SELECT 2, indrelid::regclass::text, relname, format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
  FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
  WHERE relnamespace = current_schema()::regnamespace
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
) AS deferred ORDER BY step, owner, name
"""

_SEQUENCES = """
SELECT format('SELECT setval(%L, coalesce(max(%I), 0) + 1, false) FROM %s', sequence, attname, attrelid::regclass)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid,
     pg_get_serial_sequence(attrelid::regclass::text, attname) AS sequence
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND attnum > 0 AND NOT attisdropped AND sequence IS NOT NULL
"""


async def load_postgres(url: URL, metadata: MetaData, blocks: Iterable[RowBlock]) -> dict[str, int]:
    """Create these tables in an empty database and fill them, with keys and indexes; return the number of rows by table.

    Everything but the VACUUM (ANALYZE) that follows is one transaction. That sets the visibility map, so that index-only scans
    work, and gathers the planner's statistics. Errors are those of `copy_in`, SQLAlchemy's DBAPIError, and UsageError for
    a table of another schema.
    """
    require_default_schema(metadata)
    rows = Counter(dict.fromkeys(metadata.tables, 0))
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")  # the driver begins the transaction below
    try:
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, asyncpg.Connection)
            async with driver.transaction():
                await connection.run_sync(metadata.create_all, checkfirst=False)
                deferred = await driver.fetch(_DEFERRED)
                for each in reversed(deferred):
                    await driver.execute(each["remove"])
                rows.update(await copy_in(driver, blocks, freeze=True))
                for each in deferred:
                    await driver.execute(each["restore"])
                for (advance,) in await driver.fetch(_SEQUENCES):
                    await driver.execute(advance)
            await driver.execute("VACUUM (ANALYZE)")
    finally:
        await engine.dispose()
    return dict(rows)


async def copy_in(connection: asyncpg.Connection, blocks: Iterable[RowBlock], *, freeze: bool = False) -> Counter[str]:
    """Add blocks of rows to existing tables; return the number of rows added by table.

    `freeze` marks the rows as visible to all, which spares the server a second pass over them; PostgreSQL allows it only for
    tables that were created or truncated in the open transaction. Blocks are taken one at a time, while the server still processes
    earlier ones.

    Raises:
        UsageError: a block does not match its table.
        asyncpg.PostgresError, OSError: the server reports an error, or the connection is lost.
    """
    rows: Counter[str] = Counter()
    for (table, names), group in groupby(blocks, lambda block: (block.table, tuple(block.columns))):
        types = {str(name): str(kind) for name, kind in await connection.fetch(_TYPES, table)}
        if not types:
            raise UsageError(f"unknown table {table!r}; create it before loading rows into it")
        source = _stream(group, types, rows)
        copy = connection.copy_to_table(table, source=source, columns=names, format="binary", freeze=freeze)
        await _until_lost(connection, copy)
    return rows


async def _stream(blocks: Iterable[RowBlock], types: Mapping[str, str], rows: Counter[str]) -> AsyncIterator[bytes]:
    yield _HEADER
    for block in blocks:
        encoded = encode(block, types)
        for first in range(0, len(encoded), _CHUNK_BYTES):
            await asyncio.sleep(0)  # lets other tasks run, so that Ctrl-C and a lost connection are noticed meanwhile
            yield bytes(encoded[first : first + _CHUNK_BYTES])
        rows[block.table] += block.rows
    yield _TRAILER


async def _until_lost(connection: asyncpg.Connection, copy: Coroutine[Any, Any, str]) -> None:
    """Copy until done or the connection is lost, which the driver does not notice while it waits for buffer space to write."""
    copying = asyncio.ensure_future(copy)

    def lost(_: object) -> None:
        copying.cancel()

    connection.add_termination_listener(lost)
    try:
        await copying
    except asyncio.CancelledError:
        if connection.is_closed():
            raise ConnectionError("the server closed the connection") from None
        raise
    finally:
        connection.remove_termination_listener(lost)


class _Values(NamedTuple):
    """A column's encoded values: the bytes of all, and each row's offset in them and size; the size of NULL is -1."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]


def encode(block: RowBlock, types: Mapping[str, str]) -> memoryview:
    """Return a block's rows in COPY's binary format, without header and trailer; `types` are the table's column types by name.

    A row is its number of fields (int16), then per field the size in bytes (int32, -1 for NULL) and the value, in network byte
    order: PostgreSQL manual, COPY, "Binary Format". A column or value that does not match is a UsageError.
    """
    fields = [_values(block, name, types) for name in block.columns]
    if not block.rows:
        return memoryview(b"")
    widths = np.full(block.rows, 2, np.int64)
    for field in fields:
        widths += 4 + np.maximum(field.sizes, 0)
    ends = np.cumsum(widths)
    at = ends - widths
    rows = np.empty(ends[-1], np.uint8)
    _items(rows, 2)[at] = np.full(block.rows, len(fields), ">i2").view("V2")
    at += 2
    for field in fields:
        _items(rows, 4)[at] = field.sizes.astype(">i4").view("V4")
        at += 4
        # Values of one size are moved in one step, as items of that size: a column of 36-character ids is as fast as numbers.
        for size, which in _by_size(field.sizes):
            if size > 0:
                _items(rows, size)[at[which]] = _items(field.data, size)[field.starts[which]]
        at += np.maximum(field.sizes, 0)
    return rows.data


def _items(data: NDArray[np.uint8], size: int) -> NDArray[np.void]:
    """Return a view of the overlapping items of `size` bytes, one starting at each byte."""
    return np.ndarray((len(data) - size + 1,), f"V{size}", data, strides=(1,))


def _by_size(sizes: NDArray[np.int64]) -> Iterable[tuple[int, NDArray[np.int64] | slice]]:
    """Return each size that occurs, and the rows of that size."""
    if sizes.min() == sizes.max():
        return [(int(sizes[0]), slice(None))]
    order = np.argsort(sizes, kind="stable")
    runs = np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1)
    return [(int(sizes[run[0]]), run) for run in runs]


def _values(block: RowBlock, name: str, types: Mapping[str, str]) -> _Values:
    table, column = block.table, block.columns[name]
    if len(column) != block.rows:
        raise UsageError(f"{table}.{name} has {len(column)} values for {block.rows} rows; make them equal")
    if name not in types:
        raise UsageError(f"unknown column {table}.{name}; choose from {', '.join(types)}")
    if types[name] not in _ENCODERS:
        raise UsageError(f"cannot load {table}.{name} of type {types[name]}; use one of {', '.join(_ENCODERS)}")
    try:
        return _ENCODERS[types[name]](column)
    except (ValueError, TypeError, ArithmeticError, struct.error) as error:
        raise UsageError(f"cannot load {table}.{name} as {types[name]}: {error}; correct the rows") from error


def _texts(column: Column) -> _Values:
    texts = column.tolist() if isinstance(column, np.ndarray) else column
    nulls: list[int] = []
    try:
        joined = "".join(texts)
    except TypeError:
        nulls = [row for row, text in enumerate(texts) if text is None]
        texts = ["" if text is None else text for text in texts]
        joined = "".join(texts)
    if "\0" in joined:
        raise ValueError("a text contains the character NUL, which PostgreSQL cannot store")
    data = joined.encode()
    is_ascii = len(data) == len(joined)
    sizes = np.fromiter(map(len, texts if is_ascii else map(str.encode, texts)), np.int64, len(texts))
    starts = np.cumsum(sizes) - sizes
    sizes[nulls] = -1
    return _Values(np.frombuffer(data, np.uint8), starts, sizes)


def _integers(column: Column, *, dtype: str) -> _Values:
    values, nulls = _array(column, "biuf")
    present = values[~nulls]
    if present.dtype.kind == "f" and not np.array_equal(present, np.trunc(present)):
        raise ValueError("a number is not an integer")
    limits = np.iinfo(dtype)
    for number in (present.min(), present.max()) if present.size else ():
        if not limits.min <= number <= limits.max or int(number) > limits.max:
            raise ValueError(f"{number} is not between {limits.min} and {limits.max}")
    return _fixed(values, nulls, dtype)


def _times(column: Column) -> _Values:
    values, nulls = _array(column, "M")
    us = values.astype("datetime64[us]").view(np.int64)
    if (us[~nulls] < _FIRST_US).any():
        raise ValueError("a time is before 4714-11-24 BC")
    return _fixed(np.where(nulls, 0, us) - _EPOCH_US, nulls, ">i8")


def _array(column: Column, kinds: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a column as an array of one of these NumPy kinds, and a mask of its NULL rows."""
    if isinstance(column, np.ndarray):
        values, nulls = column, np.zeros(len(column), np.bool_)
    else:
        nulls = np.fromiter((value is None for value in column), np.bool_, len(column))
        any_value = next((value for value in column if value is not None), 0)
        values = np.array([any_value if value is None else value for value in column])
    if values.dtype.kind == "f":
        nulls = nulls | np.isnan(values)
    elif values.dtype.kind == "M":
        nulls = nulls | np.isnat(values)
    if values.dtype.kind not in kinds and not nulls.all():
        raise ValueError(f"its values are {values.dtype}")
    return values, nulls


def _binary(column: Column, *, encode_one: Callable[[Any], bytes]) -> _Values:
    encoded = [None if value is None else encode_one(value) for value in column]
    sizes = np.fromiter((0 if each is None else len(each) for each in encoded), np.int64, len(encoded))
    starts = np.cumsum(sizes) - sizes
    sizes[[row for row, each in enumerate(encoded) if each is None]] = -1
    return _Values(np.frombuffer(b"".join(filter(None, encoded)), np.uint8), starts, sizes)


def _fixed(values: NDArray[Any], nulls: NDArray[np.bool_], dtype: str) -> _Values:
    stored = np.where(nulls, np.zeros(1, values.dtype), values).astype(dtype)
    size = stored.dtype.itemsize
    return _Values(stored.view(np.uint8), np.arange(len(stored)) * size, np.where(nulls, -1, size))


def _lists(column: Column, *, kind: str, oid: int) -> _Values:
    """Encode arrays of one dimension: their number of dimensions, whether there is a NULL, and the type, size and items."""
    items = _ENCODERS[kind]([item for values in column if values is not None for item in values])
    encoded: list[bytes | None] = []
    first = 0
    for values in column:
        number = 0 if values is None else len(values)
        sizes = [int(size) for size in items.sizes[first : first + number]]
        parts = [struct.pack(">iiiii", 1, int(-1 in sizes), oid, number, 1) if number else struct.pack(">iii", 0, 0, oid)]
        for size, start in zip(sizes, items.starts[first : first + number], strict=True):
            parts += [struct.pack(">i", size), items.data[start : start + max(0, size)].tobytes()]
        encoded.append(None if values is None else b"".join(parts))
        first += number
    return _binary(encoded, encode_one=bytes)


_ENCODERS: Mapping[str, Callable[[Column], _Values]] = {
    **{f"int{size}": partial(_integers, dtype=f">i{size}") for size in (2, 4, 8)},
    "float4": lambda column: _fixed(*_array(column, "biuf"), ">f4"),
    "float8": lambda column: _fixed(*_array(column, "biuf"), ">f8"),
    "bool": lambda column: _fixed(*_array(column, "b"), "?"),
    **dict.fromkeys(("timestamp", "timestamptz"), _times),
    **dict.fromkeys(("text", "varchar", "bpchar"), _texts),
    **{kind: partial(_binary, encode_one=encode_one) for kind, encode_one in BINARY.items()},
    **{f"_{kind}": partial(_lists, kind=kind, oid=oid) for kind, oid in _OIDS.items()},
}
