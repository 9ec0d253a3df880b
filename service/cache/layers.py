"""Reads through two layers, the process's memory and Redis, that never return a value older than an acknowledged write.

Concurrent reads of one key share one lookup in Redis and the database (single flight). A write invalidates it: the writer fences
the keys before the commit and clears them after it, and a read in flight for them is neither cached nor returned to later callers.

Within one process this always holds, and through Redis as long as the writer reaches it. Another process receives messages about a
write before the commit and after it, so its memory knows of the write one round trip and one commit before the writer returns. If a
message is lost with its connection, the values in its memory were in Redis at most `MEMORY_S` ago.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any, Generic, Self, TypeVar

import msgspec

from service.cache.redis import SharedCache, UnavailableError

Value = TypeVar("Value")
Clock = Callable[[], float]
Load = Callable[[], Awaitable[Value]]

MEMORY_S = 1.0  # time in seconds for which a process answers from its memory without a lookup in Redis
MEMORY_ENTRIES = 1_000  # limit of entries in a process's memory
JITTER = (0.90, 0.99)
"""A value lives for a random share of its kind's lifetime, so that values cached together do not expire together.

It never exceeds the lifetime: the last hundredth is reserved for the process's memory.
"""

_MISSING: Any = object()


class Kind(Generic[Value]):
    """One type of data: its name in keys, its lifetime in seconds, and the type that values are decoded to."""

    def __init__(self, name: str, ttl_s: float, form: Any, missing_ttl_s: float | None = None) -> None:
        self.name = name
        self.ttl_s = ttl_s
        self.missing_ttl_s = ttl_s if missing_ttl_s is None else missing_ttl_s
        self.encode: Callable[[Value], bytes] = msgspec.msgpack.Encoder().encode
        self.decode: Callable[[bytes], Value] = msgspec.msgpack.Decoder(form).decode

    def lifetime_s(self, value: Value, jitter: Random) -> float:
        """Return how long to cache a value, in seconds. A missing row has a shorter lifetime, since it may be created elsewhere."""
        return (self.missing_ttl_s if value is None else self.ttl_s) * jitter.uniform(*JITTER)


class MemoryLayer:
    """Values by key, each for `age_s` seconds, so they expire in order. Beyond `entries` the oldest is removed."""

    def __init__(self, age_s: float = MEMORY_S, entries: int = MEMORY_ENTRIES, clock: Clock = time.monotonic) -> None:
        self._age_s = age_s
        self._entries = entries
        self._clock = clock
        self._held: dict[str, tuple[Any, float]] = {}

    def get(self, key: str) -> Any:
        """Return the cached value, or `_MISSING`."""
        value, until_s = self._held.get(key, (_MISSING, 0.0))
        return value if self._clock() < until_s else _MISSING

    def put(self, key: str, value: Any) -> None:
        """Cache a value from now on."""
        self._held.pop(key, None)  # so that it becomes the newest
        self._held[key] = value, self._clock() + self._age_s
        while len(self._held) > self._entries:
            del self._held[next(iter(self._held))]

    def drop(self, key: str) -> None:
        """Remove one key."""
        self._held.pop(key, None)

    def clear(self) -> None:
        """Remove all keys."""
        self._held.clear()


class _InFlight:
    """A read in flight, shared by the callers of its key."""

    work: asyncio.Task[Any]
    current = True  # whether no write of the key is known since the read began


class Layers:
    """Reads and writes through both layers. Use it as an async context manager, in the event loop that uses it.

    `namespace` is the prefix of every key and of the channel, including its last separator. A call to Redis takes at most
    `deadline_s`. A process that only writes may omit the messages about other processes' writes (`listens`), and must not read.

    Keys of `counts`: "lookups"; of these, "memory_hits", "redis_hits", and "joined" for those that shared another caller's read;
    "loads" from the database; of these, "unfilled" are those whose value Redis did not accept, because of a write, another
    process's lease or an error; and "redis_errors", the failed calls.
    """

    def __init__(
        self, url: str, namespace: str, deadline_s: float = 0.25, seed: int | None = None, *, listens: bool = True
    ) -> None:
        self._namespace = namespace
        self._memory = MemoryLayer()
        self._in_flight: dict[str, _InFlight] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._shared = SharedCache(url, f"{namespace}changes", self._drop, self.forget, deadline_s)
        self._listens = listens
        self._jitter = Random(seed)  # noqa: S311 - jitter needs no cryptography
        self._counts: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        """Connect."""
        if self._listens:
            await self._shared.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Wait for reads in flight, and disconnect."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._shared.close()

    @property
    def counts(self) -> dict[str, int]:
        """The counters so far."""
        names = ("lookups", "memory_hits", "redis_hits", "joined", "loads", "unfilled")
        return {**{name: self._counts[name] for name in names}, "redis_errors": self._shared.errors}

    def name(self, kind: Kind[Any], key: str = "") -> str:
        """Return the name of a value in Redis."""
        return f"{self._namespace}{kind.name}:{key}"

    def forget(self) -> None:
        """Clear this process's memory, because messages about writes may have been missed."""
        self._memory.clear()
        for in_flight in self._in_flight.values():
            in_flight.current = False
        self._in_flight.clear()

    async def read(self, kind: Kind[Value], key: str, load: Load[Value]) -> Value:
        """Return a value from the first layer that has it; `load` reads the database."""
        name = self.name(kind, key)
        self._counts["lookups"] += 1
        value: Value = self._memory.get(name)
        if value is not _MISSING:
            self._counts["memory_hits"] += 1
            return value
        if (in_flight := self._in_flight.get(name)) is not None:
            self._counts["joined"] += 1
            value = await asyncio.shield(in_flight.work)
            if in_flight.current:
                return value
            # A write may have happened meanwhile, so the value may be older than this call. A read in flight now began later.
        in_flight = self._in_flight.get(name) or self._start(kind, name, load)
        return await asyncio.shield(in_flight.work)

    @asynccontextmanager
    async def changing(self, *names: str) -> AsyncIterator[None]:
        """Wrap a transaction that writes these values, with its commit; they are cleared after an error too."""
        await self._shared.fence(names)
        try:
            yield
        finally:
            try:
                await self._shared.clear(names)
            finally:
                for name in names:
                    self._drop(name)

    def _start(self, kind: Kind[Value], name: str, load: Load[Value]) -> _InFlight:
        in_flight = self._in_flight[name] = _InFlight()
        in_flight.work = asyncio.create_task(self._read_through(in_flight, kind, name, load))
        self._tasks.add(in_flight.work)
        in_flight.work.add_done_callback(self._finish)
        return in_flight

    def _finish(self, work: asyncio.Task[Any]) -> None:
        self._tasks.discard(work)
        if not work.cancelled():
            work.exception()  # retrieved, or asyncio would report it if every caller was cancelled

    async def _read_through(self, in_flight: _InFlight, kind: Kind[Value], name: str, load: Load[Value]) -> Value:
        """Read from Redis, then from the database. Its own task, so a cancelled caller does not cancel it for others."""
        try:
            value, shared = await self._look_up(in_flight, kind, name, load)
            if shared and in_flight.current and self._shared.listening:
                self._memory.put(name, value)
            return value
        finally:
            if self._in_flight.get(name) is in_flight:
                del self._in_flight[name]

    async def _look_up(self, in_flight: _InFlight, kind: Kind[Value], name: str, load: Load[Value]) -> tuple[Value, bool]:
        """Return a value, and whether Redis has it too."""
        lease = None
        try:
            found = await self._shared.look(name)
            if found.value is not None:
                value = kind.decode(found.value)
                self._counts["redis_hits"] += 1
                return value, True
            lease = found.lease
        except UnavailableError:
            pass
        except msgspec.DecodeError:
            await self._shared.clear([name])
        self._counts["loads"] += 1
        value = await load()
        filled = False
        if lease is not None:
            with suppress(UnavailableError):
                filled = await self._shared.fill(name, lease, kind.encode(value), kind.lifetime_s(value, self._jitter))
        if not filled:
            self._counts["unfilled"] += 1
            in_flight.current = False  # a write may have happened since the read began
        return value, filled

    def _drop(self, name: str) -> None:
        self._memory.drop(name)
        if (in_flight := self._in_flight.pop(name, None)) is not None:
            in_flight.current = False
