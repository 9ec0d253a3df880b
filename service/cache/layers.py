"""A read through two layers, the process's own memory and Redis, that never returns what was older than an acknowledged write.

Reads of one key share one flight to Redis and the database (single flight). A write goes past it: it fences the keys before the
commit and clears them after it, and whatever was under way for them is neither kept nor handed to anyone who asks later.

In one process this holds always, and through Redis as long as the writer reaches it. Another process's memory hears of a write
through Redis: it is told twice, before the commit and after it, so that it knows a round trip and a commit before the writer
returns; should a message be lost with its connection, what it holds was in Redis at most `MEMORY_S` ago.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Generic, Self, TypeVar

import msgspec

from service.cache.redis import SharedCache, UnavailableError

Value = TypeVar("Value")
Clock = Callable[[], float]

MEMORY_S = 1.0
"""How long a process may answer from its own memory without asking Redis again."""

MEMORY_ENTRIES = 1_000

JITTER = (0.90, 0.99)
"""A value lives for a random share of its kind's lifetime, so that what was filled together does not run out together.

It is never above the lifetime: the last hundredth is for the process's memory.
"""

_MISSING: Any = object()


class Kind(Generic[Value]):
    """One type of data: its name in keys, how many seconds it may live, and the type it is decoded to, checked when read."""

    def __init__(self, name: str, ttl_s: float, form: Any, missing_ttl_s: float | None = None) -> None:
        self.name = name
        self.ttl_s = ttl_s
        self.missing_ttl_s = ttl_s if missing_ttl_s is None else missing_ttl_s
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoder = msgspec.msgpack.Decoder(form)

    def encode(self, value: Value) -> bytes:
        """Return a value as bytes."""
        return self._encode(value)

    def decode(self, stored: bytes) -> Value:
        """Return the value again.

        Raises:
            msgspec.DecodeError: the bytes are no such value.
        """
        value: Value = self._decoder.decode(stored)
        return value

    def lifetime_s(self, value: Value, jitter: Random) -> float:
        """Return how long to keep a value; a row that is not there, a shorter time, since it may appear in ways unseen here."""
        return (self.missing_ttl_s if value is None else self.ttl_s) * jitter.uniform(*JITTER)


class MemoryLayer:
    """Values by key, each for `age_s` seconds; beyond `entries` the oldest goes. All live equally long, so they expire in order."""

    def __init__(self, age_s: float = MEMORY_S, entries: int = MEMORY_ENTRIES, clock: Clock = time.monotonic) -> None:
        self._age_s = age_s
        self._entries = entries
        self._clock = clock
        self._held: dict[str, tuple[Any, float]] = {}

    def get(self, key: str) -> Any:
        """Return what is held, or `_MISSING`."""
        value, until_s = self._held.get(key, (_MISSING, 0.0))
        return value if self._clock() < until_s else _MISSING

    def put(self, key: str, value: Any) -> None:
        """Hold a value from now on."""
        self._held.pop(key, None)  # so that it comes last in order
        self._held[key] = value, self._clock() + self._age_s
        while len(self._held) > self._entries:
            del self._held[next(iter(self._held))]

    def drop(self, key: str) -> None:
        """Forget one key."""
        self._held.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()


@dataclass
class _Flight:
    """A read under way: `current` as long as nothing suggests that its key was written since it began."""

    work: asyncio.Task[Any] = field(init=False)
    current: bool = True


class Layers:
    """Reads and writes through both layers. Use it as an async context manager, in the loop that uses it.

    `namespace` begins every key and the channel, its last separator included. A call to Redis takes at most `deadline_s`. Who only
    writes may do without news of what others write (`listens`), and must not read.

    `counts`: "lookups"; of these, "memory_hits", "redis_hits", and those that "joined" the flight of another; "loads" from the
    database; of these, "unfilled" are those whose value Redis did not take, because of a write, another process's lease or an
    error; and "redis_errors", the calls that failed.
    """

    def __init__(
        self, url: str, namespace: str, deadline_s: float = 0.25, seed: int | None = None, *, listens: bool = True
    ) -> None:
        self._namespace = namespace
        self._memory = MemoryLayer()
        self._flights: dict[str, _Flight] = {}
        self._under_way: set[asyncio.Task[Any]] = set()
        self._shared = SharedCache(url, f"{namespace}changes", self._drop, self.forget, deadline_s)
        self._listens = listens
        self._jitter = Random(seed)  # noqa: S311 - spreads lifetimes, keeps no secret
        self._counts: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        """Connect."""
        if self._listens:
            await self._shared.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Wait for what is under way, and disconnect."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._shared.close()

    @property
    def counts(self) -> dict[str, int]:
        """What happened so far."""
        names = ("lookups", "memory_hits", "redis_hits", "joined", "loads", "unfilled")
        return {**{name: self._counts[name] for name in names}, "redis_errors": self._shared.errors}

    def name(self, kind: Kind[Any], key: str = "") -> str:
        """Return the name in Redis of one value."""
        return f"{self._namespace}{kind.name}:{key}"

    def forget(self) -> None:
        """Forget what this process remembers, as when news of writes may have been missed."""
        self._memory.clear()
        for flight in self._flights.values():
            flight.current = False
        self._flights.clear()

    async def read(self, kind: Kind[Value], key: str, load: Callable[[], Awaitable[Value]]) -> Value:
        """Return a value from the nearest layer that has it; `load` asks the database."""
        name = self.name(kind, key)
        self._counts["lookups"] += 1
        value: Value = self._memory.get(name)
        if value is not _MISSING:
            self._counts["memory_hits"] += 1
            return value
        flight = self._flights.get(name)
        if flight is not None:
            self._counts["joined"] += 1
            value = await asyncio.shield(flight.work)
            if flight.current:
                return value
            # A write may have gone past it, and its value be older than this call. One that is there now began after this call.
        flight = self._flights.get(name) or self._start(kind, name, load)
        return await asyncio.shield(flight.work)

    @asynccontextmanager
    async def changing(self, *names: str) -> AsyncIterator[None]:
        """Wrap a transaction that writes these values, commit included. They are cleared if it fails too: it may have committed."""
        await self._shared.fence(names)
        try:
            yield
        finally:
            try:
                await self._shared.clear(names)
            finally:
                for name in names:
                    self._drop(name)

    def _start(self, kind: Kind[Value], name: str, load: Callable[[], Awaitable[Value]]) -> _Flight:
        flight = self._flights[name] = _Flight()
        flight.work = asyncio.create_task(self._fly(flight, kind, name, load))
        self._under_way.add(flight.work)
        flight.work.add_done_callback(self._land)
        return flight

    def _land(self, work: asyncio.Task[Any]) -> None:
        self._under_way.discard(work)
        if not work.cancelled():
            work.exception()  # taken note of, or asyncio would report it when every caller has given up

    async def _fly(self, flight: _Flight, kind: Kind[Value], name: str, load: Callable[[], Awaitable[Value]]) -> Value:
        """Ask Redis, then the database. Runs in a task of its own, so that a caller who gives up takes nobody else along."""
        try:
            value, shared = await self._ask(flight, kind, name, load)
            if shared and flight.current and self._shared.listening:
                self._memory.put(name, value)
            return value
        finally:
            if self._flights.get(name) is flight:
                del self._flights[name]

    async def _ask(self, flight: _Flight, kind: Kind[Value], name: str, load: Callable[[], Awaitable[Value]]) -> tuple[Value, bool]:
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
            flight.current = False  # nothing vouches that no write went past it
        return value, filled

    def _drop(self, name: str) -> None:
        self._memory.drop(name)
        flight = self._flights.pop(name, None)
        if flight is not None:
            flight.current = False
