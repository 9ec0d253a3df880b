"""Reads through two layers, the process's memory and Redis, that never return a value older than an acknowledged write.

Concurrent reads of one key share one lookup in Redis and the database (single flight). A write invalidates it: the writer fences
the keys before the commit and clears them after it, and a read in flight for them is neither cached nor returned to later callers.

Within one process this always holds, and through Redis as long as the writer reaches it. Another process receives messages about a
write before the commit and after it, so its memory knows of the write one round trip and one commit before the writer returns. If a
message is lost with its connection, the values in its memory were in Redis at most `MEMORY_S` ago.

A key in Redis holds one of three things, distinguished by the first byte:

- a value;
- a lease: a reader missed, and may fill the key as long as the key holds its lease (Nishtala et al., Scaling Memcache at Facebook,
  NSDI 2013). A write replaces the lease, so a value read before the write is refused;
- a fence: a write is in flight, and no reader may fill the key. It is set before the commit, so a process that crashes or loses
  Redis just after the commit leaves no stale value.

If the server loses data, a fill is refused. A server that restarts from a snapshot, or fails over to a lagging replica, restores
values that were cleared since. Every change is also published, for processes that cache values in their memory.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, Self, TypeVar

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

Value = TypeVar("Value")
Clock = Callable[[], float]
Load = Callable[[], Awaitable[Value]]

MEMORY_S = 1.0  # time in seconds for which a process answers from its memory without a lookup in Redis
MEMORY_ENTRIES = 1_000  # limit of entries in a process's memory
# A value lives for a random share of its kind's lifetime, so that values cached together do not expire together. The last hundredth
# of the lifetime is reserved for the process's memory.
JITTER = (0.90, 0.99)
_MISSING: Any = object()

LEASE_S = 5.0  # time in seconds to fill a missed key; meanwhile other processes read the database for it
FENCE_S = 10.0  # time in seconds for which a key stays fenced if the writer does not clear it: longer than a commit takes
FAILURES, PAUSE_S = 3, 1.0  # consecutive failures after which Redis is not called, and seconds until one caller tries again
RESUBSCRIBE_S = 0.2  # pause in seconds before another attempt to subscribe
CONNECTIONS = 20

_VALUE, _LEASE, _FENCE = b"v", b"l", b"w"
_SENDER_CHARS = 8

_LOOK = """
local held = redis.call('GET', KEYS[1])
if held then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""
_FILL = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_FENCE_ALL = """
for _, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[3], 'PX', ARGV[4])
  redis.call('PUBLISH', ARGV[1], ARGV[2] .. key)
end
"""
_CLEAR_ALL = """
for _, key in ipairs(KEYS) do
  redis.call('UNLINK', key)
  redis.call('PUBLISH', ARGV[1], ARGV[2] .. key)
end
"""


class UnavailableError(Exception):
    """Redis did not respond in time, or is not called because it has failed repeatedly."""


@dataclass(frozen=True)
class RedisLookup:
    """The result of a lookup: a stored value, a lease for filling the key, or neither."""

    value: bytes | None = None
    lease: bytes | None = None


class SharedCache:
    """Redis with a deadline per call. Start and close it in the event loop that uses it.

    `on_change` receives every key that other processes write. `on_lost` is called whenever such messages may have been missed;
    while not `listening`, they are being missed. `errors` counts the failed calls.
    """

    def __init__(
        self, url: str, channel: str, on_change: Callable[[str], None], on_lost: Callable[[], None], deadline_s: float = 0.25
    ) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=deadline_s,
            protocol=2,  # supported by every server, and sufficient here
            socket_timeout=None,  # the deadline covers the whole call, including the wait for a connection
            retry=Retry(NoBackoff(), 0),  # the database is the fallback
        )
        self._client = Redis(connection_pool=pool)
        self._channel = channel
        self._sender = secrets.token_hex(_SENDER_CHARS // 2)
        self._on_change = on_change
        self._on_lost = on_lost
        self._deadline_s = deadline_s
        self._look, self._fill = self._client.register_script(_LOOK), self._client.register_script(_FILL)
        self._fence_all, self._clear_all = self._client.register_script(_FENCE_ALL), self._client.register_script(_CLEAR_ALL)
        self._listener: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()
        self._failures = 0
        self._paused_until = 0.0
        self._pending: dict[str, int] = {}
        self._clearing = asyncio.Lock()
        self.errors = 0

    @property
    def listening(self) -> bool:
        """Whether messages about other processes' writes are being received."""
        return self._subscribed.is_set()

    async def start(self) -> None:
        """Subscribe to changes; if Redis is unreachable, continue without and subscribe once it is back."""
        self._listener = asyncio.create_task(self._listen())
        with suppress(TimeoutError):
            async with asyncio.timeout(self._deadline_s):
                await self._subscribed.wait()

    async def close(self) -> None:
        """Stop listening and close the connections."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait([self._listener])
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    async def look(self, key: str) -> RedisLookup:
        """Return the stored value, or take the lease of an empty key. Raises UnavailableError: read the database."""
        lease = _LEASE + secrets.token_bytes(8)
        held: bytes | None = await self._send(lambda: self._look([key], [lease, _ms(LEASE_S)]))
        if held is None:
            return RedisLookup(lease=lease)
        return RedisLookup(value=held[1:]) if held[:1] == _VALUE else RedisLookup()

    async def fill(self, key: str, lease: bytes, value: bytes, ttl_s: float) -> bool:
        """Store a value if the key still holds the lease; return whether it did. Raises UnavailableError if that is unknown."""
        return bool(await self._send(lambda: self._fill([key], [lease, _VALUE + value, _ms(ttl_s)])))

    async def fence(self, keys: Iterable[str]) -> None:
        """Prevent all readers from filling these keys until they are cleared.

        Without Redis nothing is fenced; the keys are then cleared before this process looks up any key again. Until then another
        process that still reaches Redis may find the old value there.
        """
        await self._invalidate(keys, lambda names: self._fence_all(names, [self._channel, self._sender, _FENCE, _ms(FENCE_S)]))

    async def clear(self, keys: Iterable[str]) -> None:
        """Remove the value, lease or fence of these keys. Without Redis, as `fence`."""
        await self._invalidate(keys, lambda names: self._clear_all(names, [self._channel, self._sender]))

    async def _invalidate(self, keys: Iterable[str], command: Callable[[list[str]], Awaitable[Any]]) -> None:
        names = list(keys)
        try:
            await self._send(lambda: command(names))
        except BaseException as error:
            # Cancelled or refused, the command may not have run: the keys are still to be cleared.
            self._pending |= {name: self._pending.get(name, 0) + 1 for name in names}
            if not isinstance(error, UnavailableError):
                raise

    async def _send(self, command: Callable[[], Awaitable[Any]]) -> Any:
        if self._pending:
            await self._clear_pending()
        return await self._call(command)

    async def _clear_pending(self) -> None:
        """Clear the keys that could not be cleared when they were written, before any other call."""
        async with self._clearing:
            pending = dict(self._pending)
            if pending:
                await self._call(lambda: self._clear_all(list(pending), [self._channel, self._sender]))
                # A key that was added again in the meantime stays pending.
                self._pending = {key: times for key, times in self._pending.items() if pending.get(key) != times}

    async def _call(self, command: Callable[[], Awaitable[Any]]) -> Any:
        if self._failures >= FAILURES:
            if time.monotonic() < self._paused_until:
                raise UnavailableError
            self._paused_until = time.monotonic() + PAUSE_S  # this caller tries, the others continue without
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await command()
        except (RedisError, OSError, TimeoutError) as error:
            self.errors += 1
            self._failures += 1
            self._paused_until = time.monotonic() + PAUSE_S
            raise UnavailableError from error
        self._failures = 0
        return answer

    async def _listen(self) -> None:
        while True:
            try:
                async with self._client.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    async for message in subscription.listen():
                        if message["type"] != "message":
                            self._on_lost()  # changes since earlier lookups may have been missed
                            self._subscribed.set()
                        elif not (sent := message["data"].decode()).startswith(self._sender):
                            self._on_change(sent[_SENDER_CHARS:])
            except (RedisError, OSError):
                pass  # retried until it succeeds
            finally:
                self._subscribed.clear()
                self._on_lost()
            await asyncio.sleep(RESUBSCRIBE_S)


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


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
