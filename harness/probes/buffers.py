"""Buffers that PostgreSQL's executor accesses for the queries of an operation: exact once tables are vacuumed and analysed.

The server's block counters (`harness.probes.blocks`) include everything that accesses a table, such as a vacuum in the background.
Here each query is executed once more with `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF)`, after the operation and in a transaction that
is rolled back. Planning is left out: it reads the catalogue only while a connection is new. So are statements that write.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Self

from sqlalchemy import Connection, Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.connecting import connected, synchronous

MAX_QUERIES = 500
"""Limit of queries per operation; one that sends more is not counted."""

_QUERY = re.compile(r"\s*(?:SELECT|WITH)\b", re.IGNORECASE)
_HAS_EFFECTS = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|nextval|setval|pg_\w+)\b", re.IGNORECASE)
"""Words of statements that do more than read: writes, locks (FOR UPDATE included), and server functions such as pg_sleep."""

_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "


class Buffers:
    """Counts `query_buffers`, shared buffers hit or read, of the queries that an engine sends while it is entered."""

    def __init__(self, engine: AsyncEngine | Engine) -> None:
        self._engine = engine

    async def __aenter__(self) -> Self:
        self._sent: list[tuple[str, Any]] = []
        self._buffers: int | None = None
        event.listen(synchronous(self._engine), "before_cursor_execute", self._before)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        event.remove(synchronous(self._engine), "before_cursor_execute", self._before)
        if len(self._sent) > MAX_QUERIES:
            return
        self._buffers = await connected(self._engine, self._explained)

    def counts(self) -> Mapping[str, float]:
        """Return query_buffers; an empty mapping if the operation sent too many queries."""
        return {} if self._buffers is None else {"query_buffers": self._buffers}

    def _explained(self, connection: Connection) -> int:
        buffers = 0
        for sql, parameters in self._sent:
            explain = connection.exec_driver_sql(_EXPLAIN + sql, parameters).scalar_one()
            (explained,) = json.loads(explain) if isinstance(explain, str) else explain
            buffers += sum(int(explained["Plan"].get(f"Shared {kind} Blocks", 0)) for kind in ("Hit", "Read"))
        connection.rollback()
        return buffers

    def _before(self, _connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        if not many and is_read_only(sql):
            self._sent.append((sql, parameters))


def is_read_only(sql: str) -> bool:
    """Return whether a statement only reads, so that it can be executed again."""
    return _QUERY.match(sql) is not None and _HAS_EFFECTS.search(sql) is None
