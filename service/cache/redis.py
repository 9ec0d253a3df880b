"""The cache layer shared between processes: values in Redis that a reader may fill only if no write happened since its lookup.

A key holds one of three things, distinguished by the first byte:

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
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

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


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
