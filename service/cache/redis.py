"""The layer of a cache that processes share: values in Redis that a reader may only fill if nobody wrote since it looked.

A key holds one of three things, told apart by their first byte:

- a value;
- a lease: a reader missed, and is asking the database. It may fill the key for as long as its own lease is in it (leases: Nishtala
  et al., Scaling Memcache at Facebook, NSDI 2013). A write replaces the lease, so that what the reader saw before the write is
  refused;
- a fence: a write is under way. Nobody may fill the key. The fence is there before the commit, so that a process that dies or loses
  Redis just after it leaves no old value behind.

Whatever the server forgets, by restart or eviction, makes a fill be refused, never an old value be kept. What it remembers wrongly
is another matter: one that restarts from a snapshot, or fails over to a replica that lags, brings back what was cleared since.

Every change is also published, for the processes that hold values in their own memory.
"""

from __future__ import annotations

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

LEASE_S = 5.0
"""How long a reader may take to fill what it missed. Meanwhile other processes go to the database for the key."""

FENCE_S = 10.0
"""How long a key stays fenced if the writer does not come back to clear it: longer than a commit takes."""

FAILURES, PAUSE_S = 3, 1.0
"""After so many failures in a row Redis is left alone for so long; then one caller tries."""

RESUBSCRIBE_S = 0.2
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
    """Redis did not answer in time, or is being left alone because it has not lately."""


@dataclass(frozen=True)
class RedisLookup:
    """What a look found: a stored value, or else a lease to fill the key with, or neither."""

    value: bytes | None = None
    lease: bytes | None = None


class SharedCache:
    """Redis behind a deadline. Start and close it in the loop that uses it.

    `on_change` is told every key that others write; `on_lost` is called whenever such news may have been missed, and while not
    `listening`, more is being missed. `errors` counts the calls that failed.
    """

    def __init__(
        self, url: str, channel: str, on_change: Callable[[str], None], on_lost: Callable[[], None], deadline_s: float = 0.25
    ) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=deadline_s,
            protocol=2,  # what every server speaks, and all that is needed here
            socket_timeout=None,  # the deadline here is over the whole call, waiting for a connection included
            retry=Retry(NoBackoff(), 0),  # the database is the second try
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
        self._owed: dict[str, int] = {}
        self._settling = asyncio.Lock()
        self.errors = 0

    @property
    def listening(self) -> bool:
        """Whether news of what others write is coming in."""
        return self._subscribed.is_set()

    async def start(self) -> None:
        """Subscribe to changes; with Redis away, go on without until it is back."""
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
        """Return what is stored, or take the lease of a key that holds nothing.

        Raises:
            UnavailableError: ask the database.
        """
        lease = _LEASE + secrets.token_bytes(8)
        held: bytes | None = await self._ask(lambda: self._look([key], [lease, _ms(LEASE_S)]))
        if held is None:
            return RedisLookup(lease=lease)
        return RedisLookup(value=held[1:]) if held[:1] == _VALUE else RedisLookup()

    async def fill(self, key: str, lease: bytes, value: bytes, ttl_s: float) -> bool:
        """Store a value if the key still holds the lease; say whether it did.

        Raises:
            UnavailableError: nothing is known of the key; its lease runs out.
        """
        return bool(await self._ask(lambda: self._fill([key], [lease, _VALUE + value, _ms(ttl_s)])))

    async def fence(self, keys: Iterable[str]) -> None:
        """Keep everybody from filling these keys until they are cleared.

        Without Redis nothing is fenced; the keys are then cleared before this process looks at any key again. Until then another
        process, should it still reach Redis, may find the old value there.
        """
        await self._tell(keys, lambda names: self._fence_all(names, [self._channel, self._sender, _FENCE, _ms(FENCE_S)]))

    async def clear(self, keys: Iterable[str]) -> None:
        """Forget what these keys hold: value, lease or fence. Without Redis, as `fence`."""
        await self._tell(keys, lambda names: self._clear_all(names, [self._channel, self._sender]))

    async def _tell(self, keys: Iterable[str], command: Callable[[list[str]], Awaitable[Any]]) -> None:
        names = list(keys)
        try:
            await self._ask(lambda: command(names))
        except BaseException as error:
            # Cancelled or refused, it may not have happened: the keys are owed a clearing.
            self._owed |= {name: self._owed.get(name, 0) + 1 for name in names}
            if not isinstance(error, UnavailableError):
                raise

    async def _ask(self, command: Callable[[], Awaitable[Any]]) -> Any:
        if self._owed:
            await self._settle()
        return await self._call(command)

    async def _settle(self) -> None:
        """Clear what could not be cleared when it was written; until then nobody gets to look at anything."""
        async with self._settling:
            owed = dict(self._owed)
            if owed:
                await self._call(lambda: self._clear_all(list(owed), [self._channel, self._sender]))
                # A key owed again in the meantime stays owed.
                self._owed = {key: times for key, times in self._owed.items() if owed.get(key) != times}

    async def _call(self, command: Callable[[], Awaitable[Any]]) -> Any:
        if self._failures >= FAILURES:
            if time.monotonic() < self._paused_until:
                raise UnavailableError
            self._paused_until = time.monotonic() + PAUSE_S  # this caller tries, the others go on without
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
                        if message["type"] == "message":
                            self._hear(message["data"].decode())
                        else:
                            self._on_lost()  # what was looked up before the subscription may have changed unheard
                            self._subscribed.set()
            except (RedisError, OSError):
                pass  # it will be tried again, for as long as it takes
            finally:
                self._subscribed.clear()
                self._on_lost()
            await asyncio.sleep(RESUBSCRIBE_S)

    def _hear(self, message: str) -> None:
        sender, key = message[:_SENDER_CHARS], message[_SENDER_CHARS:]
        if sender != self._sender:
            self._on_change(key)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
