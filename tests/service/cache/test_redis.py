"""The shared cache layer: leases, fences, messages about writes, and the behaviour while Redis is unavailable."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from harness.network.addresses import with_address
from service.cache.layers import FAILURES, FENCE_S, LEASE_S, RedisLookup, SharedCache, UnavailableError

PATIENCE_S = 10.0


@dataclass
class ReceivedMessages:
    """The messages that a cache received."""

    changed: list[str] = field(default_factory=list)
    lost: int = 0

    def lose(self) -> None:
        """Count a loss."""
        self.lost += 1


@dataclass
class Relay:
    """A relay to Redis that can be interrupted: while `down`, it responds to nothing and forwards nothing."""

    url: str
    down: bool = False
    opened: int = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Yield the address of the relay."""
        to = urlsplit(self.url)
        writers: list[asyncio.StreamWriter] = []

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                if not self.down:
                    writer.write(data)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.opened += 1
            back, forth = await asyncio.open_connection(to.hostname, to.port)
            writers.extend((writer, forth))
            await asyncio.gather(pump(reader, forth), pump(back, writer), return_exceptions=True)

        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            yield with_address(self.url, "127.0.0.1", listening.sockets[0].getsockname()[1])
        finally:
            listening.close()
            for writer in writers:
                writer.close()


@asynccontextmanager
async def opened(
    url: str, prefix: str, received: ReceivedMessages | None = None, deadline_s: float = 5.0
) -> AsyncIterator[SharedCache]:
    """Yield a started cache that listens."""
    received = received or ReceivedMessages()
    cache = SharedCache(url, f"{prefix}changes", received.changed.append, received.lose, deadline_s)
    await cache.start()
    try:
        await until(lambda: cache.listening)
        yield cache
    finally:
        await cache.close()


async def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - the condition can be anything
            await asyncio.sleep(0.005)


def run(check: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine."""
    asyncio.run(check())  # type: ignore[arg-type]  # every one of them is a coroutine


def test_only_the_holder_of_the_lease_fills(redis_url: str, prefix: str) -> None:
    """The first reader that misses gets a lease and fills the key; others get none meanwhile.

    The value is found for its lifetime.
    """

    async def check() -> None:
        async with opened(redis_url, prefix) as cache, Redis.from_url(redis_url) as redis:
            first, second = await cache.look(f"{prefix}a"), await cache.look(f"{prefix}a")
            assert first.lease
            assert second == RedisLookup()
            assert 0 < await redis.pttl(f"{prefix}a") <= LEASE_S * 1000
            assert not await cache.fill(f"{prefix}a", b"l another", b"wrong", 60)
            assert await cache.fill(f"{prefix}a", first.lease, b"right", 60)
            assert await cache.look(f"{prefix}a") == RedisLookup(value=b"right")
            assert 59_000 < await redis.pttl(f"{prefix}a") <= 60_000

    run(check)


@pytest.mark.parametrize("write", ["fence", "clear"])
def test_a_write_revokes_the_lease(redis_url: str, prefix: str, write: str) -> None:
    """A value read before a key was fenced or cleared is refused afterwards."""

    async def check() -> None:
        async with opened(redis_url, prefix) as cache:
            found = await cache.look(f"{prefix}a")
            assert found.lease
            await getattr(cache, write)([f"{prefix}a"])
            assert not await cache.fill(f"{prefix}a", found.lease, b"old", 60)

    run(check)


def test_a_fenced_key_cannot_be_filled_until_it_is_cleared(redis_url: str, prefix: str) -> None:
    """While fenced, a lookup gives neither value nor lease; the fence ends with the clearing, or expires."""

    async def check() -> None:
        async with opened(redis_url, prefix) as cache, Redis.from_url(redis_url) as redis:
            found = await cache.look(f"{prefix}a")
            assert found.lease
            await cache.fill(f"{prefix}a", found.lease, b"old", 60)
            await cache.fence([f"{prefix}a", f"{prefix}b"])
            assert [await cache.look(f"{prefix}{key}") for key in "ab"] == [RedisLookup(), RedisLookup()]
            assert 0 < await redis.pttl(f"{prefix}a") <= FENCE_S * 1000
            await cache.clear([f"{prefix}a", f"{prefix}b"])
            assert (await cache.look(f"{prefix}a")).lease

    run(check)


def test_others_receive_two_messages_per_write_and_the_writer_none(redis_url: str, prefix: str) -> None:
    """Every key that is fenced and cleared is published to the others, in order."""

    async def check() -> None:
        mine, others = ReceivedMessages(), ReceivedMessages()
        async with opened(redis_url, prefix, mine) as cache, opened(redis_url, prefix, others):
            await cache.fence([f"{prefix}a", f"{prefix}b"])
            await cache.clear([f"{prefix}a"])
            await until(lambda: len(others.changed) >= 3)
            assert others.changed == [f"{prefix}a", f"{prefix}b", f"{prefix}a"]
            assert mine.changed == []

    run(check)


def test_a_lost_subscription_is_reported_and_restored(redis_url: str, prefix: str) -> None:
    """The loss of the connection for messages is reported, and messages arrive again afterwards."""

    async def check() -> None:
        received = ReceivedMessages()
        async with opened(redis_url, prefix, received) as cache, Redis.from_url(redis_url) as redis:
            before = received.lost
            await redis.client_kill_filter(_type="pubsub")
            await until(lambda: received.lost > before and cache.listening)
            async with opened(redis_url, prefix) as another:
                await another.clear([f"{prefix}a"])
            await until(lambda: received.changed == [f"{prefix}a"])
            assert received.lost > before

    run(check)


def test_calls_work_after_the_server_closed_all_connections(redis_url: str, prefix: str) -> None:
    """After all connections were closed, as by a restart, calls succeed at once."""

    async def check() -> None:
        async with opened(redis_url, prefix) as cache, Redis.from_url(redis_url) as redis:
            await asyncio.gather(*(cache.look(f"{prefix}{number}") for number in range(10)))
            await redis.client_kill_filter(_type="normal", skipme=True)
            await asyncio.sleep(0)
            assert (await cache.look(f"{prefix}new")).lease
            assert cache.errors == 0

    run(check)


def test_a_redis_that_does_not_respond_is_not_called_for_a_while(redis_url: str, prefix: str) -> None:
    """Calls end at their deadline; after several, further calls are refused without being sent, and no connection is opened."""

    async def check() -> None:
        relay = Relay(redis_url)
        async with relay.open() as url, opened(url, prefix, deadline_s=0.05) as cache:
            relay.down = True
            for _ in range(FAILURES):
                with pytest.raises(UnavailableError):
                    await cache.look(f"{prefix}a")
            opened_before = relay.opened
            for _ in range(20):
                with pytest.raises(UnavailableError):
                    await cache.look(f"{prefix}a")
            assert (cache.errors, relay.opened) == (FAILURES, opened_before)

    run(check)


def test_keys_written_without_redis_are_cleared_before_any_lookup(
    redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that did not reach Redis leaves no stale value for this process, whichever key it looks up first."""
    monkeypatch.setattr("service.cache.layers.PAUSE_S", 0.0)

    async def check() -> None:
        relay = Relay(redis_url)
        async with AsyncExitStack() as stack:
            cache = await stack.enter_async_context(opened(await stack.enter_async_context(relay.open()), prefix, deadline_s=0.2))
            redis = await stack.enter_async_context(Redis.from_url(redis_url))
            await redis.mset({f"{prefix}a": b"v old", f"{prefix}b": b"v right"})
            relay.down = True
            await cache.fence([f"{prefix}a"])
            await cache.clear([f"{prefix}a"])
            relay.down = False
            found = await cache.look(f"{prefix}b")
            assert found == RedisLookup(value=b" right")
            assert await redis.get(f"{prefix}a") is None

    run(check)


def test_a_cancelled_clearing_is_repeated(redis_url: str, prefix: str) -> None:
    """The keys of a writer that is cancelled before Redis responded are cleared before the next lookup."""

    async def check() -> None:
        relay = Relay(redis_url)
        async with relay.open() as url, opened(url, prefix) as cache, Redis.from_url(redis_url) as redis:
            await redis.set(f"{prefix}a", b"v old")
            relay.down = True
            clearing = asyncio.create_task(cache.clear([f"{prefix}a"]))
            await asyncio.sleep(0.02)
            clearing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await clearing
            relay.down = False
            assert (await cache.look(f"{prefix}a")).lease

    run(check)


def test_without_redis_it_starts_and_closes(prefix: str) -> None:
    """With no server at the address, every call reports it, and nothing is left behind."""

    async def check() -> None:
        cache = SharedCache("redis://127.0.0.1:1/0", f"{prefix}changes", ReceivedMessages().changed.append, ReceivedMessages().lose)
        await cache.start()
        with pytest.raises(UnavailableError):
            await cache.look(f"{prefix}a")
        await cache.fence([f"{prefix}a"])
        assert not cache.listening
        await cache.close()

    run(check)
