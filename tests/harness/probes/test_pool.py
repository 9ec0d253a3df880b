"""Checkouts are timed and counted on pools of any class, and the engine is restored afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import exc as errors
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, StaticPool

from harness.probes.pool import PoolUse
from harness.runtime.clock import FakeClock

MS = 1_000_000


@pytest.fixture
def on_pool(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs a check on an engine with a given pool."""

    def run(check: Callable[[AsyncEngine], Awaitable[Any]], **options: Any) -> Any:
        async def opened() -> Any:
            engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}", **options)
            try:
                return await check(engine)
            finally:
                await engine.dispose()

        return asyncio.run(opened())

    return run


async def use_one(engine: AsyncEngine) -> None:
    """Check a connection out and in again."""
    async with engine.connect() as connection:
        await connection.execute(select(1))


async def use_together(engine: AsyncEngine, tasks: int) -> None:
    """Let this number of tasks use a connection at the same time."""
    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(use_one(engine))


def test_a_connection_is_opened_once_and_checked_out_often(on_pool: Callable[..., Any]) -> None:
    """Three checkouts one after the other need one connect."""

    async def work(engine: AsyncEngine) -> Any:
        async with PoolUse(engine) as use:
            for _ in range(3):
                await use_one(engine)
        return use.counts(), len(use.waits_ns), use.waiting_peak

    assert on_pool(work) == ({"checkouts": 3, "connects": 1, "timeouts": 0}, 3, 1)


def test_a_checkout_waits_while_another_task_holds_the_connection(on_pool: Callable[..., Any]) -> None:
    """The second task waits for the seven milliseconds during which the first one holds the only connection."""
    clock = FakeClock()

    async def work(engine: AsyncEngine) -> list[int]:
        async with PoolUse(engine, clock) as use:
            async with engine.connect():
                waiting = asyncio.create_task(use_one(engine))
                await asyncio.sleep(0)  # until it is in the queue
                clock.advance(7 * MS)
            await waiting
        return use.waits_ns

    assert on_pool(work, pool_size=1, max_overflow=0) == [0, 7 * MS]


def test_a_checkout_that_times_out_is_a_wait_and_a_timeout(on_pool: Callable[..., Any]) -> None:
    """It does not count as a successful checkout."""

    async def work(engine: AsyncEngine) -> Any:
        async with PoolUse(engine) as use, engine.connect():
            with pytest.raises(errors.TimeoutError):
                await use_one(engine)
        return use.counts(), len(use.waits_ns)

    counted = on_pool(work, pool_size=1, max_overflow=0, pool_timeout=0.01)
    assert counted == ({"checkouts": 1, "connects": 1, "timeouts": 1}, 2)


def test_peaks_are_of_concurrent_tasks(on_pool: Callable[..., Any]) -> None:
    """Eight tasks on two connections and one overflow: eight wait at the same time, one connection is overflow."""

    async def work(engine: AsyncEngine) -> Any:
        async with PoolUse(engine) as use:
            await use_together(engine, 8)
        return use.waiting_peak, use.overflow_peak

    assert on_pool(work, pool_size=2, max_overflow=1) == (8, 1)


def test_a_pool_that_is_not_full_has_no_overflow(on_pool: Callable[..., Any]) -> None:
    """The pool's own value is negative then."""

    async def work(engine: AsyncEngine) -> int:
        async with PoolUse(engine) as use:
            await use_one(engine)
        return use.overflow_peak

    assert on_pool(work, pool_size=5) == 0


@pytest.mark.parametrize(("kind", "connects"), [(AsyncAdaptedQueuePool, 2), (NullPool, 4), (StaticPool, 2)])
def test_the_pool_after_dispose_is_watched_too(on_pool: Callable[..., Any], kind: type[Any], connects: int) -> None:
    """Two uses before `dispose` and two after it all count, on pools of every class."""

    async def work(engine: AsyncEngine) -> Any:
        async with PoolUse(engine) as use:
            for _ in range(2):
                await use_one(engine)
                await use_one(engine)
                await engine.dispose()
        return use.counts()

    assert on_pool(work, poolclass=kind) == {"checkouts": 4, "connects": connects, "timeouts": 0}


def test_nothing_is_counted_outside(on_pool: Callable[..., Any]) -> None:
    """Use before and after does not count, the pool is restored, and a second use starts at zero."""

    async def work(engine: AsyncEngine) -> Any:
        use = PoolUse(engine)
        await use_one(engine)
        async with use:
            await engine.dispose()
            await use_one(engine)
        await use_one(engine)
        await engine.dispose()
        await use_one(engine)
        first = use.counts()
        assert "connect" not in vars(engine.pool)
        async with use:
            pass
        return first, use.counts(), use.waits_ns

    nothing = {"checkouts": 0, "connects": 0, "timeouts": 0}
    assert on_pool(work) == ({"checkouts": 1, "connects": 1, "timeouts": 0}, nothing, [])
