"""Reads through memory and Redis: one shared read per key, nothing stale after a write, and the database without Redis."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from fixtures.caching.staleness import check, record
from harness.runtime.clock import MonotonicClock
from service.cache import layers as cache_layers
from service.cache.layers import JITTER, Kind, Layers, MemoryLayer

NUMBER: Kind[int | None] = Kind("number", 600, int | None, missing_ttl_s=30)
ANYTHING: Kind[Any] = Kind("anything", 600, Any)
PATIENCE_S = 10.0


class Source:
    """A database with one number per key, whose answers can be delayed after the row was read."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.loads = 0
        self.has_read = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    def load(self, key: str) -> Callable[[], Awaitable[int | None]]:
        """Return a load of one key."""

        async def load() -> int | None:
            self.loads += 1
            row = self.rows.get(key)
            self.has_read.set()
            await self.go_on.wait()
            return row

        return load


def run(check_it: Callable[[], Any]) -> None:
    """Run a test's coroutine."""
    asyncio.run(check_it())


async def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - the condition can be anything
            await asyncio.sleep(0.005)


@given(st.lists(st.tuples(st.sampled_from(("put", "get", "drop", "wait")), st.sampled_from("abcd")), max_size=40))
def test_memory_keeps_the_newest_values_for_their_age(steps: list[tuple[str, str]]) -> None:
    """It behaves like a list of puts: the last value put, unless it is too old, dropped, or among too many."""
    now, age, entries = 0.0, 3.0, 2
    memory = MemoryLayer(age, entries, lambda: now)
    puts: list[tuple[str, int, float]] = []
    for number, (step, key) in enumerate(steps):
        if step == "put":
            memory.put(key, number)
            puts = [*(p for p in puts if p[0] != key), (key, number, now + age)][-entries:]
        elif step == "drop":
            memory.drop(key)
            puts = [p for p in puts if p[0] != key]
        elif step == "wait":
            now += 1
        else:
            held = [number for of, number, until_s in puts if of == key and now < until_s]
            assert memory.get(key) == (held[0] if held else cache_layers._MISSING)


@given(st.integers(1, 10_000), st.integers())
def test_lifetimes_are_spread_and_never_too_long(ttl_s: int, seed: int) -> None:
    """A value lives for 90 to 99 % of its kind's lifetime, a missing row likewise for its shorter one."""
    kind = Kind[int | None]("kind", ttl_s, int | None, missing_ttl_s=ttl_s / 10)
    jitter = Random(seed)
    low, high = JITTER
    assert low * ttl_s <= kind.lifetime_s(1, jitter) <= high * ttl_s
    assert low * ttl_s / 10 <= kind.lifetime_s(None, jitter) <= high * ttl_s / 10


def test_the_first_layer_with_the_value_answers(redis_url: str, prefix: str) -> None:
    """First the database, then this process's memory; in another process Redis; and Redis again once memory has expired."""

    async def check_it() -> None:
        source = Source()
        source.rows["a"] = 7
        async with Layers(redis_url, prefix, PATIENCE_S) as one, Layers(redis_url, prefix, PATIENCE_S) as two:
            await until(lambda: one._shared.listening and two._shared.listening)
            for layers in (one, one, two, two):
                assert await layers.read(NUMBER, "a", source.load("a")) == 7
            one.forget()
            assert await one.read(NUMBER, "a", source.load("a")) == 7
            assert source.loads == 1
            assert one.counts == {
                "lookups": 3, "memory_hits": 1, "redis_hits": 1, "joined": 0, "loads": 1, "unfilled": 0, "redis_errors": 0,
            }  # fmt: skip
            assert (two.counts["redis_hits"], two.counts["memory_hits"]) == (1, 1)

    run(check_it)


@pytest.mark.parametrize("value", [None, 0, "", False, [], {}])
def test_falsy_values_are_cached(redis_url: str, prefix: str, value: Any) -> None:
    """None is a value too: it is loaded once."""

    async def check_it() -> None:
        loads = count(1)

        async def load() -> Any:
            assert next(loads) == 1
            return value

        async with Layers(redis_url, prefix, PATIENCE_S) as one, Layers(redis_url, prefix, PATIENCE_S) as two:
            for layers in (one, one, two):
                assert await layers.read(ANYTHING, "a", load) == value

    run(check_it)


def test_concurrent_readers_share_one_load(redis_url: str, prefix: str) -> None:
    """Fifty readers of one cold key load it once, even if the first of them is cancelled."""

    async def check_it() -> None:
        source = Source()
        source.rows["a"] = 7
        source.go_on.clear()
        async with Layers(redis_url, prefix, deadline_s=PATIENCE_S) as layers:
            await until(lambda: layers._shared.listening)  # when it begins to listen, reads in flight are invalidated
            first = asyncio.create_task(layers.read(NUMBER, "a", source.load("a")))
            await source.has_read.wait()
            others = [asyncio.create_task(layers.read(NUMBER, "a", source.load("a"))) for _ in range(49)]
            await asyncio.sleep(0)
            first.cancel()
            source.go_on.set()
            assert await asyncio.gather(*others) == [7] * 49
            assert source.loads == 1
            with pytest.raises(asyncio.CancelledError):
                await first

    run(check_it)


def test_closing_waits_for_reads_in_flight(redis_url: str, prefix: str) -> None:
    """A read without callers that a write has invalidated ends before the connections are closed."""

    async def check_it() -> None:
        source = Source()
        source.go_on.clear()
        async with Layers(redis_url, prefix, PATIENCE_S) as layers:
            given_up = asyncio.create_task(layers.read(NUMBER, "a", source.load("a")))
            await source.has_read.wait()
            given_up.cancel()
            async with layers.changing(layers.name(NUMBER, "a")):
                pass
            asyncio.get_running_loop().call_later(0.02, source.go_on.set)
        assert layers.counts["unfilled"] == 1

    run(check_it)


def test_an_error_reaches_every_reader_and_is_not_cached(redis_url: str, prefix: str) -> None:
    """A failed load fails all readers that share it, and the next read loads again."""

    async def check_it() -> None:
        async def fail() -> int:
            raise LookupError("no database")

        async with Layers(redis_url, prefix, PATIENCE_S) as layers:
            failed = await asyncio.gather(*(layers.read(NUMBER, "a", fail) for _ in range(3)), return_exceptions=True)
            assert [type(error) for error in failed] == [LookupError] * 3
            source = Source()
            assert await layers.read(NUMBER, "a", source.load("a")) is None

    run(check_it)


@pytest.mark.parametrize("writer_is_reader", [True, False])
def test_a_late_reader_does_not_fill_a_key_written_meanwhile(redis_url: str, prefix: str, *, writer_is_reader: bool) -> None:
    """A row read before a write enters no layer after it, whichever process wrote; a later read gets the new row."""

    async def check_it() -> None:
        source = Source()
        source.rows["a"] = 1
        source.go_on.clear()
        async with Layers(redis_url, prefix, PATIENCE_S) as reader, Layers(redis_url, prefix, PATIENCE_S) as another:
            await until(lambda: reader._shared.listening)
            writer = reader if writer_is_reader else another
            late = asyncio.create_task(reader.read(NUMBER, "a", source.load("a")))
            await source.has_read.wait()
            async with writer.changing(writer.name(NUMBER, "a")):
                source.rows["a"] = 2
            after = asyncio.create_task(reader.read(NUMBER, "a", source.load("a")))
            await asyncio.sleep(0.02)
            source.go_on.set()
            assert await late == 1
            assert await after == 2
            for layers in (reader, another):
                layers.forget()
                assert await layers.read(NUMBER, "a", source.load("a")) == 2

    run(check_it)


def test_another_process_forgets_before_the_write_returns(redis_url: str, prefix: str) -> None:
    """The value in another process's memory is removed when the transaction commits, since the fence is published first."""

    async def check_it() -> None:
        source = Source()
        source.rows["a"] = 1
        async with Layers(redis_url, prefix, PATIENCE_S) as writer, Layers(redis_url, prefix, PATIENCE_S) as reader:
            await until(lambda: reader._shared.listening)
            assert await reader.read(NUMBER, "a", source.load("a")) == 1
            name = writer.name(NUMBER, "a")
            async with writer.changing(name):
                await until(lambda: reader._memory.get(name) is cache_layers._MISSING)
                source.rows["a"] = 2
            assert await reader.read(NUMBER, "a", source.load("a")) == 2

    run(check_it)


def test_a_writer_that_does_not_listen_still_notifies_others(redis_url: str, prefix: str) -> None:
    """Its write invalidates the memory of a process that listens, and it receives no messages itself."""

    async def check_it() -> None:
        source = Source()
        source.rows["a"] = 7
        async with Layers(redis_url, prefix, PATIENCE_S) as reader, Layers(redis_url, prefix, PATIENCE_S, listens=False) as writer:
            await until(lambda: reader._shared.listening)
            assert not writer._shared.listening
            assert await reader.read(NUMBER, "a", source.load("a")) == 7
            async with writer.changing(writer.name(NUMBER, "a")):
                source.rows["a"] = 8
            await until(lambda: reader._memory.get(reader.name(NUMBER, "a")) is cache_layers._MISSING)
            assert await reader.read(NUMBER, "a", source.load("a")) == 8

    run(check_it)


def test_a_failed_write_clears_too(redis_url: str, prefix: str) -> None:
    """A transaction whose response was lost may have committed, so its keys are read again."""

    async def check_it() -> None:
        source = Source()
        source.rows["a"] = 1
        async with Layers(redis_url, prefix, PATIENCE_S) as layers:
            await layers.read(NUMBER, "a", source.load("a"))

            async def write() -> None:
                async with layers.changing(layers.name(NUMBER, "a")):
                    source.rows["a"] = 2
                    raise ConnectionError("the answer was lost")

            with pytest.raises(ConnectionError):
                await write()
            assert await layers.read(NUMBER, "a", source.load("a")) == 2

    run(check_it)


def test_bytes_that_cannot_be_decoded_are_replaced(redis_url: str, prefix: str) -> None:
    """A value left by another version of the service is a miss, and is filled again."""

    async def check_it() -> None:
        source = Source()
        source.rows["a"] = 7
        async with Layers(redis_url, prefix, PATIENCE_S) as layers, Redis.from_url(redis_url) as redis:
            await redis.set(layers.name(NUMBER, "a"), b"v\xa4text")
            for _ in range(3):
                assert await layers.read(NUMBER, "a", source.load("a")) == 7
            layers.forget()
            assert await layers.read(NUMBER, "a", source.load("a")) == 7
            assert source.loads == 2

    run(check_it)


def test_without_redis_every_read_goes_to_the_database() -> None:
    """Reads and writes work, nothing is cached that no message could invalidate, and the failures are counted."""

    async def check_it() -> None:
        source = Source()
        async with Layers("redis://127.0.0.1:1/0", "test:") as layers:
            for number in range(5):
                async with layers.changing(layers.name(NUMBER, "a")):
                    source.rows["a"] = number
                assert await layers.read(NUMBER, "a", source.load("a")) == number
            assert layers.counts["loads"] == layers.counts["unfilled"] == 5
            assert layers.counts["redis_errors"] > 0

    run(check_it)


class Register:
    """A database that increments a number, some of whose responses take far longer than a write."""

    def __init__(self) -> None:
        self._rows = dict.fromkeys("abc", 0)
        self._jitter = Random(1)

    async def load(self, key: str) -> int:
        """Read the number at some instant during the call."""
        await self._travel(2)
        row = self._rows[key]
        await self._travel(20)
        return row

    async def commit(self, key: str) -> int:
        """Increment the number at some instant during the call."""
        await self._travel(2)
        self._rows[key] += 1
        row = self._rows[key]
        await self._travel(2)
        return row

    async def _travel(self, most_ms: int) -> None:
        await asyncio.sleep(self._jitter.random() * most_ms / 1000)


@dataclass(frozen=True)
class Protected:
    """The layers in front of a register."""

    register: Register
    layers: Layers

    async def read(self, key: str) -> int:
        """Read through the layers."""
        value = await self.layers.read(NUMBER, key, lambda: self.register.load(key))
        assert value is not None
        return value

    async def write(self, key: str) -> int:
        """Write, fence and clear."""
        async with self.layers.changing(self.layers.name(NUMBER, key)):
            return await self.register.commit(key)


@dataclass(frozen=True)
class Unprotected:
    """A cache in front of a register that is filled with every value read, and cleared after the commit."""

    register: Register
    redis: Redis
    prefix: str

    async def read(self, key: str) -> int:
        """Read, and fill."""
        held = await self.redis.get(self.prefix + key)
        if held is not None:
            return int(held)
        value = await self.register.load(key)
        await self.redis.set(self.prefix + key, value)
        return value

    async def write(self, key: str) -> int:
        """Write, and delete."""
        version = await self.register.commit(key)
        await self.redis.delete(self.prefix + key)
        return version


async def _stale_reads(fronts: Sequence[Protected | Unprotected]) -> int:
    reads, writes = [front.read for front in fronts] * 4, [front.write for front in fronts]
    return check(await record("abc", reads, writes, MonotonicClock().now_ns, reads_each=60, writes_each=30)).stale_reads


def test_no_read_is_stale_with_readers_and_writers_in_two_processes(redis_url: str, prefix: str) -> None:
    """A read after a write has returned gets its value; the same load finds stale reads in an unprotected cache."""

    async def check_it() -> None:
        register = Register()
        async with (
            Layers(redis_url, prefix, PATIENCE_S) as one,
            Layers(redis_url, prefix, PATIENCE_S) as two,
            Redis.from_url(redis_url) as redis,
        ):
            assert await _stale_reads([Protected(register, one), Protected(register, two)]) == 0
            assert one.counts["memory_hits"] + two.counts["memory_hits"] > 0
            assert await _stale_reads([Unprotected(register, redis, prefix)] * 2) > 0

    run(check_it)
