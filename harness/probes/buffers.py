"""How many buffers PostgreSQL's executor touches for the queries of an operation: exact once tables are vacuumed and analysed.

The server's counters of blocks (`harness.probes.blocks`) see everything that happens to a table, vacuuming in the background too.
Here each query is asked for once more with `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF)`, after the operation and in a transaction that
is rolled back. Planning is left out: it reads the catalogue only while a connection is new. So are statements that write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Self

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

MOST = 500
"""Queries that are asked for again at most: an operation that sends more is too large to be counted query by query."""

_QUERY = re.compile(r"\s*(?:SELECT|WITH)\b", re.IGNORECASE)
_DOES_SOMETHING = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|nextval|setval|pg_\w+)\b", re.IGNORECASE)
"""What is not a mere reading: writing, locking (FOR UPDATE is among it), and the server's functions, such as sleeping."""

_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "


class Buffers:
    """Counts `query_buffers`, shared ones hit or read, of the queries that an engine sends while this is entered."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._sent: list[tuple[str, Any]] = []
        self._buffers: int | None = None

    async def __aenter__(self) -> Self:
        """Start listening."""
        self._sent, self._buffers = [], None
        event.listen(self._engine.sync_engine, "before_cursor_execute", self._before)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop listening, and ask for each query again."""
        event.remove(self._engine.sync_engine, "before_cursor_execute", self._before)
        if len(self._sent) > MOST:
            return
        async with self._engine.connect() as connection:
            self._buffers = sum([await _touched(connection, sql, parameters) for sql, parameters in self._sent])
            await connection.rollback()

    def counts(self) -> Mapping[str, float]:
        """Return query_buffers; nothing of an operation that sent too many queries."""
        return {} if self._buffers is None else {"query_buffers": self._buffers}

    def _before(self, _connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        if not many and is_mere_query(sql):
            self._sent.append((sql, parameters))


def is_mere_query(sql: str) -> bool:
    """Return whether a statement only reads, so that it may be run again."""
    return _QUERY.match(sql) is not None and _DOES_SOMETHING.search(sql) is None


async def _touched(connection: AsyncConnection, sql: str, parameters: Any) -> int:
    """Return the shared buffers that one execution of a query hits or reads."""
    answer = (await connection.exec_driver_sql(_EXPLAIN + sql, parameters)).scalar_one()
    (explained,) = json.loads(answer) if isinstance(answer, str) else answer
    plan = explained["Plan"]
    return int(plan.get("Shared Hit Blocks", 0)) + int(plan.get("Shared Read Blocks", 0))
