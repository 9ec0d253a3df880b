"""An edge: serves reads close to the clients, from a cache and a replica, and forwards writes to the origin.

Read your own writes: a client that has written sends the version from the response. Until the replica has reached that version, the
edge reads from the origin instead, which costs only that client a round trip. When the replica has it, the cached answers that the
write made stale are already removed: the replica notifies the cache when it applies the change.
"""

import asyncio
import contextlib
from collections import Counter

from service.edges.api import MIN_VERSION, Call, Handle, unchanged
from service.edges.http_cache import Answer, EdgeCache, LookupState, is_same
from service.edges.replication import Versioned


class Edge:
    """Handles the calls of one region. `reads` reads the replica, `origin` forwards to the primary's region."""

    def __init__(self, reads: Handle, origin: Handle, replica: Versioned, cache: EdgeCache) -> None:
        self._reads = reads
        self._origin = origin
        self._replica = replica
        self.cache = cache
        self.counts: Counter[str] = Counter()  # calls by source of the answer: cache, replica, origin
        self._refreshing: dict[str, asyncio.Task[None]] = {}

    async def handle(self, call: Call) -> Answer:
        """Answer a call."""
        if call.method != "GET" or int(call.headers.get(MIN_VERSION, 0)) > self._replica.version:
            self.counts["origin"] += 1
            return await self._origin(call)
        found = self.cache.lookup(call.path, call.headers)
        if found.answer is None:
            self.counts["replica"] += 1
            return _conditional(call, await self._read(call))
        self.counts["cache"] += 1
        if found.state is LookupState.STALE and call.path not in self._refreshing:
            task = asyncio.create_task(self._refresh(call))
            self._refreshing[call.path] = task
        return _conditional(call, found.answer)

    async def _read(self, call: Call) -> Answer:
        """Read from the replica, and cache the answer unless a change was applied meanwhile."""
        before = self._replica.version
        made = await self._reads(call)
        if self._replica.version == before:
            self.cache.store(call.path, call.headers, made)
        return made

    async def _refresh(self, call: Call) -> None:
        try:
            with contextlib.suppress(Exception):  # the stale answer is served until it expires
                await self._read(call)
        finally:
            del self._refreshing[call.path]


def _conditional(call: Call, made: Answer) -> Answer:
    return unchanged(made) if is_same(made.etag, call.headers.get("if-none-match")) else made
