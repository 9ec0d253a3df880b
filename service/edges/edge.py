"""An edge: answers reads where the clients are, from a cache and from a replica, and leaves writes to the origin.

Reading one's own writes: a client that has written sends the version it was told. While the replica has not come that far, the edge
asks the origin instead, which costs that client a trip, and nobody else anything. When the replica has it, the cached answers that
the write made old are gone already: the replica tells the cache in the moment it takes the change in.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

from service.edges.api import LEAST_VERSION, Call, Handle, unchanged
from service.edges.http_cache import Answer, EdgeCache, is_same
from service.edges.replication import Versioned


class Edge:
    """Handles calls in one region. `reads` answers from the replica, `origin` asks the primary's region."""

    def __init__(self, reads: Handle, origin: Handle, replica: Versioned, cache: EdgeCache) -> None:
        self._reads = reads
        self._origin = origin
        self._replica = replica
        self.cache = cache
        self.counts: Counter[str] = Counter()
        """Calls by where they were answered: cache, replica, origin."""
        self._refreshing: dict[str, asyncio.Task[None]] = {}

    async def handle(self, call: Call) -> Answer:
        """Answer a call."""
        if call.method != "GET" or int(call.headers.get(LEAST_VERSION, 0)) > self._replica.version:
            self.counts["origin"] += 1
            return await self._origin(call)
        found = self.cache.lookup(call.path, call.headers)
        if found.answer is None:
            self.counts["replica"] += 1
            return _conditional(call, await self._read(call))
        self.counts["cache"] += 1
        if found.state == "stale" and call.path not in self._refreshing:
            task = asyncio.create_task(self._refresh(call))
            self._refreshing[call.path] = task
        return _conditional(call, found.answer)

    async def _read(self, call: Call) -> Answer:
        """Answer from the replica, and keep the answer if it is still right: a change may have come in meanwhile."""
        before = self._replica.version
        made = await self._reads(call)
        if self._replica.version == before:
            self.cache.store(call.path, call.headers, made)
        return made

    async def _refresh(self, call: Call) -> None:
        try:
            with contextlib.suppress(Exception):  # the old answer is served on until its time is up
                await self._read(call)
        finally:
            del self._refreshing[call.path]


def _conditional(call: Call, made: Answer) -> Answer:
    return unchanged(made) if is_same(made.etag, call.headers.get("if-none-match")) else made
