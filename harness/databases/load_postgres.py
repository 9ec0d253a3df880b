"""Tables of PostgreSQL made from blocks of rows: by binary COPY, with keys and indexes built after the rows.

Serves any SQLAlchemy tables of the default schema; the finished one is what `MetaData.create_all` makes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import groupby

import asyncpg
from sqlalchemy import URL, MetaData, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from harness.databases.rows import RowBlock
from harness.databases.rows_postgres import END, SIGNATURE, encode
from harness.errors import UsageError

_PIECE_BYTES = 1 << 18
_TYPES = """
SELECT attname, typname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""

# What is put on a table after its rows: in this order, and taken off in the opposite one. A foreign key needs the key it refers to.
_LATER = """
SELECT * FROM (
  SELECT CASE contype WHEN 'f' THEN 3 ELSE 1 END AS turn, conrelid::regclass::text AS of, conname AS name,
         format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS off,
         format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS again
  FROM pg_constraint WHERE contype IN ('p', 'u', 'x', 'f') AND connamespace = current_schema()::regnamespace
  UNION ALL
  SELECT 2, indrelid::regclass::text, relname, format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
  FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
  WHERE relnamespace = current_schema()::regnamespace
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
) AS later ORDER BY turn, of, name
"""

_COUNTERS = """
SELECT format('SELECT setval(%L, coalesce(max(%I), 0) + 1, false) FROM %s', sequence, attname, attrelid::regclass)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid,
     pg_get_serial_sequence(attrelid::regclass::text, attname) AS sequence
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND attnum > 0 AND NOT attisdropped AND sequence IS NOT NULL
"""


async def load_postgres(url: URL, metadata: MetaData, blocks: Iterable[RowBlock]) -> dict[str, int]:
    """Make these tables in an empty database and fill them, with their keys and indexes; return their rows by table.

    It is then vacuumed and analysed: pages are known to be visible to all, so that an index alone can answer, and the planner knows
    the values. All but that is one transaction.

    Raises:
        UsageError: a block does not fit its table.
        asyncpg.PostgresError, sqlalchemy.exc.DBAPIError, OSError: the server refuses, or is gone.
    """
    rows = Counter(dict.fromkeys(metadata.tables, 0))
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")  # the driver says BEGIN, below
    try:
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, asyncpg.Connection)
            async with driver.transaction():
                await connection.run_sync(metadata.create_all, checkfirst=False)
                later = await driver.fetch(_LATER)
                for each in reversed(later):
                    await driver.execute(each["off"])
                rows.update(await copy_in(driver, blocks, freeze=True))
                for each in later:
                    await driver.execute(each["again"])
                for (advance,) in await driver.fetch(_COUNTERS):
                    await driver.execute(advance)
            await driver.execute("VACUUM (ANALYZE)")
    finally:
        await engine.dispose()
    return dict(rows)


async def copy_in(connection: asyncpg.Connection, blocks: Iterable[RowBlock], *, freeze: bool = False) -> Counter[str]:
    """Add blocks to tables that are there; return how many rows each table was given.

    `freeze` writes rows as if they had always been there, which spares the server a second pass over them; allowed only for tables
    that were made or emptied in the transaction that is open. Blocks are asked for one at a time, while the server still works off
    those before.

    Raises:
        UsageError: a block does not fit its table.
        asyncpg.PostgresError, OSError: the server refuses, or is gone.
    """
    rows: Counter[str] = Counter()
    for (table, names), group in groupby(blocks, lambda block: (block.table, tuple(block.columns))):
        types = {str(name): str(kind) for name, kind in await connection.fetch(_TYPES, table)}
        if not types:
            raise UsageError(f"no table named {table!r} in the database; name one that is there in the block")
        await _copy(connection, table, names, _stream(group, types, rows), freeze=freeze)
    return rows


async def _stream(blocks: Iterable[RowBlock], types: Mapping[str, str], rows: Counter[str]) -> AsyncIterator[bytes]:
    yield SIGNATURE
    for block in blocks:
        encoded = encode(block, types)
        for first in range(0, len(encoded), _PIECE_BYTES):
            await asyncio.sleep(0)  # while there is room to write, nothing else would have a turn: no Ctrl-C, no connection's end
            yield bytes(encoded[first : first + _PIECE_BYTES])
        rows[block.table] += block.rows
    yield END


async def _copy(
    connection: asyncpg.Connection, table: str, names: Sequence[str], source: AsyncIterator[bytes], *, freeze: bool
) -> None:
    """Copy, and end when the connection does: a driver that waits for room to write is not told that there will never be any."""
    copying = asyncio.ensure_future(connection.copy_to_table(table, source=source, columns=names, format="binary", freeze=freeze))

    def lost(_: object) -> None:
        copying.cancel()

    connection.add_termination_listener(lost)
    try:
        await copying
    except asyncio.CancelledError:
        if connection.is_closed():
            raise ConnectionError("the server ended the connection") from None
        raise
    finally:
        connection.remove_termination_listener(lost)
